"""Making the key of a gateway's account on a chain, in the token or not at all."""

from hashlib import sha256
from typing import Final

from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import KeyType
from pkcs11.types import Session

from chopmark.core.errors import ConfigurationError, MissingError
from chopmark.core.secp256k1 import complete
from chopmark.hsm.beside import in_session
from chopmark.hsm.ceremony import check_absent
from chopmark.hsm.chain_key import find_chain_key
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.demands import unfit
from chopmark.hsm.errors import describe
from chopmark.hsm.generation import destroy, generate
from chopmark.hsm.keys import SECP256K1_PARAMS
from chopmark.hsm.pin import Source
from chopmark.hsm.quirks import Profile

_TRIAL: Final = sha256(b"chopmark/trial of a chain key").digest()
"""What a new key signs once: the digest of no transaction."""
_UNABLE: Final = "the token makes no key on secp256k1, the curve of chain accounts"
_HINT: Final = 'set key = "file" in [anchor], and `chopmark anchor init` makes a key in software'


def create_chain_key(config: HsmConfig, pin: Source) -> str:
    """Generate the account's key in the token; gives the account.

    Blocks until done; the module must not be in use in this process.

    Args:
        config: which module and token, and the key's label.
        pin: gives the PIN; called once.

    Raises:
        ExistsError: `key-exists`.
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`, `pin-refused`,
            `no-such-mechanism`, `no-such-curve`, `key-refused`, `key-not-protected`.
        TryAgainError: `hsm-away`.
    """
    label = config.chain_label
    if label is None:
        raise ValueError("the configuration names no key for a chain")
    return in_session(config, pin, lambda *opened: _create(label, *opened), (_UNABLE, _HINT))


def _create(label: str, session: Session, profile: Profile) -> str:
    check_absent(session, label)
    try:
        made = generate(session, label, KeyType.EC, profile, SECP256K1_PARAMS)
    except PKCS11Error as error:
        message = f"{_UNABLE} ({describe(error)})"
        raise ConfigurationError("no-such-curve", message, hint=_HINT) from error
    try:
        return _prove(session, label)
    except BaseException:
        destroy(list(made))
        raise


def _prove(session: Session, label: str) -> str:
    """See that a new key is there, and signs; gives its account."""
    key = find_chain_key(session, label)
    if key is None:
        raise MissingError("no-such-key", "the token does not keep the key that it made")
    if complete(key.point, _TRIAL, key.sign(_TRIAL)) is None:
        raise unfit(label, "its signatures do not verify")
    return key.account
