"""What the console says, in English and in Simplified and Traditional Chinese.

Each part of the console has a module here with `EN`, `ZH_HANS` and `ZH_HANT`, dicts of equal
keys. A text may have `{names}` for what differs; what is put in is shown inert by the desk.
"""

from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from chopmark.console.desk import Language

TABLES: Final[dict[Language, str]] = {"en": "EN", "zh-Hans": "ZH_HANS", "zh-Hant": "ZH_HANT"}


def t(language: Language, key: str, **values: Any) -> str:
    """The text of a key; in English if that language lacks it, and the key itself if all do."""
    found = find_text(language, key) or find_text("en", key) or key
    return found.format(**values) if values else found


def find_text(language: Language, key: str) -> str | None:
    """The text of a key as it is in the table, or None."""
    return all_texts(language).get(key)


@cache
def all_texts(language: Language) -> Mapping[str, str]:
    """All that the console says in a language, by key."""
    modules = [import_module(f"{__name__}.{one.name}") for one in iter_modules(__path__)]
    return ChainMap(*(getattr(module, TABLES[language], {}) for module in modules))
