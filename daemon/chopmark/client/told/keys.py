"""`GET /v1/keys` in words."""

from collections.abc import Mapping
from typing import Any, Final

Row = Mapping[str, Any]
"""One key, as `GET /v1/keys` gives it."""
_MAIN: Final = ("log", "cosigner")


def title(row: Row) -> str:
    """What a key is, in a few words."""
    return "other key" if row["role"] is None else f"{row['role']} key"


def _attributes(row: Row) -> list[tuple[str, str]]:
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


def key_fields(row: Row) -> list[tuple[str, object]]:
    """Names and values of a key, its attributes last."""
    fields: list[tuple[str, object]] = [("vkey", row["vkey"])]
    if row["role"] in _MAIN:
        fields.append(("roster", row["roster"] or "not named"))
    fields += [(name, row.get(name)) for name in ("label", "type", "fingerprint", "words")]
    return [*fields, *_attributes(row)]


def keys_note(rows: list[Row]) -> str:
    """What is to be said of all of them; empty if nothing is."""
    if any(row.get("in_token") is None for row in rows):
        return "the token does not answer: `chopmark status` says why"
    if any(row.get("in_token") and row.get("attributes") is None for row in rows):
        return "attributes are read by the running gateway only: no login was made"
    return ""


def key_state(row: Row) -> str:
    """Whether it is in use, and whose it is."""
    if row["in_use"]:
        return "in use"
    return "not of this gateway's log" if row["role"] is None else "not in use"


def _mechanisms(row: Row) -> str:
    found = row.get("mechanisms")
    if found is None:
        return "not told"
    return ", ".join(found) or "not bound to any"
