"""The HSM as the signer sees it. Lives on the HSM's thread.

ready → away            any error of PKCS#11 while signing, or a signature that is not good
away → ready            a rung of the ladder has helped (see `ladder`): the same two keys, and a
                        signature that verifies or a head mark. The call that failed climbs at once;
                        later ones try again, once a second at most
any → latched           the PIN is refused, or one wrong try is left: nothing is tried until an
                        operator says so, through restarts too
any → locked            the PIN is still to be given
any → maintenance       an operator has taken the HSM out of use, through restarts too
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Final, Literal, TypeVar

from pkcs11.mechanisms import KeyType, Mechanism

from chopmark.core.blinding import SaltKey
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.hsm.attributes import TokenKey, read_pairs
from chopmark.hsm.book import TokenBook, Unkept
from chopmark.hsm.ceremony import destroy_key, generate_key, is_free
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import (
    FAULTS,
    RETRY_AFTER,
    PinRefusedError,
    TokenFaultError,
    advise,
    away,
    describe,
    in_maintenance,
    latched,
    locked,
    name_of,
    rung_of,
)
from chopmark.hsm.faults import Rung, fault_of
from chopmark.hsm.keys import HsmKey
from chopmark.hsm.ladder import Ladder
from chopmark.hsm.mark import read_mark, write_mark
from chopmark.hsm.meter import Meter, Usage
from chopmark.hsm.pin import PinAwaitedError, PinGuard, Source
from chopmark.hsm.salt_keys import (
    destroy_salt_keys,
    random_bytes,
    read_salt_keys,
    write_salt_key,
)
from chopmark.hsm.token import OpenToken, warn_of

T = TypeVar("T")
STUCK: Final = 60.0
"""Seconds after which a call counts as one that never comes back."""
MAX_KEYS: Final = 1000
"""Keys of one sort that a token may have had."""
State = Literal["ready", "away", "latched", "locked", "maintenance"]
Role = Literal["log", "cosigner", "witness"]
Known = tuple[VerifierKey, VerifierKey]
"""Log key and cosigner key, as the ledger names them."""

_log: Final = logging.getLogger("chopmark.hsm")


class Device:
    """Opens the token, signs, and heals. Every method runs on one thread, `start` first.

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
        worked: the module has, in this process.
        failure: why `start` has failed, or None.
        broken: why this process cannot use the module any more, or None.
        meter: what is counted.
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
        self._config, self._origin, self._monotonic = config, origin, monotonic
        self._book: TokenBook = book or Unkept()
        guard = pin if isinstance(pin, PinGuard) else PinGuard(pin)
        self._ladder = Ladder(config, origin, guard, self._book)
        self._known = known
        self._token: OpenToken | None = None
        self._lost_at = self._next_try = monotonic()
        self.worked = False
        self.state: State = "away"
        self.reason: str | None = "it has not answered yet"
        self.hint: str | None = None
        self.broken: str | None = None
        self.failure: ChopmarkError | None = None
        self.outages = 0
        self.label = config.token_label or ""
        self.witness_key: VerifierKey | None = None
        self.warning: str | None = None
        self.meter = Meter()
        self.usage = Usage(config.usage_limit, self._book)
        if known is not None:
            self.log_key, self.cosigner_key = known

    @property
    def sessions(self) -> int:
        """Sessions that are open."""
        token = self._token
        return 0 if token is None else token.sessions

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

    @property
    def typing(self) -> bool:
        """Whether a person is asked for the PIN at the device."""
        return self._ladder.guard.typing

    def sign(self, role: Role, message: bytes) -> bytes:
        """The raw 64-byte signature over a message: r ‖ s of its SHA-256, or Ed25519 of itself.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `pin-awaited`, `hsm-maintenance`,
                `key-worn-out`.
        """
        return self._use(lambda token: self._sign(getattr(token.keys, role), message))

    def read_mark(self) -> HeadMark | None:
        """The head mark, or None if the token has none.

        Raises:
            TryAgainError: as `sign`.
            RefusedError: `bad-mark`.
        """
        mark = self._use(lambda token: read_mark(token.session, self._config, self._origin))
        self.confirm()
        return mark

    def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        """Put a head mark in the place of the one before it; trying again is harmless.

        Raises:
            TryAgainError: as `sign`.
            RefusedError: `mark-moved`, `bad-mark`.
            ConfigurationError: `mark-refused`.
        """
        self._use(lambda token: write_mark(token.session, self._config, mark, after))
        self.confirm()

    def random(self, count: int) -> bytes:
        """Random bytes of the token; none if it has no generator.

        Raises:
            TryAgainError: as `sign`.
        """
        return self._use(lambda token: random_bytes(token.session, count))

    def read_salt_keys(self) -> tuple[SaltKey, ...]:
        """The salt keys of our log.

        Raises:
            TryAgainError: as `sign`.
        """
        return self._use(lambda token: read_salt_keys(token.session, self._config, self._origin))

    def write_salt_key(self, key: SaltKey) -> None:
        """Put a salt key into the token; trying again is harmless.

        Raises:
            TryAgainError: as `sign`.
            ConfigurationError: `salt-key-refused`.
        """
        self._use(lambda token: write_salt_key(token.session, self._config, key))

    def destroy_salt_keys(self, before: int) -> int:
        """Destroy the salt keys that began before a time (ms); gives how many.

        Raises:
            TryAgainError: as `sign`.
        """
        config, origin = self._config, self._origin
        return self._use(lambda token: destroy_salt_keys(token.session, config, origin, before))

    def generate(self, role: Role, name: str, base: str) -> tuple[str, VerifierKey]:
        """Make one more key, of the type that the one in use has; gives its label too.

        Args:
            role: what it is for.
            name: of the key.
            base: what its label begins with; a number follows.

        Raises:
            TryAgainError: as `sign`.
            ConfigurationError: `key-not-protected`.
        """

        def make(token: OpenToken) -> tuple[str, VerifierKey]:
            session, numbers = token.session, range(2, MAX_KEYS)
            labels = (f"{base}-{number}" for number in numbers)
            label = next(one for one in labels if is_free(session, one))
            p256 = getattr(token.keys, role).verifier.is_p256
            key_type = KeyType.EC if p256 else KeyType.EC_EDWARDS
            cosigner, profile = role == "cosigner", self._ladder.profile
            key = generate_key(session, label, name, key_type, profile, cosigner=cosigner)
            return label, key

        return self.with_token(make)

    def destroy(self, label: str, key: VerifierKey) -> None:
        """Destroy a key, for good, if it is there.

        Raises:
            TryAgainError: as `sign`.
            MissingError: `no-such-key`: another key has this label.
            RefusedError: `ambiguous-key`: several have it.
            ValueError: it is in use.
        """
        config = self._config
        if label in (config.log_label, config.cosigner_label, config.witness_label):
            raise ValueError(f"the key {label} is in use")
        self.with_token(lambda token: destroy_key(token.session, label, key))

    def read_keys(self) -> tuple[TokenKey, ...]:
        """Every key in the token, with what it says of each.

        Raises:
            TryAgainError: as `sign`.
        """
        return self.with_token(lambda token: read_pairs(token.session, private=True))

    def with_token(self, call: Callable[[OpenToken], T]) -> T:
        """Do something with the open token that must not be done twice.

        Raises:
            TryAgainError: as `sign`.
        """
        self._ladder.assert_owner()
        token = self._token or self._open_if_due()
        try:
            return call(token)
        except FAULTS as error:
            self._lose(error)
            self._token = None
            raise away(describe(error), error) from error

    def confirm(self) -> None:
        """A signature made since the last opening has verified: the outage is over."""
        if self._token is not None and self.state == "away":
            self.state, self.reason, self.hint = "ready", None, None
            _log.warning("the HSM is back after %.1f s", self._monotonic() - self._lost_at)

    def distrust(self) -> None:
        """Take a signature that did not verify for an outage; the next call opens anew."""
        self._lose(TokenFaultError("a signature of the token does not verify"))
        self._token = None

    def unlatch(self) -> None:
        """An operator says that the PIN may be tried, and it is, once.

        Raises:
            TryAgainError: as `sign`.
        """
        self._book.allow()
        if self.state in ("latched", "locked"):
            self.state = "away"
            self._open_again()

    def maintain(self, *, on: bool) -> None:
        """Take the HSM out of use, for another program's sake; or into use again.

        Raises:
            TryAgainError: as `sign`, once it is to be used again.
        """
        self._book.maintain(on=on)
        if on:
            self._ladder.stop()
            self._rest()
        elif self.state == "maintenance":
            self.state = "away"
            self._open_again()

    def close(self) -> None:
        """Log out, close all sessions, and give the module back."""
        self._token = None
        self.usage.give_back()
        self._ladder.close()

    def _open(self) -> None:
        """The first opening."""
        try:
            token = self._ladder.open()
        except PinRefusedError as refused:
            self._latch(refused)
            self._start_without_login(latched(refused.reason))
        except PinAwaitedError:
            self._lock()
            self._start_without_login(locked())
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
            self.state, self.reason = "ready", None

    def _start_without_login(self, why: ChopmarkError) -> None:
        """A gateway without its PIN verifies for others, and needs to know its own keys."""
        try:
            read = self._ladder.read_public()
        except (*FAULTS, ChopmarkError) as error:
            if self._known is None:
                raise why from error
            read = (self.label, *self._known)
        self.label, self.log_key, self.cosigner_key = read

    def _check_known(self) -> None:
        if self._known is None:
            raise in_maintenance()

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
        try:
            token = self._ladder.climb(rung, self._token)
        except PinRefusedError as refused:
            self._latch(refused)
            raise latched(refused.reason) from refused
        except PinAwaitedError as error:
            self._lock()
            raise locked() from error
        except ChopmarkError as error:  # keys that are not there, or not as they were
            raise TokenFaultError(describe(error)) from error
        self._check_same(token)
        self._take(token)
        return token

    def _open_if_due(self) -> OpenToken:
        if self.state == "latched":
            raise latched(self.reason or "")
        if self.state == "locked":
            raise locked()
        if self.state == "maintenance":
            raise in_maintenance()
        if self._monotonic() < self._next_try:
            raise away(self.reason or "")
        return self._open_again()

    def _open_again(self) -> OpenToken:
        """The last rung, as often as that is due."""
        self._next_try = self._monotonic() + RETRY_AFTER
        self._token = None
        try:
            token = self._ladder.climb(Rung.MODULE, None)
            self._check_same(token)
        except PinRefusedError as refused:
            self._latch(refused)
            raise latched(refused.reason) from refused
        except PinAwaitedError as error:
            self._lock()
            raise locked() from error
        except (*FAULTS, ChopmarkError, OSError) as error:
            self._lose(error)
            self._give_up(error)
            raise away(describe(error), error) from error
        self._take(token)
        return token

    def _take(self, token: OpenToken) -> None:
        self._token, self.label, self.worked = token, token.label, True
        witness = token.keys.witness
        self.witness_key = witness.verifier if witness is not None else None
        self.usage.look(key.verifier.encode() for key in token.keys if key is not None)
        if self._ladder.module is not None:
            self.warning = warn_of(self._ladder.module)

    def _check_same(self, token: OpenToken) -> None:
        log, cosigner = (key.verifier for key in token.keys[:2])
        if (log, cosigner) != (self.log_key, self.cosigner_key):
            raise TokenFaultError("the token holds other keys than before")

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

    def _latch(self, refused: PinRefusedError) -> None:
        self._token = None
        self._book.refuse(refused.reason)
        if self.state != "latched":
            _log.error("signing is off until an operator acts: %s", refused.reason)
        self.state, self.reason = "latched", refused.reason
        self.hint = latched("").hint

    def _lock(self) -> None:
        self._token = None
        if self.state != "locked":
            _log.warning("the HSM is locked: the PIN is to be given (chopmark hsm unlock)")
        error = locked()
        self.state, self.reason, self.hint = "locked", error.message, error.hint

    def _rest(self) -> None:
        self._token = None
        error = in_maintenance()
        self.state, self.reason, self.hint = "maintenance", error.message, error.hint
        _log.warning("%s", error.message)

    def _sign(self, key: HsmKey | None, message: bytes) -> bytes:
        if key is None:
            raise TokenFaultError("the key is not there any more")
        if self.usage.limit is not None:
            self.usage.take(key.verifier.encode())
        began = self._monotonic()
        signature = _sign(key, message)
        self.meter.signed(self._monotonic() - began)
        return signature


def _may_be_late(error: Exception) -> bool:
    """Whether what failed at start may come by itself: a device that is slow, or not plugged in."""
    late = ("hsm-away", "hsm-stuck", "no-such-token")
    return isinstance(error, FAULTS) or (isinstance(error, ChopmarkError) and error.code in late)


def _sign(key: HsmKey, message: bytes) -> bytes:
    ecdsa = key.mechanism is Mechanism.ECDSA
    data = hashlib.sha256(message).digest() if ecdsa else message
    if ecdsa and len(data) != 32:  # SoftHSM signs "digests" of any length
        raise ValueError("only a SHA-256 digest is signed")
    signature = key.private.sign(data, mechanism=key.mechanism)
    if len(signature) != 64:
        raise TokenFaultError(f"a signature of {len(signature)} bytes")
    return signature
