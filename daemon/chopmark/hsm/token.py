"""One token: the login, and the keys found after it.

A login is the process's, not a session's: when a session that was opened with the PIN is closed,
all others are logged out. So one session, the entrance, holds the login and does nothing else, and
a second one works: what goes wrong in that one is healed without the PIN. Where more is wrong,
C_Finalize cleans up: python-pkcs11 forgets the session of a failed login, and a session whose
logout fails, and only that call closes those.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from pkcs11 import PROTECTED_AUTH
from pkcs11.constants import ObjectClass, TokenFlag
from pkcs11.exceptions import PKCS11Error
from pkcs11.types import Session, Token

from chopmark.core.keys import VerifierKey
from chopmark.hsm.book import TokenBook, Unkept
from chopmark.hsm.chain_key import ChainKey, find_chain
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import LoggedOutError, PinRefusedError, describe, is_pin_error
from chopmark.hsm.keys import (
    HsmKey,
    find_objects,
    find_private,
    find_verifiers,
    find_witness,
)
from chopmark.hsm.mapper import make_mapper
from chopmark.hsm.module import Module
from chopmark.hsm.pin import BookedPin, Pin, PinPad, Source
from chopmark.hsm.quirks import Profile

UNFINISHED: Final = 2
"""Logins in whose middle the daemon ended, one after the other, after which none is tried where the
token does not tell of wrong PINs: many lock after three."""


class Keys(NamedTuple):
    """The gateway's keys in a token; their handles die with the login, and with their session."""

    log: HsmKey
    cosigner: HsmKey
    witness: HsmKey | None = None
    chain: ChainKey | None = None


@dataclass(frozen=True, slots=True)
class OpenToken:
    """A token that we are logged in to.

    Attributes:
        token: as it was found.
        entrance: the session that holds the login.
        session: the one that works.
        keys: found in that one.
    """

    token: Token
    entrance: Session
    session: Session
    keys: Keys

    @property
    def label(self) -> str:
        """Label of the token."""
        return self.token.label

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return 2


def open_token(
    module: Module, config: HsmConfig, origin: str, pin: Source, book: TokenBook
) -> OpenToken:
    """Log in, and find both keys, and the witness key if there is one.

    On failure the module is stopped, so that nothing leaks.

    Raises:
        PinRefusedError: the PIN is wrong or locked; it must not be tried again.
        PinAwaitedError: it was not given yet.
        PKCS11Error: the token does not answer.
        ChopmarkError: what finding the token and its keys raises.
    """
    token = module.find_token(config)
    entrance = login(module, token, pin, book, rw=_writable(token))
    try:
        return _enter(token, entrance, config, origin)
    except BaseException:
        module.stop()
        raise


def reopen_session(opened: OpenToken, config: HsmConfig, origin: str) -> OpenToken:
    """A new session in place of the one that works, under the login that there is.

    Raises:
        PKCS11Error: the token does not answer.
        LoggedOutError: the login is gone.
        ChopmarkError: what finding its keys raises.
    """
    with suppress(PKCS11Error):
        opened.session.close()
    session = _open_session(opened.token)
    find_verifiers(session, config, origin)
    if not find_objects(session, ObjectClass.PRIVATE_KEY, config.log_label):
        raise LoggedOutError
    return replace(opened, session=session, keys=_find_keys(session, config, origin))


def log_in_again(
    opened: OpenToken,
    module: Module,
    config: HsmConfig,
    origin: str,
    pin: Source,
    book: TokenBook,
) -> OpenToken:
    """A new login; raises as `open_token`, and stops the module then."""
    for session in (opened.session, opened.entrance):
        with suppress(PKCS11Error):
            session.close()
    try:
        token = module.find_token(config)  # its flags may say by now that one try is left
        entrance = login(module, token, pin, book, rw=_writable(token))
        return reopen_session(replace(opened, token=token, entrance=entrance), config, origin)
    except BaseException:
        module.stop()
        raise


def login(
    module: Module,
    token: Token,
    pin: Source,
    book: TokenBook | None = None,
    *,
    rw: bool = False,
) -> Session:
    """The one session with a login. On failure the module is stopped, so that nothing leaks.

    Args:
        module: the module of the token.
        token: where to log in.
        pin: gives the PIN; called once, at the last moment, and what it gives is not kept.
        book: keeps that a login was begun, and that it was refused: a process that ends in the
            middle of a wrong one must not try it again.
        rw: whether objects will be made.

    Raises:
        PinRefusedError: the PIN was refused, or is not tried because it would be the last try.
        PKCS11Error: the token does not answer.
    """
    module.assert_owner()
    kept = pin.book if isinstance(pin, BookedPin) else book or Unkept()
    _check_tries(token, kept, module.profile)
    secret = _for_library(pin())
    kept.begin_login()
    try:
        session = token.open(rw=rw, user_pin=secret, attribute_mapper=make_mapper())
    except PKCS11Error as error:
        module.stop()
        if is_pin_error(error):
            refused = PinRefusedError(f"the token refuses the PIN ({describe(error)})")
            kept.refuse(refused.reason)
            raise refused from error
        kept.end_login()  # the token is away, and that may last: it is not the PIN
        raise
    kept.end_login()
    return session


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


def _enter(token: Token, entrance: Session, config: HsmConfig, origin: str) -> OpenToken:
    session = _open_session(token)
    return OpenToken(token, entrance, session, _find_keys(session, config, origin))


def _find_keys(session: Session, config: HsmConfig, origin: str) -> Keys:
    log, cosigner = find_verifiers(session, config, origin)
    log_key = find_private(session, config.log_label, log)
    cosigner_key = find_private(session, config.cosigner_label, cosigner)
    witness = find_witness(session, config, origin)
    witness_key = find_private(session, config.witness_label, witness) if witness else None
    return Keys(log_key, cosigner_key, witness_key, find_chain(session, config))


def _open_session(token: Token) -> Session:
    return token.open(rw=_writable(token), attribute_mapper=make_mapper())


def _writable(token: Token) -> bool:
    """The head mark is written in it, and new keys are made."""
    return not token.flags & TokenFlag.WRITE_PROTECTED


def _for_library(pin: Pin) -> object:
    return PROTECTED_AUTH if isinstance(pin, PinPad) else pin


def _check_tries(token: Token, book: TokenBook, profile: Profile) -> None:
    if (refused := book.refused) is not None:  # it is on a disk, and may say another thing now
        raise PinRefusedError(refused)
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise PinRefusedError("the PIN is locked: too many wrong ones were tried")
    if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
        raise PinRefusedError("one more wrong PIN would lock the token, so it is not tried")
    if book.unfinished and token.flags & TokenFlag.USER_PIN_COUNT_LOW:
        message = "the daemon ended while it tried the PIN, and the token has counted a wrong try"
        raise PinRefusedError(message)
    if book.unfinished >= UNFINISHED and not profile.tells_tries:
        message = "the daemon ended twice while it tried the PIN, and this HSM does not say whether"
        raise PinRefusedError(f"{message} it was wrong")
