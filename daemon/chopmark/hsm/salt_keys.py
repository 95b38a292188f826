"""Salt keys as private data objects in the token, and the token's random numbers.

A salt key seals the seeds of blinded attestations for some hours (docs/decisions/0015). It lies in
the token so that no copy of the ledger's disk has it, and once it is destroyed there, what it has
sealed is gone from every copy. All of it runs on the HSM's thread.
"""

import logging
from typing import Final

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import FunctionNotSupported, PKCS11Error, RandomNoRNG
from pkcs11.types import Object, Session

from chopmark.core.blinding import SaltKey, parse_salt_key
from chopmark.core.errors import ConfigurationError, MalformedError
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.errors import TokenFaultError, describe
from chopmark.hsm.keys import find_objects

_log: Final = logging.getLogger("chopmark.hsm")
_APPLICATION: Final = "chopmark"


def salt_key_label(config: HsmConfig) -> str:
    """CKA_LABEL of the salt keys of a log; it stays the same when another log key takes over."""
    return f"{config.first_label or config.log_label}-salt-key"


def random_bytes(session: Session, count: int) -> bytes:
    """Random bytes of the token (C_GenerateRandom); none if it has no generator.

    Raises:
        TokenFaultError: it gave too few.
        PKCS11Error: the token does not answer.
    """
    try:
        data = bytes(session.generate_random(8 * count))
    except (FunctionNotSupported, RandomNoRNG):
        return b""
    if len(data) != count:
        raise TokenFaultError(f"{len(data)} random bytes in place of {count}")
    return data


def read_salt_keys(session: Session, config: HsmConfig, origin: str) -> tuple[SaltKey, ...]:
    """The salt keys of a log, the oldest first.

    Raises:
        PKCS11Error: the token does not answer.
    """
    found = (key for _, key in _find(session, config) if key is not None and key.origin == origin)
    return tuple(sorted(found, key=lambda key: key.since))


def write_salt_key(session: Session, config: HsmConfig, key: SaltKey) -> None:
    """Put a salt key into the token; harmless if it is there already.

    Raises:
        ConfigurationError: `salt-key-refused`: this token takes no such object.
        TokenFaultError: it does not read back.
        PKCS11Error: the token does not answer.
    """
    if key in read_salt_keys(session, config, key.origin):
        return
    template = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.MODIFIABLE: False,
        Attribute.LABEL: salt_key_label(config),
        Attribute.APPLICATION: _APPLICATION,
        Attribute.VALUE: key.encode(),
    }
    try:
        session.create_object(template)
    except PKCS11Error as error:
        # Makers have many names for it; a token that answers otherwise just takes no such object.
        if not find_objects(session, ObjectClass.PRIVATE_KEY, config.log_label):
            raise
        message = f"the token keeps no salt keys ({describe(error)})"
        raise ConfigurationError("salt-key-refused", message) from error
    if key not in read_salt_keys(session, config, key.origin):
        raise TokenFaultError("a salt key does not read back as it was written")


def destroy_salt_keys(session: Session, config: HsmConfig, origin: str, before: int) -> int:
    """Destroy the salt keys of a log that began before a time (ms), for good; gives how many.

    Raises:
        PKCS11Error: the token does not answer.
    """
    done = 0
    for item, key in _find(session, config):
        if key is not None and key.origin == origin and key.since < before:
            try:
                item.destroy()
                done += 1
            except PKCS11Error as error:  # it is tried again
                _log.warning("an old salt key stays in the token: %s", describe(error))
    return done


def _find(session: Session, config: HsmConfig) -> list[tuple[Object, SaltKey | None]]:
    objects = find_objects(session, ObjectClass.DATA, salt_key_label(config))
    return [(one, _read(one)) for one in objects]


def _read(item: Object) -> SaltKey | None:
    try:
        return parse_salt_key(item[Attribute.VALUE])
    except MalformedError:
        return None
