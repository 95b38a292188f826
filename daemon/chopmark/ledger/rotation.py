"""Keys that follow the first ones of our token, in our own `log.db`.

Which log key and cosigner key are in use is what the row of the log says (`log_vkey`,
`cosigner_vkey`); under which label a key lies in the token is said here, but for the first ones,
whose labels the configuration has.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.ledger.schema import connect, damage_named

Role = Literal["log", "cosigner"]
RETIRING: Final = 2
"""Stands in `due` of a key whose destruction has begun: it may be gone, and never signs again."""
_ACTIVATE: Final = "activate another one, and have the roster end this one"


def add_key(db: sqlite3.Connection, vkey: str, role: Role, label: str) -> None:
    """Note a key that was made in the token."""
    values = (vkey, role, label)
    db.execute("INSERT INTO token_key (vkey, role, label) VALUES (?, ?, ?)", values)


def forget_key(db: sqlite3.Connection, vkey: str) -> None:
    """Forget a key that was destroyed."""
    db.execute("DELETE FROM token_key WHERE vkey = ?", (vkey,))


def find_key(db: sqlite3.Connection, vkey: str) -> tuple[Role, str]:
    """What a key is for, and its label.

    Raises:
        MissingError: `no-such-key`.
    """
    row = db.execute("SELECT role, label FROM token_key WHERE vkey = ?", (vkey,)).fetchone()
    if row is None:
        hint = "`chopmark hsm generate` makes one, `chopmark hsm keys` lists them"
        raise MissingError("no-such-key", "no such key was made in this gateway's token", hint=hint)
    return row[0], row[1]


def list_keys(db: sqlite3.Connection) -> list[tuple[str, Role, str]]:
    """The keys as (vkey, role, label)."""
    return db.execute("SELECT vkey, role, label FROM token_key ORDER BY label").fetchall()


def set_due(db: sqlite3.Connection, vkey: str) -> None:
    """Let a key sign from the next start of the parts on, in place of another that was to.

    Raises:
        MissingError: `no-such-key`, also of one whose destruction has begun.
    """
    role, _ = find_key(db, vkey)
    if db.execute("SELECT due FROM token_key WHERE vkey = ?", (vkey,)).fetchone()[0] == RETIRING:
        hint = "`chopmark hsm retire` again destroys what may be left of it"
        raise MissingError("no-such-key", "this key is being destroyed", hint=hint)
    values = (vkey, role, RETIRING)
    db.execute("UPDATE token_key SET due = (vkey = ?) WHERE role = ? AND due != ?", values)


def begin_retiring(db: sqlite3.Connection, vkey: str) -> None:
    """See that a key never signs again, before it is destroyed; nothing undoes this.

    Raises:
        RefusedError: `key-in-use`: it signs, or is due to.
    """
    due = "SELECT 1 FROM token_key WHERE vkey = ? AND due = 1"
    used = "SELECT 1 FROM log WHERE ? IN (log_vkey, cosigner_vkey)"
    if any(db.execute(query, (vkey,)).fetchone() for query in (due, used)):
        raise RefusedError("key-in-use", "this key is in use, or due to be", hint=_ACTIVATE)
    db.execute("UPDATE token_key SET due = ? WHERE vkey = ?", (RETIRING, vkey))


def apply_due(path: Path) -> None:
    """Let the keys sign that are due; called while nobody has the ledger open.

    The head's note by the key before is dropped: the new key signs the same head at once.
    """
    with closing(connect(path)) as db, damage_named(path):
        due = db.execute("SELECT vkey, role FROM token_key WHERE due = 1").fetchall()
        if not due:  # as at nearly every start: then nothing is written
            return
        db.execute("BEGIN IMMEDIATE")
        for vkey, role in due:
            column = "log_vkey" if role == "log" else "cosigner_vkey"
            db.execute(f"UPDATE log SET {column} = ?", (vkey,))  # noqa: S608 - our own column names
            db.execute("UPDATE log SET head_note = NULL, seen_time = 0, seen_note = NULL")
        db.execute("UPDATE token_key SET due = 0 WHERE due = 1")
        db.execute("COMMIT")


def read_labels(path: Path) -> dict[Role, str]:
    """The labels of the keys in use, of those that are not the first ones."""
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        rows = db.execute(
            "SELECT role, label FROM token_key, log WHERE vkey IN (log_vkey, cosigner_vkey)"
        )
        return dict(rows.fetchall())


def put_keys(
    path: Path,
    log_key: VerifierKey,
    cosigner_key: VerifierKey,
    made: Sequence[tuple[str, Role, str]],
) -> None:
    """Say in a recovered ledger which keys are in use, and what the later ones' labels are.

    Args:
        path: the database, which no gateway has open.
        log_key: signs from now on.
        cosigner_key: cosigns from now on.
        made: vkey, role and label of keys that were made after the first ones.
    """
    used = (log_key.encode(), cosigner_key.encode())
    with closing(connect(path)) as db, damage_named(path):
        db.execute("BEGIN IMMEDIATE")
        for vkey, role, label in made:
            db.execute("DELETE FROM token_key WHERE vkey = ? OR label = ?", (vkey, label))
            add_key(db, vkey, role, label)
        db.execute("UPDATE token_key SET due = 0 WHERE due = 1")
        before = db.execute("SELECT log_vkey, cosigner_vkey FROM log").fetchone()
        if before != used:  # the key before has signed the notes; the new one signs the same head
            db.execute("UPDATE log SET log_vkey = ?, cosigner_vkey = ?", used)
            db.execute("UPDATE log SET head_note = NULL, seen_time = 0, seen_note = NULL")
        db.execute("COMMIT")
