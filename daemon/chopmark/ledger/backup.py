"""A copy of our own log's database while its gateway goes on writing.

The copy is the database as one moment's commit left it: the connection that is copied from holds a
read transaction from before the first page to after the last, which in WAL mode holds up nobody.
Without it SQLite would begin again whenever another connection has written.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.core.errors import InternalError
from chopmark.ledger.schema import connect, damage_named
from chopmark.ledger.store import LogState, read_state

_PAGES: Final = 1024
"""Pages copied at a time (8 MB): how often progress is told."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds."""

    state: LogState
    size: int
    """Bytes."""


def copy_store(path: Path, target: Path, progress: Progress | None = None) -> Copied:
    """Copy a log's database into an empty file; what is there is not durable yet.

    Args:
        path: the database; a gateway may be writing to it.
        target: the empty file. The copy has no write-ahead log, so that it is one file.
        progress: told (pages copied, pages in all).

    Raises:
        MissingError, ConfigurationError, InternalError: what `connect` raises; `not-copied` if the
            disk refused.
    """

    def tell(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    with closing(connect(path, read_only=True)) as source, damage_named(path):
        source.execute("BEGIN")
        state = read_state(source)
        try:
            _copy(source, target, tell)
        except sqlite3.Error as error:
            hint = "is the disk full, or failing?"
            raise InternalError("not-copied", f"{path}: {error}", hint=hint) from error
    return Copied(state, target.stat().st_size)


def _copy(source: sqlite3.Connection, target: Path, tell: Callable[[int, int, int], None]) -> None:
    uri = f"{target.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as copy:
        # Whoever called makes the file durable, and throws it away if this breaks off.
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA synchronous=OFF")
        source.backup(copy, pages=_PAGES, progress=tell)
        copy.execute("PRAGMA journal_mode=DELETE")
