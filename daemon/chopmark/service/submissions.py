"""Cosigning checkpoints that are handed in by HTTP (C2SP tlog-witness, `add-checkpoint`).

Rules beyond those of `core.submission`:
1. Two keys. The cosigner key, which policies name, cosigns members' logs, and only heads that the
   replica holds; a request that is right but too early is told to come again (503). The witness
   key, which no policy of ours contains, cosigns the configured logs of others, seen from outside.
2. What was cosigned is one row for each key and log. A cosignature leaves only once it is stored,
   by compare-and-swap on the row that was looked at.
3. Each checkpoint of a member's log or of ours that a log key has signed is compared with what we
   hold, whatever becomes of the request.
4. A head below the newest that our replica holds is not cosigned: it would be called the newest.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import (
    ChopmarkError,
    InternalError,
    MalformedError,
    MissingError,
    RefusedError,
    TryAgainError,
)
from chopmark.core.keys import VerifierKey
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import Note, Signature, parse_note
from chopmark.core.ports import Clock
from chopmark.core.submission import Submission, parse_submission
from chopmark.ledger.cosigned import Cosigned

LOG: Final = logging.getLogger("chopmark.witness")
RETRY: Final = 2
"""Seconds after which a replica has most likely caught up with a head that was shown to us."""


async def _ignore(_note: bytes) -> None:
    return None


async def _hold(_checkpoint: Checkpoint) -> None:
    return None


class Desk(Protocol):
    """What one key of ours has cosigned of a log, and how it cosigns the next."""

    @property
    def key(self) -> VerifierKey | None:
        """The key; None while the token has not shown it."""
        ...

    async def last(self) -> Cosigned | None:
        """The newest checkpoint cosigned; None before the first.

        Raises:
            TryAgainError: `floor-unknown`: it was lost, and no operator has said from where.
        """
        ...

    async def cosign(
        self, head: Checkpoint, note: Note, before: Cosigned | None, time: int
    ) -> Cosigned | None:
        """Cosign a head as of `time` (seconds) and store that; None if `before` is past.

        What comes back is durable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A log that we cosign.

    Attributes:
        origin: its name.
        keys: of which one must have signed.
        desk: what we have cosigned of it, and by which key.
        pin: size and root that are known to be right before we have cosigned anything.
        observe: told each note that the log has signed.
        hold: refuses a head that we do not hold ourselves.
    """

    origin: str
    keys: Sequence[VerifierKey]
    desk: Desk
    pin: tuple[int, bytes] = (0, EMPTY_ROOT)
    observe: Callable[[bytes], Awaitable[None]] = _ignore
    hold: Callable[[Checkpoint], Awaitable[None]] = _hold

    @property
    def start(self) -> Cosigned:
        """What counts as cosigned before anything was."""
        return Cosigned(*self.pin)


@dataclass(frozen=True, slots=True)
class Own:
    """Our own log: nobody is his own witness, but what is shown of it is looked at.

    Attributes:
        keys: that sign it.
        observe: told each note that they have signed.
    """

    origin: str
    keys: Sequence[VerifierKey]
    observe: Callable[[bytes], Awaitable[None]] = _ignore


@dataclass
class Submissions:
    """Implements `api.submissions.Witness`.

    Attributes:
        own: whose checkpoints we only look at.
        logs: those that we cosign.
        clock: for the time of cosignatures.
        may_cosign: why nothing is cosigned at present, if so.
    """

    own: Own
    logs: Callable[[], Sequence[Witnessed]]
    clock: Clock
    may_cosign: Callable[[], ChopmarkError | None] = lambda: None
    _turns: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _reported: set[tuple[str, str]] = field(default_factory=set)
    _failed: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: InternalError | None = None

    async def run(self) -> None:
        """Wait for an error after which this process must end, and raise it.

        Raises:
            InternalError: `commit-unknown`, and others that nobody may answer and go on.
        """
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    async def add(self, body: bytes) -> bytes:
        """Cosign a checkpoint; gives the signature line.

        Raises:
            ChopmarkError: with the status of the protocol; see `core.submission`.
            TryAgainError: `not-replicated`, `witness-away`, `clock-wrong`, and what `Desk.last`
                and signing raise.
        """
        asked = parse_submission(body)
        witnessed = await self._find(asked)
        key = self._key(witnessed)
        note = asked.check_signature(witnessed.keys)
        with suppress(MalformedError, TryAgainError):  # what it proves is not this caller's affair
            await witnessed.observe(note.encode())
        try:
            async with self._turns[asked.checkpoint.origin]:
                row = await self._cosign(witnessed, asked, note)
        except InternalError as error:
            self._failure = error
            self._failed.set()
            raise
        return _line(row, key).encode().encode()

    async def latest(self, origin_hash: str) -> bytes:
        """The newest checkpoint cosigned of a log, with our cosignature and the log's signature.

        Args:
            origin_hash: SHA-256 of its origin, in lower-case hexadecimal.

        Raises:
            MissingError: `not-cosigned`.
        """
        for witnessed in self.logs():
            if sha256(witnessed.origin.encode()).hexdigest() == origin_hash:
                row = await witnessed.desk.last() if witnessed.desk.key is not None else None
                if row is not None and row.note:
                    return row.note
        raise MissingError("not-cosigned", "no checkpoint of this log was cosigned here")

    async def _find(self, asked: Submission) -> Witnessed:
        origin = asked.checkpoint.origin
        found = next((one for one in self.logs() if one.origin == origin), None)
        if found is not None:
            return found
        if origin == self.own.origin:
            note = asked.check_signature(self.own.keys)
            with suppress(MalformedError, TryAgainError):
                await self.own.observe(note.encode())
            raise MissingError("unknown-log", "a gateway does not witness its own log")
        hint = "[[witness.log]] in the configuration names the logs of others that are cosigned"
        raise MissingError("unknown-log", "this witness does not know the log", hint=hint)

    def _key(self, witnessed: Witnessed) -> VerifierKey:
        key = witnessed.desk.key
        if key is None:
            hint = "an operator makes one with `chopmark witness init`"
            message = "this gateway has no witness key for logs that are no member's"
            raise MissingError("no-witness-key", message, hint=hint)
        return key

    async def _cosign(self, witnessed: Witnessed, asked: Submission, note: Note) -> Cosigned:
        """One at a time for each log; others may move the row all the same."""
        head, desk = asked.checkpoint, witnessed.desk
        while True:
            before = await self._last(witnessed)
            last = before or witnessed.start
            self._check_step(asked, last)
            refusal = self.may_cosign()
            if refusal is not None:
                raise refusal
            await witnessed.hold(head)
            time = self._time(last)
            if last.note and (last.size, last.time) == (head.size, time):
                return last  # one each second is as fresh as it gets
            row = await desk.cosign(head, note, before, time)
            if row is not None:
                return row

    async def _last(self, witnessed: Witnessed) -> Cosigned | None:
        try:
            return await witnessed.desk.last()
        except TryAgainError as error:
            if error.code == "floor-unknown":
                self._report(witnessed.origin, error)
            raise

    def _check_step(self, asked: Submission, last: Cosigned) -> None:
        try:
            asked.check_step(last.size, last.root)
        except RefusedError as error:
            self._report(asked.checkpoint.origin, error)
            raise

    def _report(self, origin: str, error: ChopmarkError) -> None:
        """Once for each log and cause: this may come without end."""
        if (origin, error.code) not in self._reported:
            self._reported.add((origin, error.code))
            code = {"code": error.code}
            LOG.warning("a signed head of %s was refused: %s", origin, error, extra=code)

    def _time(self, last: Cosigned) -> int:
        time = self.clock.now_ms() // 1000
        if time <= 0 or time < last.time:
            message = "the clock stands before the newest cosignature"
            raise TryAgainError("clock-wrong", message, hint="set it", retry_after=60)
        return time


def _line(row: Cosigned, key: VerifierKey) -> Signature:
    """The cosignature in a stored note."""
    lines: Mapping[tuple[str, bytes], Signature] = {
        (line.name, line.key_id): line for line in parse_note(row.note).signatures
    }
    return lines[key.name, key.key_id]
