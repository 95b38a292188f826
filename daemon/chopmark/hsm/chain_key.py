"""The key of a gateway's account on a chain: an ECDSA key on secp256k1 in the token.

Nothing of a ledger rests on it: without it nothing is anchored, and all else works.
"""

import logging
from dataclasses import dataclass, field
from typing import Final

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.mechanisms import Mechanism
from pkcs11.types import Object, Session, SignMixin

from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.core.secp256k1 import account_of
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.demands import check_protected, unfit
from chopmark.hsm.errors import TokenFaultError
from chopmark.hsm.keys import SECP256K1_PARAMS, find_objects, strip_octet_string

_log: Final = logging.getLogger("chopmark.hsm")


@dataclass(frozen=True, slots=True)
class ChainKey:
    """A private key's handle, good for one login; its repr would call the module.

    Attributes:
        point: the public half, uncompressed: 65 bytes.
    """

    private: SignMixin = field(repr=False)
    point: bytes

    @property
    def account(self) -> str:
        """The account that it signs for."""
        return account_of(self.point)

    def sign(self, digest: bytes) -> bytes:
        """The signature r ‖ s over a digest of 32 bytes.

        Raises:
            PKCS11Error: the token does not answer.
            TokenFaultError: it gives something else.
        """
        if len(digest) != 32:
            raise ValueError("only a digest of 32 bytes is signed")
        signature = self.private.sign(digest, mechanism=Mechanism.ECDSA)
        if len(signature) != 64:
            raise TokenFaultError(f"a signature of {len(signature)} bytes")
        return signature


def find_chain(session: Session, config: HsmConfig) -> ChainKey | None:
    """The account's key, if it is wanted, and there; one that does not fit is as good as none.

    Raises:
        PKCS11Error: the token does not answer.
    """
    if config.chain_label is None:
        return None
    try:
        return find_chain_key(session, config.chain_label)
    except ChopmarkError as error:
        _log.warning("nothing can be anchored: %s", error)
        return None


def find_chain_key(session: Session, label: str) -> ChainKey | None:
    """The key with this label, checked; None if there is none.

    Raises:
        ConfigurationError: `ambiguous-key`, `key-not-protected`, `unfit-key`.
        PKCS11Error: the token does not answer.
    """
    publics = find_objects(session, ObjectClass.PUBLIC_KEY, label)
    privates = find_objects(session, ObjectClass.PRIVATE_KEY, label)
    if not publics and not privates:
        return None
    if len(publics) != 1 or len(privates) != 1:
        message = f"the token has {len(publics)} public and {len(privates)} private keys {label!r}"
        raise ConfigurationError("ambiguous-key", message)
    check_protected(privates[0], label)
    if not isinstance(privates[0], SignMixin):
        raise unfit(label, "it may not sign")
    return ChainKey(privates[0], _read_point(publics[0], label))


def _read_point(public: Object, label: str) -> bytes:
    if public[Attribute.EC_PARAMS] != SECP256K1_PARAMS:
        raise unfit(label, "it is not on secp256k1")
    try:
        return strip_octet_string(public[Attribute.EC_POINT], 65)
    except ValueError as error:
        raise unfit(label, "its public point is malformed") from error
