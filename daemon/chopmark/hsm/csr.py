"""Certificate requests (PKCS#10, RFC 2986) for TLS keys that live in the token.

The keys of log, cosigner and witness sign typed texts and nothing else (design: what a key may
sign). So that none of them ever signs a request, four things must all hold:
1. the label is none of theirs, and none that could become one of theirs (`chopmark-log-2`);
2. the public half is none of theirs, whatever it is called;
3. the private half shows first, by a self-test, that it belongs to that public half;
4. what is signed is a request that was built here, around the public half of the key that signs,
   and that half is checked before. No caller hands bytes in.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from asn1crypto import algos, csr, keys, pem, x509
from cryptography.x509 import load_der_x509_csr
from pkcs11.constants import ObjectClass
from pkcs11.mechanisms import KeyType
from pkcs11.types import Object, Session

from chopmark.core.errors import ConfigurationError, MalformedError, MissingError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.beside import in_session
from chopmark.hsm.ceremony import check_absent
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.der import encode_ecdsa
from chopmark.hsm.errors import TokenFaultError
from chopmark.hsm.generation import destroy, generate
from chopmark.hsm.keys import HsmKey, find_objects, find_private, find_verifier, read_verifier
from chopmark.hsm.pin import Source
from chopmark.hsm.quirks import Profile
from chopmark.hsm.trial import prove_pair

MAX_NAMES: Final = 32
"""DNS names in one request."""
_COMMON_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?", re.ASCII)
"""At most 64 characters (X.520 ub-common-name)."""
_DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS: Final = re.compile(rf"(?:\*\.)?{_DNS_LABEL}(?:\.{_DNS_LABEL})*", re.ASCII)
_MAX_DNS: Final = 253


@dataclass(frozen=True, slots=True)
class Request:
    """What a certificate is asked for.

    Attributes:
        common_name: of the subject: for the broker, the member id.
        dns: names of the host, lower-case; may be empty.

    Raises:
        MalformedError: `malformed-request`.
    """

    common_name: str
    dns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _COMMON_NAME.fullmatch(self.common_name):
            raise _malformed(f"not a common name: {self.common_name!r}")
        if len(self.dns) > MAX_NAMES:
            raise _malformed(f"more than {MAX_NAMES} DNS names")
        for name in self.dns:
            if len(name) > _MAX_DNS or not _DNS.fullmatch(name):
                raise _malformed(f"not a DNS name in lower case: {name!r}")


def make_request(
    config: HsmConfig,
    request: Request,
    label: str,
    pin: Source,
    *,
    ours: Collection[bytes],
    new: bool,
) -> bytes:
    """Have the token sign a request for one of its TLS keys.

    Blocks until done; the module must not be in use in this process.

    Args:
        config: which module and token, and the labels of the keys that must never sign it.
        request: what is asked for.
        label: of the TLS key.
        pin: gives the PIN; called once.
        ours: public halves (as in `VerifierKey.public`) of every key that signs for a log.
        new: make the key first, P-256; it must not exist then, and else it must.

    Returns:
        The request as PEM.

    Raises:
        RefusedError: `not-a-transport-key`.
        ExistsError: `key-exists`.
        MissingError: `no-such-key`.
        ConfigurationError: what `create_keys` raises, and `unfit-key` unless the key is P-256.
        TryAgainError: `hsm-away`.
    """
    refuse_label(config, label)

    def make(session: Session, profile: Profile) -> bytes:
        refused = frozenset(ours) | _read_ours(session, config)
        if new:
            return _make_and_sign(session, request, label, refused, profile)
        return _sign(session, request, label, refused)

    return in_session(config, pin, make, ("the token makes no P-256 key", ""), rw=new)


def refuse_label(config: HsmConfig, label: str) -> None:
    """Refuse a label that a key of log, cosigner or witness has, or the next one could have.

    Raises:
        RefusedError: `not-a-transport-key`.
    """
    bases = [config.log_label, config.cosigner_label, config.witness_label, config.first_label]
    bases += [config.chain_label]
    for base in bases:
        # A later key's label is its first one's with a number; the base may be such a one itself.
        stem = re.sub(r"-[0-9]+$", "", base or "")
        if base and re.fullmatch(rf"{re.escape(stem)}(-[0-9]+)?", label, re.IGNORECASE):
            raise _not_transport(f"{label!r} is, or can become, the label of a key of the log")
    if not label.isprintable() or not 0 < len(label) <= 64:
        raise _malformed("a label has 1 to 64 characters that print")


def _make_and_sign(
    session: Session, request: Request, label: str, refused: frozenset[bytes], profile: Profile
) -> bytes:
    check_absent(session, label)
    made: list[Object] = []
    try:
        made += generate(session, label, KeyType.EC, profile)
        return _sign(session, request, label, refused)
    except BaseException:
        destroy(made)
        raise


def _read_ours(session: Session, config: HsmConfig) -> frozenset[bytes]:
    """Public halves under the labels that keys of ours have, as the token has them now."""
    labels = {config.log_label, config.cosigner_label, config.witness_label, config.first_label}
    labels.add(config.chain_label)
    found = [
        public
        for label in labels
        if label
        for public in find_objects(session, ObjectClass.PUBLIC_KEY, label)
    ]
    return frozenset(read_verifier(one, "").public for one in found)


def _sign(session: Session, request: Request, label: str, refused: frozenset[bytes]) -> bytes:
    if not find_objects(session, ObjectClass.PUBLIC_KEY, label):
        message = f"the token has no public key {label!r}"
        raise MissingError("no-such-key", message, hint="--generate makes it")
    verifier = find_verifier(session, label, label, cosigner=False)
    if verifier.public in refused:
        raise _not_transport(f"{label!r} is a key of the log under another label")
    if not verifier.is_p256:
        raise ConfigurationError("unfit-key", f"key {label!r} does not fit: TLS takes P-256 here")
    key = find_private(session, label, verifier)
    try:
        prove_pair(key)
    except TokenFaultError as error:
        raise _not_transport(f"{label!r}: {error.reason}") from error
    info = _build(request, verifier)
    signed = csr.CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
            "signature": _sign_info(key, info),
        }
    ).dump()
    # It is signed by the key that it names, or it is not handed out: the token may have several.
    if not load_der_x509_csr(signed).is_signature_valid:
        raise TokenFaultError("a signature of the token does not verify")
    return bytes(pem.armor("CERTIFICATE REQUEST", signed))


def _sign_info(key: HsmKey, info: csr.CertificationRequestInfo) -> bytes:
    digest = hashlib.sha256(info.dump()).digest()
    return encode_ecdsa(key.private.sign(digest, mechanism=key.mechanism))


def _build(request: Request, verifier: VerifierKey) -> csr.CertificationRequestInfo:
    return csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": x509.Name.build({"common_name": request.common_name}),
            "subject_pk_info": keys.PublicKeyInfo.load(verifier.public),
            "attributes": _build_attributes(request.dns),
        }
    )


def _build_attributes(dns: Sequence[str]) -> list[dict[str, object]]:
    if not dns:
        return []
    names = x509.GeneralNames([x509.GeneralName("dns_name", name) for name in dns])
    extension = {"extn_id": "subject_alt_name", "critical": False, "extn_value": names}
    return [{"type": "extension_request", "values": [[extension]]}]


def _not_transport(why: str) -> RefusedError:
    hint = "keys of log, cosigner and witness sign no requests: name another with --label"
    return RefusedError("not-a-transport-key", f"not a transport key: {why}", hint=hint)


def _malformed(message: str) -> MalformedError:
    return MalformedError("malformed-request", message)
