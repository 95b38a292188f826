"""An error as a technician sees it: number, what is wrong, and what to do.

Errors speak English, since they come from everywhere. In another language each has a sentence of
its own: `error.CODE` of the tables, or what the page says of the same code. What to do is
`do.CODE`, or what is to be done about errors whose numbers begin so, `error.do-NUMBER`. The English
follows, with the names and figures in it: it is what a ticket is searched by.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from chopmark.api.page_files import FOLDER
from chopmark.console.desk import Language
from chopmark.console.words import find_text, t
from chopmark.console.words.numbers import NUMBERS, OTHER, number
from chopmark.core.errors import ChopmarkError

_PROBLEM: Final = re.compile(r'^\s+"problem\.([a-z0-9-]+)": "([^"\\]+)",$', re.MULTILINE)


def explain(language: Language, error: ChopmarkError) -> str:
    """`E-1042: what is wrong; do: what to do`; in another language the English in a second line."""
    english = _sentence("en", error.message, error.hint)
    own = find_meaning(language, error.code)
    if own is None:
        return f"{number(error.code)}: {english}"
    if error.hint and error.hint == find_text(language, f"do.{error.code}"):
        return f"{number(error.code)}: {_sentence(language, error.message, error.hint)}"
    hint = error.hint and find_remedy(language, error.code, error.hint)
    return f"{number(error.code)}: {_sentence(language, own, hint)}\n  ({english})"


def find_meaning(language: Language, code: str) -> str | None:
    """What a code means, in a language that errors do not speak themselves."""
    if language == "en":
        return None
    found = find_text(language, f"error.{code}") or _of_page(language).get(code)
    return found and found.removesuffix("。")


def find_remedy(language: Language, code: str, hint: str) -> str:
    """What to do about it at this console, which has other commands than the shell."""
    return find_text(language, f"do.{code}") or (_by_number(language, code) if hint else "") or hint


def _by_number(language: Language, code: str) -> str:
    """By all digits, the first three or two; only in languages that errors do not speak."""
    digits = str(NUMBERS.get(code, OTHER))
    found = (find_text(language, f"error.do-{digits[:length]}") for length in (4, 3, 2))
    return next((one for one in found if one), "")


def _sentence(language: Language, message: str, hint: str) -> str:
    if not hint:
        return message
    return (
        f"{message}; do: {hint}"
        if language == "en"
        else (f"{message}。{t(language, 'error.do')}：{hint}")
    )


@cache
def _of_page(language: Language) -> Mapping[str, str]:
    """What the page calls the problems of the API, so that nobody translates them twice."""
    return dict(_PROBLEM.findall((FOLDER / f"js/i18n/{language}.js").read_text("utf-8")))
