"""Making the witness key in the token, of a gateway that may run for years already."""

from typing import Final

from pkcs11.mechanisms import KeyType
from pkcs11.types import Session

from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MissingError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.beside import in_session
from chopmark.hsm.ceremony import check_absent
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.generation import destroy, generate
from chopmark.hsm.keys import find_private, find_verifiers, find_witness
from chopmark.hsm.pin import Source
from chopmark.hsm.quirks import Profile

_UNABLE: Final = "the token cannot make an Ed25519 key, and C2SP has no witness without one"


def create_witness_key(config: HsmConfig, origin: str, pin: Source) -> VerifierKey:
    """Generate the witness key (Ed25519) in the token that has the gateway's other two.

    Blocks until done; the module must not be in use in this process.

    Args:
        config: which module, token and labels.
        origin: of our log; names the key.
        pin: gives the PIN; called once.

    Raises:
        ExistsError: `key-exists`.
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`, `pin-refused`,
            `no-such-mechanism`, `key-refused`, `key-not-protected`, `unfit-key`.
        MissingError: `no-such-key` if it is not the gateway's token.
        TryAgainError: `hsm-away`.
    """
    check_origin(origin)

    def create(session: Session, profile: Profile) -> VerifierKey:
        return _create(session, config, origin, profile)

    return in_session(config, pin, create, (_UNABLE, ""))


def _create(session: Session, config: HsmConfig, origin: str, profile: Profile) -> VerifierKey:
    find_verifiers(session, config, origin)
    check_absent(session, config.witness_label)
    made = generate(session, config.witness_label, KeyType.EC_EDWARDS, profile)
    try:
        return _read_back(session, config, origin)
    except BaseException:
        destroy(list(made))
        raise


def _read_back(session: Session, config: HsmConfig, origin: str) -> VerifierKey:
    key = find_witness(session, config, origin)
    if key is None:
        raise MissingError("no-such-key", "the token does not keep the key that it made")
    find_private(session, config.witness_label, key)
    return key
