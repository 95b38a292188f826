"""How the HSM is, as far as the last call into it told. Changed on the HSM's thread only.

ready → away            any error of PKCS#11 while signing, or a signature that is not good
away → ready            a rung of the ladder has helped (see `ladder`): the same two keys, and a
                        signature that verifies or a head mark. The call that failed climbs at once;
                        later ones try again, once a second at most
any → latched           the PIN is refused, or one wrong try is left: nothing is tried until an
                        operator says so, through restarts too
any → locked            the PIN is still to be given
any → maintenance       an operator has taken the HSM out of use, through restarts too
"""

import logging
from collections.abc import Callable
from typing import Final, Literal

from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.hsm.book import TokenBook
from chopmark.hsm.errors import (
    PinRefusedError,
    advise,
    describe,
    in_maintenance,
    latched,
    locked,
    name_of,
)
from chopmark.hsm.faults import fault_of
from chopmark.hsm.meter import Meter
from chopmark.hsm.pin import PinAwaitedError

STUCK: Final = 60.0
"""Seconds after which a call counts as one that never comes back."""
State = Literal["ready", "away", "latched", "locked", "maintenance"]

_log: Final = logging.getLogger("chopmark.hsm")


class Standing:
    """The state of an HSM, and why it is so.

    Args:
        book: keeps what must be known at the next start.
        monotonic: seconds of a clock that never goes back.

    Attributes:
        reason: why it is not ready, in a few words.
        hint: what an operator does about it.
        worked: the module has, in this process.
        broken: why this process cannot use the module any more, or None.
        outages: how many there were.
        meter: what is counted.
    """

    def __init__(self, book: TokenBook, monotonic: Callable[[], float]) -> None:
        self._book, self._monotonic = book, monotonic
        self._lost_at = monotonic()
        self.state: State = "away"
        self.reason: str | None = "it has not answered yet"
        self.hint: str | None = None
        self.worked = False
        self.broken: str | None = None
        self.outages = 0
        self.meter = Meter()

    def _found(self) -> None:
        self.state, self.reason, self.hint = "ready", None, None

    def _back(self) -> None:
        """What was lost works again."""
        self._found()
        _log.warning("the HSM is back after %.1f s", self._monotonic() - self._lost_at)

    def _lose(self, error: Exception) -> None:
        self.meter.errors[name_of(error)] += 1
        reason = describe(error)
        if self.state == "ready":
            self.state = "away"
            self.outages += 1
            self._lost_at = self._monotonic()
            _log.warning("the HSM is away: %s (%s)", reason, advise(error))
        if self.state == "away":
            self.reason, self.hint = reason, advise(error)

    def _give_up(self, error: Exception) -> None:
        """A new process may do what this one cannot; one that never could gains nothing by it."""
        fault = fault_of(error)
        if fault is not None and fault.sort == "fatal" and self.worked:
            self.broken = fault.sentence
        stuck = isinstance(error, ChopmarkError) and error.code == "hsm-stuck"
        if stuck and self._monotonic() - self._lost_at > STUCK:
            self.broken = describe(error)

    def _latch(self, refused: PinRefusedError) -> TryAgainError:
        self._book.refuse(refused.reason)
        if self.state != "latched":
            self._lost_at = self._monotonic()
            _log.error("signing is off until an operator acts: %s", refused.reason)
        error = latched(refused.reason)
        self.state, self.reason, self.hint = "latched", refused.reason, error.hint
        return error

    def _lock(self, awaited: PinAwaitedError) -> TryAgainError:
        error = locked(awaited.message)
        if self.state != "locked":
            self._lost_at = self._monotonic()
            _log.warning("%s (%s)", error.message, error.hint)
        self.state, self.reason, self.hint = "locked", error.message, error.hint
        return error

    def _rest(self) -> None:
        self._lost_at = self._monotonic()
        error = in_maintenance()
        self.state, self.reason, self.hint = "maintenance", error.message, error.hint
        _log.warning("%s", error.message)

    def _check_wanted(self) -> None:
        """Only an operator ends these.

        Raises:
            TryAgainError: `pin-latched`, `pin-awaited`, `hsm-maintenance`.
        """
        if self.state == "latched":
            raise latched(self.reason or "")
        if self.state == "locked":
            raise locked(self.reason)
        if self.state == "maintenance":
            raise in_maintenance()
