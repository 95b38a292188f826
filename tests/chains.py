"""A chain for tests: a real node, straight or behind the stand-in, with the contract deployed."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from chopmark.anchor.anchorer import Anchorer
from chopmark.anchor.chain import Chain, Endpoint, Place, Receipt
from chopmark.anchor.contract import Key
from chopmark.anchor.deploying import deploy
from chopmark.anchor.follower import Follower
from chopmark.anchor.ports import Finding
from chopmark.anchor.rpc import Node, RpcError
from chopmark.anchor.software import SoftwareAccount, make_key, sign_transaction
from chopmark.anchor.store import Store
from chopmark.core.checkpoint import Checkpoint, parse_checkpoint
from chopmark.core.keys import ED25519
from chopmark.core.note import Note, parse_note
from chopmark.core.text import MAX_INT
from chopmark.core.transaction import ANCHOR, Transaction, origin_hash, transaction_hash
from rig.chain import CHAIN_ID, Anvil
from rig.standin import StandIn
from softkeys import SoftKey

HONG_KONG = "bank-hk.example/hk-1"
SHENZHEN = "bank-sz.example/sz-1"


@dataclass
class Stage:
    """Where a test plays.

    Attributes:
        node: the real one.
        standin: what stands before it, or None.
        place: of the contract.
    """

    node: Anvil
    standin: StandIn | None
    place: Place

    @property
    def url(self) -> str:
        return self.node.url if self.standin is None else self.standin.url

    def chain(self, *urls: str) -> Chain:
        nodes = [Endpoint(Node(url)) for url in urls or (self.url,)]
        return Chain(self.place, nodes)

    def settle(self) -> None:
        """Have what is under way get into a block."""
        self.node.mine(1)


def set_stage(node: Anvil, standin: StandIn | None) -> Stage:
    """Deploy the contract."""

    async def put() -> tuple[str, int]:
        link = Node(node.url if standin is None else standin.url)
        try:
            return await deploy(link, CHAIN_ID)
        finally:
            await link.close()

    with ThreadPoolExecutor(max_workers=1) as pool:  # a loop may be running here
        contract, block = pool.submit(lambda: asyncio.run(put())).result()
    return Stage(node, standin, Place(CHAIN_ID, contract, block))


def root_of(origin: str, size: int, history: str = "") -> bytes:
    return hashlib.sha256(f"{origin} {size} {history}".encode()).digest()


def head_note(origin: str, size: int, history: str = "") -> bytes:
    """A signed checkpoint of a log that exists in name only."""
    text = Checkpoint(origin, size, root_of(origin, size, history)).encode()
    return Note(text, (SoftKey(origin, ED25519, 1).sign(text),)).encode()


def anchor_call(origin: str, size: int, note: bytes) -> bytes:
    """The call of the contract, right or wrong."""
    words = (origin_hash(origin), size.to_bytes(32), (96).to_bytes(32), len(note).to_bytes(32))
    return ANCHOR + b"".join(words) + note + bytes(-len(note) % 32)


@dataclass
class Writer:
    """Somebody who writes to the contract by hand, right or wrong."""

    chain: Chain
    key: EllipticCurvePrivateKey = field(default_factory=make_key)

    @property
    def account(self) -> str:
        return SoftwareAccount(self.key, "").account

    def key_of(self, origin: str) -> Key:
        return self.account, origin_hash(origin)

    async def anchor(self, origin: str, size: int, note: bytes | None = None) -> Receipt:
        """Anchor a note as of a size, whatever it says."""
        note = head_note(origin, min(size, MAX_INT)) if note is None else note
        return await self.send(anchor_call(origin, size, note))

    async def make(self, origin: str, size: int, nonce: int) -> bytes:
        """A transaction that anchors a head, not sent yet."""
        to = bytes.fromhex(self.chain.place.contract[2:])
        data = anchor_call(origin, size, head_note(origin, size))
        return sign_transaction(self.key, Transaction(CHAIN_ID, nonce, 3_000_000, to, data))

    async def send(self, data: bytes) -> Receipt:
        to = bytes.fromhex(self.chain.place.contract[2:])
        async with self.chain.view() as view:
            nonce = await view.nonce(self.account)
            raw = sign_transaction(self.key, Transaction(CHAIN_ID, nonce, 3_000_000, to, data))
            with suppress(RpcError):  # refused by the contract, with `sync`
                await view.send(raw)
            while (receipt := await view.receipt(transaction_hash(raw))) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            return receipt


@dataclass
class Shelf:
    """Implements `anchor.ports.Histories` and `OwnLog`: logs by their sizes and one history."""

    sizes: dict[str, int]
    origin: str = HONG_KONG
    note: bytes | None = None
    compared: list[tuple[str, int]] = field(default_factory=list)

    def newest(self) -> bytes | None:
        return self.note

    def size(self, origin: str) -> int:
        return self.sizes[origin]

    async def compare(self, origin: str, notes: Sequence[bytes]) -> list[Finding]:
        return [self._judge(origin, note) for note in notes]

    def _judge(self, origin: str, note: bytes) -> Finding:
        read = parse_note(note)
        head = parse_checkpoint(read.text)
        self.compared.append((origin, head.size))
        if (
            head.origin != origin
            or SoftKey(origin, ED25519, 1).sign(read.text) not in read.signatures
        ):
            return Finding("bad", "not signed by the log")
        if head.size > self.sizes[origin]:
            return Finding("ahead")
        same = head.root == root_of(origin, head.size)
        return Finding("good") if same else Finding("fork", "another history")


@dataclass
class Desk:
    """A gateway's part: store, follower and anchorer on one chain."""

    store: Store
    follower: Follower
    anchorer: Anchorer
    chain: Chain
    shelf: Shelf
    account: str
    clock: "Clock"

    def rows(self) -> list[tuple[int, int, str]]:
        """Number, size and word of each anchor that was read, of all logs."""
        asked = "SELECT number, size, word FROM anchor ORDER BY origin, account, number"
        return list(self.store._reading.execute(asked))


@asynccontextmanager
async def desk(
    stage: Stage,
    folder: Path,
    shelf: Shelf,
    accounts: Mapping[Key, str] | None = None,
    key: EllipticCurvePrivateKey | None = None,
    urls: Sequence[str] = (),
) -> AsyncIterator[Desk]:
    """Open one; what it knew before it knows again."""
    chain = stage.chain(*urls)
    store = Store(folder / "anchor" / "chain.db", stage.place)
    chain.known = store.first_hash
    account = SoftwareAccount(key or make_key(), shelf.origin)
    known = {(account.account, origin_hash(shelf.origin)): shelf.origin, **(accounts or {})}
    clock = Clock()
    follower = Follower(chain, store, shelf, lambda: known, clock.now_ms)
    anchorer = Anchorer(chain, store, account, shelf, clock.now_ms, every=0.0)
    try:
        yield Desk(store, follower, anchorer, chain, shelf, account.account, clock)
    finally:
        store.close()
        await chain.close()


@dataclass
class Clock:
    """A clock that a test moves."""

    now: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now


def random_note(origin: str, size: int) -> bytes:
    """A note that the log has not signed."""
    text = Checkpoint(origin, size, root_of(origin, size)).encode()
    line = base64.b64encode(bytes(68)).decode()
    return f"{text}\n— {origin} {line}\n".encode()
