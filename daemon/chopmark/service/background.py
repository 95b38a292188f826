"""Work beside something that goes on for ever, or that may hang."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


async def beside(background: Coroutine[Any, Any, None], work: Coroutine[Any, Any, T]) -> T:
    """Do some work while something else runs, which must not end before."""
    behind, front = asyncio.create_task(background), asyncio.create_task(work)
    try:
        await asyncio.wait({behind, front}, return_when=asyncio.FIRST_COMPLETED)
        if not front.done():
            behind.result()
        return await front
    finally:
        for task in (behind, front):
            task.cancel()
        await asyncio.gather(behind, front, return_exceptions=True)


async def aside(call: Callable[[], T], drop: Callable[[T], None] = lambda _: None) -> T:
    """Run a call on a thread of its own, which holds up no stop however long it hangs.

    Args:
        call: blocks.
        drop: called with its result if nobody waits for that any more.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # from now on it ends with what the call gives

    def work() -> None:
        try:
            done.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            done.set_exception(error)

    threading.Thread(target=work, name="aside", daemon=True).start()
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        done.add_done_callback(lambda ended: _drop(ended, drop))
        raise


def _drop(ended: Future[T], drop: Callable[[T], None]) -> None:
    if ended.exception() is None:
        drop(ended.result())
