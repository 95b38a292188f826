import asyncio

import pytest

from chopmark.core.errors import MissingError, UnreachableError
from chopmark.mesh import asking
from chopmark.mesh.asking import Asker, Routes
from chopmark.mesh.links import Links
from chopmark.mesh.messages import Request
from chopmark.mesh.topics import request
from meshes import FakeLink, FakeLog, Peers, answer_of, fake, fake_links, live, running

SZ = "bank-sz.example/sz-1"


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    return fake_links(monkeypatch, 2)


@pytest.fixture
def link(links: Links) -> FakeLink:
    return fake(links)


@pytest.fixture
def routes() -> Routes:
    made = Routes()
    made.heard("sz-1", 0)
    return made


@pytest.fixture
def asker(links: Links, routes: Routes) -> Asker:
    return Asker("me", links, routes)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting times that a test can afford; none of them is what is tested."""
    monkeypatch.setattr(asking, "ANSWER", 0.05)


async def test_request_carries_what_is_asked_and_its_reply_comes_back(
    link: FakeLink, asker: Asker
) -> None:
    async with running(Peers(link, asker, sz_1=FakeLog(SZ, size=30)).run()):
        assert await asker.ask("sz-1", Request(SZ, 10, 11)) == live(SZ, 10, 20, 30)


async def test_request_expires_and_has_a_secret_correlation(link: FakeLink, asker: Asker) -> None:
    tasks = [asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1))) for _ in range(2)]
    first, second = await link.next("request"), await link.next("request")
    assert first.topic == request("sz-1", "me")
    assert first.expiry == int(asking.ANSWER)
    assert not first.retain
    assert first.correlation is not None
    assert len(first.correlation) == 16
    assert first.correlation != second.correlation
    for sent, answer in ((second, b"second"), (first, b"first")):
        asker.take_reply(answer_of(answer, sent.correlation))
    assert await asyncio.gather(*tasks) == [b"first", b"second"]


@pytest.mark.usefixtures("quick")
async def test_peer_that_does_not_answer_is_unreachable(link: FakeLink, asker: Asker) -> None:
    with pytest.raises(UnreachableError) as caught:
        await asker.ask("sz-1", Request(SZ, 0, 1))
    assert caught.value.code == "no-reply"
    sent = await link.next("request")
    asker.take_reply(answer_of(b"late", sent.correlation))
    assert asker._waiting == {}


async def test_replies_that_nobody_waits_for_are_dropped(link: FakeLink, asker: Asker) -> None:
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    sent = await link.next("request")
    for correlation in (None, b"", b"x" * 16):
        asker.take_reply(answer_of(b"foreign", correlation))
    for answer in (b"first", b"again"):
        asker.take_reply(answer_of(answer, sent.correlation))
    assert await task == b"first"
    asker.take_reply(answer_of(b"late", sent.correlation))


async def test_answer_of_another_peer_than_was_asked_is_dropped(
    link: FakeLink, asker: Asker
) -> None:
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    sent = await link.next("request")
    asker.take_reply(answer_of(b"false", sent.correlation, "mo-1"))
    asker.take_reply(answer_of(b"true", sent.correlation, "sz-1"))
    assert await task == b"true"


async def test_peer_without_the_package_says_so(link: FakeLink, asker: Asker) -> None:
    async with running(Peers(link, asker, sz_1=FakeLog(SZ)).run()):
        with pytest.raises(MissingError):
            await asker.ask("sz-1", Request(SZ, 10, 11))


async def test_absent_broker_fails_a_request_at_once(link: FakeLink, asker: Asker) -> None:
    link.cut()
    fake(asker._links, 1).cut()
    with pytest.raises(UnreachableError):
        await asker.ask("sz-1", Request(SZ, 0, 1))
    assert asker._waiting == {}


async def test_asker_that_is_cancelled_waits_for_nothing(link: FakeLink, asker: Asker) -> None:
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    await link.next("request")
    task.cancel()
    await asyncio.wait({task})
    assert asker._waiting == {}


async def test_peer_is_asked_over_the_broker_that_brought_its_last_message(
    links: Links, routes: Routes, asker: Asker
) -> None:
    routes.heard("sz-1", 1)
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    sent = await fake(links, 1).next("request")
    assert fake(links, 0).sent.empty()
    asker.take_reply(answer_of(b"package", sent.correlation))
    assert await task == b"package"


async def test_peer_never_heard_of_is_asked_over_every_broker_and_the_first_answer_counts(
    links: Links, asker: Asker
) -> None:
    task = asyncio.create_task(asker.ask("mo-1", Request(SZ, 0, 1)))
    first, second = await fake(links, 0).next(), await fake(links, 1).next()
    assert first.correlation == second.correlation
    asker.take_reply(answer_of(b"first", first.correlation, "mo-1"))
    asker.take_reply(answer_of(b"second", first.correlation, "mo-1"))
    assert await task == b"first"


async def test_broker_that_takes_nothing_holds_up_no_question(links: Links, asker: Asker) -> None:
    fake(links, 0).gate.clear()
    task = asyncio.create_task(asker.ask("mo-1", Request(SZ, 0, 1)))
    sent = await fake(links, 1).next()
    asker.take_reply(answer_of(b"package", sent.correlation, "mo-1"))
    assert await task == b"package"


async def test_broker_that_is_away_is_gone_round(
    links: Links, link: FakeLink, asker: Asker
) -> None:
    link.cut()
    task = asyncio.create_task(asker.ask("sz-1", Request(SZ, 0, 1)))
    sent = await fake(links, 1).next()
    asker.take_reply(answer_of(b"package", sent.correlation))
    assert await task == b"package"


@pytest.mark.usefixtures("quick")
async def test_peer_that_was_silent_is_asked_over_every_broker_next(
    links: Links, asker: Asker
) -> None:
    with pytest.raises(UnreachableError):
        await asker.ask("sz-1", Request(SZ, 0, 1))
    assert fake(links, 1).sent.empty()
    with pytest.raises(UnreachableError):
        await asker.ask("sz-1", Request(SZ, 0, 1))
    assert not fake(links, 1).sent.empty()
