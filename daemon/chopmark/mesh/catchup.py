"""Catch-up: asks for the packages that a replica lacks, and answers others' requests.

A few requests at a time, to the log's own gateway first, then to any peer that has the replica. It
resumes anywhere, since every package is verified by itself and stored at once.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from chopmark.core.errors import ChopmarkError, InternalError, MissingError, UnreachableError
from chopmark.core.tiles import WIDTH
from chopmark.mesh import topics
from chopmark.mesh.link import Link, Message
from chopmark.mesh.messages import Request, encode_error, parse_error, parse_request
from chopmark.mesh.ports import FollowedLog, HeldLog

LOG: Final = logging.getLogger("chopmark.mesh")

ANSWER: Final = 5.0
"""Seconds to wait for a reply before another peer is asked."""
SETTLE: Final = 0.3
"""Seconds without progress after which live packages are taken as lost."""
POLL: Final = 30.0
"""Seconds after which a quiet peer is asked for news: brokers need not retain anything."""
RETRY: Final = 5.0
"""Seconds after which what nobody could send is asked for again."""
MAX_WINDOW: Final = 16
"""Packages asked for at once, 1 MB: it doubles from one as long as all are of use."""
SERVING: Final = 8
"""Requests served at once, so that the broker's answers are not waited for one by one."""
MAX_REQUESTS: Final = 64
"""Requests of others that wait to be served; more are dropped, and asked again."""


class Asker:
    """Sends requests and matches replies by their correlation data."""

    def __init__(self, me: str, link: Link) -> None:
        self._me = me
        self._link = link
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}

    def take_reply(self, message: Message) -> None:
        """Hand a reply to whoever waits for it; late and foreign ones are dropped."""
        waiting = self._waiting.get(message.correlation or b"")
        if waiting is not None and not waiting.done():
            waiting.set_result(message.payload)

    async def ask(self, peer: str, request: Request) -> bytes:
        """The package that a peer sends.

        Raises:
            UnreachableError: `no-reply`, or the link is away.
            MissingError: `not-there` if the peer does not have it.
        """
        correlation = secrets.token_bytes(16)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = waiting
        topic, lifetime = topics.request(peer, self._me), int(ANSWER)
        try:
            await self._link.publish(
                topic, request.encode(), correlation=correlation, expiry=lifetime
            )
            payload: bytes = await asyncio.wait_for(waiting, ANSWER)
        except TimeoutError as error:
            raise UnreachableError("no-reply", f"{peer} does not answer") from error
        finally:
            del self._waiting[correlation]
        if (code := parse_error(payload)) is not None:
            raise MissingError("not-there", f"{peer} answers {code[:80]!r}")
        return payload


class CatchUp:
    """Brings one replica up to date."""

    def __init__(
        self, log: FollowedLog, asker: Asker, helpers: Callable[[], Iterable[str]]
    ) -> None:
        self._log = log
        self._asker = asker
        self._helpers = helpers
        self._due = asyncio.Event()
        self._window = 1
        self.running = False

    def wake(self) -> None:
        """Something may be missing: look now."""
        self._due.set()

    async def run(self) -> None:
        """Look whenever woken, and now and then anyway."""
        while True:
            pause = RETRY if self._log.missing else POLL
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), pause)
            self._due.clear()
            if not await self._is_progressing() and self._log.conflict is None:
                await self._catch_up()

    async def _is_progressing(self) -> bool:
        """Whether live packages are coming in; then they bring what is missing."""
        if not self._log.missing:
            return False
        before = self._log.size
        await asyncio.sleep(SETTLE)
        progressing = self._log.size > before
        if progressing and self._log.missing:
            self._due.set()
        return progressing

    async def _catch_up(self) -> None:
        self.running = bool(self._log.missing)
        for helper in self._helpers():
            self._window = 1
            try:
                while await self._fetch(helper):
                    self.running = True
            except InternalError:
                raise  # our own fault, not the helper's
            except ChopmarkError as error:
                LOG.debug("catch-up of %s from %s: %s", self._log.origin, helper, error.message)
            if not self._log.missing and self._log.size == self._log.signed_size:
                break
        self.running = False

    async def _fetch(self, helper: str) -> bool:
        """Ask for the next packages; whether they brought anything."""
        starts = self._starts()
        asking = (self._ask(helper, start) for start in starts)
        replies = await asyncio.gather(*asking, return_exceptions=True)
        packages = [*itertools.takewhile(lambda reply: isinstance(reply, bytes), replies)]
        if not packages and isinstance(replies[0], BaseException):
            raise replies[0]
        added = await self._log.ingest(packages)  # type: ignore[arg-type]  # takewhile narrows it
        # A package may end before its bundle does; what was asked for behind it came in vain.
        self._window = min(2 * self._window, MAX_WINDOW) if self._log.size > starts[-1] else 1
        return added > 0 and self._log.conflict is None

    async def _ask(self, helper: str, start: int) -> bytes:
        return await self._asker.ask(helper, Request(self._log.origin, start, start + 1))

    def _starts(self) -> list[int]:
        """Where the packages begin that are asked for at once: here, and at the next bundles."""
        start = self._log.size
        end = self._log.signed_size + self._log.missing
        bundles = range((start // WIDTH + 1) * WIDTH, end, WIDTH)
        return [start, *bundles[: self._window - 1]]


class Server:
    """Answers requests from what we hold."""

    def __init__(self, me: str, link: Link, logs: Mapping[str, HeldLog]) -> None:
        self._me = me
        self._link = link
        self._logs = logs
        self._requests: asyncio.Queue[tuple[str, Message]] = asyncio.Queue(MAX_REQUESTS)
        self.dropped = 0

    def take_request(self, asker: str, message: Message) -> None:
        """Queue a request; while too many wait it is dropped."""
        try:
            self._requests.put_nowait((asker, message))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Answer for ever."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(SERVING):
                tasks.create_task(self._serve(), name=f"server-{number}")

    async def _serve(self) -> None:
        while True:
            asker, message = await self._requests.get()
            payload = await self._answer(message.payload)
            with contextlib.suppress(ChopmarkError):  # the link reports its own outages
                await self._link.publish(
                    topics.reply(asker, self._me),
                    payload,
                    correlation=message.correlation,
                    expiry=int(ANSWER),
                )

    async def _answer(self, data: bytes) -> bytes:
        try:
            request = parse_request(data)
            log = self._logs.get(request.origin)
            if log is None or log.signed_size < request.size:
                return encode_error("not-there")
            payload, _ = await log.package(request.start)
        except ChopmarkError as error:
            if isinstance(error, InternalError):
                LOG.exception("cannot serve a request", extra={"code": error.code})
            return encode_error(error.code)
        return payload
