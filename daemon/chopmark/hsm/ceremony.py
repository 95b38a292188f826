"""Making a gateway's two keys, inside the token. Nothing is ever overwritten."""

from collections.abc import Callable
from typing import Final, Literal

from pkcs11.constants import ObjectClass
from pkcs11.mechanisms import KeyType
from pkcs11.types import Object, Session

from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import ExistsError, MissingError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.beside import in_session
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.generation import destroy, generate
from chopmark.hsm.keys import (
    find_objects,
    find_private,
    find_verifier,
    find_verifiers,
    read_id,
    read_verifier,
)
from chopmark.hsm.pin import Source
from chopmark.hsm.quirks import Profile

Cosigner = Literal["ed25519", "p256"]
_COSIGNERS: Final[dict[Cosigner, KeyType]] = {"ed25519": KeyType.EC_EDWARDS, "p256": KeyType.EC}
_BY_HAND: Final = "the vendor's tool destroys one of them by its handle or id"


def create_keys(
    config: HsmConfig,
    origin: str,
    pin: Source,
    cosigner: Cosigner = "ed25519",
    look: Callable[[Session], None] | None = None,
) -> tuple[VerifierKey, VerifierKey]:
    """Generate the log key (ECDSA P-256) and the cosigner key in the token.

    Either both are made, read back and found to be kept by the token, or neither stays. Blocks
    until done; the module must not be in use in this process.

    Args:
        config: which module, token and labels.
        origin: of our log; names both keys.
        pin: gives the PIN; called once.
        cosigner: what the cosigner key is to be; `p256` for tokens without Ed25519.
        look: looks at the new keys in the same login, for a record; neither stays if it raises.

    Returns:
        The log key and the cosigner key.

    Raises:
        ExistsError: `key-exists`: an object has one of the labels.
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`, `pin-refused`,
            `no-such-mechanism`, `key-refused`, `key-not-protected`, `unfit-key`.
        TryAgainError: `hsm-away`.
    """
    check_origin(origin)
    message = f"the token cannot make a P-256 log key and a cosigner key of type {cosigner}"
    unable = (message, "a token without Ed25519 may take --cosigner-key p256")

    def create(session: Session, profile: Profile) -> tuple[VerifierKey, VerifierKey]:
        return _create(session, config, origin, _COSIGNERS[cosigner], profile, look)

    return in_session(config, pin, create, unable)


def _create(
    session: Session,
    config: HsmConfig,
    origin: str,
    cosigner_type: KeyType,
    profile: Profile,
    look: Callable[[Session], None] | None,
) -> tuple[VerifierKey, VerifierKey]:
    for label in (config.log_label, config.cosigner_label):
        check_absent(session, label)
    made: list[Object] = []
    try:
        made += generate(session, config.log_label, KeyType.EC, profile)
        made += generate(session, config.cosigner_label, cosigner_type, profile)
        log, cosigner = find_verifiers(session, config, origin)
        find_private(session, config.log_label, log)
        find_private(session, config.cosigner_label, cosigner)
        if look is not None:
            look(session)
    except BaseException:
        destroy(made)
        raise
    return log, cosigner


def generate_key(
    session: Session, label: str, name: str, key_type: KeyType, profile: Profile, *, cosigner: bool
) -> VerifierKey:
    """Make one more key beside those that are there; or none, if it is not kept by the token.

    Raises:
        ExistsError: `key-exists`.
        ConfigurationError: `key-refused`, `key-not-protected`, `unfit-key`.
        PKCS11Error: the token does not answer, or cannot make such a key.
    """
    check_absent(session, label)
    made: list[Object] = []
    try:
        made += generate(session, label, key_type, profile)
        verifier = find_verifier(session, label, name, cosigner=cosigner)
        find_private(session, label, verifier)
    except BaseException:
        destroy(made)
        raise
    return verifier


def destroy_key(session: Session, label: str, key: VerifierKey) -> None:
    """Destroy a key pair, for good, if it is there: never a private half of which this is not sure.

    Raises:
        PKCS11Error: the token does not answer.
        MissingError: `no-such-key`: another key has this label, or a private half alone; it stays.
        RefusedError: `ambiguous-key`: the private half may be another key's; all stay.
    """
    publics = find_objects(session, ObjectClass.PUBLIC_KEY, label)
    privates = find_objects(session, ObjectClass.PRIVATE_KEY, label)
    for public in publics:
        if read_verifier(public, key.name).public != key.public:
            message = f"the key {label!r} in the token is another one than {key.encode()}"
            hint = "it is destroyed already; `chopmark hsm keys` lists what there is"
            raise MissingError("no-such-key", message, hint=hint)
    if privates:
        _check_belongs(privates, publics, label)
    # A public half that stays, as the token went away meanwhile, still says which key it was.
    for half in (*privates, *publics):
        half.destroy()


def _check_belongs(privates: list[Object], publics: list[Object], label: str) -> None:
    """Only label and CKA_ID say which private half is a public one's (PKCS#11 v2.40 §4.4)."""
    if not publics:
        message = f"{label!r} has no public half: nobody can say which key it is"
        raise MissingError("no-such-key", message, hint=_BY_HAND)
    if len(privates) > 1:
        message = f"{len(privates)} private halves are called {label!r}"
        raise RefusedError("ambiguous-key", message, hint=_BY_HAND)
    names = {name for half in (*privates, *publics) if (name := read_id(half))}
    if len(names) > 1:
        message = f"the halves called {label!r} are of different keys, by their CKA_ID"
        raise RefusedError("ambiguous-key", message, hint=_BY_HAND)


def is_free(session: Session, label: str) -> bool:
    """Whether no key has this label."""
    kinds = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
    return not any(find_objects(session, kind, label) for kind in kinds)


def check_absent(session: Session, label: str) -> None:
    """Refuse a label that an object has.

    Raises:
        ExistsError: `key-exists`.
    """
    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        if find_objects(session, kind, label):
            hint = "keys are never overwritten: give the new ones another label"
            message = f"the token has a key {label!r} already"
            raise ExistsError("key-exists", message, hint=hint)
