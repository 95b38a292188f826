"""`POST /v1/attestations:compact`: digests in, runs out, and one head (docs/formats/compact.md).

A plain ASGI handler, as the batch's, and with the same bounds: a client that does not read its
answers, or a disk that is slow, stops the reading of its body.
"""

import asyncio
from dataclasses import replace
from typing import Final

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.digests import DigestReader
from chopmark.api.idempotency import refuse_key
from chopmark.api.identity import CALLER, client_identity
from chopmark.api.limits import ApiLimits
from chopmark.api.models import CompactQuery, read_query
from chopmark.api.pipeline import ROOM, ClientGoneError
from chopmark.api.ports import Gateway
from chopmark.api.roles import TAKES_QUERY, check_kind
from chopmark.api.stream import Output
from chopmark.api.times import Deadline
from chopmark.core.compact import (
    MAX_RECORD,
    MEDIA_TYPE,
    Failure,
    Header,
    Run,
    Unsigned,
    make_drafts,
)
from chopmark.core.draft import Draft, Drafts
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError

_MOVED: Final = "request-moved"
_Settling = asyncio.Task[Run | ChopmarkError]


def make_compact_route(gateway: Gateway, limits: ApiLimits) -> ASGIRouteHandler:
    """The route for this gateway."""

    @asgi("/v1/attestations:compact", copy_scope=False, opt=TAKES_QUERY)
    async def attest_compact(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST":
            raise MethodNotAllowedException(headers={"allow": "POST"})
        refuse_key(scope["headers"])
        query = read_query(scope["query_string"], CompactQuery)
        output = Output(send, MEDIA_TYPE)
        error = await _Compact(gateway, limits, query, output).run(receive)
        if error is not None:
            raise error

    return attest_compact


class _Compact:
    """One body and its answer."""

    def __init__(
        self, gateway: Gateway, limits: ApiLimits, query: CompactQuery, output: Output
    ) -> None:
        self._gateway = gateway
        self._limits = limits
        self._wait, self._until = query.wait, query.until
        self._output = output
        self._digests = DigestReader(
            2 * 64 * limits.compact_group, limits.idle, lambda: self._busy > 0
        )
        self._slots = asyncio.Semaphore(limits.compact_in_flight)
        self._busy = 0
        self._caller = CALLER.get()
        self._groups: asyncio.Queue[_Settling | None] = asyncio.Queue()
        self._runs: list[Run] = []

    async def run(self, receive: Receive) -> ChopmarkError | None:
        """Serve to the end, or until the client hangs up; gives what the answer must be instead."""
        error: ChopmarkError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._digests.read(receive), name="compact reader")
                error = await self._serve(tasks)
                reader.cancel()
        except* ClientGoneError:
            error = None
        return error

    async def _serve(self, tasks: asyncio.TaskGroup) -> ChopmarkError | None:
        try:
            header = await self._digests.header()
            check_kind(header.kind)
            self._runs = await self._gateway.request_runs(header, client_identity())
            if self._runs:
                await self._output.write(b"".join([run.encode() for run in self._runs]))
            await self._compare(header)
            await self._record_all(header, tasks)
            last = await self._end(header.kind)
        except ChopmarkError as error:
            if not self._output.started:
                return error
            last = _failure(error).encode()
        await self._output.write(last)
        await self._output.finish()
        return None

    async def _compare(self, header: Header) -> None:
        """Take the digests that are recorded already off the body."""
        most = self._limits.compact_group
        for run in self._runs:
            for done in range(0, run.count, most):
                count = min(most, run.count - done)
                part = replace(run, first=run.first + done, start=run.start + done, count=count)
                wanted = count * header.width
                digests = await self._digests.take(header.width, wanted, all_of_it=True)
                if digests:
                    await self._gateway.compare_compact(header, part, digests)
                if len(digests) < wanted:
                    return

    async def _record_all(self, header: Header, tasks: asyncio.TaskGroup) -> None:
        """Record what is left of the body, and tell of each run as soon as it is durable."""
        dispatching = tasks.create_task(self._dispatch(header, tasks), name="compact dispatcher")
        try:
            while (settling := await self._groups.get()) is not None:
                run = await settling
                if isinstance(run, ChopmarkError):
                    raise run
                self._runs.append(run)
                await self._output.write(run.encode())
        finally:
            dispatching.cancel()
            while not self._groups.empty():  # what comes after a run that failed cannot be recorded
                if (settling := self._groups.get_nowait()) is not None:
                    settling.cancel()
        self._digests.check_end()

    async def _dispatch(self, header: Header, tasks: asyncio.TaskGroup) -> None:
        first = self._runs[-1].first + self._runs[-1].count if self._runs else header.offset
        most = self._caller.portion(self._limits.compact_group) * header.width
        before: _Settling | None = None
        while True:
            await self._slots.acquire()
            digests = await self._digests.take(header.width, most)
            if not digests:
                break
            self._busy += 1
            await self._caller.pace(len(digests) // header.width)
            settling = self._settle(header, first, digests, before)
            before = tasks.create_task(settling, name=f"compact digest {first}")
            self._groups.put_nowait(before)
            first += len(digests) // header.width
        self._groups.put_nowait(None)

    async def _settle(
        self, header: Header, first: int, digests: bytes, before: _Settling | None
    ) -> Run | ChopmarkError:
        try:
            # Validity may have ended while the body came: each run is checked.
            drafts = make_drafts(header, digests)
            end, blinded = self._gateway.check_draft(_example(drafts))
            if (end, blinded) != (drafts.valid_until, drafts.blinded):
                drafts = msgspec.structs.replace(drafts, valid_until=end, blinded=blinded)
            return await self._record(header, first, drafts, before)
        except ChopmarkError as error:
            return error
        finally:
            self._busy -= 1
            self._slots.release()
            self._digests.nudge()

    async def _record(
        self, header: Header, first: int, drafts: Drafts, before: _Settling | None
    ) -> Run:
        deadline = Deadline(max(self._wait, self._limits.compact_record))
        while True:
            try:
                return await self._gateway.record_compact(
                    header, first, drafts, deadline.left(), client_identity()
                )
            except TryAgainError as error:
                # Nothing was recorded: wait for room, as a batch does.
                if error.code != "queue-full" or deadline.left() < ROOM:
                    raise
                await asyncio.sleep(ROOM)
            except RefusedError as error:
                # The run before may have had to wait for room: this one must not overtake it.
                if error.code != _MOVED:
                    raise
                if before is None or isinstance(await before, ChopmarkError):
                    # Another connection goes on with the request; once it ends, this one can.
                    raise TryAgainError(
                        _MOVED, error.message, hint=error.hint, retry_after=1
                    ) from error
                before = None

    async def _end(self, kind: str) -> bytes:
        if self._runs:
            last = self._runs[-1].start + self._runs[-1].count - 1
            deadline = Deadline(self._wait)
            if not await self._gateway.wait_signed(last, self._wait):
                return Unsigned().encode()
            if self._until == "witnessed":  # if it does not come, the signed head will do
                await self._gateway.wait_witnessed(last, deadline.left(), {kind})
        end = await self._gateway.end_compact(self._runs)
        record = (end or Unsigned()).encode()
        if len(record) > MAX_RECORD:
            message = "the runs of this request lie in too many places for one answer"
            raise RefusedError("compact-scattered", message, hint="GET /v1/proofs has each proof")
        return record


def _example(drafts: Drafts) -> Draft:
    """All are alike in what `check_draft` looks at; the columns do for one's digests."""
    terms = drafts.kind, drafts.sm3, drafts.valid_until
    return Draft(drafts.sha256, *terms, blinded=drafts.blinded)


def _failure(error: ChopmarkError) -> Failure:
    again = isinstance(error, TryAgainError)
    retry_after = 1 if again and error.retry_after is None else error.retry_after
    return Failure(error.code, error.message, error.hint, retry_after)
