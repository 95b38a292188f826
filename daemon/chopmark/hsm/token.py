"""One token: the login, and the keys found after it.

A session that was opened with the PIN carries the login of the whole process, so exactly one is
open, and stays open. Whatever goes wrong, C_Finalize cleans up: python-pkcs11 forgets the session
of a failed login, and a session whose logout fails, and only that call closes those.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pkcs11.constants import TokenFlag
from pkcs11.exceptions import PKCS11Error
from pkcs11.types import Session, Token

from chopmark.core.keys import VerifierKey
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import PIN_ERRORS, PinRefusedError, describe
from chopmark.hsm.keys import HsmKey, find_private, find_verifiers, find_witness
from chopmark.hsm.mapper import make_mapper
from chopmark.hsm.module import Module


@dataclass(frozen=True, slots=True)
class OpenToken:
    """A token that we are logged in to. The handles in it die with the next login."""

    session: Session
    label: str
    log: HsmKey
    cosigner: HsmKey
    witness: HsmKey | None = None


def open_token(module: Module, config: HsmConfig, origin: str, pin: Callable[[], str]) -> OpenToken:
    """Log in, and find both keys, and the witness key if there is one.

    Raises:
        PinRefusedError: the PIN is wrong or locked; it must not be tried again.
        PKCS11Error: the token does not answer.
        ChopmarkError: what finding the token and its keys raises.
    """
    token = module.find_token(config)
    # The head mark is written in it, and new keys are made.
    writable = not token.flags & TokenFlag.WRITE_PROTECTED
    session = login(module, token, pin, rw=writable)
    try:
        log, cosigner = find_verifiers(session, config, origin)
        log_key = find_private(session, config.log_label, log)
        cosigner_key = find_private(session, config.cosigner_label, cosigner)
        witness = find_witness(session, config, origin)
        witness_key = find_private(session, config.witness_label, witness) if witness else None
    except BaseException:
        module.stop()
        raise
    return OpenToken(session, token.label, log_key, cosigner_key, witness_key)


def login(module: Module, token: Token, pin: Callable[[], str], *, rw: bool = False) -> Session:
    """The one session with a login. On failure the module is stopped, so that nothing leaks.

    Args:
        module: the module of the token.
        token: where to log in.
        pin: gives the PIN; called once, at the last moment, and what it gives is not kept.
        rw: whether objects will be made.

    Raises:
        PinRefusedError: the PIN was refused, or is not tried because it would be the last try.
        PKCS11Error: the token does not answer.
    """
    module.assert_owner()
    _check_tries(token)
    try:
        return token.open(rw=rw, user_pin=pin(), attribute_mapper=make_mapper())
    except PKCS11Error as error:
        module.stop()
        if isinstance(error, PIN_ERRORS):
            raise PinRefusedError(f"the token refuses the PIN ({describe(error)})") from error
        raise


def read_public(
    module: Module, config: HsmConfig, origin: str
) -> tuple[str, VerifierKey, VerifierKey]:
    """The token's label and both public keys, without a login.

    Raises:
        PKCS11Error: the token does not answer.
        ChopmarkError: what finding the token and its keys raises.
    """
    module.restart()
    try:
        token = module.find_token(config)
        return token.label, *find_verifiers(token.open(), config, origin)
    finally:
        module.stop()


def warn_of(module: Module) -> str | None:
    """What must be said about tokens of this module's make, or None."""
    if not module.profile.on_disk:
        return None
    return (
        f"{module.manufacturer} keeps its objects on this machine's disk: "
        "no protection against tampering or rollback"
    )


def _check_tries(token: Token) -> None:
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise PinRefusedError("the PIN is locked")
    if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
        raise PinRefusedError("one more wrong PIN would lock the token, so it is not tried")
