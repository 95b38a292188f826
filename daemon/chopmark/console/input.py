"""The line is read all the time, so that Ctrl-C and a hang-up end what is running.

What is typed ahead waits, up to a limit. While the line is lent to a transfer its bytes go there
untouched, and are not read faster than they are taken.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from chopmark.console.desk import HungUpError, InterruptedByUserError, Wire
from chopmark.console.wire.keys import Key, Keys, Pressed
from chopmark.core.errors import ChopmarkError

Result = TypeVar("Result")
TYPED_AHEAD: Final = 16_384
"""Keys that wait; what a flood brings beyond is lost, and Ctrl-C is still heard."""
LENT: Final = 65_536
"""Bytes that wait for a transfer before the line is held up."""
ESCAPE: Final = 0.3
"""Seconds after which an Escape was a key, and not the begin of a sequence."""


class Input:
    """What comes from a wire.

    Attributes:
        heard: when something last came, in the loop's time.
        lent: a transfer has the line.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._decoder = Keys()
        self._keys: deque[Pressed] = deque()
        self._bytes: deque[bytes] = deque()
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        self._waiting = False
        self._gone: HungUpError | None = None
        self._work: asyncio.Task[Any] | None = None
        self._reason: ChopmarkError | None = None
        self.heard = asyncio.get_running_loop().time()
        self.lent = False

    async def run(self) -> None:
        """Read until the line is gone."""
        try:
            while True:
                await self._take(await self._wire.read())
        except HungUpError as error:
            self.end(error)

    def end(self, error: HungUpError) -> None:
        """Nothing more comes: whoever waits for something hears why, and what runs is ended."""
        self._gone = self._gone or error
        self._arrived.set()
        if not self._waiting:
            self._stop_work(self._gone)

    @property
    def works(self) -> bool:
        """Whether a command runs and is not waiting for the person."""
        return self._work is not None and not self._waiting

    async def press(self) -> Pressed:
        """The next key.

        Raises:
            HungUpError: also while keys are left, which nobody shall act upon any more.
        """
        await self._wait(self._keys)
        return self._keys.popleft()

    async def guard(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something that Ctrl-C or a hang-up ends.

        Raises:
            InterruptedByUserError: Ctrl-C, also where it was not waiting for a key.
            HungUpError: see `Wire`.
        """
        self._reason = None
        self._work = task = asyncio.ensure_future(work)
        try:
            return await task
        except asyncio.CancelledError:
            if self._reason is None:
                raise
            raise self._reason from None
        finally:
            self._work = None

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Wire]:
        """Give the line away; what is left of what came meanwhile is thrown away."""
        self.lent = True
        self._bytes.clear()
        try:
            yield _Lent(self, self._wire)
        finally:
            self.lent = False
            self._bytes.clear()
            self._taken.set()
            self.heard = asyncio.get_running_loop().time()

    async def read_lent(self) -> bytes:
        """Bytes for whoever has the line."""
        await self._wait(self._bytes)
        self._taken.set()
        return self._bytes.popleft()

    async def _take(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if now - self.heard > ESCAPE:
            self._decoder.settle()
        self.heard = now
        if self.lent:
            await self._pass_on(data)
            return
        for key in self._decoder.feed(data):
            self._put(key)

    async def _pass_on(self, data: bytes) -> None:
        self._bytes.append(data)
        self._arrived.set()
        while self.lent and sum(map(len, self._bytes)) > LENT:
            self._taken.clear()
            await self._taken.wait()

    def _put(self, key: Pressed) -> None:
        if key is Key.INTERRUPT:
            self._keys.clear()
            if self.works:
                self._stop_work(InterruptedByUserError("interrupted", "interrupted"))
                return
        if len(self._keys) < TYPED_AHEAD:
            self._keys.append(key)
            self._arrived.set()

    def _stop_work(self, reason: ChopmarkError) -> None:
        if self._work is not None and not self._work.done():
            self._reason = reason
            self._work.cancel()

    async def _wait(self, things: deque[Any]) -> None:
        self._waiting = True
        try:
            while self._gone is None and not things:
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._waiting = False
        if self._gone is not None:
            raise self._gone


class _Lent:
    """The line, for a transfer."""

    def __init__(self, come: Input, wire: Wire) -> None:
        self._come = come
        self._wire = wire

    async def read(self) -> bytes:
        return await self._come.read_lent()

    async def write(self, data: bytes) -> None:
        await self._wire.write(data)
