"""Evidence on real log files: found, published, taken from peers, and acted upon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import frame_entries
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.evidence import differing_heads, encode_bulletin, parse_bulletin, parse_evidence
from chopmark.ledger.forks import Kept, Stop, add_evidence, good_size, read_evidence
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.worker import Worker
from chopmark.mesh.topics import Topic
from chopmark.service.forks import Forks
from chopmark.service.own_heads import OwnHeads
from ledgers import NOW, ORIGIN, Clock, Source, attestations, member, new_ledger
from softkeys import cosigner, log_key, sign_head

OWN = "bank-hk.example/hk-1"
OWN_KEY, OWN_COSIGNER = log_key(OWN, 3), cosigner(f"{OWN}/cosigner", 4)
ENTRIES = attestations(300)
TOPIC = Topic("mo-1", "evidence")


def source(at: int | None = None, count: int = 300) -> Source:
    """The peer's log, or another history of it from one entry on."""
    if at is None:
        return Source(ENTRIES[:count])
    return Source([*ENTRIES[:at], b"another", *ENTRIES[at + 1 : count]])


class Gateway:
    """Our log, the replica of one peer, and the evidence."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.clock = Clock()
        self.own = member(OWN_KEY, OWN_COSIGNER)
        self.peer = member()
        self.told: list[bytes] = []

    async def open(self) -> "Gateway":
        reading = Worker("read")
        self.stack.callback(reading.close)
        self.log = await self._log("log", reading, OWN_KEY.vkey, OWN_COSIGNER.vkey)
        peer = self.peer
        held = await self._log("peer", reading, peer.log_key, peer.cosigner_key)
        self.replica = Replica(peer, held, self.clock)
        self.forks = Forks(self.own, self.log, {ORIGIN: self.replica}, self.clock)
        self.forks.tell = self.told.append
        self.forks.observe_own = OwnHeads(self.own, self.log, self.forks).observe
        self.replica.on_evidence = self.forks.found
        await self.forks.start()
        return self

    async def _log(self, name: str, reading: Worker, *keys: object) -> Log:
        path = self.folder / f"{name}.db"
        if not path.exists():
            new_ledger(path, *keys)  # type: ignore[arg-type]
        log = await open_log(path, self.folder / f"{name}.index", reading)
        self.stack.push_async_callback(log.close)
        return log

    @property
    def stored(self) -> int:
        return len(self.forks.describe())


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        yield await Gateway(tmp_path, stack).open()


def forged(size: int, at: int = 3) -> bytes:
    return differing_heads(source().note(size), source(at).note(size)).encode()


async def test_what_a_replica_finds_is_stored_published_and_shown(gateway: Gateway) -> None:
    await gateway.replica.ingest(source().packages())
    await gateway.replica.observe_head(source(7).note(200))
    [shown] = gateway.forks.describe()
    assert (shown["origin"], shown["id"], shown["subject"]) == (ORIGIN, "sz-1", "size")
    assert [head["size"] for head in shown["heads"]] == [200, 300]
    assert gateway.told == [encode_bulletin([shown["evidence"].encode()])]
    assert [alarm["code"] for alarm in gateway.forks.alarms()] == ["fork"]
    stop = gateway.replica.stopped
    assert stop is not None
    assert (stop.below, stop.found_at) == (200, NOW)


@pytest.mark.parametrize("steps", range(12))
async def test_what_is_kept_is_published_though_its_finder_hangs_up(
    gateway: Gateway, steps: int
) -> None:
    await gateway.replica.ingest(source().packages(size=100))
    finding = asyncio.create_task(gateway.forks.add(forged(200)))
    for _ in range(steps):
        await asyncio.sleep(0)
    finding.cancel()
    await asyncio.wait({finding})
    async with gateway.forks._turn:  # whoever has it is done
        pass
    assert len(gateway.told) == gateway.stored


async def test_what_a_peer_publishes_freezes_our_replica(gateway: Gateway) -> None:
    await gateway.replica.ingest(source().packages(size=100))
    await gateway.forks.take("mo-1", TOPIC, encode_bulletin([forged(200)]))
    assert gateway.replica.conflict
    assert await gateway.replica.ingest(source().packages()) == 0
    assert parse_bulletin(gateway.told[-1]) == [forged(200)]
    assert len(gateway.told) == 1


async def test_all_of_it_is_there_after_a_restart(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await Gateway(tmp_path, stack).open()
        await first.replica.ingest(source().packages(size=100))
        await first.forks.add(forged(200))
    async with AsyncExitStack() as stack:
        second = Gateway(tmp_path, stack)
        second.clock.now += 5000
        await second.open()
        assert second.replica.stopped == first.replica.stopped
        assert second.told == first.told
        assert await second.replica.ingest(source().packages()) == 0
        assert second.forks.describe() == first.forks.describe()


async def test_new_replica_of_a_log_that_is_known_to_be_forked_stays_empty(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await (await Gateway(tmp_path, stack).open()).forks.add(forged(200))
    (tmp_path / "peer.db").unlink()
    async with AsyncExitStack() as stack:
        gateway = await Gateway(tmp_path, stack).open()
        assert await gateway.replica.ingest(source().packages()) == 0
        assert gateway.replica.conflict


async def test_evidence_that_only_the_replica_kept_is_taken_up_at_start(tmp_path: Path) -> None:
    """The process ended between the two."""
    async with AsyncExitStack() as stack:
        gateway = await Gateway(tmp_path, stack).open()
        await gateway.replica.ingest(source().packages())
        gateway.replica.on_evidence = Replica(member(), gateway.log, Clock()).on_evidence
        await gateway.replica.observe_head(source(7).note(200))
        assert gateway.stored == 0
    async with AsyncExitStack() as stack:
        gateway = await Gateway(tmp_path, stack).open()
        assert gateway.stored == 1
        assert len(gateway.told) == 1


async def test_same_fork_again_changes_nothing(gateway: Gateway) -> None:
    assert await gateway.forks.add(forged(200))
    for text in (forged(200), forged(200, at=9), forged(250)):
        assert not await gateway.forks.add(text)
    assert (gateway.stored, len(gateway.told)) == (1, 1)


async def test_smaller_heads_replace_all_but_the_first(gateway: Gateway) -> None:
    for size in (200, 150, 100, 50):
        gateway.clock.now += 1000
        assert await gateway.forks.add(forged(size))
    stop = gateway.forks.of(ORIGIN)
    assert stop is not None
    assert (stop.below, stop.found_at, gateway.stored) == (50, NOW + 1000, 2)
    kept: list[Kept] = await gateway.log.read(read_evidence)
    assert [one.text for one in kept] == [forged(200), forged(50)]
    assert gateway.replica.stopped == stop


def innocent() -> bytes:
    evidence = parse_evidence(forged(200))
    same = replace(evidence, branches=(evidence.branches[0],) * 2)
    return same.encode()


def by_thief() -> bytes:
    thief = log_key(ORIGIN, 9)
    return differing_heads(*(sign_head(source(at).head(9), thief) for at in (None, 3))).encode()


def of_stranger() -> bytes:
    other = log_key("bank-xx.example/xx-1", 1)
    heads = [Checkpoint(other.name, 9, root * 32) for root in (b"a", b"b")]
    return differing_heads(*(sign_head(head, other) for head in heads)).encode()


@pytest.mark.parametrize("text", [innocent(), by_thief(), of_stranger(), b"junk"])
async def test_what_convicts_nobody_is_refused(gateway: Gateway, text: bytes) -> None:
    with pytest.raises(MalformedError):
        await gateway.forks.take("mo-1", TOPIC, encode_bulletin([text]))
    assert (gateway.stored, gateway.told, gateway.replica.conflict) == (0, [], None)


async def test_what_is_good_counts_whatever_lies_beside_it(gateway: Gateway) -> None:
    texts = [of_stranger(), b"junk", forged(200), by_thief()]
    with pytest.raises(RefusedError):
        await gateway.forks.take("mo-1", TOPIC, encode_bulletin(texts))
    assert gateway.stored == 1


async def test_two_notes_of_one_size_are_evidence(gateway: Gateway) -> None:
    await gateway.forks.report(ORIGIN, source().note(50), source(3).note(50))
    assert gateway.replica.conflict


async def test_two_notes_of_different_sizes_are_compared_with_the_replica(gateway: Gateway) -> None:
    await gateway.replica.ingest(source().packages())
    await gateway.forks.report(ORIGIN, source().note(50), source().note(60))
    assert gateway.stored == 0
    await gateway.forks.report(ORIGIN, source().note(50), source(3).note(60))
    assert gateway.stored == 1


async def grow(gateway: Gateway, entries: list[bytes]) -> None:
    log = gateway.log

    def sign() -> None:
        store = log._store
        log.append_now([frame_entries(entries)])
        head = Checkpoint(OWN, store.size, store.root())
        store.move_head(head, sign_head(head, OWN_KEY))

    await log.write(lambda _: sign())


async def test_other_head_of_our_own_log_is_evidence_against_us(gateway: Gateway) -> None:
    await grow(gateway, ENTRIES[:50])
    await gateway.forks.observe_own(gateway.log.head_note or b"")
    ahead = Checkpoint(OWN, 60, b"r" * 32)
    await gateway.forks.observe_own(sign_head(ahead, OWN_KEY))
    assert gateway.stored == 0
    other = Checkpoint(OWN, 20, b"r" * 32)
    await gateway.forks.observe_own(sign_head(other, OWN_KEY))
    assert [alarm["code"] for alarm in gateway.forks.alarms()] == ["own-fork"]
    assert gateway.stored == 1
    with pytest.raises(RefusedError):
        await gateway.forks.observe_own(sign_head(other, log_key(OWN, 9)))


async def test_evidence_against_us_shows_both_heads_to_the_own_log(gateway: Gateway) -> None:
    heads = [Checkpoint(OWN, 20, root * 32) for root in (b"a", b"b")]
    seen: list[bytes] = []

    async def observe(note: bytes) -> None:
        seen.append(note)

    gateway.forks.observe_own = observe
    notes = [sign_head(head, OWN_KEY) for head in heads]
    await gateway.forks.add(differing_heads(*notes).encode())
    assert sorted(seen) == sorted(notes)


# What stays good


async def test_without_a_quorum_entries_below_both_heads_stay_good(gateway: Gateway) -> None:
    await gateway.replica.ingest(source().packages(size=100))

    async def good(below: int) -> int:
        stop = Stop("forked", below, NOW)
        size: int = await gateway.replica.log.read(
            lambda reader, state: good_size(reader, state, stop, quorum=False)
        )
        return size

    assert [await good(below) for below in (0, 1, 50, 100, 101, 200)] == [0, 0, 49, 99, 100, 100]


async def test_with_a_quorum_heads_cosigned_before_the_evidence_count(gateway: Gateway) -> None:
    log = gateway.replica.log
    rows = [(40, NOW // 1000 - 60), (70, NOW // 1000), (90, NOW // 1000 + 1)]
    insert = "INSERT INTO witnessed VALUES (?, ?)"
    await log.write(lambda store: store.change(lambda db: db.executemany(insert, rows)))

    async def good(below: int, found_at: int | None = NOW) -> int:
        stop = Stop("forked", below, found_at)
        size: int = await log.read(
            lambda reader, state: good_size(reader, state, stop, quorum=True)
        )
        return size

    assert [await good(below) for below in (40, 41, 70, 71, 200)] == [0, 40, 40, 70, 70]
    assert await good(200, None) == 90


async def test_evidence_of_a_member_that_has_gone_is_left_alone(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        gateway = await Gateway(tmp_path, stack).open()
        kept = Kept(b"d" * 32, "bank-xx.example/xx-1", NOW, of_stranger())
        await gateway.log.write(lambda store: store.change(lambda db: add_evidence(db, kept)))
    async with AsyncExitStack() as stack:
        assert (await Gateway(tmp_path, stack).open()).stored == 0
