"""What this machine can do at best, taken in the same run: the limits beside the figures."""

import hashlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from chopmark.core.entry import template
from load import make_digest

WIDTH: Final = 256
"""Entries in a bundle, hashes in a tile."""
BATCH: Final = 4096
"""Entries in a transaction."""


def bare_rate(folder: Path, count: int) -> float:
    """Entries a second of a bare loop: hash leaves, build the tree, write the same bytes, fsync.

    It makes no signature, checks nothing, keeps no index and answers nobody.
    """
    entries = _make_entries(count)
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE bundle (n INTEGER PRIMARY KEY, entries BLOB, tile BLOB)")
    start = time.perf_counter()
    for first in range(0, count, BATCH):
        _write_batch(db, first, entries[first : first + BATCH])
    seconds = time.perf_counter() - start
    db.close()
    return count / seconds


def entry_bytes() -> int:
    """Bytes of one plain entry and its leaf hash, which no log can do without."""
    return len(_make_entries(1)[0]) + 32


def verify_ms() -> float:
    """Ms of one ECDSA P-256 verification, the quickest of some."""
    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(b"message", ec.ECDSA(SHA256()))
    public = key.public_key()
    return min(
        _time_ms(lambda: public.verify(signature, b"message", ec.ECDSA(SHA256())))
        for _ in range(200)
    )


def python_ms(code: str, rounds: int = 5) -> float:
    """Ms of a fresh interpreter that runs some code, the median of some runs."""
    command = [sys.executable, "-c", code]
    times = sorted(_time_ms(lambda: subprocess.run(command, check=True)) for _ in range(rounds))
    return times[len(times) // 2]


def python_rss(code: str) -> float:
    """MB of memory that a fresh interpreter needs at most for some code."""
    # Not from getrusage: what a process has had at most, its children inherit.
    tail = "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1024


def _write_batch(db: sqlite3.Connection, first: int, entries: Sequence[bytes]) -> None:
    leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    level = leaves
    while len(level) > 1:
        level = [
            hashlib.sha256(b"\1" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
    rows = [
        (
            (first + i) // WIDTH,
            b"".join([len(e).to_bytes(2, "big") + e for e in entries[i : i + WIDTH]]),
            b"".join(leaves[i : i + WIDTH]),
        )
        for i in range(0, len(entries), WIDTH)
    ]
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO bundle VALUES (?, ?, ?)", rows)
    db.execute("COMMIT")


def _make_entries(count: int) -> list[bytes]:
    made_at = time.time_ns() // 1_000_000
    before, after, _ = template(made_at, "document", None, None, with_sm3=False)
    return [before + make_digest(number) + after for number in range(count)]


def _time_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000
