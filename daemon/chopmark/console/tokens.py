"""The PKCS#11 modules of this box and their tokens, before a configuration names one of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chopmark.client.problem import error_from_problem
from chopmark.console.command import Admin
from chopmark.console.showing import Screen, objects
from chopmark.console.words.numbers import number

_ABSENT: Final = "no-hsm-module"
"""What a module is told by that is not installed: on most boxes all but one."""


async def show_tokens(screen: Screen, modules: Mapping[str, Any]) -> None:
    """A line for each token; and why a module that is there has none.

    In a word where another one has: most boxes have modules that they do not use.
    """
    rows = list(_rows(modules))
    if rows:
        await screen.table(("module", "label", "maker", "model", "serial"), rows, ("label",))
    absent = []
    for name, told in modules.items():
        error = told.get("error")
        if isinstance(error, dict) and error.get("code") == _ABSENT:
            absent.append(name)
        elif isinstance(error, dict):
            await _tell_why(screen, name, error, brief=bool(rows))
        elif not told.get("tokens"):
            await screen.prose(screen.t("show.no-token", module=name))
    if absent:
        await screen.prose(screen.t("show.no-module", modules=", ".join(absent)))


async def _tell_why(screen: Screen, name: str, error: Mapping[str, Any], *, brief: bool) -> None:
    if brief:
        code = number(str(error.get("code")))
        await screen.prose(screen.t("show.unused-module", module=name, number=code))
    else:
        await screen.say([f"{name}:"])
        await screen.trouble(error_from_problem(int(error["status"]), error, None))


def find_only(modules: Mapping[str, Any]) -> tuple[str, str] | None:
    """Module and label of the one token that there is."""
    found = [(name, label) for name, label, *_ in _rows(modules)]
    return found[0] if len(found) == 1 else None


async def ask_tokens(admin: Admin, who: str) -> Mapping[str, Any]:
    """Modules by name, each with `tokens` and `error`; raises as `Admin.do`."""
    found = (await admin.do("tokens-look", who=who))["modules"]
    return found if isinstance(found, dict) else {}


def _rows(modules: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, told in modules.items():
        for one in objects(told.get("tokens")):
            fields = ("label", "maker", "model", "serial")
            yield (name, *(str(one.get(field) or "") for field in fields))
