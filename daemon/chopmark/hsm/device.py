"""The HSM as the signer sees it: what can be done with the keys in its token. On the HSM's thread.

See `standing` for its states, `healing` for how it is opened.
"""

import hashlib
from typing import Final, Literal

from pkcs11.mechanisms import KeyType, Mechanism

from chopmark.core.blinding import SaltKey
from chopmark.core.errors import MissingError
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.hsm.attributes import TokenKey, read_pairs
from chopmark.hsm.ceremony import destroy_key, generate_key, is_free
from chopmark.hsm.chain_key import ChainKey
from chopmark.hsm.errors import TokenFaultError
from chopmark.hsm.healing import Healing
from chopmark.hsm.keys import HsmKey
from chopmark.hsm.mark import read_mark, write_mark
from chopmark.hsm.salt_keys import (
    destroy_salt_keys,
    random_bytes,
    read_salt_keys,
    write_salt_key,
)
from chopmark.hsm.token import OpenToken

MAX_KEYS: Final = 1000
"""Keys of one sort that a token may have had."""
Role = Literal["log", "cosigner", "witness"]


class Device(Healing):
    """Signs, keeps the head mark, and makes and destroys keys, as `Healing` lets it."""

    def sign(self, role: Role, message: bytes) -> bytes:
        """The raw 64-byte signature over a message: r ‖ s of its SHA-256, or Ed25519 of itself.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `pin-awaited`, `hsm-maintenance`,
                `key-worn-out`.
        """
        return self._use(lambda token: self._sign(getattr(token.keys, role), message))

    def sign_chain(self, digest: bytes) -> bytes:
        """The raw 64-byte signature by the key of the chain account; raises as `sign`."""
        return self._use(lambda token: self._sign_chain(token.keys.chain, digest))

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

        return self._use_once(make)

    def destroy(self, label: str, key: VerifierKey) -> None:
        """Destroy a key, for good, if it is there.

        Raises:
            TryAgainError: as `sign`.
            MissingError: `no-such-key`: another key has this label.
            RefusedError: `ambiguous-key`: several have it.
            ValueError: it is in use.
        """
        config = self._config
        used = (config.log_label, config.cosigner_label, config.witness_label, config.chain_label)
        if label in used:
            raise ValueError(f"the key {label} is in use")
        self._use_once(lambda token: destroy_key(token.session, label, key))

    def read_keys(self) -> tuple[TokenKey, ...]:
        """Every key in the token, with what it says of each.

        Raises:
            TryAgainError: as `sign`.
        """
        return self._use_once(lambda token: read_pairs(token.session, private=True))

    def confirm(self) -> None:
        """A signature made since the last opening has verified: the outage is over."""
        if self._token is not None and self.state == "away":
            self._back()

    def distrust(self) -> None:
        """Take a signature that did not verify for an outage; the next call opens anew."""
        self._lose(TokenFaultError("a signature of the token does not verify"))
        self._token = None

    def unlatch(self, *, given: bool = False) -> None:
        """An operator says that the PIN may be tried, and it is, once.

        Args:
            given: see `TokenBook.allow`.

        Raises:
            TryAgainError: as `sign`.
        """
        self._book.allow(given=given)
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
            self._token = None
            self._rest()
        elif self.state == "maintenance":
            self.state = "away"
            self._open_again()

    def close(self) -> None:
        """Log out, close all sessions, and give the module back."""
        self._token = None
        self.usage.give_back()
        self._ladder.close()

    def _sign(self, key: HsmKey | None, message: bytes) -> bytes:
        if key is None:
            raise TokenFaultError("the key is not there any more")
        if self.usage.limit is not None:
            self.usage.take(key.verifier.encode())
        began = self._monotonic()
        signature = _sign(key, message)
        self.meter.signed(self._monotonic() - began)
        return signature

    def _sign_chain(self, key: ChainKey | None, digest: bytes) -> bytes:
        if key is None:  # no fault of the token: all other keys work
            message = "the key of the chain account is not there any more"
            raise MissingError("no-chain-key", message, hint="`chopmark anchor init` makes one")
        if self.usage.limit is not None:
            self.usage.take(key.account)
        return key.sign(digest)


def _sign(key: HsmKey, message: bytes) -> bytes:
    ecdsa = key.mechanism is Mechanism.ECDSA
    data = hashlib.sha256(message).digest() if ecdsa else message
    if ecdsa and len(data) != 32:  # SoftHSM signs "digests" of any length
        raise ValueError("only a SHA-256 digest is signed")
    signature = key.private.sign(data, mechanism=key.mechanism)
    if len(signature) != 64:
        raise TokenFaultError(f"a signature of {len(signature)} bytes")
    return signature
