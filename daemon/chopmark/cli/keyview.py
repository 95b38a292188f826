"""How keys are shown: a block for each, since no terminal is wide enough for a table of them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from chopmark.cli.terminal import clean, say, say_fields, say_prose, styled

Row = Mapping[str, Any]
"""One key, as `GET /v1/keys` gives it."""
_WIDTH: Final = len("fingerprint") + 2
"""Columns of the names of fields."""
_MAIN: Final = ("log", "cosigner")


def show_keys(rows: Iterable[Row]) -> None:
    """A block for each key, with a blank line between two."""
    found = list(rows)
    for at, row in enumerate(found):
        if at:
            say()
        _show(row)
    if any(row.get("in_token") is None for row in found):
        say()
        say_prose("the token does not answer: `chopmark status` says why", indent=0)
    elif any(row.get("in_token") and row.get("attributes") is None for row in found):
        say()
        say_prose("attributes are read by the running gateway only: no login was made", indent=0)


def title(row: Row) -> str:
    """What a key is, in a few words."""
    return "other key" if row["role"] is None else f"{row['role']} key"


def describe_attributes(row: Row) -> list[tuple[str, str]]:
    """The attributes by their names in PKCS#11: those that hold, that do not, that are unknown."""
    attributes = row.get("attributes")
    if attributes is None:
        return []
    sorts = {"is": True, "is not": False, "not told": None}
    fields = [
        (name, ", ".join(one.upper() for one, value in attributes.items() if value is wanted))
        for name, wanted in sorts.items()
    ]
    return [(name, text) for name, text in fields if text] + [("mechanisms", _mechanisms(row))]


def _show(row: Row) -> None:
    wrong = row.get("wrong") or []
    state = styled(_state(row), "green" if row["in_use"] else "dim")
    say(styled(title(row), "bold"), "  ", state)
    fields: list[tuple[str, object]] = [("vkey", row["vkey"])]
    if row["role"] in _MAIN:
        fields.append(("roster", row["roster"] or "not named"))
    fields += [(name, row.get(name)) for name in ("label", "type", "fingerprint", "words")]
    say_fields([*fields, *describe_attributes(row)])
    for one in wrong:
        say("  ", styled("wrong", "red"), " " * (_WIDTH - len("wrong")), clean(one))


def _state(row: Row) -> str:
    if row["in_use"]:
        return "in use"
    return "not of this gateway's log" if row["role"] is None else "not in use"


def _mechanisms(row: Row) -> str:
    found = row.get("mechanisms")
    if found is None:
        return "not told"
    return ", ".join(found) or "not bound to any"
