import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from chopmark.core.errors import InternalError, TryAgainError
from chopmark.core.package import MAX_PACKAGE
from chopmark.core.tiles import WIDTH
from chopmark.mesh import asking, catchup
from chopmark.mesh.asking import Asker, Routes
from chopmark.mesh.catchup import CatchUp
from chopmark.mesh.intake import Intake
from chopmark.mesh.lanes import MAX_WINDOW, Holder
from chopmark.mesh.links import Links
from chopmark.mesh.topics import entries, parse_topic
from meshes import (
    FakeLink,
    FakeLog,
    Peers,
    answer_of,
    fake,
    fake_links,
    live,
    request_of,
    running,
    until,
)
from rig.patience import PATIENCE

SZ = "bank-sz.example/sz-1"


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    return fake_links(monkeypatch)


@pytest.fixture
def link(links: Links) -> FakeLink:
    return fake(links)


@pytest.fixture
def asker(links: Links) -> Asker:
    return Asker("me", links, Routes())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting times that a test can afford; none of them is what is tested."""
    monkeypatch.setattr(asking, "ANSWER", 600.0)
    monkeypatch.setattr(catchup, "HEDGE", 600.0)
    monkeypatch.setattr(catchup, "SETTLE", 0.001)
    monkeypatch.setattr(catchup, "RETRY", 0.01)
    monkeypatch.setattr("chopmark.mesh.lanes.REST", 0.02)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that are silent are given up soon; a quick one may be, too, and is asked again."""
    monkeypatch.setattr(asking, "ANSWER", 0.05)


def followed(target: int = 0, size: int = 0) -> FakeLog:
    return FakeLog(SZ, "sz-1", size=size, target=target, per_package=WIDTH)


def source(size: int, per_package: int = WIDTH) -> FakeLog:
    return FakeLog(SZ, size=size, per_package=per_package)


class Following:
    """A replica with its intake and its catch-up, which knows these holders of the log."""

    def __init__(self, log: FakeLog, asker: Asker, *holders: Holder, limit: int = 2**22) -> None:
        self.log = log
        self.intake = Intake(log, limit)
        self.catch_up = CatchUp(log, asker, self.intake, lambda: holders)
        self.intake.changed = self.catch_up.went_on
        self.catch_up.wake()

    def jobs(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return self.catch_up.run(), self.intake.run()


def following(log: FakeLog, asker: Asker, *names: str, limit: int = 2**22) -> Following:
    """As `Following`: the first is the log's own gateway, the others are known to hold it."""
    return Following(log, asker, *map(Holder, names), limit=limit)


async def test_nothing_but_the_origin_is_asked_while_no_other_is_known_to_hold_the_log(
    link: FakeLink, asker: Asker
) -> None:
    made = Following(followed(target=1000), asker, Holder("sz-1"), Holder("hk-1", sure=False))
    peers = Peers(link, asker, sz_1=source(1000), hk_1=source(1000))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == 1000)
    assert {name for name, _ in peers.asked} == {"sz-1"}


async def test_all_that_hold_the_log_are_asked_at_once(link: FakeLink, asker: Asker) -> None:
    size = 200 * WIDTH
    made = following(followed(target=size), asker, "sz-1", "hk-1", "mo-1")
    peers = Peers(link, asker, sz_1=source(size), hk_1=source(size), mo_1=source(size))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == size)
    starts = [start for _, start in peers.asked]
    assert sorted(starts) == list(range(0, size, WIDTH)), "nothing is asked for twice"
    for name in ("sz-1", "hk-1", "mo-1"):
        assert sum(asked == name for asked, _ in peers.asked) > 20


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("origin", [None, source(256), source(0)])
async def test_others_are_asked_for_what_the_origin_does_not_send(
    link: FakeLink, asker: Asker, origin: FakeLog | None
) -> None:
    others = (Holder("hk-1", sure=False), Holder("mo-1", sure=False))
    made = Following(followed(target=1000), asker, Holder("sz-1"), *others)
    peers = Peers(link, asker, sz_1=origin, hk_1=source(0), mo_1=source(1000))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == 1000)
    assert peers.asked[0][0] == "sz-1"
    assert {name for name, _ in peers.asked} == {"sz-1", "hk-1", "mo-1"}


async def test_nobody_is_asked_for_more_than_it_says_that_it_holds(
    link: FakeLink, asker: Asker
) -> None:
    size = 50 * WIDTH
    made = Following(followed(target=size), asker, Holder("sz-1"), Holder("hk-1", 10 * WIDTH))
    peers = Peers(link, asker, sz_1=source(size), hk_1=source(10 * WIDTH))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == size)
    assert max(start for name, start in peers.asked if name == "hk-1") < 10 * WIDTH


async def test_line_is_kept_full_with_the_next_question_for_each_answer(
    link: FakeLink, asker: Asker
) -> None:
    size = 500 * WIDTH
    made = following(followed(target=size), asker, "sz-1")
    async with running(*made.jobs()):
        sent = [await link.next("request") for _ in range(4)]
        assert made.catch_up.in_flight == 4
        while len(sent) < MAX_WINDOW * 2:
            start = request_of(first := sent.pop(0)).start
            asker.take_reply(answer_of(live(SZ, start, start + WIDTH), first.correlation))
            sent += [await link.next("request"), await link.next("request")]
            if made.catch_up.in_flight == MAX_WINDOW:
                break
        assert made.catch_up.in_flight == MAX_WINDOW


async def test_answers_out_of_order_are_kept_and_stored_in_order(
    link: FakeLink, asker: Asker
) -> None:
    made = following(followed(target=4 * WIDTH), asker, "sz-1")
    async with running(*made.jobs()):
        sent = [await link.next("request") for _ in range(4)]
        for one in reversed(sent[1:]):
            start = request_of(one).start
            asker.take_reply(answer_of(live(SZ, start, start + WIDTH), one.correlation))
        async with asyncio.timeout(PATIENCE):
            while len(made.intake.unverified.runs()) < 3:  # noqa: ASYNC110 - a buffer tells nobody
                await asyncio.sleep(0.001)
        assert made.log.size == 0
        assert made.intake.unverified.bytes > 0
        asker.take_reply(answer_of(live(SZ, 0, WIDTH), sent[0].correlation))
        await made.log.until(lambda: made.log.size == 4 * WIDTH)
    assert made.intake.unverified.bytes == 0


async def test_what_is_asked_for_and_kept_stays_within_the_buffer(
    link: FakeLink, asker: Asker
) -> None:
    size = 100 * WIDTH
    made = following(followed(target=size), asker, "sz-1", "hk-1", limit=3 * MAX_PACKAGE)
    peers = Peers(link, asker, sz_1=source(size), hk_1=source(size))
    made.log.gate.clear()
    async with running(peers.run(), *made.jobs()):
        async with asyncio.timeout(PATIENCE):
            while len(peers.asked) < 3:  # noqa: ASYNC110 - peers tell nobody
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        kept = made.intake.unverified.bytes
        assert kept + made.catch_up.in_flight * MAX_PACKAGE <= 3 * MAX_PACKAGE
        made.log.gate.set()
        await made.log.until(lambda: made.log.size == size)


async def test_hole_after_a_package_that_ends_early_is_asked_for(
    link: FakeLink, asker: Asker
) -> None:
    made = following(followed(target=2000), asker, "sz-1")
    peers = Peers(link, asker, sz_1=source(2000, per_package=100))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == 2000)
    assert len(peers.asked) <= 2 * 2000 // 100 + 2


@pytest.mark.usefixtures("impatient")
async def test_lost_answer_is_asked_for_again_elsewhere(link: FakeLink, asker: Asker) -> None:
    size = 40 * WIDTH
    made = following(followed(target=size), asker, "sz-1", "hk-1")
    peers = Peers(link, asker, sz_1=None, hk_1=source(size))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == size)
    silent = {start for name, start in peers.asked if name == "sz-1"}
    assert silent
    assert silent <= {start for name, start in peers.asked if name == "hk-1"}


async def test_what_all_else_waits_for_is_asked_of_a_second_peer_before_the_first_gives_up(
    link: FakeLink, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "HEDGE", 0.02)
    made = following(followed(target=WIDTH), asker, "sz-1", "hk-1")
    peers = Peers(link, asker, sz_1=None, hk_1=source(WIDTH))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == WIDTH)
    assert peers.asked == [("sz-1", 0), ("hk-1", 0)]


async def test_live_packages_are_not_asked_for(link: FakeLink, asker: Asker) -> None:
    made = following(followed(target=4 * WIDTH), asker, "sz-1")
    topic = parse_topic(entries("sz-1"))
    assert topic is not None
    for start in (WIDTH, 3 * WIDTH):
        payload = live(SZ, start, start + WIDTH)
        made.intake.take_live(topic, answer_of(payload, None))
    peers = Peers(link, asker, sz_1=source(4 * WIDTH))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == 4 * WIDTH)
    assert [start for _, start in peers.asked] == [0, 2 * WIDTH]


async def test_answer_to_another_question_is_of_no_use(link: FakeLink, asker: Asker) -> None:
    made = following(followed(target=WIDTH), asker, "sz-1", "hk-1")
    peers = Peers(link, asker, sz_1=None, hk_1=source(WIDTH))
    async with running(*made.jobs()):
        sent = await link.next("request")
        asker.take_reply(answer_of(live(SZ, WIDTH, 2 * WIDTH), sent.correlation))
        async with running(peers.run()):
            await made.log.until(lambda: made.log.size == WIDTH)
    assert [payload for group in made.log.ingested for payload in group] == [live(SZ, 0, WIDTH)]


async def test_peer_that_sends_what_does_not_verify_is_left_alone(
    link: FakeLink, asker: Asker
) -> None:
    foreign = FakeLog("bank-xx.example/xx-9", size=WIDTH, per_package=WIDTH)
    made = following(followed(target=WIDTH), asker, "sz-1", "hk-1")
    peers = Peers(link, asker, sz_1=foreign, hk_1=source(WIDTH))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == WIDTH)
    assert peers.asked == [("sz-1", 0), ("hk-1", 0)]
    assert made.intake.unverified.bytes == 0


async def test_replica_that_is_up_to_date_asks_once_for_news(link: FakeLink, asker: Asker) -> None:
    made = following(followed(size=1000, target=1000), asker, "sz-1", "hk-1")
    origin = source(1000)
    peers = Peers(link, asker, sz_1=origin, hk_1=origin)
    async with running(peers.run(), *made.jobs()):
        async with asyncio.timeout(PATIENCE):
            while not peers.asked or made.catch_up.in_flight:  # noqa: ASYNC110 - peers tell nobody
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert peers.asked == [("sz-1", 1000)]
        origin.size = 3000  # nobody told us
        made.catch_up.wake()
        await made.log.until(lambda: made.log.size == 3000)
    assert peers.asked[1] == ("sz-1", 1000), "no news are no reason to rest"


async def test_nothing_is_asked_while_live_packages_come(link: FakeLink, asker: Asker) -> None:
    made = following(followed(target=100), asker, "sz-1")

    task = asyncio.create_task(made.catch_up._is_progressing())
    await asyncio.sleep(0)
    made.log.size += 50
    assert await task
    assert made.catch_up._due.is_set()
    assert link.sent.empty()
    assert not await made.catch_up._is_progressing()


async def test_log_in_conflict_is_not_asked_for(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    log.conflict = "two histories"
    made = following(log, asker, "sz-1")
    async with running(*made.jobs()):
        while made.catch_up._due.is_set():  # noqa: ASYNC110 - nobody tells that it looked
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    assert link.sent.empty()


async def test_what_nobody_has_is_asked_for_again(link: FakeLink, asker: Asker) -> None:
    made = following(followed(target=100), asker, "sz-1")
    origin = source(0)
    peers = Peers(link, asker, sz_1=origin)
    async with running(peers.run(), *made.jobs()):
        async with asyncio.timeout(PATIENCE):
            while len(peers.asked) < 3:  # noqa: ASYNC110 - peers tell nobody
                await asyncio.sleep(0.001)
        origin.size = 100
        await made.log.until(lambda: made.log.size == 100)


async def test_catch_up_ends_while_there_is_no_room_and_blames_nobody(
    link: FakeLink, asker: Asker
) -> None:
    size = 200 * WIDTH
    made = following(followed(target=size), asker, "sz-1", "hk-1")
    blamed: list[str] = []
    made.intake.blame = blamed.append
    peers = Peers(link, asker, sz_1=source(size), hk_1=source(size))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size >= 20 * WIDTH)
        made.log.paused = True
        await until(lambda: not made.catch_up.running)
        assert (made.catch_up.in_flight, blamed) == (0, [])
        made.log.paused = False
        made.catch_up.wake()
        await made.log.until(lambda: made.log.size == size)
    assert blamed == []


async def test_disk_that_refuses_is_asked_again(
    link: FakeLink, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.mesh.intake.RETRY", 0.001)
    made = following(followed(target=100), asker, "sz-1")
    made.log.failures = [TryAgainError("not-recorded", "the disk is full")] * 2
    peers = Peers(link, asker, sz_1=source(100))
    async with running(peers.run(), *made.jobs()):
        await made.log.until(lambda: made.log.size == 100)


async def test_our_own_fault_ends_the_intake(link: FakeLink, asker: Asker) -> None:
    made = following(followed(target=100), asker, "sz-1")
    made.log.failures = [InternalError("commit-unknown", "a commit failed")]
    peers = Peers(link, asker, sz_1=source(100))
    async with running(peers.run(), made.catch_up.run()):
        with pytest.raises(InternalError):
            await asyncio.wait_for(made.intake.run(), 30)


async def test_absent_broker_ends_nothing(link: FakeLink, asker: Asker) -> None:
    link.cut()
    peers = Peers(link, asker, sz_1=source(100))
    made = following(followed(target=100), asker, "sz-1")
    async with running(peers.run(), *made.jobs()):
        async with asyncio.timeout(PATIENCE):
            while made.catch_up._due.is_set():  # noqa: ASYNC110 - nobody tells that it looked
                await asyncio.sleep(0.001)
        link.connected = True
        made.catch_up.wake()
        await made.log.until(lambda: made.log.size == 100)


async def test_peers_are_not_blamed_for_an_outage_of_our_own(
    link: FakeLink, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.mesh.lanes.REST", 600.0)
    link.cut()
    peers = Peers(link, asker, sz_1=source(100))
    made = following(followed(target=100), asker, "sz-1")
    looked, five = 0, asyncio.Event()

    def holders() -> list[Holder]:
        nonlocal looked
        looked += 1
        if looked == 5:
            five.set()
        return [Holder("sz-1")]

    made.catch_up._holders = holders
    async with running(peers.run(), *made.jobs()):
        async with asyncio.timeout(PATIENCE):
            await five.wait()
        link.connected = True
        made.catch_up.wake()
        await made.log.until(lambda: made.log.size == 100)


async def test_catch_up_that_is_woken_and_cancelled_at_once_ends(asker: Asker) -> None:
    """In Python 3.11 `wait_for` loses a cancellation that comes with the event."""
    made = following(followed(), asker).catch_up
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0.01)
    made.wake()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()
