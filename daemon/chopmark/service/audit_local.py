"""The audit log without the daemon: notes of local commands, and days taken out."""

import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from chopmark.core.audit import SALT, Record, shorten
from chopmark.core.errors import ChopmarkError, MissingError, TryAgainError
from chopmark.ledger import audit as table
from chopmark.ledger.audit import Logged
from chopmark.ledger.schema import connect

LOG: Final = logging.getLogger("chopmark.audit")
_HINT: Final = "is the disk full, or the ledger in use? the same command may be given again"


def note_locally(path: Path, action: str, *, outcome: str = "done", **about: str | int) -> None:
    """Make a record of what a local command does, durable once this returns.

    The daemon may run beside it.

    Args:
        path: database of our own log.
        action: what was done; see docs/operations/audit.md for this and what follows.
        outcome: how it ended.
        about: what it was about.

    Raises:
        TryAgainError: `not-noted`.
    """
    with changing(path) as db:
        add_note(db, action, outcome=outcome, **about)


@contextmanager
def noting(path: Path, action: str, **about: str | int) -> Iterator[dict[str, str | int]]:
    """Make a record of what is done within, and of how it ends; what is done is never held up.

    Args:
        path: database of our own log; where there is none, or it takes nothing, that is logged.
        action: what is done.
        about: what it is about; what comes to be known within is put into what this gives.
    """
    outcome = "broken-off"
    try:
        yield about
        outcome = "done"
    except ChopmarkError as error:
        outcome = error.code
        raise
    finally:
        try:
            note_locally(path, action, outcome=outcome, **about)
        except MissingError:
            LOG.debug("%s: there is no audit log at %s", action, path)
        except ChopmarkError as error:
            LOG.warning("%s is not in the audit log: %s", action, error, extra={"code": error.code})


def add_note(
    db: sqlite3.Connection, action: str, *, outcome: str = "done", **about: str | int
) -> None:
    """As `note_locally`, within the caller's transaction."""
    short = {k: shorten(v) if isinstance(v, str) else v for k, v in about.items()}
    now = max(0, time.time_ns() // 1_000_000)
    record = Record(now, f"local uid={os.getuid()}", action, outcome, short)
    table.append(db, [(record, secrets.token_bytes(SALT))])


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction on our own log's database, beside the daemon.

    Raises:
        TryAgainError: `not-noted`; nothing was changed.
    """
    with closing(connect(path)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            message = f"the audit log of {path} takes nothing: {error}"
            raise TryAgainError("not-noted", message, hint=_HINT) from error


def take_out(path: Path, days: Sequence[Logged], before: str, digest: str) -> None:
    """Take out the records of days, and note that.

    Args:
        path: database of our own log.
        days: that are logged, and in a file.
        before: the date before which they were to be.
        digest: SHA-256 of the file, in hexadecimal.

    Raises:
        TryAgainError: `not-noted`; nothing was changed.
    """
    now = time.time_ns() // 1_000_000
    with changing(path) as db:
        for one in days:
            table.prune(db, one.day, now)
        records = sum(one.day.count for one in days)
        count = len(days)
        add_note(db, "audit.pruned", before=before, days=count, records=records, sha256=digest)
