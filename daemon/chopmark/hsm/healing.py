"""What is done with the open token, and done again after a fault. On the HSM's thread.

See `standing` for the states, `ladder` for the rungs.
"""

from collections.abc import Callable
from typing import TypeVar

from chopmark.core.errors import ChopmarkError
from chopmark.hsm.errors import FAULTS, RETRY_AFTER, TokenFaultError, away, describe, rung_of
from chopmark.hsm.faults import Rung
from chopmark.hsm.opening import Opening
from chopmark.hsm.token import OpenToken

T = TypeVar("T")


class Healing(Opening):
    """Uses the token, and opens it anew where that helps."""

    def _use(self, call: Callable[[OpenToken], T]) -> T:
        """Do something with the open token; if that fails, again on each rung of the ladder."""
        self._ladder.assert_owner()
        token = self._token or self._open_if_due()
        try:
            return call(token)
        except FAULTS as error:
            healing = self.state != "ready"
            self._lose(error)
            if healing:
                self._token = None
                raise away(describe(error), error) from error
            return self._climb(error, call)

    def _use_once(self, call: Callable[[OpenToken], T]) -> T:
        """Do something with the open token that must not be done twice."""
        self._ladder.assert_owner()
        token = self._token or self._open_if_due()
        try:
            return call(token)
        except FAULTS as error:
            self._lose(error)
            self._token = None
            raise away(describe(error), error) from error

    def _climb(self, failure: Exception, call: Callable[[OpenToken], T]) -> T:
        rung = rung_of(failure)
        while True:
            try:
                result = call(self._heal(rung))
            except FAULTS as error:
                failure = error
            else:
                self.meter.healed[rung.name.lower()] += 1
                return result
            self._lose(failure)
            if rung is Rung.MODULE:
                self._token = None
                raise away(describe(failure), failure) from failure
            rung = max(Rung(rung + 1), rung_of(failure))

    def _heal(self, rung: Rung) -> OpenToken:
        """Open the token in the way of a rung; a fault means that a higher one may help."""
        if rung is Rung.MODULE:
            return self._open_again()
        with self._minding_pin():
            try:
                token = self._ladder.climb(rung, self._token)
            except ChopmarkError as error:  # keys that are not there, or not as they were
                raise TokenFaultError(describe(error)) from error
        self._check_same(token)
        self._take(token)
        return token

    def _open_if_due(self) -> OpenToken:
        self._check_wanted()
        if self._monotonic() < self._next_try:
            raise away(self.reason or "")
        return self._open_again()

    def _open_again(self) -> OpenToken:
        """The last rung, as often as that is due."""
        self._next_try = self._monotonic() + RETRY_AFTER
        self._token = None
        with self._minding_pin():
            try:
                token = self._ladder.climb(Rung.MODULE, None)
                self._check_same(token)
            except (*FAULTS, ChopmarkError, OSError) as error:
                self._lose(error)
                self._give_up(error)
                raise away(describe(error), error) from error
        self._take(token)
        return token
