"""What became of requests that may be resumed: which of their digests are which entries.

A request is named by its client, with 16 bytes, and is that client's only. What is known of it is
written in the transaction that makes its entries durable, so that after any cut both agree.
"""

import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

KEPT: Final = 30 * 86_400_000
"""Ms for which a request can be resumed."""
_NAME: Final = 16


class Claim(NamedTuple):
    """Part of a request that is to be recorded.

    Attributes:
        request: the request's name, with its client's (`scope`).
        first: number of the part's first digest within the request.
    """

    request: bytes
    first: int


class Part(NamedTuple):
    """Digests [first, first + size) of a request are the entries [start, start + size).

    Attributes:
        made_at: ms since the Unix epoch.
    """

    first: int
    start: int
    size: int
    made_at: int


def scope(client: str, request: bytes) -> bytes:
    """The name of a client's request among those of all clients: 16 bytes."""
    return sha256(client.encode() + b"\0" + request).digest()[:_NAME]


def write_parts(db: sqlite3.Connection, parts: Sequence[tuple[bytes, Part]]) -> None:
    """Write what was recorded of requests, within the caller's transaction."""
    rows = [(request, *part) for request, part in parts]
    db.executemany("INSERT INTO request VALUES (?, ?, ?, ?, ?)", rows)


def find_end(db: sqlite3.Connection, request: bytes) -> int:
    """How many digests of a request are recorded: always its first ones."""
    query = "SELECT first + count FROM request WHERE id = ? ORDER BY first DESC LIMIT 1"
    found = db.execute(query, (request,)).fetchone()
    return found[0] if found else 0


def forget_old(db: sqlite3.Connection, now: int) -> None:
    """Forget requests that nobody will resume any more; `now` is in ms since the Unix epoch."""
    old = "SELECT id FROM request GROUP BY id HAVING max(made_at) < ?"
    db.execute(f"DELETE FROM request WHERE id IN ({old})", (now - KEPT,))  # noqa: S608 - no input
