"""How keys are shown: a block for each, since no terminal is wide enough for a table of them."""

from collections.abc import Iterable
from typing import Final

from chopmark.cli.terminal import say, say_fields, say_prose, styled
from chopmark.client.told.keys import Row, key_fields, key_state, keys_note, title
from chopmark.core.inert import clean

_WIDTH: Final = len("fingerprint") + 2
"""Columns of the names of fields."""


def show_keys(rows: Iterable[Row]) -> None:
    """A block for each key, with a blank line between two."""
    found = list(rows)
    for at, row in enumerate(found):
        if at:
            say()
        _show(row)
    if note := keys_note(found):
        say()
        say_prose(note, indent=0)


def _show(row: Row) -> None:
    wrong = row.get("wrong") or []
    state = styled(key_state(row), "green" if row["in_use"] else "dim")
    say(styled(title(row), "bold"), "  ", state)
    say_fields(key_fields(row))
    for one in wrong:
        say("  ", styled("wrong", "red"), " " * (_WIDTH - len("wrong")), clean(one))
