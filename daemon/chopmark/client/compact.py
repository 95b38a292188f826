"""Attesting very many documents in compact form: sent in parts, and gone on with after a cut.

All parts carry one request id and rising offsets, so that whatever breaks off is sent again from
the last run that was answered, and nothing is recorded twice (docs/formats/compact.md).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from chopmark.client.gateway import GatewayClient
from chopmark.client.problem import bad_answer, error_from_failure
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.compact import AnswerReader, End, Failure, Header, Run
from chopmark.core.errors import (
    ChopmarkError,
    MalformedError,
    TryAgainError,
    UnreachableError,
    UsageError,
)
from chopmark.core.prover import RunProver

T = TypeVar("T")

PART: Final = 262_144
"""Digests of one body: 8 MB, answered by some hundred bytes; most of a second's work."""
PATIENCE: Final = 60.0
"""Seconds without a single run after which a request is given up: a gateway restarts in two."""
_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt, where the gateway does not say."""


class CompactRequest:
    """One request; `record` all of it, then `prove` it.

    Errors of both: what `GatewayClient` raises, once going on makes no sense or `patience` is at
    an end; then another object with the same header, digests and `recorded` goes on later. What
    was told to be recorded stays recorded.

    Args:
        gateway: where to.
        header: request id, kind, validity and algorithms; offset and total are seen to here.
        digests: of all documents, joined, `header.width` bytes for each; in memory.
        recorded: how many are known to be recorded.
        tell: told how many are recorded, after each run.
        patience: seconds without progress after which to give up.
        pause: waits so many seconds.
        clock: seconds that only go forward.

    Raises:
        UsageError: `no-digests`, `cut-digests`.
    """

    def __init__(
        self,
        gateway: GatewayClient,
        header: Header,
        digests: bytes | bytearray | memoryview,
        *,
        recorded: int = 0,
        tell: Callable[[int], None] = lambda _: None,
        patience: float = PATIENCE,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._digests = memoryview(digests).cast("B")
        if len(self._digests) % header.width:
            raise UsageError("cut-digests", f"digests of {header.width} bytes each are due")
        if not self._digests:
            raise UsageError("no-digests", "there are no digests to attest")
        self.total = len(self._digests) // header.width
        self.recorded = recorded
        self._gateway = gateway
        self._header = replace(header, total=self.total)
        self._tell = tell
        self._patience = patience
        self._pause = pause
        self._clock = clock

    def record(self, part: int = PART) -> bool:
        """Have the next part recorded, durably; true as long as there is more to do.

        Args:
            part: how many digests at most.
        """
        end = min(self.total, self.recorded + part)
        with self._named():
            while self.recorded < end:
                self._insist(lambda: self._send(self.recorded, end, 0.0))
        return self.recorded < self.total

    def prove(self, wait: float, until: str = "signed") -> RunProver | None:
        """All proofs, from one signed head; None if none was signed in time: ask again.

        Args:
            wait: seconds that the gateway waits for the signature, at most 60.
            until: whether it waits until that head is `witnessed`, or only `signed`. If the quorum
                does not come in time, the proofs are provisional.

        Raises:
            RefusedError: `bad-compact` and what `RunProver` raises: the answer proves nothing.
        """
        with self._named():
            # A body without digests is answered with all runs, and one end for them.
            reader = self._insist(lambda: self._send(0, 0, wait, until))
            if reader.next != self.total:
                raise bad_answer()
            if not isinstance(reader.last, End):
                return None
            open_note = partial(open_checkpoint, log_key=self._insist(self._gateway.log_key))
        return RunProver(self._header, self._digests, reader.runs, reader.last, open_note)

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask, and again after whatever may pass, as long as there is progress."""
        since, failures, before = self._clock(), 0, self.recorded
        while True:
            try:
                return ask()
            except (TryAgainError, UnreachableError) as error:
                if self.recorded > before:
                    since, failures, before = self._clock(), 0, self.recorded
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                pause = max(pause, float(error.retry_after or 0))
                if error.code == "bad-answer" or self._clock() - since + pause > self._patience:
                    raise
                self._pause(pause)
                failures += 1

    def _send(self, offset: int, end: int, wait: float, until: str = "signed") -> AnswerReader:
        """Send the digests [offset, end), and take note of what is answered."""
        header = replace(self._header, offset=offset)
        digests = self._digests[offset * header.width : end * header.width]
        reader = AnswerReader(offset)
        for data in self._gateway.attest_compact(header, digests, wait, until):
            for run in _read(reader, data):
                self._note(run)
        if reader.last is None:
            message = "the gateway broke off its answer"
            raise UnreachableError("answer-cut-short", message, hint="is chopmarkd running?")
        if isinstance(reader.last, Failure):
            raise error_from_failure(reader.last)
        if reader.next < end:
            raise bad_answer()
        return reader

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


def _read(reader: AnswerReader, data: bytes) -> list[Run]:
    try:
        return list(reader.feed(data))
    except MalformedError as error:
        raise bad_answer() from error
