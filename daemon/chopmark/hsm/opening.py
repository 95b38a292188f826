"""The open token, and how it is opened at the start. On the HSM's thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.book import TokenBook, Unkept
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import (
    FAULTS,
    PinRefusedError,
    TokenFaultError,
    away,
    describe,
    in_maintenance,
)
from chopmark.hsm.ladder import Ladder
from chopmark.hsm.meter import Usage
from chopmark.hsm.pin import PinAwaitedError, PinGuard, Source
from chopmark.hsm.standing import Standing
from chopmark.hsm.token import OpenToken, warn_of

Known = tuple[VerifierKey, VerifierKey]
"""Log key and cosigner key, as the ledger names them."""
_LATE: Final = ("hsm-away", "hsm-stuck", "no-such-token")
"""What may come by itself after a start: a device that is slow, or not plugged in."""


class Opening(Standing):
    """Opens the token. Every method runs on one thread, `start` first.

    Its attributes may be read from anywhere.

    Args:
        config: which token and keys.
        origin: name of the log key.
        pin: gives the PIN whenever the token is logged in to; raises `PinAwaitedError` while there
            is none. Or a guard around that.
        monotonic: seconds of a clock that never goes back.
        known: where the ledger names the keys: a token that is not there yet is then an outage from
            the start, and no error.
        book: keeps what must be known at the next start.

    Attributes:
        failure: why `start` has failed, or None.
        warning: what an operator must know about this make of token.
        usage: how often the keys were used.
    """

    log_key: VerifierKey
    cosigner_key: VerifierKey

    def __init__(
        self,
        config: HsmConfig,
        origin: str,
        pin: Source | PinGuard,
        monotonic: Callable[[], float],
        known: Known | None = None,
        book: TokenBook | None = None,
    ) -> None:
        super().__init__(book or Unkept(), monotonic)
        self._config, self._origin = config, origin
        guard = pin if isinstance(pin, PinGuard) else PinGuard(pin)
        self._ladder = Ladder(config, origin, guard, self._book)
        self._known = known
        self._token: OpenToken | None = None
        self._next_try = monotonic()
        self.failure: ChopmarkError | None = None
        self.label = config.token_label or ""
        self.witness_key: VerifierKey | None = None
        self.chain_point: bytes | None = None
        self.warning: str | None = None
        self.usage = Usage(config.usage_limit, self._book)
        if known is not None:
            self.log_key, self.cosigner_key = known

    @property
    def sessions(self) -> int:
        """Sessions that are open."""
        token = self._token
        return 0 if token is None else token.sessions

    @property
    def typing(self) -> bool:
        """Whether a person is asked for the PIN at the device."""
        return self._ladder.guard.typing

    def start(self) -> None:
        """Load the module, log in, and find the keys.

        Raises:
            ChopmarkError: the module, the token or a key is not there, or does not fit.
            TryAgainError: `hsm-away`; `pin-latched`, `pin-awaited` and `hsm-maintenance` if the
                public keys cannot be read either.
        """
        try:
            if self._book.maintenance:
                self._rest()
                self._check_known()
            else:
                self._ladder.load(late=self._known is not None)
                self._open()
        except BaseException as error:
            self._ladder.close()
            self.failure = error if isinstance(error, ChopmarkError) else None
            raise

    def _open(self) -> None:
        """The first opening."""
        try:
            token = self._ladder.open()
        except PinRefusedError as refused:
            self._start_without_login(self._latch(refused))
        except PinAwaitedError as awaited:
            self._start_without_login(self._lock(awaited))
        except (*FAULTS, ChopmarkError) as error:
            if self._known is not None and _may_be_late(error):
                self.state = "ready"  # so that it counts as an outage
                self._lose(error)
            elif isinstance(error, ChopmarkError):
                raise
            else:
                raise away(describe(error), error) from error
        else:
            self.log_key, self.cosigner_key = (key.verifier for key in token.keys[:2])
            self._take(token)
            self._found()

    def _check_known(self) -> None:
        if self._known is None:
            raise in_maintenance()

    def _start_without_login(self, why: TryAgainError) -> None:
        """A gateway without its PIN verifies for others, and needs to know its own keys."""
        try:
            read = self._ladder.read_public()
        except (*FAULTS, ChopmarkError) as error:
            if self._known is None:
                raise why from error
            read = (self.label, *self._known)
        self.label, self.log_key, self.cosigner_key = read

    @contextmanager
    def _minding_pin(self) -> Iterator[None]:
        """A login without a PIN, or with one that is refused, is tried by nobody else."""
        # Both are plain Exceptions, in no class that is caught inside (FAULTS, ChopmarkError,
        # OSError): so they get here past whatever takes an error for an outage. It must stay so.
        try:
            yield
        except PinRefusedError as refused:
            self._token = None
            raise self._latch(refused) from refused
        except PinAwaitedError as error:
            self._token = None
            raise self._lock(error) from error

    def _take(self, token: OpenToken) -> None:
        self._token, self.label, self.worked = token, token.label, True
        witness = token.keys.witness
        self.witness_key = witness.verifier if witness is not None else None
        chain = token.keys.chain
        self.chain_point = chain.point if chain is not None else None
        used = [key.verifier.encode() for key in token.keys[:3] if key is not None]
        self.usage.look([*used, chain.account] if chain is not None else used)
        if self._ladder.module is not None:
            self.warning = warn_of(self._ladder.module)

    def _check_same(self, token: OpenToken) -> None:
        log, cosigner = (key.verifier for key in token.keys[:2])
        if (log, cosigner) != (self.log_key, self.cosigner_key):
            raise TokenFaultError("the token holds other keys than before")


def _may_be_late(error: Exception) -> bool:
    return isinstance(error, FAULTS) or (isinstance(error, ChopmarkError) and error.code in _LATE)
