import asyncio
import threading

import pytest

from chopmark.core.errors import TryAgainError
from chopmark.hsm import thread as thread_module
from chopmark.hsm.thread import HsmThread


async def test_calls_run_in_order_on_one_thread() -> None:
    thread = HsmThread()
    seen: list[tuple[int, str]] = []

    def note(number: int) -> int:
        seen.append((number, threading.current_thread().name))
        return number * 2

    results = await asyncio.gather(*(thread.call(note, number) for number in range(500)))
    thread.stop()
    assert results == [number * 2 for number in range(500)]
    assert [number for number, _ in seen] == list(range(500))
    assert {name for _, name in seen} == {"hsm"}


async def test_error_goes_to_its_caller_alone() -> None:
    thread = HsmThread()

    def fail() -> None:
        raise KeyError("mine")

    bad, good = await asyncio.gather(
        thread.call(fail), thread.call(int, "7"), return_exceptions=True
    )
    thread.stop()
    assert isinstance(bad, KeyError)
    assert good == 7


async def test_cancelled_call_does_not_begin() -> None:
    thread = HsmThread()
    gate, begun = threading.Event(), []
    first = asyncio.create_task(thread.call(gate.wait))
    second = asyncio.create_task(thread.call(begun.append, "second"))
    third = asyncio.create_task(thread.call(begun.append, "third"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, third)
    thread.stop()
    assert second.cancelled()
    assert begun == ["third"]


async def test_call_cancelled_while_it_runs_disturbs_nothing() -> None:
    thread = HsmThread()
    started, gate = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        gate.wait()

    task = asyncio.create_task(thread.call(work))
    await asyncio.to_thread(started.wait, 30)
    task.cancel()
    gate.set()
    assert await thread.call(int, "7") == 7
    thread.stop()
    assert task.cancelled()


async def test_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_module, "MAX_WAITING", 3)
    thread = HsmThread()
    started, gate = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        gate.wait()

    running = asyncio.create_task(thread.call(work))
    await asyncio.to_thread(started.wait, 30)
    waiting = [asyncio.create_task(thread.call(int, "1")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TryAgainError) as caught:
        await thread.call(int, "1")
    gate.set()
    await asyncio.gather(running, *waiting)
    thread.stop()
    assert caught.value.code == "hsm-busy"


async def test_stopped_thread_takes_no_calls() -> None:
    thread = HsmThread()
    thread.stop()
    with pytest.raises(RuntimeError):
        await thread.call(int, "7")


async def test_what_is_done_with_results_runs_off_the_loop() -> None:
    thread = HsmThread()
    seen: set[str] = set()

    def double(number: int) -> int:
        seen.add(threading.current_thread().name)
        return number * 2

    calls = [thread.call(int, str(number), then=double) for number in range(500)]
    results = await asyncio.gather(*calls)
    thread.stop()
    assert results == [number * 2 for number in range(500)]
    assert "hsm-check_0" in seen
    assert seen <= {"hsm", "hsm-check_0"}


async def test_error_in_what_is_done_with_a_result_goes_to_its_caller_alone() -> None:
    thread = HsmThread()
    bad, good = await asyncio.gather(
        thread.call(int, "0", then=lambda zero: 1 // zero),
        thread.call(int, "7", then=lambda seven: seven + 1),
        return_exceptions=True,
    )
    thread.stop()
    assert isinstance(bad, ZeroDivisionError)
    assert good == 8


async def test_results_are_handed_over_though_the_next_call_hangs() -> None:
    thread = HsmThread()
    gate = threading.Event()
    quick = [asyncio.create_task(thread.call(int, str(number))) for number in range(5)]
    hung = asyncio.create_task(thread.call(gate.wait, 30))
    while not all(task.done() for task in quick):
        await asyncio.sleep(0)
        thread.release()
    assert [task.result() for task in quick] == list(range(5))
    assert not hung.done()
    gate.set()
    assert await hung
    thread.stop()


async def test_thread_that_has_ended_is_seen() -> None:
    thread = HsmThread()
    assert thread.is_alive
    thread.stop()
    await asyncio.to_thread(thread._thread.join, 10)
    assert not thread.is_alive
