"""Logs on real files that a verifier looks into: our own, and replicas, signed by soft keys."""

import hashlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from chopmark.api.ports import Asked
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import frame_entries
from chopmark.core.digest import Digests
from chopmark.core.entitlement import Entitlement
from chopmark.core.entry import Attestation, Revocation, encode_entry
from chopmark.core.verdict import Question, Source, Verdict, Word
from chopmark.ledger.forks import Stop
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.store import Store
from chopmark.ledger.worker import Worker
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import NOW, member, new_ledger
from softkeys import SoftKey, cosigner, log_key, sign_head

DAY = 86_400_000
BANKS = {"sz-1": "Bank of Shenzhen", "sz-2": "Bank of Shenzhen", "hk-1": "Bank of Hong Kong"}


def sha(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def attest(name: str, made_at: int = NOW - DAY, **changes: object) -> bytes:
    values = {"made_at": made_at, "sha256": sha(name), "kind": "bank-statement"} | changes
    return encode_entry(Attestation(**values))  # type: ignore[arg-type]


def revoke(target: int, reason: int = 0) -> bytes:
    return encode_entry(Revocation(NOW - DAY, target, reason))


@dataclass
class Book:
    """One bank's log on a real file, and what the test does to it."""

    name: str
    log: Log
    key: SoftKey
    second: SoftKey
    kinds: frozenset[str] = frozenset({"*"})
    stopped: Stop | None = None
    source: Source = Source.REPLICA
    entitlement: Entitlement | None = None

    @property
    def shelf(self) -> Shelf:
        institution = BANKS.get(self.name, "Our own bank")
        of = member(self.key, self.second, institution=institution, kinds=self.kinds)
        return Shelf(
            *(of, self.log, self.source, lambda: self.stopped), entitlement=self.entitlement
        )

    async def add(
        self, *entries: bytes, seen: int | None = NOW - 60_000, signed: bool = True
    ) -> None:
        """Append, sign, and let the log's cosigner vouch for it as of `seen` (ms).

        In one turn of the writer: a sequencer that has just begun would sign what is unsigned.
        """

        def write(store: Store) -> None:
            self.log.append_now([frame_entries(entries)])
            if signed:
                self._sign(store, seen)

        await self.log.write(write)

    def _sign(self, store: Store, seen: int | None) -> None:
        head = Checkpoint(self.key.name, store.size, store.root())
        store.move_head(head, sign_head(head, self.key))
        if seen is not None:
            time = seen // 1000
            store.move_seen(time, sign_head(head, self.key, {self.second: time}))

    async def proof(self, index: int) -> bytes:
        return await self.log.read(lambda reader, state: reader.proof(index, state).encode())


@dataclass
class Library:
    """All that one gateway can look into."""

    folder: Path
    reading: Worker
    stack: AsyncExitStack
    books: dict[str, Book] = field(default_factory=dict)
    blinded: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    max_age: Callable[[str], int] = lambda kind: 3600 if kind == "short-lived" else 86_400

    async def open(self, name: str, seed: int) -> Book:
        origin = f"bank-{name[:2]}.example/{name}"
        key, second = log_key(origin, seed), cosigner(f"{origin}/cosigner", seed + 100)
        new_ledger(self.folder / f"{name}.db", key.vkey, second.vkey)
        log = await open_log(
            self.folder / f"{name}.db", self.folder / f"{name}.index", self.reading
        )
        self.stack.push_async_callback(log.close)
        return Book(name, log, key, second)

    async def add(self, name: str, seed: int) -> Book:
        self.books[name] = await self.open(name, seed)
        return self.books[name]

    async def ask(
        self,
        name: str | None = None,
        proof: bytes | None = None,
        reference: tuple[str, int] | None = None,
        sm3: bytes | None = None,
        **question: object,
    ) -> Verdict:
        digests = Digests(sha(name), sm3) if name is not None else None
        asked = Asked(digests, proof, reference, Question(NOW, **question))  # type: ignore[arg-type]
        shelves = [book.shelf for book in self.books.values()]
        of = {"blinded": self.blinded, "kinds": self.kinds}
        verifier = Verifier(shelves, self.reading, self.max_age, **of)
        return await verifier.verify(asked)


def words(verdict: Verdict) -> list[Word]:
    return [judgement.word for judgement in verdict.judgements]
