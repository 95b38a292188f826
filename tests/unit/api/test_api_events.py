"""Server-sent events: how streams begin, go on, and end."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from asgicall import AsgiCall
from chopmark.api.events import KEPT, Events, make_events_route
from chopmark.api.limits import ApiLimits
from fakegateway import FakeGateway
from rig.patience import PATIENCE

STATE = {"logs": []}


@dataclass
class Told:
    """One event as a client reads it."""

    name: str
    data: Any
    id: str | None


def parse(text: bytes) -> list[Told]:
    """The events of a stream, without comments (WHATWG HTML, 9.2.6)."""
    told = []
    for block in text.decode().split("\n\n"):
        fields = dict(one.split(": ", 1) for one in block.splitlines() if ": " in one)
        if "event" in fields:
            told.append(Told(fields["event"], json.loads(fields["data"]), fields.get("id")))
    return told


class Listener(AsgiCall):
    """A client of the stream."""

    def __init__(
        self, events: Events, limits: ApiLimits | None = None, last: str | None = None
    ) -> None:
        bounds = limits or ApiLimits()
        super().__init__(FakeGateway(), "/v1/events", bounds, [make_events_route(events, bounds)])
        self.method = "GET"
        self.events = events
        self.more_headers = [] if last is None else [(b"last-event-id", last.encode())]
        self.feed(b"", more=False)

    @property
    def told(self) -> list[Told]:
        return parse(bytes(self.output))

    def start(self, query: str = "") -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.run(query))
        return self.task

    async def until(self, count: int) -> list[Told]:
        """Wait until there are so many events."""
        async with asyncio.timeout(PATIENCE):
            while len(self.told) < count:  # noqa: ASYNC110 -- the condition is not ours to signal
                await asyncio.sleep(0)
        return self.told

    async def leave(self) -> None:
        self.hang_up()
        async with asyncio.timeout(PATIENCE):
            await self.task


def make(bound: int = 256) -> Events:
    return Events("run", lambda: STATE, bound)


async def test_stream_begins_with_the_state_and_goes_on_with_what_happens() -> None:
    events = make()
    one = Listener(events)
    one.start()
    assert [(it.name, it.data, it.id) for it in await one.until(1)] == [("state", STATE, "run-0")]
    events.publish("head", {"id": "hk-1", "size": 3})
    told = (await one.until(2))[1]
    assert (told.name, told.data, told.id) == ("head", {"id": "hk-1", "size": 3}, "run-1")
    assert one.headers[b"content-type"] == b"text/event-stream"
    assert one.headers[b"cache-control"] == b"no-store"
    assert bytes(one.output).startswith(b"retry: 2000\n\n")
    await one.leave()


async def test_stream_that_comes_again_hears_what_it_missed_and_nothing_twice() -> None:
    events = make()
    for number in range(1, 8):
        events.publish("head", {"size": number})
    one = Listener(events, last="run-4")
    one.start()
    assert [it.data["size"] for it in await one.until(3)] == [5, 6, 7]
    events.publish("head", {"size": 8})
    assert [it.id for it in await one.until(4)] == ["run-5", "run-6", "run-7", "run-8"]
    await one.leave()


async def test_all_that_is_kept_can_be_heard_again() -> None:
    events = make(bound=4)
    for number in range(2 * KEPT):
        events.publish("head", {"size": number})
    one = Listener(events, last=f"run-{KEPT}")
    one.start()
    assert (await one.until(KEPT))[0].id == f"run-{KEPT + 1}"
    await one.leave()
    late = Listener(events, last=f"run-{KEPT - 1}")
    late.start()
    assert [it.name for it in await late.until(1)] == ["state"]
    await late.leave()


@pytest.mark.parametrize(
    "last", ["", "run", "run-", "run-x", "run--1", "run-9", "old-1", "run-" + "1" * 500, "run-²"]
)
async def test_last_event_id_that_is_not_ours_brings_the_state(last: str) -> None:
    events = make()
    events.publish("head", {"size": 1})
    one = Listener(events, last=last)
    one.start()
    assert [(it.name, it.id) for it in await one.until(1)] == [("state", "run-1")]
    await one.leave()


async def test_quiet_stream_shows_that_it_lives() -> None:
    one = Listener(make(), ApiLimits(beat=0.01))
    one.start()
    async with asyncio.timeout(PATIENCE):
        while bytes(one.output).count(b":\n\n") < 3:  # noqa: ASYNC110 -- not ours to signal
            await asyncio.sleep(0)
    assert len(one.told) == 1
    await one.leave()


async def test_slow_reader_is_cut_off_with_an_event_that_says_so() -> None:
    events = make(bound=8)
    one, quick = Listener(events), Listener(events)
    one.start()
    quick.start()
    await one.until(1)
    await quick.until(1)
    one.reading.clear()
    for number in range(1, 101):
        events.publish("head", {"size": number})
        await quick.until(number + 1)
    one.reading.set()
    async with asyncio.timeout(PATIENCE):
        await one.task
    assert one.ended
    assert (one.told[-1].name, one.told[-1].data["code"]) == ("end", "slow-reader")
    assert len(one.told) < 20
    await quick.leave()


async def test_stop_ends_streams_with_an_event_and_later_ones_at_once() -> None:
    events = make()
    one = Listener(events)
    one.start()
    await one.until(1)
    events.publish("head", {"size": 1})
    events.stop()
    async with asyncio.timeout(PATIENCE):
        await one.task
    assert [it.name for it in one.told] == ["state", "head", "end"]
    assert one.told[-1].data["code"] == "stopping"
    late = Listener(events)
    async with asyncio.timeout(PATIENCE):
        await late.start()
    assert [it.name for it in late.told] == ["state", "end"]


async def test_stream_ends_after_the_seconds_that_were_asked_for() -> None:
    events = make()
    one = Listener(events)
    async with asyncio.timeout(PATIENCE):
        await one.start("seconds=0")
    assert one.ended
    assert [it.name for it in one.told] == ["state"]
    assert not events._streams


async def test_client_that_hangs_up_is_forgotten() -> None:
    events = make()
    one = Listener(events)
    one.start()
    await one.until(1)
    assert len(events._streams) == 1
    await one.leave()
    assert not events._streams
    assert not one.ended


async def test_number_of_streams_is_bounded() -> None:
    events = make()
    one = Listener(events, ApiLimits(event_streams=1))
    one.start()
    await one.until(1)
    other = Listener(events)
    other.app = one.app
    await other.start()
    assert (other.status, other.headers[b"retry-after"]) == (503, b"5")
    await one.leave()


@pytest.mark.parametrize("query", ["seconds=-1", "seconds=x", "seconds=86401", "second=1"])
async def test_bad_query_is_refused(query: str) -> None:
    one = Listener(make())
    await one.start(query)
    assert one.status == 400
