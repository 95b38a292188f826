"""The whole check of a ledger from the bytes on disk (`chopmark fsck`).

Re-derives every leaf, tile and root from the stored entries, checks the signatures of the stored
notes, the bundles' ranges, the references and the digest index. Tests, crash loops and operators
call the same function. It reads only, and may run beside a gateway.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chopmark.core.blinding import is_before
from chopmark.core.checkpoint import SignedCheckpoint, open_checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.core.merkle import HASH, leaf_hash
from chopmark.core.note import parse_note
from chopmark.core.tiles import WIDTH, Frontier, parse_bundle
from chopmark.ledger.browse import place_kinds
from chopmark.ledger.index_check import IndexCheck
from chopmark.ledger.pruning import pad, pruned_ranges, read_prefixes
from chopmark.ledger.schema import connect, tile_id
from chopmark.ledger.store import LogState, read_row, read_state
from chopmark.ledger.summary import Gist, digest_prefix, is_blinded, summarise

MAX_FINDINGS: Final = 100
"""Findings of one check; a ledger with more is not worth listing."""
_PLACE: Final = "SELECT made_first FROM place WHERE kind = ? AND bundle = ?"
_REFILL: Final = "stop the gateway and empty the table `place`: the next start fills it anew"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a stable code, a sentence that says where, and what to do."""

    code: str
    message: str
    hint: str | None = None


@dataclass(slots=True)
class _Check:
    """One run over one log."""

    db: sqlite3.Connection
    state: LogState
    also: tuple[VerifierKey, ...]
    findings: list[Finding] = field(default_factory=list)
    tree: Frontier = field(default_factory=Frontier)
    references: set[tuple[int, int, int, int, int | None]] = field(default_factory=set)
    graves: set[tuple[int, int, int]] = field(default_factory=set)
    made_last: int = 0
    made_before: tuple[int, bool] = (0, False)
    roots: dict[int, bytes] = field(default_factory=dict)
    unfinished: dict[tuple[int, int], bytes] = field(default_factory=dict)
    tiles: int = 0
    places: int = 0
    keeps_places: bool = True
    pruned: set[int] = field(default_factory=set)
    index: IndexCheck | None = None

    def find(self, code: str, message: str, hint: str | None = None) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, message, hint))


def check_store(
    path: Path,
    index_path: Path | None,
    log_key: VerifierKey,
    cosigner_key: VerifierKey,
    progress: Progress | None = None,
    pruned: list[tuple[int, int]] | None = None,
    *,
    also: tuple[VerifierKey, ...] = (),
) -> list[Finding]:
    """Check one log's database and its digest index.

    Args:
        path: the database.
        index_path: folder of the digest index, or None to leave it out; a missing one, or one
            that lags, is no damage.
        log_key: the key that must have signed its head.
        cosigner_key: the key that must have signed its heartbeat.
        progress: told (entries checked, entries in all).
        pruned: gets the runs of entries [start, end) whose bodies were taken out by rule: of these
            the hashes are checked, and what stayed of their digests. None where that is damage.
        also: further keys of this log and its cosigner: some follow others.

    Returns:
        What is wrong; empty for a sound ledger.
    """
    findings: list[Finding] = []
    try:
        # Before the ledger: a gateway may be writing, and then the index has no more than that.
        index = _open_index(index_path, findings)
        with closing(connect(path, read_only=True)) as db:
            db.execute("BEGIN")  # one snapshot
            check = _Check(db, read_state(db), also, findings, index=index)
            check.keeps_places = _has_table(db, "place")
            _check_all(check, log_key, cosigner_key, progress)
            runs = pruned_ranges(sorted(check.pruned))
            if pruned is not None:
                pruned += runs
            for start, end in runs if pruned is None else ():
                check.find("pruned", f"the entries {start} to {end - 1} are not in this log")
    except (ChopmarkError, sqlite3.Error) as error:
        findings.append(Finding("unreadable", f"{path}: {error}"))
    return findings


def check_notes(
    db: sqlite3.Connection,
    state: LogState,
    log_key: VerifierKey,
    cosigner_key: VerifierKey,
    *,
    also: tuple[VerifierKey, ...] = (),
) -> list[Finding]:
    """Check the signatures of the notes that are stored, alone; arguments as `check_store`."""
    check = _Check(db, state, also)
    _check_notes(check, log_key, cosigner_key)
    return check.findings


def _check_all(
    check: _Check,
    log_key: VerifierKey,
    cosigner_key: VerifierKey,
    progress: Progress | None,
) -> None:
    for fault in check.db.execute("PRAGMA quick_check").fetchall():
        if fault[0] != "ok":
            check.find("database", f"SQLite reports: {fault[0]}")
    keys = read_row(check.db, "origin, log_vkey, cosigner_vkey")
    if keys != (log_key.name, log_key.encode(), cosigner_key.encode()):
        check.find("other-keys", "the ledger was made for other keys than those given")
    wanted = _check_notes(check, log_key, cosigner_key)
    _check_entries(check, wanted, progress)
    _check_tiles(check)
    _check_place_count(check)
    _check_references(check)
    _check_graves(check)
    _check_requests(check)
    _check_index(check)
    _check_roots(check, wanted)


def _check_notes(
    check: _Check, log_key: VerifierKey, cosigner_key: VerifierKey
) -> dict[int, tuple[bytes, str]]:
    """Check the signatures of stored notes; gives the roots that the entries must lead to."""
    state = check.state
    wanted = {state.head.size: (state.head.root, "the head")}
    if state.note is None and state.head.size:
        check.find("no-note", f"the head of size {state.head.size} has no signed note")
    for note, name in ((state.note, "the head"), (state.seen_note, "the heartbeat")):
        if note is None:
            continue
        try:
            signed = _open(note, (log_key, cosigner_key, *check.also))
        except ChopmarkError as error:
            check.find("bad-note", f"the note of {name} is not good: {error.message}")
            continue
        size, root = signed.checkpoint.size, signed.checkpoint.root
        if note is state.note and signed.checkpoint != state.head:
            check.find("bad-note", "the head's note is of another head")
        if wanted.setdefault(size, (root, name))[0] != root:
            check.find("bad-note", f"the notes of size {size} have two roots")
        times = [one.time for one in signed.verified if one.key.is_cosigner]
        if note is state.seen_note and times != [state.seen_time]:
            check.find("bad-note", "the heartbeat's time is not the signed one")
    if (state.seen_note is None) != (state.seen_time == 0):
        check.find("bad-note", "there is a heartbeat without its time, or a time without one")
    _check_fork(check, log_key)
    return wanted


def _open(note: bytes, keys: tuple[VerifierKey, ...]) -> SignedCheckpoint:
    """A note that one of the log keys among these has signed."""
    lines = {(line.name, line.key_id) for line in parse_note(note).signatures}
    logs = [key for key in keys if not key.is_cosigner]
    key = next((key for key in logs if (key.name, key.key_id) in lines), logs[0])
    return open_checkpoint(note, key, keys)


def _check_fork(check: _Check, log_key: VerifierKey) -> None:
    """A fork stops a replica for good: it is reported, and the evidence must be good."""
    note = check.state.fork_note
    if note is None:
        return
    try:
        head = _open(note, (log_key, *check.also)).checkpoint
    except ChopmarkError as error:
        check.find("bad-note", f"the evidence of a fork is not good: {error.message}")
    else:
        message = f"another history of this log was shown: a signed head of size {head.size}"
        check.find("fork", message)


def _check_entries(
    check: _Check, wanted: dict[int, tuple[bytes, str]], progress: Progress | None
) -> None:
    size = check.state.size
    for n in range(-(-size // WIDTH)):
        row = check.db.execute(
            "SELECT entries, made_first, made_last, kinds FROM bundle WHERE n = ?", (n,)
        ).fetchone()
        count = min(WIDTH, size - n * WIDTH)
        if row:
            _check_places(check, n, row)
        if row and not row[0] and _check_pruned(check, n, row, wanted):
            continue
        try:
            entries = parse_bundle(row[0]) if row else []
        except ChopmarkError:
            entries = []
        if len(entries) != count:
            check.find("bad-bundle", f"bundle {n} does not hold the {count} entries it should")
            return
        _check_bundle(check, n, entries, row[1:])
        _grow(check, n * WIDTH, [leaf_hash(entry) for entry in entries], wanted)
        if progress:
            progress(n * WIDTH + count, size)
    if check.made_last != check.state.made_last:
        check.find("bad-range", "the time of the newest entry is not the stored one")
    stored = check.db.execute("SELECT count(*) FROM bundle").fetchone()[0]
    if stored != max(0, -(-size // WIDTH)):
        check.find("bad-bundle", f"there are {stored} bundles for {size} entries")


def _check_places(check: _Check, n: int, row: tuple[bytes, int, int, str]) -> None:
    """A bundle is found by its time, and by each of its kinds."""
    if not check.keeps_places:
        return
    for kind in place_kinds(row[3]):
        check.places += 1
        if check.db.execute(_PLACE, (kind, n)).fetchone() != (row[1],):
            check.find("bad-place", f"bundle {n} is not found by its time or kinds", _REFILL)


def _check_place_count(check: _Check) -> None:
    """There are no places but these."""
    if check.keeps_places:
        stored = check.db.execute("SELECT count(*) FROM place").fetchone()[0]
        if stored > check.places:
            message = f"bundles stand in {stored} places where {check.places} are due"
            check.find("bad-place", message, _REFILL)


def _check_pruned(
    check: _Check, n: int, row: tuple[bytes, int, int, str], wanted: dict[int, tuple[bytes, str]]
) -> bool:
    """A bundle whose entries were taken out by rule: its leaves are those that stayed."""
    prefixes = read_prefixes(check.db, n)
    tile = check.db.execute("SELECT hashes FROM tile WHERE id = ?", (tile_id(0, n),)).fetchone()
    if prefixes is None or len(prefixes) != WIDTH or not tile or len(tile[0]) != WIDTH * HASH:
        return False
    check.pruned.add(n)
    check.made_before = 0, False  # whether its last entry is blinded is not known any more
    check.made_last = max(check.made_last, row[2])
    if check.index is not None:
        check.index.add(n * WIDTH, pad(prefixes))
    leaves = [tile[0][at : at + HASH] for at in range(0, WIDTH * HASH, HASH)]
    _grow(check, n * WIDTH, leaves, wanted)
    return True


def _check_bundle(check: _Check, n: int, entries: list[bytes], row: tuple[int, int, str]) -> None:
    summaries = [summarise(entry) for entry in entries]
    made = [s.made_at for s in summaries if s.made_at is not None] or [0]
    kinds = ",".join(sorted({s.kind for s in summaries if s.kind}))
    if row != (min(made), max(made), kinds):
        check.find("bad-range", f"times or kinds of bundle {n} are not those of its entries")
    check.made_last = max(check.made_last, *made)
    if check.index is not None:
        check.index.add(n * WIDTH, [summary.sha256 for summary in summaries])
    for index, summary in enumerate(summaries, n * WIDTH):
        _note_reference(check, index, summary)
    _check_times(check, n, entries, summaries)


def _check_times(check: _Check, n: int, entries: list[bytes], summaries: list[Gist]) -> None:
    """No entry says an earlier time than the one before it; blinded ones say the minute only."""
    for index, (entry, summary) in enumerate(zip(entries, summaries, strict=True), n * WIDTH):
        if summary.made_at is None:
            continue
        if summary.made_at < check.made_before[0]:
            made = summary.made_at, is_blinded(entry)
            if is_before(made, check.made_before):
                check.find("time-goes-back", f"entry {index} says an earlier time than the last")
        check.made_before = summary.made_at, is_blinded(entry)


def _note_reference(check: _Check, index: int, summary: Gist) -> None:
    reference = summary.reference
    if reference is not None and reference.target < index:
        row = (reference.target, index, reference.type, reference.reason, summary.made_at)
        check.references.add(row)
        if reference.is_grave:
            _note_grave(check, reference.target, index)


def _note_grave(check: _Check, target: int, source: int) -> None:
    """A grave revocation stands under its target's digest too."""
    query = "SELECT entries FROM bundle WHERE n = ?"
    row = check.db.execute(query, (target // WIDTH,)).fetchone()
    prefixes = None if row[0] else read_prefixes(check.db, target // WIDTH)
    if prefixes is None:
        digest = summarise(parse_bundle(row[0])[target % WIDTH]).sha256
    else:
        digest = prefixes[target % WIDTH]
    if digest is not None:
        check.graves.add((digest_prefix(digest), target, source))


def _grow(
    check: _Check, start: int, leaves: list[bytes], wanted: dict[int, tuple[bytes, str]]
) -> None:
    """Add leaves to the tree, stopping at each size whose root somebody signed."""
    stops = sorted(s for s in wanted if start < s < start + len(leaves))
    for left, right in zip([start, *stops], [*stops, start + len(leaves)], strict=True):
        for level, index, hashes in check.tree.append(leaves[left - start : right - start]):
            if len(hashes) == WIDTH * HASH:
                check.unfinished.pop((level, index), None)
                _check_tile(check, level, index, hashes)
            else:
                check.unfinished[level, index] = hashes
        if right in wanted:
            check.roots[right] = check.tree.root()


def _check_roots(check: _Check, wanted: dict[int, tuple[bytes, str]]) -> None:
    check.roots.setdefault(0, Frontier().root())
    for size, (root, name) in wanted.items():
        if check.roots.get(size) != root:
            check.find("wrong-root", f"the entries do not lead to the root of {name}, size {size}")


def _check_tiles(check: _Check) -> None:
    """The tiles that are not full yet, and that there are no others."""
    for (level, index), hashes in check.unfinished.items():
        _check_tile(check, level, index, hashes)
    stored = check.db.execute("SELECT count(*) FROM tile").fetchone()[0]
    if stored != check.tiles:
        check.find("bad-tile", f"there are {stored} tiles where {check.tiles} are due")


def _check_tile(check: _Check, level: int, index: int, hashes: bytes) -> None:
    """Level 0 must be what the entries say, each other level what the one below says."""
    check.tiles += 1
    wanted = tile_id(level, index)
    row = check.db.execute("SELECT hashes FROM tile WHERE id = ?", (wanted,)).fetchone()
    if row is None or row[0] != hashes:
        check.find("bad-tile", f"tile {level}/{index} is not what the entries lead to")


def _check_references(check: _Check) -> None:
    rows = check.db.execute("SELECT * FROM reference").fetchall()
    rows = [row for row in rows if row[1] // WIDTH not in check.pruned]
    for row in check.references.symmetric_difference(rows):
        check.find("bad-reference", f"the reference of entry {row[1]} to {row[0]} is not stored so")


def _check_graves(check: _Check) -> None:
    rows = check.db.execute("SELECT prefix, target, source FROM grave").fetchall()
    rows = [row for row in rows if row[2] // WIDTH not in check.pruned]
    for row in check.graves.symmetric_difference(rows):
        message = f"the revocation of {row[1]} by {row[2]} is not stored under its digest"
        check.find("bad-reference", message)


def _check_requests(check: _Check) -> None:
    """The parts of a request follow each other, and are entries that are there."""
    if not _has_table(check.db, "request"):
        return  # earlier software wrote it, and kept no requests
    ends: dict[bytes, int] = {}
    for request, first, start, count in check.db.execute(
        "SELECT id, first, start, count FROM request ORDER BY id, first"
    ):
        if first != ends.get(request, 0) or count < 1 or not 0 <= start <= check.state.size - count:
            check.find("bad-request", f"what is kept of request {request.hex()} cannot be so")
        ends[request] = first + count


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether the software that wrote the ledger last kept this."""
    found = db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    return found is not None


def _open_index(path: Path | None, findings: list[Finding]) -> IndexCheck | None:
    """Open the index; one that cannot be read is a finding, and the ledger is checked without."""
    if path is None or not path.exists():
        return None
    try:
        return IndexCheck(path)
    except OSError as error:
        findings.append(Finding("bad-index", f"the digest index cannot be read: {error}"))
        return None


def _check_index(check: _Check) -> None:
    index, size = check.index, check.state.size
    if index is None:
        return
    if index.position > size:
        check.find("bad-index", f"the index has {index.position} entries, the log {size}")
    for problem in index.problems:
        check.find("bad-index", problem)
