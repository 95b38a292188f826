import asyncio
import logging
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import MalformedError, RefusedError, TryAgainError
from chopmark.core.evidence import (
    Evidence,
    Subject,
    check_evidence,
    differing_heads,
    parse_evidence,
)
from chopmark.core.merkle import inclusion_proof
from chopmark.core.note import Note, Signature, parse_note
from chopmark.core.package import MAX_PACKAGE, parse_package
from chopmark.core.proof import Extra, Proof
from chopmark.ledger.forks import Stop, read_evidence
from chopmark.ledger.fsck import check_store
from chopmark.ledger.replica import CLOCK_SKEW, Replica
from chopmark.ledger.store import Store
from ledgers import (
    COSIGNER,
    KEYS,
    LOG,
    NOW,
    ORIGIN,
    Clock,
    Source,
    attestations,
    digest,
    replicating,
    revocation,
)
from softkeys import cosigner, log_key, sign_head

ENTRIES = [*attestations(600), revocation(7, 4), b"not an entry", *attestations(100, start=600)]
SIZE = len(ENTRIES)
TIME = NOW // 1000


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(ENTRIES)


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    async with replicating(tmp_path) as made:
        yield made
    findings = check_store(tmp_path / "replica.db", tmp_path / "replica.index", *KEYS)
    assert {finding.code for finding in findings} <= {"fork"}


def forged(at: int, count: int = SIZE) -> Source:
    """The same log with another history from one entry on."""
    return Source([*ENTRIES[:at], b"another", *ENTRIES[at + 1 : count]])


async def held(replica: Replica) -> list[bytes]:
    size = replica.size
    return await replica.log.read(lambda reader, _: reader.entries(0, size) if size else [])


# Packages


async def test_packages_in_order_make_the_same_log(replica: Replica, source: Source) -> None:
    packages = source.packages()
    for package in packages:
        await replica.ingest([package])
    assert await held(replica) == ENTRIES
    assert replica.log.state.head == source.head()
    assert replica.head_note == source.note()
    assert replica.missing == 0
    assert replica.counters.entries == SIZE
    assert replica.counters.packages == len(packages)


async def test_packages_of_one_group_are_stored_together(replica: Replica, source: Source) -> None:
    assert await replica.ingest(source.packages()) == SIZE
    assert replica.signed_size == SIZE
    assert await replica.ingest([]) == 0


async def test_package_again_changes_nothing(replica: Replica, source: Source) -> None:
    await replica.ingest(source.packages())
    before = replica.log.state
    assert await replica.ingest(source.packages()) == 0
    assert replica.log.state == before
    assert replica.counters.duplicates == len(source.packages())


async def test_package_beyond_what_is_held_is_missing_something(
    replica: Replica, source: Source
) -> None:
    packages = source.packages()
    assert await replica.ingest(packages[1:]) == 0
    assert replica.counters.gaps == len(packages) - 1
    assert replica.missing == SIZE
    await replica.ingest(packages)
    assert replica.missing == 0


async def test_overlapping_packages_fit_together(replica: Replica, source: Source) -> None:
    for end in (5, 9, 200, 256):
        await replica.ingest([source.package(0, end, end)])
        assert replica.signed_size == end
    await replica.ingest([source.package(250, 256, 300), source.package(256, 300, 300)])
    assert await held(replica) == ENTRIES[:300]


async def test_any_order_ends_with_the_same_log(replica: Replica, source: Source) -> None:
    packages = source.packages(size=300) + source.packages()
    rng = random.Random(7)  # noqa: S311 - the same order each time
    while replica.missing or replica.signed_size < SIZE:
        rng.shuffle(packages)
        for package in packages:
            await replica.ingest([package])
    assert await held(replica) == ENTRIES


async def test_entries_are_seen_once_a_head_covers_them(replica: Replica, source: Source) -> None:
    packages = source.packages()
    await replica.ingest(packages[:2])
    assert (replica.size, replica.signed_size, replica.missing) == (512, 0, SIZE)
    assert await asyncio.to_thread(replica.log.find, digest(3)) == []
    await replica.ingest(packages[2:])
    assert await replica.log.read(lambda *_: replica.log.find(digest(3))) == [(3, ENTRIES[3])]


async def test_replica_goes_on_after_a_restart(tmp_path: Path, source: Source) -> None:
    packages = source.packages()
    async with replicating(tmp_path) as replica:
        await replica.ingest(packages[:2])
    async with replicating(tmp_path) as replica:
        assert replica.size == 512
        assert replica.missing == 512, "a head beyond what is held was seen once"
        await replica.ingest(packages[2:])
        assert (replica.signed_size, replica.missing) == (SIZE, 0)


async def test_bad_packages_are_counted_and_reported_once(
    replica: Replica, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    good = source.packages()
    alien = parse_package(good[0])
    bad = [
        b"",
        b"junk",
        good[0][:-1],
        bytes(MAX_PACKAGE + 1),
        good[0][:100] + b"\0" + good[0][101:],
    ]
    bad.append(type(alien)("bank-x.example/x-1", *list(_parts(alien))[1:]).encode())
    with caplog.at_level(logging.WARNING):
        assert await replica.ingest([*bad, good[0]]) == 256
    assert replica.counters.dropped == len(bad)
    assert replica.problem is None
    assert len(caplog.records) == 1
    await replica.ingest(bad[:1])
    assert replica.problem


def _parts(package: Any) -> list[Any]:
    return [getattr(package, name) for name in package.__slots__]


async def test_disk_that_refuses_may_be_asked_again(
    replica: Replica, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Store._write_bundles

    def refuse(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "_write_bundles", refuse)
    with pytest.raises(TryAgainError):
        await replica.ingest(source.packages())
    assert replica.size == 0
    monkeypatch.setattr(Store, "_write_bundles", write)
    assert await replica.ingest(source.packages()) == SIZE


async def test_two_that_bring_the_same_count_it_once(replica: Replica, source: Source) -> None:
    added = await asyncio.gather(*(replica.ingest(source.packages()) for _ in range(3)))
    assert sorted(added) == [0, 0, SIZE]
    assert replica.counters.entries == SIZE


async def test_lines_that_a_carrier_added_are_not_kept(replica: Replica, source: Source) -> None:
    package = parse_package(source.package(0, 5, 5))
    note = parse_note(package.note)
    junk = tuple(Signature(f"junk-{n}", b"abcd", b"x" * 600) for n in range(50))
    fat = Note(note.text, (*note.signatures, *junk)).encode()
    await replica.ingest([type(package)(*_parts(package)[:5], fat).encode()])
    assert replica.head_note == source.note(5)


# Forks


async def assert_stopped(replica: Replica, folder: Path) -> None:
    """Stopped, for good, with the evidence stored."""
    assert replica.conflict
    assert replica.missing == 0
    evidence = replica.log.state.fork_note
    assert evidence is not None
    before = replica.log.state
    assert await replica.ingest(Source(ENTRIES).packages()) == 0
    await replica.observe_head(Source(ENTRIES).note())
    await replica.observe_cosignature(Source(ENTRIES).note(time=TIME))
    assert replica.log.state == before
    found = check_store(folder / "replica.db", None, *KEYS)
    assert [finding.code for finding in found] == ["fork"]
    kept = await replica.log.read(read_evidence)
    for one in kept:
        fork = check_evidence(parse_evidence(one.text), LOG.vkey)
        assert (fork.evidence.digest, fork.origin) == (one.digest, one.origin)
    assert len(kept) == 1


@pytest.mark.parametrize("at", [0, 255, 256, 299])
async def test_package_of_another_history_stops_the_replica(
    replica: Replica, source: Source, tmp_path: Path, at: int
) -> None:
    await replica.ingest(source.packages(size=300))
    await replica.ingest(forged(at).packages(start=256))
    assert await held(replica) == ENTRIES[:300]
    await assert_stopped(replica, tmp_path)


async def test_other_head_of_what_is_held_stops_the_replica(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.ingest(source.packages())
    await replica.observe_head(source.note(300))
    assert replica.conflict is None
    await replica.observe_head(forged(7).note(300))
    await assert_stopped(replica, tmp_path)


async def test_other_head_in_a_package_that_brings_nothing_stops_the_replica(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.ingest(source.packages())
    await replica.ingest([forged(290).package(0, 20, 300)])
    await assert_stopped(replica, tmp_path)


async def test_other_head_that_lay_ahead_stops_the_replica_once_it_is_there(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.ingest(source.packages(size=100))
    await replica.observe_head(forged(290).note(300))
    assert (replica.conflict, replica.missing) == (None, 200)
    await replica.ingest(source.packages())
    await assert_stopped(replica, tmp_path)


async def test_origin_is_told_of_heads_that_lie_ahead_or_contradict(
    replica: Replica, source: Source
) -> None:
    await replica.ingest(source.packages(size=100))
    assert replica.seen_notes == []
    await replica.observe_head(source.note(200))
    await replica.observe_head(source.note(300))
    assert replica.seen_notes == [source.note(300)]
    await replica.observe_head(forged(7).note(100))
    assert replica.seen_notes == [source.note(300), forged(7).note(100)]


async def test_two_heads_of_one_size_stop_the_replica_before_it_is_there(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.observe_head(source.note(300))
    await replica.observe_head(forged(290).note(300))
    await assert_stopped(replica, tmp_path)


async def test_other_head_in_a_heartbeat_stops_the_replica(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.ingest(source.packages())
    await replica.observe_cosignature(forged(7).note(300, TIME))
    assert replica.log.state.seen_time == 0
    await assert_stopped(replica, tmp_path)


async def test_fork_is_not_forgotten_by_a_restart(tmp_path: Path, source: Source) -> None:
    async with replicating(tmp_path) as replica:
        await replica.ingest(source.packages(size=300))
        await replica.observe_head(forged(7).note(300))
    async with replicating(tmp_path) as replica:
        await assert_stopped(replica, tmp_path)


async def test_fork_stops_at_once_though_the_disk_refuses_the_evidence(
    replica: Replica, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Store.mark_fork

    def refuse(*_: Any) -> None:
        raise TryAgainError("not-recorded", "the disk is full")

    await replica.ingest(source.packages(size=300))
    monkeypatch.setattr(Store, "mark_fork", refuse)
    with pytest.raises(TryAgainError):
        await replica.observe_head(forged(7).note(300))
    assert replica.conflict
    with pytest.raises(TryAgainError):
        await replica.ingest(source.packages())
    monkeypatch.setattr(Store, "mark_fork", mark)
    assert await replica.ingest(source.packages()) == 0
    await assert_stopped(replica, tmp_path)


async def test_evidence_is_told_once_it_is_stored(replica: Replica, source: Source) -> None:
    told: list[Evidence] = []

    async def tell(evidence: Evidence) -> None:
        assert await replica.log.read(read_evidence)
        told.append(evidence)

    replica.on_evidence = tell
    await replica.ingest(source.packages(size=300))
    await replica.observe_head(forged(7).note(200))
    await replica.observe_head(forged(8).note(200))
    assert len(told) == 1
    assert check_evidence(told[0], LOG.vkey).below == 200
    assert replica.stopped == Stop(str(replica.conflict), 200, NOW, told[0])


async def test_package_that_contradicts_entries_no_head_has_reached_convicts(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    """Two larger heads, of which neither was reached, disagree about what lies before."""
    await replica.ingest([source.package(0, 100, 300)])
    await replica.ingest([forged(50).package(100, 120, 310)])
    assert (replica.size, replica.signed_size) == (100, 0)
    assert replica.stopped is not None
    assert replica.stopped.below == 300
    await assert_stopped(replica, tmp_path)


async def test_such_a_package_after_a_restart_stops_without_evidence(
    tmp_path: Path, source: Source
) -> None:
    """The head under which the entries came is not known any more."""
    async with replicating(tmp_path) as replica:
        await replica.ingest([source.package(0, 100, 300)])
    async with replicating(tmp_path) as replica:
        await replica.ingest([forged(50).package(100, 120, 310)])
        assert replica.conflict
        assert replica.stopped is not None
        assert replica.stopped.evidence is None
        assert replica.log.state.fork_note is not None


def proof(of: Source, index: int, size: int, leaf: bytes | None = None) -> Proof:
    path = inclusion_proof(index, size, of.nodes)
    return Proof(index, path, of.note(size), Extra(leaf or of.entries[index]).encode())


async def test_proof_of_another_entry_convicts_though_its_head_lies_ahead(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.ingest(source.packages(size=300))
    await replica.observe_proof(proof(source, 7, 410))
    assert replica.conflict is None
    await replica.observe_proof(proof(forged(7), 7, 400))
    assert replica.stopped is not None
    assert replica.stopped.evidence is not None
    assert replica.stopped.evidence.subject is Subject.ENTRY
    assert replica.stopped.below == 300
    await assert_stopped(replica, tmp_path)


async def test_proof_under_another_head_convicts(
    replica: Replica, source: Source, tmp_path: Path
) -> None:
    await replica.ingest(source.packages(size=300))
    await replica.observe_proof(proof(forged(7), 9, 200))
    await assert_stopped(replica, tmp_path)


async def test_proof_that_does_not_lead_to_its_head_stops_nothing(
    replica: Replica, source: Source
) -> None:
    await replica.ingest(source.packages(size=300))
    with pytest.raises(RefusedError):
        await replica.observe_proof(proof(source, 7, 400, leaf=b"another"))
    assert (replica.conflict, replica.missing) == (None, 0)


async def test_evidence_from_elsewhere_freezes_for_good(tmp_path: Path, source: Source) -> None:
    evidence = differing_heads(forged(7).note(300), forged(8).note(300))
    async with replicating(tmp_path) as replica:
        await replica.ingest(source.packages(size=200))
        await replica.freeze(Stop("a peer has shown it", 300, NOW, evidence))
        assert await replica.ingest(source.packages()) == 0
    async with replicating(tmp_path) as replica:
        assert replica.stopped == Stop(str(replica.conflict), 200)
        assert await replica.ingest(source.packages()) == 0


async def test_replica_takes_nothing_in_while_there_is_no_room(
    replica: Replica, source: Source
) -> None:
    packages = source.packages(size=300)
    asked: list[int] = []

    def admit(size: int) -> bool:
        asked.append(size)
        return False

    replica.admit = admit
    assert await replica.ingest(packages) == 0
    assert asked == [sum(map(len, packages))]
    assert (replica.size, replica.paused, replica.problem) == (0, True, None)
    await replica.observe_head(source.note(300))
    assert replica.missing == 300
    replica.admit = lambda _: True
    assert not replica.paused
    assert await replica.ingest(packages) == 300


async def test_forged_history_without_the_logs_signature_stops_nothing(
    replica: Replica, source: Source
) -> None:
    await replica.ingest(source.packages(size=300))
    head = Checkpoint(ORIGIN, 300, b"\1" * 32)
    for note in (sign_head(head, log_key(ORIGIN, 9)), sign_head(head, COSIGNER), b"junk"):
        with pytest.raises(MalformedError):
            await replica.observe_head(note)
    assert replica.conflict is None


# Heartbeats


async def test_heartbeat_of_what_is_held_moves_the_time(replica: Replica, source: Source) -> None:
    await replica.ingest(source.packages())
    await replica.observe_cosignature(source.note(time=TIME))
    assert replica.log.state.seen_time == TIME
    assert replica.log.state.seen_note == source.note(time=TIME)


async def test_heartbeat_of_an_older_head_that_is_held_counts(
    replica: Replica, source: Source
) -> None:
    await replica.ingest(source.packages())
    await replica.observe_cosignature(source.note(300, TIME))
    assert replica.log.state.seen_time == TIME


async def test_heartbeat_of_the_empty_log_counts(replica: Replica) -> None:
    await replica.observe_cosignature(Source([]).note(time=TIME))
    assert replica.log.state.seen_time == TIME


@pytest.mark.parametrize("ahead", [CLOCK_SKEW, CLOCK_SKEW + 1])
async def test_heartbeat_may_be_a_minute_ahead(
    replica: Replica, source: Source, ahead: int
) -> None:
    await replica.ingest(source.packages())
    if ahead <= CLOCK_SKEW:
        await replica.observe_cosignature(source.note(time=TIME + ahead))
        assert replica.log.state.seen_time == TIME + ahead
        return
    with pytest.raises(RefusedError) as caught:
        await replica.observe_cosignature(source.note(time=TIME + ahead))
    assert caught.value.code == "bad-time"
    assert replica.log.state.seen_time == 0


async def test_older_heartbeat_changes_nothing(replica: Replica, source: Source) -> None:
    await replica.ingest(source.packages())
    await replica.observe_cosignature(source.note(time=TIME))
    for time in (TIME - 1, TIME):
        await replica.observe_cosignature(source.note(300, time))
    assert replica.log.state.seen_note == source.note(time=TIME)


async def test_heartbeat_of_more_than_is_held_waits(replica: Replica, source: Source) -> None:
    await replica.ingest(source.packages(size=300))
    await replica.observe_cosignature(source.note(time=TIME))
    assert (replica.log.state.seen_time, replica.missing) == (0, SIZE - 300)
    await replica.ingest(source.packages()[:2])
    assert replica.log.state.seen_time == 0
    await replica.ingest(source.packages())
    assert replica.log.state.seen_time == TIME


async def test_heartbeat_waits_until_its_entries_are_seen(replica: Replica, source: Source) -> None:
    """Entries that no head covers yet are held, but nobody is answered from them."""
    await replica.ingest(source.packages()[:2])
    assert (replica.size, replica.signed_size) == (512, 0)
    await replica.observe_cosignature(source.note(300, TIME))
    assert replica.log.state.seen_time == 0
    await replica.ingest(source.packages())
    assert replica.log.state.seen_time == TIME


async def test_replica_that_lags_still_moves_its_time(replica: Replica, source: Source) -> None:
    """Each heartbeat comes before the entries of the one before it."""
    await replica.observe_cosignature(source.note(256, TIME))
    await replica.observe_cosignature(source.note(512, TIME + 30))
    await replica.ingest([source.package(0, 256, 256)])
    assert replica.log.state.seen_time == TIME
    await replica.observe_cosignature(source.note(time=TIME + 60))
    await replica.ingest([source.package(256, 512, 512)])
    assert replica.log.state.seen_time == TIME + 30


async def test_cosignature_of_another_key_is_no_heartbeat(replica: Replica, source: Source) -> None:
    await replica.ingest(source.packages())
    other = cosigner(f"{ORIGIN}/cosigner", 9)
    witness = cosigner("bank-hk.example/hk-1/cosigner", 5)
    for key in (other, witness):
        with pytest.raises(RefusedError) as caught:
            await replica.observe_cosignature(sign_head(source.head(), LOG, {key: TIME}))
        assert caught.value.code == "no-known-signature"
    with pytest.raises(RefusedError):
        await replica.observe_cosignature(sign_head(source.head(), COSIGNER, {COSIGNER: TIME}))
    assert replica.log.state.seen_time == 0


async def test_heartbeat_that_the_disk_refuses_may_come_again(
    replica: Replica, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Store.move_seen

    def refuse(*_: Any) -> None:
        raise TryAgainError("not-recorded", "the disk is full")

    await replica.ingest(source.packages())
    monkeypatch.setattr(Store, "move_seen", refuse)
    with pytest.raises(TryAgainError):
        await replica.observe_cosignature(source.note(time=TIME))
    monkeypatch.setattr(Store, "move_seen", move)
    await replica.observe_head(source.note())
    assert replica.log.state.seen_time == TIME, "what waits is stored with the next message"


async def test_flood_of_heads_ahead_is_bounded(replica: Replica, source: Source) -> None:
    for size in range(100, 600):
        await replica.observe_head(source.note(size))
    assert len(replica._heads.waiting) <= 64
    assert replica.missing == 599
    await replica.ingest(source.packages())
    assert replica._heads.waiting == {}
    assert replica.conflict is None


async def test_time_of_a_clock_that_went_back_refuses_newer_heartbeats(
    tmp_path: Path, source: Source
) -> None:
    clock = Clock()
    async with replicating(tmp_path, clock) as replica:
        await replica.ingest(source.packages())
        clock.now -= 3_600_000
        with pytest.raises(RefusedError):
            await replica.observe_cosignature(source.note(time=TIME))
