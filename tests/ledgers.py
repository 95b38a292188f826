"""Logs on real files for tests: a clock, a software signer, entries, and a source of packages."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import frame_entries
from chopmark.core.entry import Attestation, Revocation, encode_entry
from chopmark.core.errors import TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.merkle import EMPTY_ROOT, range_nodes
from chopmark.core.note import Signature
from chopmark.core.package import Package, cut_runs
from chopmark.core.tiles import encode_bundle
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import Store, create_store
from chopmark.ledger.worker import Worker
from softkeys import SoftKey, cosigner, log_key, sign_head
from trees import Nodes, leaf, root

ORIGIN = "bank-sz.example/sz-1"
LOG = log_key(ORIGIN)
COSIGNER = cosigner(f"{ORIGIN}/cosigner", 2)
KEYS = (LOG.vkey, COSIGNER.vkey)
NOW = 1_800_000_000_000
"""Milliseconds since the epoch: when tests begin."""


@dataclass
class Clock:
    """A clock that a test moves."""

    now: int = NOW

    def now_ms(self) -> int:
        return self.now


@dataclass
class SoftSigner:
    """Stand-in for the HSM: implements `core.ports.Signer` with keys in software.

    A test may hold it (`gate`), or take it away (`away`).
    """

    log: SoftKey = LOG
    second: SoftKey = COSIGNER
    away: bool = False
    heads: list[Checkpoint] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def log_key(self) -> VerifierKey:
        return self.log.vkey

    @property
    def cosigner_key(self) -> VerifierKey:
        return self.second.vkey

    async def sign_checkpoint(self, checkpoint: Checkpoint) -> Signature:
        assert checkpoint.origin == self.log.name, "an HSM signs no other log's heads"
        self.asked.set()
        await self.gate.wait()
        if self.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=5)
        same = [head for head in self.heads if head.size == checkpoint.size]
        assert all(head == checkpoint for head in same), "two heads of one size"
        self.heads.append(checkpoint)
        return self.log.sign(checkpoint.encode())

    async def cosign(
        self,
        checkpoint: Checkpoint,
        time: int,
        *,
        refresh: bool = False,  # noqa: ARG002 - it has no queue
    ) -> Signature:
        if self.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=5)
        return self.second.sign(checkpoint.encode(), time)


def digest(number: int) -> bytes:
    """SHA-256 of the document with this number."""
    return hashlib.sha256(b"document %d" % number).digest()


def attestation(number: int, made_at: int = NOW, **changes: object) -> bytes:
    """Bytes of an attestation of the document with this number."""
    return _changed(number, made_at, changes) if changes else _usual(number, made_at)


@lru_cache(maxsize=20_000)
def _usual(number: int, made_at: int) -> bytes:
    return _changed(number, made_at, {})


def _changed(number: int, made_at: int, changes: Mapping[str, object]) -> bytes:
    kind = ("bank-statement", "kyc-report")[number % 2]
    values = {"made_at": made_at, "sha256": digest(number), "kind": kind, **changes}
    return encode_entry(Attestation(**values))  # type: ignore[arg-type]


def revocation(target: int, reason: int = 0, made_at: int = NOW) -> bytes:
    """Bytes of a revocation."""
    return encode_entry(Revocation(made_at, target, reason))


def attestations(count: int, start: int = 0) -> list[bytes]:
    """Bytes of many attestations, each of another document."""
    return [attestation(number) for number in range(start, start + count)]


def append(store: Store, entries: Sequence[bytes]) -> Checkpoint:
    """Append entries to a store."""
    return store.append([frame_entries(entries)]).reached


def new_ledger(path: Path, log_key: VerifierKey, cosigner_key: VerifierKey) -> None:
    """The empty database of a log, as `create_store` makes it: made once, and copied."""
    path.write_bytes(_empty_ledger(log_key, cosigner_key))


@cache
def _empty_ledger(*keys: VerifierKey) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        create_store(path, *keys)
        return path.read_bytes()


def make_store(path: Path, entries: Sequence[bytes] = ()) -> Store:
    """A new store with these entries, not signed."""
    new_ledger(path, *KEYS)
    store = Store(path)
    if entries:
        append(store, entries)
    return store


def sign(store: Store) -> Checkpoint:
    """Sign the head of a store, in software, and move it."""
    head = Checkpoint(ORIGIN, store.size, store.root())
    store.move_head(head, sign_head(head, LOG))
    return head


@asynccontextmanager
async def opened(folder: Path, name: str = "log") -> AsyncIterator[Log]:
    """A log with these names of files, made if it is not there."""
    path = folder / f"{name}.db"
    if not path.exists():
        new_ledger(path, *KEYS)
    reading = Worker("read")
    try:
        log = await open_log(path, folder / f"{name}.index", reading)
        try:
            yield log
        finally:
            await log.close()
    finally:
        reading.close()


def member(log: SoftKey = LOG, second: SoftKey = COSIGNER, **changes: object) -> Member:
    """The member whose log it is."""
    values = {
        "id": log.name.rpartition("/")[2],
        "origin": log.name,
        "log_key": log.vkey,
        "cosigner_key": second.vkey,
        "institution": f"Bank of {log.name}",
        "jurisdiction": "CN",
        "kinds": frozenset({"*"}),
    }
    return Member(**(values | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def replicating(folder: Path, clock: Clock | None = None) -> AsyncIterator[Replica]:
    """A replica of the test log."""
    async with opened(folder, "replica") as log:
        yield Replica(member(), log, clock or Clock())


class Source:
    """A log in memory, in the words of RFC 6962: what a peer would send of it."""

    def __init__(self, entries: Iterable[bytes]) -> None:
        self.entries = list(entries)
        self.leaves = [leaf(entry) for entry in self.entries]
        self.nodes = Nodes(self.leaves)

    def head(self, size: int | None = None) -> Checkpoint:
        size = len(self.entries) if size is None else size
        return Checkpoint(ORIGIN, size, root(self.leaves[:size]) if size else EMPTY_ROOT)

    def note(self, size: int | None = None, time: int | None = None) -> bytes:
        """The signed head; with a time in seconds, a heartbeat."""
        return sign_head(self.head(size), LOG, {COSIGNER: time} if time is not None else None)

    def package(self, start: int, end: int, size: int | None = None) -> bytes:
        """The package of [start, end) under the head of `size`."""
        size = len(self.entries) if size is None else size
        left = b"".join(self.nodes(*node) for node in range_nodes(0, start))
        right = b"".join(self.nodes(*node) for node in range_nodes(end, size))
        bundle = encode_bundle(self.entries[start:end])
        return Package(ORIGIN, start, bundle, left, right, self.note(size)).encode()

    def packages(self, start: int = 0, size: int | None = None) -> list[bytes]:
        """The packages from `start` on, all under one head."""
        runs = cut_runs(start, self.entries[start:size])
        return [self.package(at, at + len(run), size) for at, run in runs]
