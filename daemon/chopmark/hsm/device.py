"""The HSM as the signer sees it: ready, away, or latched. Lives on the HSM's thread.

ready → away      any PKCS#11 error while signing, when opening anew at once does not help, or a
                  signature that is not good
away → ready      opening anew (C_Finalize, C_Initialize, login, keys found again) gives the same
                  two keys, and a signature that verifies or a head mark; tried by the calls that
                  come, once a second at most
any → latched     the PIN is refused, or one wrong try is left; nothing is tried until a restart
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Final, Literal, TypeVar

from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import KeyType, Mechanism

from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.hsm.ceremony import destroy_key, generate_key, is_free
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import (
    RETRY_AFTER,
    PinRefusedError,
    TokenFaultError,
    away,
    describe,
    latched,
)
from chopmark.hsm.keys import HsmKey
from chopmark.hsm.mark import read_mark, write_mark
from chopmark.hsm.module import Module
from chopmark.hsm.token import OpenToken, open_token, read_public, warn_of

T = TypeVar("T")
MAX_KEYS: Final = 1000
"""Keys of one sort that a token may have had."""
State = Literal["ready", "away", "latched"]
Role = Literal["log", "cosigner", "witness"]

_log: Final = logging.getLogger("chopmark.hsm")
_FAULTS: Final = (PKCS11Error, TokenFaultError)


class Device:
    """Opens the token, signs, and heals. Every method runs on the thread that made it.

    Its attributes may be read from anywhere.

    Args:
        config: which token and keys.
        origin: name of the log key.
        pin: gives the PIN whenever the token is opened.
        monotonic: seconds of a clock that never goes back.
        known: log key and cosigner key, where the ledger names them: a token that is not there yet
            is then an outage from the start, and no error.

    Raises:
        ChopmarkError: the module, the token or a key is not there, or does not fit.
        TryAgainError: `hsm-away`; `pin-latched` if the public keys cannot be read either.
    """

    def __init__(
        self,
        config: HsmConfig,
        origin: str,
        pin: Callable[[], str],
        monotonic: Callable[[], float],
        known: tuple[VerifierKey, VerifierKey] | None = None,
    ) -> None:
        self._config, self._origin, self._pin = config, origin, pin
        self._monotonic = monotonic
        self._token: OpenToken | None = None
        self._lost_at = self._next_try = monotonic()
        self.state: State = "ready"
        self.reason: str | None = None
        self.outages = 0
        self.label = config.token_label or ""
        self.witness_key: VerifierKey | None = None
        self._module = Module(config.module, late=known is not None)
        try:
            self._start(known)
        except BaseException:
            self._module.close()
            raise
        self.warning = warn_of(self._module)

    def sign(self, role: Role, message: bytes) -> bytes:
        """The raw 64-byte signature over a message: r ‖ s of its SHA-256, or Ed25519 of itself.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
        """
        return self._use(lambda token: _sign(getattr(token, role), message))

    def read_mark(self) -> HeadMark | None:
        """The head mark, or None if the token has none.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            RefusedError: `bad-mark`.
        """
        mark = self._use(lambda token: read_mark(token.session, self._config, self._origin))
        self.confirm()
        return mark

    def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        """Put a head mark in the place of the one before it; trying again is harmless.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            RefusedError: `mark-moved`, `bad-mark`.
            ConfigurationError: `mark-refused`.
        """
        self._use(lambda token: write_mark(token.session, self._config, mark, after))
        self.confirm()

    def generate(self, role: Role, name: str, base: str) -> tuple[str, VerifierKey]:
        """Make one more key, of the type that the one in use has; gives its label too.

        Args:
            role: what it is for.
            name: of the key.
            base: what its label begins with; a number follows.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            ConfigurationError: `key-not-protected`.
        """

        def make(token: OpenToken) -> tuple[str, VerifierKey]:
            session, numbers = token.session, range(2, MAX_KEYS)
            labels = (f"{base}-{number}" for number in numbers)
            label = next(one for one in labels if is_free(session, one))
            p256 = getattr(token, role).verifier.is_p256
            key_type = KeyType.EC if p256 else KeyType.EC_EDWARDS
            cosigner, profile = role == "cosigner", self._module.profile
            key = generate_key(session, label, name, key_type, profile, cosigner=cosigner)
            return label, key

        return self._with_token(make)

    def destroy(self, label: str, key: VerifierKey) -> None:
        """Destroy a key, for good, if it is there.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            MissingError: `no-such-key`: another key has this label.
            ValueError: it is in use.
        """
        if label in (self._config.log_label, self._config.cosigner_label):
            raise ValueError(f"the key {label} is in use")
        self._with_token(lambda token: destroy_key(token.session, label, key))

    def _with_token(self, call: Callable[[OpenToken], T]) -> T:
        self._module.assert_owner()
        token = self._token or self._open_if_due()
        try:
            return call(token)
        except _FAULTS as error:
            self._lose(describe(error))
            raise away(describe(error)) from error

    def confirm(self) -> None:
        """A signature made since the last opening has verified: the outage is over."""
        if self._token is not None and self.state == "away":
            self.state, self.reason = "ready", None
            _log.warning("the HSM is back after %.1f s", self._monotonic() - self._lost_at)

    def distrust(self) -> None:
        """Take a signature that did not verify for an outage; the next call opens anew."""
        self._lose("a signature of the token does not verify")

    def close(self) -> None:
        """Log out, close all sessions, and give the module back."""
        self._token = None
        self._module.close()

    def _use(self, call: Callable[[OpenToken], T]) -> T:
        """Do something with the open token; if that fails, once more with it opened anew."""
        self._module.assert_owner()
        token = self._token or self._open_if_due()
        try:
            return call(token)
        except _FAULTS as error:
            was_ready = self.state == "ready"
            self._lose(describe(error))
            if not was_ready:
                raise away(describe(error)) from error
        token = self._open_again()
        try:
            return call(token)
        except _FAULTS as error:
            self._lose(describe(error))
            raise away(describe(error)) from error

    def _start(self, known: tuple[VerifierKey, VerifierKey] | None) -> None:
        try:
            token = open_token(self._module, self._config, self._origin, self._pin)
            self.label = token.label
            self.log_key, self.cosigner_key = token.log.verifier, token.cosigner.verifier
            self._take(token)
        except PinRefusedError as refused:
            self._latch(refused.reason)
            self._start_latched(refused.reason, known)
        except (*_FAULTS, ChopmarkError) as error:
            if known is not None and _may_be_late(error):
                self.log_key, self.cosigner_key = known
                self._lose(describe(error))
            elif isinstance(error, ChopmarkError):
                raise
            else:
                raise away(describe(error)) from error

    def _start_latched(self, reason: str, known: tuple[VerifierKey, VerifierKey] | None) -> None:
        # A gateway with a wrong PIN still verifies for others, and a daemon that ended here would
        # be started again, and try the PIN again.
        try:
            read = read_public(self._module, self._config, self._origin)
        except (*_FAULTS, ChopmarkError) as error:
            if known is None:
                raise latched(reason) from error
            read = (self.label, *known)
        self.label, self.log_key, self.cosigner_key = read

    def _open_if_due(self) -> OpenToken:
        if self.state == "latched":
            raise latched(self.reason or "")
        if self._monotonic() < self._next_try:
            raise away(self.reason or "")
        return self._open_again()

    def _open_again(self) -> OpenToken:
        self._next_try = self._monotonic() + RETRY_AFTER
        try:
            self._module.restart()
            token = open_token(self._module, self._config, self._origin, self._pin)
            self._check_same(token)
        except PinRefusedError as refused:
            self._latch(refused.reason)
            raise latched(refused.reason) from refused
        except (*_FAULTS, ChopmarkError, OSError) as error:
            self.reason = describe(error)
            raise away(self.reason) from error
        self._take(token)
        self.label, self.warning = token.label, warn_of(self._module)
        return token

    def _take(self, token: OpenToken) -> None:
        self._token = token
        self.witness_key = token.witness.verifier if token.witness is not None else None

    def _check_same(self, token: OpenToken) -> None:
        if (token.log.verifier, token.cosigner.verifier) != (self.log_key, self.cosigner_key):
            raise TokenFaultError("the token holds other keys than before")

    def _lose(self, reason: str) -> None:
        self._token = None
        if self.state == "ready":
            self.state = "away"
            self.outages += 1
            self._lost_at = self._monotonic()
            _log.warning("the HSM is away: %s", reason)
        self.reason = reason

    def _latch(self, reason: str) -> None:
        self._token = None
        self.state, self.reason = "latched", reason
        _log.error("signing is off until the next start: %s", reason)


def _may_be_late(error: Exception) -> bool:
    """Whether what failed at start may come by itself: a device that is slow, or not plugged in."""
    return isinstance(error, _FAULTS) or (
        isinstance(error, ChopmarkError) and error.code in ("hsm-away", "no-such-token")
    )


def _sign(key: HsmKey | None, message: bytes) -> bytes:
    if key is None:
        raise TokenFaultError("the key is not there any more")
    ecdsa = key.mechanism is Mechanism.ECDSA
    data = hashlib.sha256(message).digest() if ecdsa else message
    if ecdsa and len(data) != 32:  # SoftHSM signs "digests" of any length
        raise ValueError("only a SHA-256 digest is signed")
    signature = key.private.sign(data, mechanism=key.mechanism)
    if len(signature) != 64:
        raise TokenFaultError(f"a signature of {len(signature)} bytes")
    return signature
