"""Rosters in our own `log.db`: what was seen, adopted, pinned and signed.

Rules:
1. Of each version at most one text is signed: it is recorded before the key is asked. Where that
   record may be lost, as after a recovery with an older database or none, a version that may have
   been signed before is refused until an operator says that it was not. What follows a version
   issued after the recovery cannot have been.
2. The newest adopted version is in force, and stays so over restarts. It never goes back.
3. Two valid texts of one version are kept both. Until an operator pins one of them no version is
   adopted, and none signed.

The functions here run inside `Store.change`, or on a reader's connection.
"""

import sqlite3
from dataclasses import dataclass

from chopmark.core.errors import ExistsError
from chopmark.core.note import MAX_SIGNATURES, Note, parse_note


@dataclass(frozen=True, slots=True)
class Held:
    """What the database holds.

    Attributes:
        notes: the version in force and those before it, oldest first, one of each version.
        conflict: the version of which there are two texts and none is pinned, or None.
        rivals: SHA-256 of the texts of that version.
        suspensions: notes by the vkey of the emergency key, the one that came last at the end.
        times: when each of `notes` came in force here, in seconds since the Unix epoch.
    """

    notes: tuple[bytes, ...]
    conflict: int | None
    rivals: tuple[bytes, ...]
    suspensions: tuple[tuple[str, bytes], ...]
    times: tuple[int, ...] = ()


def read_held(db: sqlite3.Connection) -> Held:
    """What the database holds now."""
    rows = db.execute(
        "SELECT version, note, adopted_at FROM roster WHERE adopted_at IS NOT NULL"
        " ORDER BY version, coalesce(pinned_at, 0), adopted_at"
    )
    # Of rivals the one pinned last.
    adopted = {version: (note, time) for version, note, time in rows}.values()
    found = db.execute(
        "SELECT version FROM roster GROUP BY version"
        " HAVING count(*) > 1 AND count(pinned_at) = 0 ORDER BY version LIMIT 1"
    ).fetchone()
    conflict = found[0] if found else None
    rivals = db.execute("SELECT digest FROM roster WHERE version = ?", (conflict,))
    suspensions = db.execute("SELECT vkey, note FROM suspension ORDER BY rowid")
    return Held(
        tuple(note for note, _ in adopted),
        conflict,
        tuple(row[0] for row in rivals),
        tuple(suspensions),
        tuple(time for _, time in adopted),
    )


def lose_signed(db: sqlite3.Connection, time: int) -> None:
    """What was signed before `time`, in seconds, may be more than the database says."""
    db.execute("INSERT OR REPLACE INTO roster_lost VALUES (1, ?)", (time,))


def record_signing(
    db: sqlite3.Connection, version: int, digest: bytes, issued: int, *, confirmed: bool = False
) -> None:
    """Record which text of a version we sign; the same one may be signed again.

    Args:
        db: our own log's database.
        version: the number of the version.
        digest: SHA-256 of its text.
        issued: when the version in force was issued, in seconds since 1970; 0 without one.
        confirmed: an operator says that no other text of this version was signed here.

    Raises:
        ExistsError: `roster-signed`: another text of this version was signed; `roster-lost`: it may
            have been, as the record was lost with a disk.
    """
    row = db.execute("SELECT 1 FROM roster_signed WHERE version = ?", (version,)).fetchone()
    lost = db.execute("SELECT 1 FROM roster_lost WHERE since >= ?", (issued,)).fetchone()
    if row is None and lost is not None and not confirmed:
        message = f"what was signed here of version {version} may be lost with a disk"
        hint = "ask the other institutions for a text of this version with our signature, and sign "
        hint += "that one; if nobody has another one: `chopmark roster sign --confirm-lost`"
        raise ExistsError("roster-lost", message, hint=hint)
    db.execute("INSERT OR IGNORE INTO roster_signed VALUES (?, ?)", (version, digest))
    row = db.execute("SELECT digest FROM roster_signed WHERE version = ?", (version,)).fetchone()
    if row[0] != digest:
        message = f"another text of version {version} was signed here: {row[0].hex()}"
        hint = "sign that one, or propose the version after it"
        raise ExistsError("roster-signed", message, hint=hint)


def keep(db: sqlite3.Connection, version: int, digest: bytes, note: bytes) -> None:
    """Keep a valid version; more signatures of a text that is held are added to it."""
    where = "FROM roster WHERE version = ? AND digest = ?"
    row = db.execute(f"SELECT note {where}", (version, digest)).fetchone()
    if row is None:
        values = (version, digest, note)
        db.execute("INSERT INTO roster (version, digest, note) VALUES (?, ?, ?)", values)
        return
    merged = merge(row[0], note)
    if merged != row[0]:
        update = "UPDATE roster SET note = ? WHERE version = ? AND digest = ?"
        db.execute(update, (merged, version, digest))


def adopt(db: sqlite3.Connection, version: int, digest: bytes, time: int) -> None:
    """Put a version that is kept in force, as of `time` in seconds since the Unix epoch."""
    db.execute(
        "UPDATE roster SET adopted_at = ? WHERE version = ? AND digest = ? AND adopted_at IS NULL",
        (time, version, digest),
    )


def pin(db: sqlite3.Connection, version: int, digest: bytes, time: int) -> None:
    """Put a version that is kept in force because an operator says so; of rivals it wins."""
    adopt(db, version, digest, time)
    db.execute(
        "UPDATE roster SET pinned_at = max(?, 1 + (SELECT coalesce(max(pinned_at), 0)"
        " FROM roster)) WHERE version = ? AND digest = ?",
        (time, version, digest),
    )


def forget_above(db: sqlite3.Connection, version: int) -> None:
    """Forget versions that follow the other one of two texts."""
    db.execute("DELETE FROM roster WHERE version > ?", (version,))


def suspend(db: sqlite3.Connection, vkey: str, note: bytes) -> bool:
    """Keep a suspension by an emergency key; whether it is the first one."""
    done = db.execute("INSERT OR IGNORE INTO suspension VALUES (?, ?)", (vkey, note))
    return done.rowcount > 0


def merge(held: bytes, more: bytes) -> bytes:
    """A note with the lines of another one of the same text that it lacks."""
    note, other = parse_note(held), parse_note(more)
    known = {(line.name, line.key_id) for line in note.signatures}
    fresh = [line for line in other.signatures if (line.name, line.key_id) not in known]
    return Note(note.text, (*note.signatures, *fresh)[:MAX_SIGNATURES]).encode()
