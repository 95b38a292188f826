"""Attesting very many documents in compact form: sent in parts, and gone on with after a cut.

All parts carry one request id and rising offsets, so that whatever breaks off is sent again from
the last run that was answered, and nothing is recorded twice (docs/formats/compact.md).
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chopmark.client.messages import read_log_key
from chopmark.client.plans import Call, Patience, Plan, Query, decode, insist
from chopmark.client.problem import bad_answer, error_from_failure
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.compact import MEDIA_TYPE, AnswerReader, End, Failure, Header, Run
from chopmark.core.errors import (
    ChopmarkError,
    MalformedError,
    TryAgainError,
    UnreachableError,
    UsageError,
)
from chopmark.core.prover import RunProver

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient

T = TypeVar("T")

PART: Final = 262_144
"""Digests of one body: 8 MB, answered by some hundred bytes; most of a second's work."""
PATIENCE: Final = 60.0
"""Seconds without a single run after which a request is given up: a gateway restarts in two."""
_PIECE: Final = 256 * 1024
"""Bytes of a body that are handed over at a time."""


class CompactPlan:
    """One request, as plans (`client.plans`); `record` all of it, then `prove` it.

    Args:
        header: request id, kind, validity and algorithms; offset and total are seen to here.
        digests: of all documents, joined, `header.width` bytes for each; in memory.
        patience: how long to go on without progress.
        recorded: how many are known to be recorded.
        tell: told how many are recorded, after each run.

    Raises:
        UsageError: `no-digests`, `cut-digests`.
    """

    def __init__(
        self,
        header: Header,
        digests: bytes | bytearray | memoryview,
        patience: Patience,
        recorded: int = 0,
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._digests = memoryview(digests).cast("B")
        if len(self._digests) % header.width:
            raise UsageError("cut-digests", f"digests of {header.width} bytes each are due")
        if not self._digests:
            raise UsageError("no-digests", "there are no digests to attest")
        self.total = len(self._digests) // header.width
        self.recorded = recorded
        self._header = replace(header, total=self.total)
        self._patience = patience
        self._tell = tell

    def record(self, part: int = PART) -> Plan[bool]:
        """Have the next part recorded, durably; true as long as there is more to do."""
        end = min(self.total, self.recorded + part)
        with self._named():
            while self.recorded < end:
                yield from self._send(lambda: (self.recorded, end), 0.0)
        return self.recorded < self.total

    def prove(self, wait: float, until: str) -> Plan[tuple[list[Run], RunProver | None]]:
        """All runs, and their proofs from one signed head; None if none was signed in time.

        Raises:
            RefusedError: `bad-compact` and what `RunProver` raises: the answer proves nothing.
        """
        with self._named():
            # A body without digests is answered with all runs, and one end for them.
            reader = yield from self._send(lambda: (0, 0), wait, until)
            if reader.next != self.total:
                raise bad_answer()
            if not isinstance(reader.last, End):
                return reader.runs, None
            self._patience.renew()
            exported = yield from insist(Call("GET", "/v1/export"), self._patience)
            open_note = partial(open_checkpoint, log_key=read_log_key(decode(exported)))
        prover = RunProver(self._header, self._digests, reader.runs, reader.last, open_note)
        return reader.runs, prover

    def _send(
        self, span: Callable[[], tuple[int, int]], wait: float, until: str = "signed"
    ) -> Plan[AnswerReader]:
        """Send the digests of a span, and again what is left of it after whatever may pass."""
        self._patience.renew()
        while True:
            offset, end = span()
            before = self.recorded
            reader = AnswerReader(offset)
            try:
                yield self._call(offset, end, wait, until, partial(self._take, reader))
                self._check(reader, end)
            except (TryAgainError, UnreachableError) as error:
                if self.recorded > before:
                    self._patience.renew()
                yield self._patience.after(error)
            else:
                return reader

    def _call(
        self, offset: int, end: int, wait: float, until: str, take: Callable[[bytes], None]
    ) -> Call:
        header = replace(self._header, offset=offset)
        digests = self._digests[offset * header.width : end * header.width]
        pieces = [bytes(digests[at : at + _PIECE]) for at in range(0, len(digests), _PIECE)]
        query: Query = {"wait": wait, "until": until}
        headers = {"Content-Type": MEDIA_TYPE}
        content = [header.encode(), *pieces]
        path = "/v1/attestations:compact"
        return Call("POST", path, query, None, content, headers, wait, take)

    def _take(self, reader: AnswerReader, data: bytes) -> None:
        try:
            for run in reader.feed(data):
                self._note(run)
        except MalformedError as error:
            raise bad_answer() from error

    def _check(self, reader: AnswerReader, end: int) -> None:
        if reader.last is None:
            message = "the gateway broke off its answer"
            raise UnreachableError("answer-cut-short", message, hint="is chopmarkd running?")
        if isinstance(reader.last, Failure):
            raise error_from_failure(reader.last)
        if reader.next < end:
            raise bad_answer()

    def _note(self, run: Run) -> None:
        reached = run.first + run.count
        if reached > self.total:
            raise bad_answer()
        if reached > self.recorded:
            self.recorded = reached
            self._tell(reached)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors say which request it was, so that it can be gone on with."""
        try:
            yield
        except ChopmarkError as error:
            name = self._header.request.hex()
            error.message += f" (request {name}: {self.recorded} of {self.total} are recorded)"
            raise


class CompactRequest:
    """One request; `record` all of it, then `prove` it.

    Errors of both: what `GatewayClient` raises, once going on makes no sense or `patience` is at
    an end; then another object with the same header, digests and `recorded` goes on later. What
    was told to be recorded stays recorded.

    Args:
        gateway: where to.
        header: see `CompactPlan`, as for what follows.
        digests: of all documents.
        recorded: how many are known to be recorded.
        tell: told how many are recorded.
        patience: seconds without progress after which to give up.
        pause: waits so many seconds.
        clock: seconds that only go forward.

    Raises:
        UsageError: `no-digests`, `cut-digests`.
    """

    def __init__(
        self,
        gateway: "GatewayClient",
        header: Header,
        digests: bytes | bytearray | memoryview,
        *,
        recorded: int = 0,
        tell: Callable[[int], None] = lambda _: None,
        patience: float = PATIENCE,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = CompactPlan(header, digests, Patience(patience, clock), recorded, tell)
        self._gateway = gateway
        self._pause = pause

    @property
    def total(self) -> int:
        """Digests of the request."""
        return self._plan.total

    @property
    def recorded(self) -> int:
        """How many are known to be recorded."""
        return self._plan.recorded

    def record(self, part: int = PART) -> bool:
        """Have the next part recorded, durably; true as long as there is more to do.

        Args:
            part: how many digests at most.
        """
        return self._do(self._plan.record(part))

    def prove(self, wait: float, until: str = "signed") -> RunProver | None:
        """All proofs, from one signed head; None if none was signed in time: ask again.

        Args:
            wait: seconds that the gateway waits for the signature, at most 60.
            until: whether it waits until that head is `witnessed`, or only `signed`. If the quorum
                does not come in time, the proofs are provisional.

        Raises:
            RefusedError: `bad-compact` and what `RunProver` raises: the answer proves nothing.
        """
        return self._do(self._plan.prove(wait, until))[1]

    def _do(self, plan: Generator[Any, Any, T]) -> T:
        return self._gateway.carry_out(plan, self._pause)
