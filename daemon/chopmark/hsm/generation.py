"""Making one key pair in the token: what is asked for, and that it was made so."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pkcs11.constants import DEFAULT, Attribute, MechanismFlag
from pkcs11.exceptions import (
    AttributeTypeInvalid,
    AttributeValueInvalid,
    PKCS11Error,
    TemplateIncomplete,
    TemplateInconsistent,
)
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Object, Session

from chopmark.core.errors import ConfigurationError
from chopmark.hsm.demands import check_protected, read_flag
from chopmark.hsm.errors import describe
from chopmark.hsm.keys import ED25519_PARAMS, P256_PARAMS
from chopmark.hsm.quirks import Profile

_log: Final = logging.getLogger("chopmark.hsm")

# Each said outright: what is left out, modules fill in as they like, some with EXTRACTABLE.
_PRIVATE: Final = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}
# Readable without a login, so that a gateway whose PIN is refused still knows its name.
_PUBLIC: Final = {
    Attribute.PRIVATE: False,
    Attribute.MODIFIABLE: False,
    Attribute.VERIFY: True,
    Attribute.VERIFY_RECOVER: False,
    Attribute.ENCRYPT: False,
    Attribute.WRAP: False,
    Attribute.DERIVE: False,
}
# The library puts these into its own templates, whatever the module makes of them.
_LIBRARY_SAYS: Final = (Attribute.ENCRYPT, Attribute.WRAP, Attribute.VERIFY)
_REFUSALS: Final = (
    AttributeTypeInvalid,
    AttributeValueInvalid,
    TemplateIncomplete,
    TemplateInconsistent,
)


@dataclass(frozen=True, slots=True)
class _Kind:
    params: bytes
    generates: Mechanism
    signs: Mechanism


_KINDS: Final = {
    KeyType.EC: _Kind(P256_PARAMS, Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
    KeyType.EC_EDWARDS: _Kind(ED25519_PARAMS, Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA),
}


def generate(
    session: Session,
    label: str,
    key_type: KeyType,
    profile: Profile,
    curve: bytes | None = None,
) -> tuple[Object, Object]:
    """Make a key pair that stays in the token and does nothing but sign.

    It is bound to its one mechanism where the module can do that (CKA_ALLOWED_MECHANISMS). What
    does not read back as it was asked for is destroyed again.

    Args:
        session: one with a login.
        label: of both halves.
        key_type: ECDSA or EdDSA.
        profile: how to treat the module.
        curve: CKA_EC_PARAMS, if it is to be another curve than P-256 or Ed25519.

    Raises:
        ConfigurationError: `key-refused`: the token makes no such key; `key-not-protected`,
            `unfit-key`: it made another than was asked for.
        PKCS11Error: the token does not answer, or has no such mechanism.
    """
    asked: dict[Attribute, Any] = dict(_PRIVATE)
    kind = _KINDS[key_type]
    kind = kind if curve is None else replace(kind, params=curve)
    if profile.binds:
        asked[Attribute.ALLOWED_MECHANISMS] = (kind.signs,)
    try:
        made = _generate(session, label, (key_type, kind), profile, asked)
    except _REFUSALS as error:
        _log.info("%s: the module binds keys to no mechanism (%s)", label, describe(error))
        made = _generate_unbound(session, label, (key_type, kind), profile)
        asked = dict(_PRIVATE)
    try:
        _read_back(made[1], label, asked)
    except BaseException:
        destroy(list(made))
        raise
    return made


def destroy(made: list[Object]) -> None:
    """Undo: only what this very ceremony made and nobody has used."""
    for key in made:
        try:
            key.destroy()
        except PKCS11Error as error:
            _log.warning("a key of the failed ceremony stays in the token: %s", describe(error))


def _generate_unbound(
    session: Session, label: str, sort: tuple[KeyType, _Kind], profile: Profile
) -> tuple[Object, Object]:
    try:
        return _generate(session, label, sort, profile, _PRIVATE)
    except _REFUSALS as error:
        message = f"the token makes no key that is kept in it and only signs ({describe(error)})"
        hint = "see docs/operations/hsm-modules.md: its module may need a profile"
        raise ConfigurationError("key-refused", message, hint=hint) from error


def _generate(
    session: Session,
    label: str,
    sort: tuple[KeyType, _Kind],
    profile: Profile,
    private: Mapping[Attribute, Any],
) -> tuple[Object, Object]:
    key_type, kind = sort
    public = {name: value for name, value in _PUBLIC.items() if name not in profile.unsaid}
    unsaid = dict.fromkeys(profile.unsaid.intersection(_LIBRARY_SAYS), DEFAULT)
    domain = session.create_domain_parameters(
        key_type, {Attribute.EC_PARAMS: kind.params}, local=True
    )
    return domain.generate_keypair(
        id=label.encode(),
        label=label,
        store=True,
        mechanism=kind.generates,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        public_template={**public, **unsaid},
        private_template=dict(private),
    )


def _read_back(private: Object, label: str, asked: Mapping[Attribute, Any]) -> None:
    check_protected(private, label)
    if read_flag(private, Attribute.SIGN_RECOVER):
        raise _other(label, "SIGN_RECOVER")
    mechanisms = asked.get(Attribute.ALLOWED_MECHANISMS)
    if mechanisms is not None and tuple(private[Attribute.ALLOWED_MECHANISMS]) != mechanisms:
        raise _other(label, "ALLOWED_MECHANISMS")


def _other(label: str, name: str) -> ConfigurationError:
    message = f"key {label!r} does not fit: {name} is not as it was asked for"
    return ConfigurationError("unfit-key", message)
