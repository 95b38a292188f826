import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from chopmark.core.errors import InternalError, MissingError, TryAgainError, UnreachableError
from chopmark.core.tiles import WIDTH
from chopmark.mesh import catchup
from chopmark.mesh.broker import Message
from chopmark.mesh.catchup import MAX_REQUESTS, MAX_WINDOW, Asker, CatchUp, Server
from chopmark.mesh.messages import Request, encode_error, parse_error
from chopmark.mesh.topics import parse_topic, reply, request
from meshes import FakeLink, FakeLog, Sent, request_of

SZ = "bank-sz.example/sz-1"
HK = "bank-hk.example/hk-1"


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


class Peers:
    """Other gateways, which answer the requests that the link carries."""

    def __init__(self, link: FakeLink, asker: Asker, **logs: FakeLog | None) -> None:
        self._link = link
        self._asker = asker
        self._logs = {name.replace("_", "-"): log for name, log in logs.items()}
        self.asked: list[tuple[str, int]] = []

    async def run(self) -> None:
        while True:
            sent = await self._link.sent.get()
            peer, wanted = sent.parts.owner, request_of(sent)
            self.asked.append((peer, wanted.start))
            log = self._logs.get(peer)
            if log is not None:
                self._asker.take_reply(await self._reply(sent, log, wanted))

    async def _reply(self, sent: Sent, log: FakeLog, wanted: Request) -> Any:
        try:
            payload, _ = await log.package(wanted.start)
        except MissingError as error:
            payload = encode_error(error.code)
        return message(payload, sent.correlation)


def message(payload: bytes, correlation: bytes | None) -> Any:
    topic = reply("me", "sz-1")
    return Message(topic, payload, correlation, retain=False, mid=1, release=lambda: None)


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def asker(link: FakeLink) -> Asker:
    return Asker("me", link)  # type: ignore[arg-type]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting times that a test can afford; none of them is what is tested."""
    monkeypatch.setattr(catchup, "ANSWER", 0.05)
    monkeypatch.setattr(catchup, "SETTLE", 0.001)
    monkeypatch.setattr(catchup, "RETRY", 0.01)


# Asking


async def test_request_carries_what_is_asked_and_its_reply_comes_back(
    link: FakeLink, asker: Asker
) -> None:
    async with running(Peers(link, asker, sz_1=FakeLog(SZ, size=30)).run()):
        assert await asker.ask("sz-1", Request(SZ, 10, 11)) == b"%s 10 20" % SZ.encode()


async def test_request_expires_and_has_a_secret_correlation(link: FakeLink, asker: Asker) -> None:
    tasks = [asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1))) for _ in range(2)]
    first, second = await link.next("request"), await link.next("request")
    assert first.topic == request("sz-1", "me")
    assert first.expiry == int(catchup.ANSWER)
    assert not first.retain
    assert first.correlation is not None
    assert len(first.correlation) == 16
    assert first.correlation != second.correlation
    for sent, answer in ((second, b"second"), (first, b"first")):
        asker.take_reply(message(answer, sent.correlation))
    assert await asyncio.gather(*tasks) == [b"first", b"second"]


@pytest.mark.usefixtures("quick")
async def test_peer_that_does_not_answer_is_unreachable(link: FakeLink, asker: Asker) -> None:
    with pytest.raises(UnreachableError) as caught:
        await asker.ask("sz-1", Request(SZ, 0, 1))
    assert caught.value.code == "no-reply"
    sent = await link.next("request")
    asker.take_reply(message(b"late", sent.correlation))
    assert asker._waiting == {}


async def test_replies_that_nobody_waits_for_are_dropped(link: FakeLink, asker: Asker) -> None:
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    sent = await link.next("request")
    for correlation in (None, b"", b"x" * 16):
        asker.take_reply(message(b"foreign", correlation))
    for answer in (b"first", b"again"):
        asker.take_reply(message(answer, sent.correlation))
    assert await task == b"first"
    asker.take_reply(message(b"late", sent.correlation))


async def test_peer_without_the_package_says_so(link: FakeLink, asker: Asker) -> None:
    async with running(Peers(link, asker, sz_1=FakeLog(SZ)).run()):
        with pytest.raises(MissingError):
            await asker.ask("sz-1", Request(SZ, 10, 11))


async def test_absent_broker_fails_a_request_at_once(link: FakeLink, asker: Asker) -> None:
    link.cut()
    with pytest.raises(UnreachableError):
        await asker.ask("sz-1", Request(SZ, 0, 1))
    assert asker._waiting == {}


async def test_asker_that_is_cancelled_waits_for_nothing(link: FakeLink, asker: Asker) -> None:
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    await link.next("request")
    task.cancel()
    await asyncio.wait({task})
    assert asker._waiting == {}


# Catching up


def followed(target: int = 0, size: int = 0, per_package: int = WIDTH) -> FakeLog:
    return FakeLog(SZ, "sz-1", size=size, target=target, per_package=per_package)


def catching_up(log: FakeLog, asker: Asker, *helpers: str) -> CatchUp:
    made = CatchUp(log, asker, lambda: helpers)
    made.wake()
    return made


@pytest.mark.usefixtures("quick")
async def test_origin_is_asked_first_and_alone_if_it_answers(link: FakeLink, asker: Asker) -> None:
    log = followed(target=1000)
    peers = Peers(link, asker, sz_1=FakeLog(SZ, size=1000, per_package=WIDTH), hk_1=FakeLog(SZ))
    async with running(peers.run(), catching_up(log, asker, "sz-1", "hk-1").run()):
        await log.until(lambda: log.size == 1000)
    assert {name for name, _ in peers.asked} == {"sz-1"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("origin", [None, FakeLog(SZ, size=256, per_package=WIDTH), FakeLog(SZ)])
async def test_others_are_asked_for_what_the_origin_does_not_send(
    link: FakeLink, asker: Asker, origin: FakeLog | None
) -> None:
    log = followed(target=1000)
    helper = FakeLog(SZ, size=1000, per_package=WIDTH)
    peers = Peers(link, asker, sz_1=origin, hk_1=FakeLog(SZ), mo_1=helper)
    async with running(peers.run(), catching_up(log, asker, "sz-1", "hk-1", "mo-1").run()):
        await log.until(lambda: log.size == 1000)
    names = [name for name, _ in peers.asked]
    assert names[0] == "sz-1"
    assert list(dict.fromkeys(names)) == ["sz-1", "hk-1", "mo-1"]


@pytest.mark.usefixtures("quick")
async def test_several_packages_are_asked_for_once_the_first_was_of_use(
    link: FakeLink, asker: Asker
) -> None:
    size = 64 * WIDTH
    log = followed(target=size)
    peers = Peers(link, asker, sz_1=FakeLog(SZ, size=size, per_package=WIDTH))
    async with running(peers.run(), catching_up(log, asker, "sz-1").run()):
        await log.until(lambda: log.size == size)
    groups = [len(group) for group in log.ingested]
    assert groups[:5] == [1, 2, 4, 8, MAX_WINDOW]
    assert max(groups) == MAX_WINDOW
    assert [start for _, start in peers.asked] == list(range(0, size, WIDTH))


@pytest.mark.usefixtures("quick")
async def test_packages_of_less_than_a_bundle_are_asked_for_one_by_one(
    link: FakeLink, asker: Asker
) -> None:
    log = followed(target=2000)
    peers = Peers(link, asker, sz_1=FakeLog(SZ, size=2000, per_package=100))
    async with running(peers.run(), catching_up(log, asker, "sz-1").run()):
        await log.until(lambda: log.size == 2000)
    assert len(peers.asked) <= 2 * 2000 // 100 + 2


@pytest.mark.usefixtures("quick")
async def test_part_of_the_answers_is_used_up_to_the_first_that_is_missing(
    link: FakeLink, asker: Asker
) -> None:
    log = followed(target=4 * WIDTH)
    made = CatchUp(log, asker, lambda: ("sz-1",))
    made._window = 4
    task = asyncio.create_task(made._fetch("sz-1"))
    sent = [await link.next("request") for _ in range(4)]
    for index in (3, 1, 0):  # the third is lost
        start = request_of(sent[index]).start
        payload = b"%s %d %d" % (SZ.encode(), start, start + WIDTH)
        asker.take_reply(message(payload, sent[index].correlation))
    assert await task
    assert log.size == 2 * WIDTH
    assert made._window == 1


@pytest.mark.usefixtures("quick")
async def test_nothing_is_asked_while_live_packages_come(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    made = CatchUp(log, asker, lambda: ("sz-1",))

    async def grow() -> None:
        log.size += 50

    task = asyncio.create_task(made._is_progressing())
    await asyncio.sleep(0)
    await grow()
    assert await task
    assert made._due.is_set()
    assert link.sent.empty()
    assert not await made._is_progressing()


@pytest.mark.usefixtures("quick")
async def test_log_in_conflict_is_not_asked_for(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    log.conflict = "two histories"
    made = catching_up(log, asker, "sz-1")
    async with running(made.run()):
        while made._due.is_set():  # noqa: ASYNC110 - nobody tells that it looked
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    assert link.sent.empty()


@pytest.mark.usefixtures("quick")
async def test_what_nobody_has_is_asked_for_again(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    origin = FakeLog(SZ, per_package=WIDTH)
    peers = Peers(link, asker, sz_1=origin)
    async with running(peers.run(), catching_up(log, asker, "sz-1").run()):
        async with asyncio.timeout(30):
            while len(peers.asked) < 3:  # noqa: ASYNC110 - peers tell nobody
                await asyncio.sleep(0.001)
        origin.size = 100
        await log.until(lambda: log.size == 100)


@pytest.mark.usefixtures("quick")
async def test_disk_that_refuses_is_asked_again(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    log.failures = [TryAgainError("not-recorded", "the disk is full")] * 2
    peers = Peers(link, asker, sz_1=FakeLog(SZ, size=100, per_package=WIDTH))
    async with running(peers.run(), catching_up(log, asker, "sz-1").run()):
        await log.until(lambda: log.size == 100)


@pytest.mark.usefixtures("quick")
async def test_our_own_fault_ends_catch_up(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    log.failures = [InternalError("commit-unknown", "a commit failed")]
    peers = Peers(link, asker, sz_1=FakeLog(SZ, size=100, per_package=WIDTH))
    async with running(peers.run()):
        with pytest.raises(InternalError):
            await asyncio.wait_for(catching_up(log, asker, "sz-1").run(), 30)


@pytest.mark.usefixtures("quick")
async def test_absent_broker_ends_nothing(link: FakeLink, asker: Asker) -> None:
    log = followed(target=100)
    link.cut()
    peers = Peers(link, asker, sz_1=FakeLog(SZ, size=100, per_package=WIDTH))
    made = catching_up(log, asker, "sz-1")
    async with running(peers.run(), made.run()):
        async with asyncio.timeout(30):
            await link.publishing.wait()
        link.connected = True
        made.wake()
        await log.until(lambda: log.size == 100)


async def test_catch_up_that_is_woken_and_cancelled_at_once_ends(asker: Asker) -> None:
    """In Python 3.11 `wait_for` loses a cancellation that comes with the event."""
    made = CatchUp(followed(), asker, list)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0.01)
    made.wake()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()


# Serving


@contextmanager
def logged_errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    found += [record.message for record in caplog.records if record.levelname == "ERROR"]


def serving(link: FakeLink, *logs: FakeLog) -> Server:
    return Server("me", link, {log.origin: log for log in logs})  # type: ignore[arg-type]


def asked(server: Server, data: bytes, correlation: bytes | None = b"c" * 16) -> None:
    topic = request("me", "hk-1")
    made = Message(topic, data, correlation, retain=False, mid=1, release=lambda: None)
    server.take_request("hk-1", made)


async def test_request_is_answered_to_its_asker(link: FakeLink) -> None:
    server = serving(link, FakeLog(SZ, size=30))
    async with running(server.run()):
        asked(server, Request(SZ, 10, 11).encode())
        sent = await link.next()
    assert sent.topic == reply("hk-1", "me")
    assert (sent.payload, sent.correlation) == (b"%s 10 20" % SZ.encode(), b"c" * 16)
    assert not sent.retain


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Request(HK, 0, 1).encode(), "not-there"),
        (Request(SZ, 0, 31).encode(), "not-there"),
        (Request(SZ, 30, 30).encode(), "not-signed"),
        (Request(SZ, 2**63 - 1, 0).encode(), "not-signed"),
        (b"", "malformed-cbor"),
        (b"\xa0", "malformed-request"),
        (b"x" * 60_000, "malformed-message"),
    ],
)
async def test_request_that_cannot_be_served_is_answered_with_a_code(
    link: FakeLink, data: bytes, code: str
) -> None:
    server = serving(link, FakeLog(SZ, size=30))
    async with running(server.run()) as tasks:
        for correlation in (b"c", None):
            asked(server, data, correlation)
            sent = await link.next()
            assert parse_error(sent.payload) == code
            assert sent.correlation == correlation
        assert not tasks[0].done()


async def test_our_own_damage_is_answered_and_logged(
    link: FakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    log = FakeLog(SZ, size=30)
    log.failures = [InternalError("damaged-ledger", "a tile is missing")]
    server = serving(link, log)
    with logged_errors(caplog) as found:
        async with running(server.run()):
            asked(server, Request(SZ, 0, 1).encode())
            assert parse_error((await link.next()).payload) == "damaged-ledger"
    assert len(found) == 1


async def test_requests_that_wait_are_bounded(link: FakeLink) -> None:
    server = serving(link, FakeLog(SZ, size=30))
    for _ in range(MAX_REQUESTS + 7):
        asked(server, Request(SZ, 0, 1).encode())
    assert server.dropped == 7
    async with running(server.run()):
        for _ in range(MAX_REQUESTS):
            await link.next()
    assert link.sent.empty()


async def test_server_outlives_an_absent_broker(link: FakeLink) -> None:
    server = serving(link, FakeLog(SZ, size=30))
    link.cut()
    async with running(server.run()):
        asked(server, Request(SZ, 0, 1).encode())
        async with asyncio.timeout(30):
            await link.publishing.wait()
        link.connected = True
        asked(server, Request(SZ, 20, 21).encode())
        assert (await link.next()).payload == b"%s 20 30" % SZ.encode()


def test_reply_topic_follows_from_the_request() -> None:
    topic = parse_topic(request("sz-1", "hk-1"))
    assert topic is not None
    assert reply(topic.other, topic.owner) == "chopmark/v1/hk-1/reply/sz-1"
