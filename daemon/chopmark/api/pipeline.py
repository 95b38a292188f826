"""The work of a batch: read → decode a group → record → wait until it is signed → answer.

While groups are recorded and signed the next one is read and decoded. Bounds: `in_flight` groups
of drafts; `unsigned` groups, those among them; of groups that are settled, `backlog` times what
their faults weigh. When the client does not read its answers, first the backlog fills up, then
nothing more is read from it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from litestar.types import Receive

from chopmark.api.answers import Settled, outcomes, place_of, render, render_some, settle
from chopmark.api.idempotency import bind
from chopmark.api.identity import CALLER, client_identity
from chopmark.api.limits import ApiLimits
from chopmark.api.lines import (
    Asked,
    Fault,
    LineSplitter,
    cut_lines,
    decode_lines,
    fault_of,
    make_draft,
    read_alike,
)
from chopmark.api.models import BatchQuery
from chopmark.api.ports import Gateway
from chopmark.api.recording import is_signed, is_witnessed
from chopmark.api.roles import check_kind
from chopmark.api.stream import Output
from chopmark.api.times import Deadline
from chopmark.core.catalogue import Terms
from chopmark.core.draft import Asking, Draft, Drafts, Recorded
from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.core.idempotency import Key

IDLE: Final = "batch-idle"
_PIECES: Final = 4
"""Pieces of the body that may wait: each is at most what the server hands over at a time."""


ROOM: Final = 0.02
"""Seconds between looks for room in the intake queue: about one commit."""


class ClientGoneError(Exception):
    """The client hung up: what is not recorded yet is dropped."""


class Budget:
    """A bound on what is kept; for one taker."""

    def __init__(self, amount: int) -> None:
        self._left = amount
        self._more = asyncio.Event()

    async def take(self, amount: int) -> None:
        """Take, once there is enough."""
        while self._left < amount:
            self._more.clear()
            await self._more.wait()
        self._left -= amount

    def give(self, amount: int) -> None:
        """Give back."""
        self._left += amount
        self._more.set()


class LineReader:
    """Reads a body and hands out its lines in groups: what has arrived, up to a bound."""

    def __init__(self, limits: ApiLimits, moved: Callable[[], None] = lambda: None) -> None:
        self._limits = limits
        self._moved = moved
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)
        self._block = b""
        self._ended = False

    async def read(self, receive: Receive) -> None:
        """Read the body to its end; then watch for the client to hang up.

        Raises:
            ClientGoneError: the only way in which this ends.
        """
        splitter = LineSplitter(self._limits.line)
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            more = message.get("more_body", False)
            if whole := splitter.feed(message.get("body", b"")):
                self._moved()
                await self._pieces.put(whole)
        if rest := splitter.finish():
            await self._pieces.put(rest)
        await self._pieces.put(None)
        await receive()
        raise ClientGoneError

    async def next_group(self, most: int) -> bytes:
        """The next lines, at most so many, each with its line feed; empty at the body's end."""
        if not self._block and not self._ended:
            self._block = await self._gather()
        if not self._block:
            return b""
        group, self._block = cut_lines(self._block, most)
        return group

    async def _gather(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while not pieces or (size < self._limits.group_bytes and not self._pieces.empty()):
            piece = await self._pieces.get()
            if piece is None:
                self._ended = True
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)


class Pipeline:
    """One batch."""

    def __init__(self, gateway: Gateway, limits: ApiLimits, query: BatchQuery) -> None:
        self._gateway = gateway
        self._limits = limits
        self._query = query
        self._caller = CALLER.get()
        self._lines = LineReader(limits, self._touch)
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._unsigned = asyncio.Semaphore(limits.unsigned)
        # A group of nothing but faults must fit, or it would wait for ever.
        self._backlog = Budget(max(limits.backlog, limits.group + 1))
        self._groups: asyncio.Queue[asyncio.Task[Settled] | None] = asyncio.Queue()
        self._failure: Fault | None = None
        self._idle = asyncio.timeout(None)
        self._answered = 0
        self._settling = 0
        self._writing = False

    async def run(self, receive: Receive, output: Output) -> None:
        """Serve the batch to its end, or until the client hangs up or does nothing for too long."""
        try:
            await self._serve(receive, output)
        except TimeoutError:
            if not self._writing:  # else it does not read either: the connection is cut
                await self._end_idle(output)

    async def _serve(self, receive: Receive, output: Output) -> None:
        try:
            async with self._idle, asyncio.TaskGroup() as tasks:
                self._touch()
                reader = tasks.create_task(self._lines.read(receive), name="batch reader")
                tasks.create_task(self._dispatch(tasks), name="batch dispatcher")
                await self._answer(output)
                reader.cancel()
        except* ClientGoneError:
            pass

    def _touch(self) -> None:
        """Something has moved: the client gets its time anew. What takes us long does not count."""
        if not self._idle.expired():
            now = asyncio.get_running_loop().time()
            self._idle.reschedule(None if self._settling else now + self._limits.idle)

    async def _end_idle(self, output: Output) -> None:
        message = f"no whole line came within {self._limits.idle:g} s: the batch was ended"
        faults = {0: Fault(IDLE, message, "send what is left in another batch")}
        await output.write(render(Settled(self._answered + 1, 1, faults)))
        await output.finish()

    async def _write(self, data: bytes, output: Output) -> None:
        self._writing = True
        await output.write(data)
        self._writing = False
        self._touch()

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> None:
        first = 1
        while True:
            # The slot first: what arrives while we wait for it joins the group.
            await self._unsigned.acquire()
            await self._slots.acquire()
            block = await self._lines.next_group(self._caller.portion(self._limits.group))
            if not block:
                break
            faults, drafts, asking = await self._decode(block)
            count = block.count(b"\n")
            await self._backlog.take(1 + len(faults))
            self._settling += 1
            self._touch()
            await self._caller.pace(count)
            settling = self._settle(Settled(first, count, faults), drafts, asking)
            self._groups.put_nowait(tasks.create_task(settling, name=f"batch line {first}"))
            first += count
        self._groups.put_nowait(None)

    async def _decode(self, block: bytes) -> tuple[dict[int, Fault], list[Draft | Drafts], Asking]:
        faults: dict[int, Fault] = {}
        drafts: list[Draft | Drafts] = []
        keys: dict[int, Key] = {}
        asking = Asking(client_identity(), self._query.duplicates == "again", keys, batch=True)
        if self._failure is not None:  # nothing more will be recorded: spare the work
            return faults, drafts, asking
        if (alike := read_alike(block, self._limits.line, self._check)) is not None:
            return faults, [alike], asking
        decoded = decode_lines(block, self._limits.line)
        checked: dict[Asked, Terms] = {}
        for offset, line in enumerate(decoded):
            if isinstance(line, Fault):
                faults[offset] = line
                continue
            try:
                draft = make_draft(line, checked, self._check)
                if draft.supersedes is not None:
                    await self._gateway.check_supersedes(draft.supersedes, draft)
                if line.key is not None:
                    keys[len(drafts)] = bind(line.key, line)
                drafts.append(draft)
            except ChopmarkError as error:
                faults[offset] = fault_of(error)
        return faults, drafts, asking

    def _check(self, draft: Draft) -> Terms:
        check_kind(draft.kind)
        return self._gateway.check_draft(draft)

    async def _settle(
        self, group: Settled, drafts: Sequence[Draft | Drafts], asking: Asking
    ) -> Settled:
        try:
            recorded = await self._record_in_slot(drafts, asking)
            if recorded is None:
                return replace(group, failure=self._failure)
            kinds = {draft.kind for draft in drafts}
            minutes = _find_blinded(drafts)
            del drafts  # they are recorded: many groups may wait for a slow HSM
            group = settle(group, recorded)
            self._backlog.give(-len(recorded.known))  # they weigh as faults do
            state = await self._wait(recorded.last, kinds)
            provisional = state == "signed" and self._gateway.demands_quorum()
            return replace(group, state=state, provisional=provisional, minutes=minutes)
        except ChopmarkError as error:
            self._failure = fault_of(error)
            return replace(group, failure=self._failure)
        finally:
            self._unsigned.release()
            self._settling -= 1
            self._touch()

    async def _record_in_slot(
        self, drafts: Sequence[Draft | Drafts], asking: Asking
    ) -> Recorded | None:
        """Record, and make room for the next group; None where there is nothing to record."""
        try:
            if self._failure is not None or not drafts:
                return None
            return await self._record(drafts, asking)
        finally:
            self._slots.release()

    async def _wait(self, last: int, kinds: set[str]) -> str:
        """How far all up to an entry, of these kinds, has come when the client waits no longer."""
        deadline = Deadline(self._query.wait)
        if not await is_signed(self._gateway, last, deadline.left()):
            return "recorded"
        if self._query.until == "signed" or not self._gateway.demands_quorum():
            return "signed"
        witnessed = await is_witnessed(self._gateway, last, deadline.left(), kinds)
        return "witnessed" if witnessed else "signed"

    async def _record(self, drafts: Sequence[Draft | Drafts], asking: Asking) -> Recorded:
        deadline = Deadline(max(self._query.wait, self._limits.least_record))
        while True:
            try:
                return await self._gateway.record(drafts, deadline.left(), asking)
            except TryAgainError as error:
                # Nothing was recorded. Single requests are turned away; a batch can wait for room.
                if error.code != "queue-full" or deadline.left() < ROOM:
                    raise
                await asyncio.sleep(ROOM)

    async def _answer(self, output: Output) -> None:
        while (task := await self._groups.get()) is not None:
            settled = await task
            if self._query.proofs and settled.state != "recorded":
                await self._answer_with_proofs(settled, output)
            else:
                await self._write(render(settled), output)
            self._answered += settled.count
            self._backlog.give(1 + settled.weight)
        await output.finish()

    async def _answer_with_proofs(self, settled: Settled, output: Output) -> None:
        lines = outcomes(settled)
        while some := list(islice(lines, self._limits.proofs)):
            indexes = [place for _, outcome in some if (place := place_of(outcome)) is not None]
            proofs = await self._read_proofs(indexes)
            await self._write(b"".join(render_some(settled, some, proofs)), output)

    async def _read_proofs(self, indexes: list[int]) -> dict[int, bytes]:
        if not indexes:
            return {}
        try:
            proofs = await self._gateway.proofs(indexes)
        except ChopmarkError:  # signed all the same: the proof can be asked for later
            return {}
        return dict(zip(indexes, proofs, strict=True))


def _find_blinded(drafts: Sequence[Draft | Drafts]) -> frozenset[int]:
    """Which of a run are blinded; empty if all are, and say one time."""
    found = [at for at, draft in enumerate(drafts) if draft.blinded]
    return frozenset(found if len(found) < len(drafts) else ())
