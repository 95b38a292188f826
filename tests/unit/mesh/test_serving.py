import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chopmark.core.errors import InternalError
from chopmark.mesh.broker import Message
from chopmark.mesh.links import Links
from chopmark.mesh.messages import HeadRequest, HeadsSeen, Request, parse_error, parse_heads
from chopmark.mesh.serving import MAX_OF_ONE, MAX_REQUESTS, Server
from chopmark.mesh.topics import parse_topic, reply, request
from meshes import FakeLink, FakeLog, fake, fake_links, live, running
from rig.patience import PATIENCE

SZ = "bank-sz.example/sz-1"
HK = "bank-hk.example/hk-1"


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    return fake_links(monkeypatch, 2)


@pytest.fixture
def link(links: Links) -> FakeLink:
    return fake(links)


@contextmanager
def logged_errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    found += [record.message for record in caplog.records if record.levelname == "ERROR"]


def serving(links: Links, *logs: FakeLog) -> Server:
    return Server("me", links, {log.origin: log for log in logs})


def asked(
    server: Server,
    data: bytes,
    correlation: bytes | None = b"c" * 16,
    *,
    asker: str = "hk-1",
    number: int = 0,
) -> None:
    topic = request("me", asker)
    made = Message(topic, data, correlation, retain=False, mid=1, release=lambda: None)
    server.take_request(asker, number, made)


async def test_request_is_answered_to_its_asker(links: Links, link: FakeLink) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    async with running(server.run()):
        asked(server, Request(SZ, 10, 11).encode())
        sent = await link.next()
    assert sent.topic == reply("hk-1", "me")
    assert (sent.payload, sent.correlation) == (live(SZ, 10, 20, 30), b"c" * 16)
    assert not sent.retain


async def test_question_for_heads_is_answered_with_all_that_was_seen(
    links: Links, link: FakeLink
) -> None:
    log = FakeLog(SZ, size=30)
    log.seen_notes = [b"a head above it"]
    server = serving(links, log)
    async with running(server.run()):
        asked(server, HeadRequest(SZ).encode())
        heads = parse_heads((await link.next()).payload)
    assert heads == HeadsSeen(log.head_note, (b"a head above it",))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HeadRequest(HK).encode(), "not-there"),
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
    links: Links, link: FakeLink, data: bytes, code: str
) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    async with running(server.run()) as tasks:
        for correlation in (b"c", None):
            asked(server, data, correlation)
            sent = await link.next()
            assert parse_error(sent.payload) == code
            assert sent.correlation == correlation
        assert not tasks[0].done()


async def test_our_own_damage_is_answered_and_logged(
    links: Links, link: FakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    log = FakeLog(SZ, size=30)
    log.failures = [InternalError("damaged-ledger", "a tile is missing")]
    server = serving(links, log)
    with logged_errors(caplog) as found:
        async with running(server.run()):
            asked(server, Request(SZ, 0, 1).encode())
            assert parse_error((await link.next()).payload) == "damaged-ledger"
    assert len(found) == 1


async def test_requests_that_wait_are_bounded_for_each_peer_and_together(links: Links) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    link = fake(links)
    askers = MAX_REQUESTS // MAX_OF_ONE + 1
    for asker in range(askers):
        for number in range(MAX_OF_ONE + 1):
            correlation = b"%d %d" % (asker, number)
            asked(server, Request(SZ, 0, 1).encode(), correlation, asker=f"hk-{asker}")
    assert server.dropped == askers * (MAX_OF_ONE + 1) - MAX_REQUESTS
    async with running(server.run()):
        for _ in range(MAX_REQUESTS):
            await link.next()
        assert link.sent.empty()
        asked(server, Request(SZ, 0, 1).encode(), b"later")
        await link.next()


async def test_request_that_comes_over_two_brokers_is_answered_once(links: Links) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    async with running(server.run()):
        for number in (1, 0, 1):
            asked(server, Request(SZ, 0, 1).encode(), number=number)
        asked(server, Request(SZ, 10, 11).encode(), b"another", number=1)
        sent = [await fake(links, 1).next() for _ in range(2)]
    assert [one.correlation for one in sent] == [b"c" * 16, b"another"]
    assert fake(links, 0).sent.empty()
    assert server.repeated == 2


async def test_same_correlation_of_another_peer_is_another_request(links: Links) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    async with running(server.run()):
        asked(server, Request(SZ, 0, 1).encode())
        asked(server, Request(SZ, 0, 1).encode(), asker="mo-1")
        topics = {(await fake(links).next()).topic for _ in range(2)}
    assert topics == {reply("hk-1", "me"), reply("mo-1", "me")}


async def test_request_that_was_dropped_is_served_when_it_comes_again(links: Links) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    for number in range(MAX_OF_ONE + 1):
        asked(server, Request(SZ, 0, 1).encode(), b"%d" % number)
    async with running(server.run()):
        for _ in range(MAX_OF_ONE):
            await fake(links).next()
        asked(server, Request(SZ, 0, 1).encode(), b"%d" % MAX_OF_ONE)
        assert (await fake(links).next()).correlation == b"%d" % MAX_OF_ONE


async def test_answer_goes_by_another_broker_if_the_request_s_is_away(links: Links) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    fake(links, 0).cut()
    async with running(server.run()):
        asked(server, Request(SZ, 20, 21).encode(), number=0)
        assert (await fake(links, 1).next()).payload == live(SZ, 20, 30, 30)


async def test_server_outlives_absent_brokers(links: Links, link: FakeLink) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    link.cut()
    fake(links, 1).cut()
    async with running(server.run()):
        asked(server, Request(SZ, 0, 1).encode(), b"lost")
        async with asyncio.timeout(PATIENCE):
            while len(server._requests):  # noqa: ASYNC110 - nobody tells that it was taken up
                await asyncio.sleep(0.001)
        link.connected = True
        asked(server, Request(SZ, 20, 21).encode())
        assert (await link.next()).payload == live(SZ, 20, 30, 30)


def test_reply_topic_follows_from_the_request() -> None:
    topic = parse_topic(request("sz-1", "hk-1"))
    assert topic is not None
    assert reply(topic.other, topic.owner) == "chopmark/v1/hk-1/reply/sz-1"


async def test_question_in_a_version_that_we_do_not_speak_is_refused_and_not_counted(
    links: Links, link: FakeLink
) -> None:
    server = serving(links, FakeLog(SZ, size=30))
    blamed: list[str] = []
    server.refused = lambda asker, _: blamed.append(asker)
    server.understands = lambda asker: asker != "hk-1"
    async with running(server.run()):
        asked(server, b"\xa1\x07\x01")
        assert parse_error((await link.next()).payload) == "protocol-unsupported"
        asked(server, b"\xa1\x07\x01", b"d", asker="mo-1")
        assert parse_error((await link.next()).payload) == "malformed-request"
        asked(server, Request(SZ, 10, 11).encode(), b"e")
        assert (await link.next()).payload == live(SZ, 10, 20, 30), "what can be read is answered"
    assert blamed == ["mo-1"]
