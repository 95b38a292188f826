"""Records consents and uses in our own log, as commitments that only their parties can open.

1. The salt is made of two generators, as those of blinded attestations, and kept sealed for a day:
   who sends the request again with its idempotency key gets the same entry, salt and body.
2. The body is kept nowhere. It follows from the request, and the entry shows whether it is the one.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from chopmark.api.dealings import Made
from chopmark.core.blinding import salt_at
from chopmark.core.consent import CONSENT, USE, Body, Consent, commit
from chopmark.core.draft import Asking, Earlier
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import ChopmarkError, MissingError, RefusedError, TryAgainError
from chopmark.core.ports import Clock
from chopmark.core.wording import format_time
from chopmark.ledger.duplicates import find_named
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.seeds import Sealed
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.store import LogState
from chopmark.service.salts import Salts


@dataclass(frozen=True, slots=True)
class Grounded:
    """What is to be recorded.

    Attributes:
        until: the last ms at which it may be, if what it rests on ends.
    """

    body: Body
    until: int | None = None

    def make(self, made_at: int, value: bytes) -> Commitment:
        """The entry. On the sequencer's thread.

        Raises:
            RefusedError: `consent-expired`.
        """
        if self.until is not None and made_at > self.until:
            raise consent_expired(self.until)
        return Commitment(made_at, CONSENT if isinstance(self.body, Consent) else USE, value)


def consent_expired(until: int) -> RefusedError:
    """A consent has ended, at that ms."""
    hint = "ask the customer for a consent to this use: the issuer records it"
    return RefusedError("consent-expired", f"the consent ended at {format_time(until)}", hint=hint)


class Commitments:
    """Our own log, as far as it takes commitments."""

    def __init__(self, log: Log, sequencer: Sequencer, salts: Salts, clock: Clock) -> None:
        self._log = log
        self._sequencer = sequencer
        self._salts = salts
        self._clock = clock

    async def find(self, asking: Asking, bodies: Iterable[Body]) -> Made | None:
        """What an idempotency key stands for already, if it is one of these; None if not.

        Raises:
            RefusedError: `key-reused`.
            MissingError: `salt-gone`.
        """
        if not asking.keys:
            return None
        key, now = asking.keys[0], self._clock.now_ms()
        found: Earlier | None = await self._log.read(
            lambda reader, state: find_named(reader, key, state.size, now)
        )
        return None if found is None else await self._open(found, bodies)

    async def record(
        self,
        judge: Callable[[], Awaitable[Grounded]],
        seconds: float,
        asking: Asking,
    ) -> Made:
        """Append the commitment to a body; it is durable once this returns.

        Args:
            judge: gives the body, or raises why there is none; asked once there is a salt, for
                which an HSM may take long, so that nothing rests on what has ended meanwhile.
            seconds: to wait.
            asking: for whom, and how.

        Raises:
            RefusedError: `consent-expired`: the entry would be later than what it rests on.
            ChopmarkError: what `judge` and `Sequencer.record` raise, and `find`.
        """
        seed, sealed = await self._draw(seconds)
        grounded = await judge()
        body, salt = grounded.body, salt_at(seed, 0)
        value = commit(salt, body.encode())
        recorded = await self._sequencer.record(
            [lambda made_at: grounded.make(made_at, value)],
            seconds,
            sealed=sealed,
            asking=asking,
        )
        known = recorded.known.get(0)
        if isinstance(known, ChopmarkError):
            raise known
        if known is not None:  # the same request came twice at once, or says something else now
            return await self._open(known, [body]) or _changed(known.index)
        entry = Earlier(recorded.start, recorded.made_at, duplicate=False)
        return Made(entry, body, salt)

    async def _draw(self, seconds: float) -> tuple[bytes, Sealed]:
        """A fresh seed, and what is kept of it."""
        try:
            async with asyncio.timeout(seconds):
                hidden = await self._salts.hide(())
        except TimeoutError:
            message = "the deadline passed before there was a salt"
            hint = "is the HSM slow? send it again"
            raise TryAgainError("not-recorded", message, hint=hint, retry_after=1) from None
        return hidden.seed, hidden.sealed

    async def _open(self, entry: Earlier, bodies: Iterable[Body]) -> Made | None:
        """An entry that was recorded before, with its salt and the body that it is of."""

        def read(reader: Reader, _: LogState) -> tuple[bytes, bytes]:
            return reader.entry(entry.index), reader.salt(entry.index)

        data, salt = await self._log.read(read)
        held = parse_entry(data)
        value = held.value if isinstance(held, Commitment) else b""
        fitting = (one for one in bodies if hmac.compare_digest(commit(salt, one.encode()), value))
        body = next(fitting, None)
        return None if body is None else Made(entry, body, salt)


def _changed(index: int) -> NoReturn:
    message = f"what entry {index} says follows no more from the request"
    hint = "the roster has changed since: record it anew, with another idempotency key"
    raise MissingError("salt-gone", message, hint=hint)
