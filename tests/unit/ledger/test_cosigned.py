"""The row of each cosigner key and log: it is swapped, and never goes back."""

import sqlite3
from collections.abc import Iterator

import pytest

from chopmark.ledger.cosigned import Cosigned, move_cosigned, read_cosigned
from chopmark.ledger.tables import WITNESS

ORIGIN, KEY = "example.com/log", "example.com/witness+00000000+AA=="
FIRST = Cosigned(5, b"a" * 32, 100, b"note")
NEXT = Cosigned(9, b"b" * 32, 100, b"newer")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE log (id INTEGER)")
    connection.executescript(WITNESS)
    yield connection
    connection.close()


def test_row_moves_from_what_was_read(db: sqlite3.Connection) -> None:
    assert read_cosigned(db, ORIGIN, KEY) is None
    assert move_cosigned(db, ORIGIN, KEY, None, FIRST)
    assert move_cosigned(db, ORIGIN, KEY, FIRST, NEXT)
    assert read_cosigned(db, ORIGIN, KEY) == NEXT
    assert read_cosigned(db, ORIGIN, KEY + "x") is None
    assert read_cosigned(db, ORIGIN + "x", KEY) is None


def test_slower_request_does_not_roll_the_log_back(db: sqlite3.Connection) -> None:
    """The race of C2SP tlog-witness, and two first requests."""
    assert move_cosigned(db, ORIGIN, KEY, None, NEXT)
    assert not move_cosigned(db, ORIGIN, KEY, None, FIRST)
    assert not move_cosigned(db, ORIGIN, KEY, FIRST, Cosigned(7, b"c" * 32, 101))
    assert read_cosigned(db, ORIGIN, KEY) == NEXT


@pytest.mark.parametrize(
    "back", [Cosigned(8, b"b" * 32, 101), Cosigned(9, b"x" * 32, 101), Cosigned(10, b"c" * 32, 99)]
)
def test_row_that_would_go_back_is_our_bug(db: sqlite3.Connection, back: Cosigned) -> None:
    assert move_cosigned(db, ORIGIN, KEY, None, NEXT)
    with pytest.raises(ValueError, match="goes back"):
        move_cosigned(db, ORIGIN, KEY, NEXT, back)
