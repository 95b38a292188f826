"""What of `fsck` takes no longer for a large ledger: its signed notes and its newest entries.

Old entries that were damaged meanwhile it does not see; `fsck` does.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from chopmark.core.errors import ChopmarkError, MissingError
from chopmark.core.keys import VerifierKey
from chopmark.core.merkle import leaf_hash
from chopmark.core.tiles import WIDTH
from chopmark.ledger.fsck import Finding, check_notes
from chopmark.ledger.reader import Reader
from chopmark.ledger.schema import connect
from chopmark.ledger.store import LogState, read_state


def check_tail(
    path: Path, keys: tuple[VerifierKey, VerifierKey], also: tuple[VerifierKey, ...], count: int
) -> list[Finding]:
    """Check the notes, the tree above the newest `count` entries, and these, as stored.

    Args:
        path: the database; a gateway may be writing to it.
        keys: of log and cosigner.
        also: further keys of this log and its cosigner.
        count: of entries; rounded up to whole bundles.

    Returns:
        What is wrong.
    """
    try:
        with closing(connect(path, read_only=True)) as db:
            db.execute("BEGIN")
            state = read_state(db)
            findings = check_notes(db, state, *keys, also=also)
        with closing(Reader(path)) as reader:
            return findings + _check_entries(reader, state, count)
    except (ChopmarkError, sqlite3.Error) as error:
        return [Finding("unreadable", f"{path}: {error}")]


def _check_entries(reader: Reader, state: LogState, count: int) -> list[Finding]:
    head = state.head
    if head.size and reader.root_at(head.size) != head.root:
        return [Finding("bad-root", f"the tree does not lead to the head of size {head.size}")]
    findings = []
    first = max(0, head.size - count) // WIDTH * WIDTH
    for start in range(first, head.size, WIDTH):
        end = min(start + WIDTH, head.size)
        try:
            entries = reader.entries(start, end)
        except MissingError as error:
            if error.code != "pruned":
                findings.append(Finding("bad-bundle", f"entries {start} to {end - 1}: {error}"))
            continue
        wrong = [n for n, one in enumerate(entries, start) if leaf_hash(one) != reader.node(0, n)]
        findings += [Finding("bad-leaf", f"entry {n} is not what was signed") for n in wrong[:1]]
    return findings
