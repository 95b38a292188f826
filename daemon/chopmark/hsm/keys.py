"""Key pairs in the token: found by label, checked, and turned into verifier keys."""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import AttributeTypeInvalid
from pkcs11.mechanisms import Mechanism
from pkcs11.types import Object, Session, SignMixin

from chopmark.core.errors import ConfigurationError, MissingError
from chopmark.core.keys import (
    COSIGNATURE,
    ECDSA_P256,
    ED25519,
    OTHER,
    VerifierKey,
    encode_spki,
)
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.demands import check_protected, unfit

P256_PARAMS: Final = bytes.fromhex("06082a8648ce3d030107")
"""OBJECT IDENTIFIER 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1)."""
SECP256K1_PARAMS: Final = bytes.fromhex("06052b8104000a")
"""OBJECT IDENTIFIER 1.3.132.0.10 (SEC 2 §A.2.1)."""
ED25519_PARAMS: Final = bytes.fromhex("06032b6570")
"""OBJECT IDENTIFIER 1.3.101.112 (RFC 8410 §3)."""
ED25519_NAME: Final = b"\x13\x0cedwards25519"
"""The same curve as a PrintableString (PKCS#11 v3.0 §2.3.10)."""


@dataclass(frozen=True, slots=True)
class HsmKey:
    """A private key's handle, good for one login, with how it signs and how that is checked.

    The handle's own repr calls the module, from whatever thread prints it: it is left out.
    """

    private: SignMixin = field(repr=False)
    mechanism: Mechanism
    verifier: VerifierKey


def cosigner_name(origin: str) -> str:
    """The name of a gateway's cosigner key."""
    return f"{origin}/cosigner"


def witness_name(origin: str) -> str:
    """The name of the key by which a gateway cosigns logs that are no member's."""
    return f"{origin}/witness"


def find_witness(session: Session, config: HsmConfig, origin: str) -> VerifierKey | None:
    """The public half of the witness key, if the token has one.

    Raises:
        ConfigurationError: `ambiguous-key`, `unfit-key`: C2SP has Ed25519 cosignatures only.
        PKCS11Error: the token does not answer.
    """
    if not find_objects(session, ObjectClass.PUBLIC_KEY, config.witness_label):
        return None
    public = _find(session, ObjectClass.PUBLIC_KEY, config.witness_label)
    key = read_verifier(public, witness_name(origin))
    if key.type != ED25519:
        raise unfit(config.witness_label, "a witness cosigns by Ed25519")
    return VerifierKey(key.name, COSIGNATURE, key.public)


def find_verifiers(
    session: Session, config: HsmConfig, origin: str
) -> tuple[VerifierKey, VerifierKey]:
    """The public halves of log key and cosigner key; needs no login where they are public.

    Raises:
        MissingError: `no-such-key`.
        ConfigurationError: `ambiguous-key`, `unfit-key`.
        PKCS11Error: the token does not answer.
    """
    log = find_verifier(session, config.log_label, origin, cosigner=False)
    name = config.cosigner_name or cosigner_name(origin)
    cosigner = find_verifier(session, config.cosigner_label, name, cosigner=True)
    if log.public == cosigner.public:
        raise unfit(config.cosigner_label, "it is the log key too")
    return log, cosigner


def find_verifier(session: Session, label: str, name: str, *, cosigner: bool) -> VerifierKey:
    """The public half of one key; raises as `find_verifiers`."""
    key = read_verifier(_find(session, ObjectClass.PUBLIC_KEY, label), name)
    if not cosigner:
        return key
    return VerifierKey(name, COSIGNATURE if key.type == ED25519 else OTHER, key.public)


def find_private(session: Session, label: str, verifier: VerifierKey) -> HsmKey:
    """The private half, checked to be one that cannot leave the token.

    Raises:
        MissingError: `no-such-key`.
        ConfigurationError: `ambiguous-key`, `key-not-protected`, `unfit-key`.
        PKCS11Error: the token does not answer.
    """
    private = _find(session, ObjectClass.PRIVATE_KEY, label)
    check_protected(private, label)
    if not isinstance(private, SignMixin):
        raise unfit(label, "it may not sign")
    mechanism = Mechanism.ECDSA if verifier.is_p256 else Mechanism.EDDSA
    return HsmKey(private, mechanism, verifier)


def find_objects(session: Session, kind: ObjectClass, label: str) -> list[Object]:
    """All objects of a class and label; the search is ended, as an open one locks the session."""
    return list(session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: label}))


def read_id(half: Object) -> bytes:
    """CKA_ID, which both halves of a pair should share; empty if there is none."""
    try:
        return bytes(half[Attribute.ID])
    except AttributeTypeInvalid:
        return b""


def read_verifier(public: Object, name: str) -> VerifierKey:
    """The verifier key of a public key object, of type ECDSA P-256 or Ed25519.

    Raises:
        ConfigurationError: `unfit-key`.
    """
    params, point = public[Attribute.EC_PARAMS], public[Attribute.EC_POINT]
    try:
        if params == P256_PARAMS:
            encoded = strip_octet_string(point, 65)
            key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), encoded)
            return VerifierKey(name, ECDSA_P256, encode_spki(key))
        if params in (ED25519_PARAMS, ED25519_NAME):
            return VerifierKey(name, ED25519, strip_octet_string(point, 32))
    except ValueError as error:
        raise unfit(name, "its public point is malformed") from error
    raise unfit(name, "it is neither a P-256 nor an Ed25519 key")


def _find(session: Session, kind: ObjectClass, label: str) -> Object:
    found = find_objects(session, kind, label)
    word = "private" if kind == ObjectClass.PRIVATE_KEY else "public"
    if not found:
        message = f"the token has no {word} key {label!r}"
        raise MissingError("no-such-key", message, hint="make the keys with `chopmark init`")
    if len(found) > 1:
        raise ConfigurationError("ambiguous-key", f"the token has {len(found)} keys {label!r}")
    return found[0]


def strip_octet_string(point: bytes, length: int) -> bytes:
    """A public point: PKCS#11 wraps it into a DER OCTET STRING, and some modules give it bare.

    Raises:
        ValueError: it has another length.
    """
    if len(point) == length + 2 and point[:2] == bytes([0x04, length]):
        return point[2:]
    if len(point) == length:
        return point
    raise ValueError(f"a point of {len(point)} bytes")
