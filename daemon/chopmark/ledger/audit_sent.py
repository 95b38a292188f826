"""How far the audit log has been sent to its receiver, in our own `log.db`.

The row names a record by number and chain: a database that was begun anew, or put back, may give
the same number to another record, and then everything that is there is sent again.
"""

import sqlite3
from typing import NamedTuple

from chopmark.ledger import audit as table

NOTHING = -1


class Sent(NamedTuple):
    """The last record that was sent: its number (-1: none was), and the chain's value after it."""

    number: int = NOTHING
    chain: bytes = b""


def read_sent(db: sqlite3.Connection) -> Sent:
    """How far it is; nothing was sent if the row names no record of this log."""
    found = db.execute("SELECT number, chain FROM audit_sent").fetchone()
    if found is None or found[0] >= table.read_tip(db).number:
        return Sent()
    query = "SELECT chain FROM audit_record WHERE number = ?"
    held = db.execute(query, (found[0],)).fetchone()
    # One that was taken out since cannot be compared, and was sent before that.
    return Sent(*found) if held is None or held[0] == found[1] else Sent()


def write_sent(db: sqlite3.Connection, sent: Sent) -> None:
    """Keep how far it is."""
    db.execute("INSERT OR REPLACE INTO audit_sent VALUES (1, ?, ?)", sent)
