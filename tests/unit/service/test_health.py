"""What the watchdog is fed for: a writer that answers, and no call into the HSM that hangs."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import pytest

from chopmark.hsm import watch
from chopmark.hsm.thread import HsmThread
from chopmark.service import health
from chopmark.service.health import Health
from chopmark.service.reloading import Reloading
from rig.patience import PATIENCE


class Writer:
    """Stands for the log's writer: answers, or does not."""

    def __init__(self) -> None:
        self.answers = True
        self.asked = asyncio.Event()

    async def write(self, _work: object) -> None:
        self.asked.set()
        if not self.answers:
            await asyncio.Event().wait()


class Sequencer:
    async def wait_first_head(self, _seconds: float) -> None:
        pass


def make_health(writer: Writer, signer: object) -> Health:
    listening = asyncio.Event()
    listening.set()
    report = SimpleNamespace(sentence=lambda: "ready", alarms=list)
    parts = SimpleNamespace(log=writer, signer=signer, report=report, sequencer=Sequencer())
    return Health(parts, Reloading("", ""), listening)  # type: ignore[arg-type]  # what is looked at


async def ended(running: asyncio.Task[None]) -> None:
    """End it; an error that had ended it before is the test's."""
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it is another thread that changes
            await asyncio.sleep(0.001)


async def test_writer_that_does_not_answer_ends_the_feeding_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "ANSWER", 0.01)
    monkeypatch.setattr(health, "PAUSE", 0.001)
    writer = Writer()
    looking = make_health(writer, SimpleNamespace(is_stuck=False))
    running = asyncio.create_task(looking.run())
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    assert looking.good
    writer.answers = False
    await wait_until(lambda: not looking.good)
    writer.answers = True
    await wait_until(lambda: looking.good)
    await ended(running)


async def test_call_into_the_hsm_that_hangs_beyond_its_limit_ends_the_feeding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread is real, and so is the call that does not come back."""
    thread, back = HsmThread(), threading.Event()
    device = SimpleNamespace(worked=True, typing=False)
    watching = watch.Watch(thread, device, lambda: 0.0, None)  # type: ignore[arg-type]
    looking = make_health(Writer(), watching)
    assert looking.good
    call = asyncio.create_task(thread.call(back.wait))
    try:
        await wait_until(lambda: thread.stuck_for > 0)
        assert looking.good, "within its limit"
        monkeypatch.setattr(watch, "STUCK", 0.0)
        assert not looking.good
        device.typing = True
        assert looking.good, "a person types the PIN"
        device.typing, device.worked = False, False
        assert looking.good, "a module that never worked has longer"
    finally:
        back.set()
        await call
        thread.stop()


async def test_ready_waits_until_clients_can_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(health, "notify_ready", said.append)
    writer = Writer()
    looking = make_health(writer, SimpleNamespace(is_stuck=False))
    looking._listening.clear()
    running = asyncio.create_task(looking.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert said == []
    looking._listening.set()
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    assert said == ["ready"]
    await ended(running)
