"""An officer's signature: by a key in a file, or made elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from chopmark.client.files import read_bounded, replace_file
from chopmark.core.errors import MalformedError
from chopmark.core.officers import check_signature
from chopmark.core.release import MAX_RELEASE, OfficerSignature, SignedRelease, parse_release

_MAX_FILE: Final = 16 * 1024
_PKCS12: Final = b"\x02\x01\x03"
"""INTEGER 3, the version that a PKCS #12 file begins with (RFC 7292 §4)."""


def read_release(path: Path) -> SignedRelease:
    """Read a release file.

    Raises:
        MissingError: `no-such-file`; MalformedError: `malformed-release`.
    """
    return parse_release(read_bounded(path, MAX_RELEASE))


def read_certificate(path: Path) -> bytes:
    """DER bytes of a certificate in a file, PEM or DER.

    Raises:
        MissingError: `no-such-file`; MalformedError: `malformed-certificate`.
    """
    data = read_bounded(path, _MAX_FILE)
    try:
        load = (
            x509.load_pem_x509_certificate if b"-----" in data else x509.load_der_x509_certificate
        )
        return load(data).public_bytes(Encoding.DER)
    except ValueError as error:
        message = f"{path} holds no X.509 certificate"
        raise MalformedError("malformed-certificate", message) from error


def sign_text(text: str, key: Path) -> bytes:
    """Sign a release's text with a private key in a PEM file.

    Raises:
        MissingError: `no-such-file`; MalformedError: `malformed-key`.
    """
    try:
        private = load_pem_private_key(read_bounded(key, _MAX_FILE), None)
    except (ValueError, TypeError) as error:
        hint = "is it encrypted? sign with openssl then, and give --signature"
        message = f"{key} holds no private key in PEM that can be read"
        raise MalformedError("malformed-key", message, hint=hint) from error
    return _sign(text, private, key)


def read_or_make_signature(text: str, path: Path, ask: Callable[[], str]) -> bytes:
    """An officer's signature over a text: by the key in a file, or the file is the signature.

    Args:
        text: what is signed.
        path: a private key, PEM or PKCS #12, or a signature over the text that was made elsewhere.
        ask: gives the PIN of the key, if it has one; called once, and what it gives is not kept.

    Raises:
        MissingError: `no-such-file`; MalformedError: `malformed-key`, also for a wrong PIN.
    """
    data = read_bounded(path, _MAX_FILE)
    packed = data[:1] == b"0" and _PKCS12 in data[2:8]
    if not packed and b"PRIVATE KEY-----" not in data:
        return data
    try:
        private = _open_packed(data, ask) if packed else _open_pem(data, ask)
    except (ValueError, TypeError):
        # Without its cause: that may hold what was typed.
        hint = "a wrong PIN, or another form than PEM and PKCS #12"
        raise MalformedError("malformed-key", f"{path} cannot be opened", hint=hint) from None
    return _sign(text, private, path)


def _open_packed(data: bytes, ask: Callable[[], str]) -> object:
    return load_key_and_certificates(data, ask().encode())[0]


def _open_pem(data: bytes, ask: Callable[[], str]) -> object:
    locked = b"ENCRYPTED" in data
    return load_pem_private_key(data, ask().encode() if locked else None)


def _sign(text: str, private: object, key: Path) -> bytes:
    data = text.encode()
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.sign(data, ec.ECDSA(SHA256()))
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(data, PKCS1v15(), SHA256())
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(data)
    raise MalformedError("malformed-key", f"{key} is neither an ECDSA, Ed25519 nor RSA key")


def add_signature(
    path: Path, certificate: Path, key: Path | None, signature: Path | None
) -> SignedRelease:
    """Put an officer's signature below a release, once it is known to be good.

    Raises:
        MissingError: `no-such-file`; MalformedError: a file is not what it should be.
        RefusedError: `bad-signature`.
    """
    signed = read_release(path)
    text = signed.release.encode()
    made = read_bounded(signature, _MAX_FILE) if signature else b""
    if key is not None:
        made = sign_text(text, key)
    one = OfficerSignature(read_certificate(certificate), made)
    check_signature(text, one)
    whole = signed if one in signed.signatures else signed.with_signature(one)
    parse_release(whole.encode())
    replace_file(path, whole.encode())
    return whole
