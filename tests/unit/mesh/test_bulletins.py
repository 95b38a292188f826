import asyncio
from contextlib import suppress

import pytest

from chopmark.core.errors import ChopmarkError, InternalError, MalformedError, TryAgainError
from chopmark.mesh import bulletins
from chopmark.mesh.broker import Message
from chopmark.mesh.bulletins import Bulletins
from chopmark.mesh.topics import Topic, subscriptions
from rig.patience import PATIENCE

ROSTER = Topic("hk-1", "roster")


class Box:
    """A handler that keeps what it gets, and fails as it is told."""

    def __init__(self, *failures: ChopmarkError) -> None:
        self.failures = list(failures)
        self.taken: list[bytes] = []
        self.refused: list[str] = []
        self.acknowledged: list[bytes] = []
        self.notes = Bulletins({"roster": self.handle}, lambda _, error: self._refuse(error))

    async def handle(self, _sender: str, _topic: Topic, payload: bytes) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(payload)

    def offer(self, payload: bytes, topic: Topic = ROSTER) -> None:
        release = lambda: self.acknowledged.append(payload)  # noqa: E731 - shorter so
        message = Message(topic.encode(), payload, None, retain=True, mid=1, release=release)
        self.notes.take("hk-1", topic, message)

    async def run(self, count: int) -> None:
        task = asyncio.create_task(self.notes.run())
        async with asyncio.timeout(PATIENCE):
            while len(self.acknowledged) < count and not task.done():  # noqa: ASYNC110 - turns, no time
                await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def _refuse(self, error: ChopmarkError) -> None:
        self.refused.append(error.code)


async def test_note_is_handed_on_and_then_acknowledged() -> None:
    box = Box()
    box.offer(b"one")
    assert box.acknowledged == []
    await box.run(1)
    assert (box.taken, box.acknowledged) == ([b"one"], [b"one"])


async def test_newest_note_of_a_topic_takes_the_place_of_the_older() -> None:
    box = Box()
    box.offer(b"one")
    box.offer(b"two")
    await box.run(2)
    assert (box.taken, box.acknowledged) == ([b"two"], [b"one", b"two"])


async def test_bad_note_is_reported_and_the_next_is_taken() -> None:
    box = Box(MalformedError("malformed-roster", "no roster"))
    box.offer(b"bad")
    box.offer(b"good", Topic("sz-1", "roster"))
    await box.run(2)
    assert (box.refused, box.taken) == (["malformed-roster"], [b"good"])


async def test_note_that_the_disk_refused_is_offered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chopmark.mesh.intake.RETRY", 0)
    box = Box(TryAgainError("not-recorded", "full"))
    box.offer(b"one")
    await box.run(1)
    assert (box.refused, box.taken) == ([], [b"one"])


async def test_fault_of_our_own_ends_the_task() -> None:
    box = Box(InternalError("commit-unknown", "lost"))
    box.offer(b"one")
    with pytest.raises(InternalError):
        await box.run(1)


def test_notes_beyond_the_bound_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulletins, "MAX_WAITING", 1)
    box = Box()
    box.offer(b"one")
    box.offer(b"two", Topic("sz-1", "roster"))
    assert (box.notes.dropped, box.acknowledged) == (1, [b"two"])


def test_subscriptions_have_what_handlers_take() -> None:
    plain = set(subscriptions("mo-1", ["hk-1"]))
    more = set(subscriptions("mo-1", ["hk-1"], ["cosignature", "roster"])) - plain
    assert more == {"chopmark/v1/mo-1/cosignature/+", "chopmark/v1/hk-1/roster"}
