"""`POST /v1/verifications:batch`: lines in, verdict lines out, in their order.

Groups of lines are asked one after the other, each group together; single verifications come in
between. A client that does not read its verdicts is not read from: at most a group and what the
reader holds waits for it.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.answers import render_fault
from chopmark.api.identity import CALLER
from chopmark.api.limits import ApiLimits
from chopmark.api.lines import MALFORMED, Fault, fault_of
from chopmark.api.models import VerificationIn, VerificationLine, reword
from chopmark.api.pipeline import IDLE, ROOM, ClientGoneError, LineReader
from chopmark.api.ports import Gateway
from chopmark.api.slots import Slots
from chopmark.api.stream import Output
from chopmark.api.times import Deadline
from chopmark.api.twice import refuse_twice
from chopmark.api.verifications import find_verdict
from chopmark.core.errors import ChopmarkError, MalformedError, TryAgainError

_DECODER: Final = msgspec.json.Decoder(VerificationLine)
_encoder: Final = msgspec.json.Encoder()


def make_verification_batch_route(gateway: Gateway, limits: ApiLimits) -> ASGIRouteHandler:
    """The route for this gateway."""
    bounds = replace(limits, line=limits.verification_line, group=limits.verification_group)
    slots = Slots(limits.verification_batches, "batches of verifications", retry_after=5)

    @asgi("/v1/verifications:batch", copy_scope=False)
    async def verify_batch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST":
            raise MethodNotAllowedException(headers={"allow": "POST"})
        with slots.taken():
            await _Verifications(gateway, bounds).run(receive, Output(send))

    return verify_batch


class _Verifications:
    """One body and its answer."""

    def __init__(self, gateway: Gateway, limits: ApiLimits) -> None:
        self._gateway = gateway
        self._limits = limits
        self._idle = asyncio.timeout(None)
        self._lines = LineReader(limits, self._touch)
        self._answered = 0
        self._busy = False

    async def run(self, receive: Receive, output: Output) -> None:
        """Serve to the end, or until the client hangs up or does nothing for too long."""
        try:
            async with self._idle, asyncio.TaskGroup() as tasks:
                self._touch()
                reader = tasks.create_task(self._lines.read(receive), name="verification reader")
                await self._answer_all(output)
                reader.cancel()
        except* ClientGoneError:
            pass
        except* TimeoutError:
            if not self._busy:  # else it does not read either: the connection is cut
                await self._end_idle(output)

    def _touch(self) -> None:
        """Something has moved: the client gets its time anew."""
        if not self._idle.expired():
            self._idle.reschedule(asyncio.get_running_loop().time() + self._limits.idle)

    async def _answer_all(self, output: Output) -> None:
        caller = CALLER.get()
        while block := await self._lines.next_group(caller.portion(self._limits.group)):
            self._busy = True
            lines = block.split(b"\n")[:-1]
            await caller.pace(len(lines))
            first = self._answered + 1
            asking = (self._answer(number, line) for number, line in enumerate(lines, first))
            await output.write(b"".join(await asyncio.gather(*asking)))
            self._answered += len(lines)
            self._busy = False
            self._touch()
        await output.finish()

    async def _end_idle(self, output: Output) -> None:
        message = f"no whole line came within {self._limits.idle:g} s: the batch was ended"
        fault = Fault(IDLE, message, "send what is left in another batch")
        await output.write(render_fault(self._answered + 1, fault))
        await output.finish()

    async def _answer(self, number: int, line: bytes) -> bytes:
        try:
            asked = self._decode(line).nested()
            return _encoder.encode(await self._verify(asked)) + b"\n"
        except ChopmarkError as error:
            return render_fault(number, fault_of(error))

    def _decode(self, line: bytes) -> VerificationLine:
        if len(line) > self._limits.line:
            raise MalformedError(MALFORMED, f"the line is longer than {self._limits.line} bytes")
        try:
            decoded = _DECODER.decode(line)
        except msgspec.ValidationError as error:
            raise MalformedError(MALFORMED, reword(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedError(MALFORMED, f"the line is not JSON: {error}") from None
        refuse_twice(line, MALFORMED)
        return decoded

    async def _verify(self, asked: VerificationIn) -> dict[str, Any]:
        deadline = Deadline(self._limits.verification_seconds)
        while True:
            try:
                return await find_verdict(asked, self._gateway)
            except TryAgainError as error:
                # Single requests are turned away; a batch can wait for room.
                if error.code != "overloaded" or deadline.left() < ROOM:
                    raise
                await asyncio.sleep(ROOM)
