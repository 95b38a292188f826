"""Certificates of the TLS door: what a client's says, and the files of our own.

Chains are verified by OpenSSL, in the handshake; nothing here decides whom to trust.
"""

import os
import re
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from chopmark.core.errors import ConfigurationError

Parsed = TypeVar("Parsed")
MAX_FILE: Final = 16 * 1024 * 1024
"""Bytes: the list of a CA that has revoked some hundred thousand certificates."""
_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
"""What stands between two such lines (RFC 7468 §2)."""
_LONG: Final = 200
"""Characters of a subject that are shown."""
Serial = tuple[bytes, int]
"""What names a certificate: its issuer's name in DER, and its serial number."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What counts of a certificate.

    Attributes:
        name: the common name of its subject; empty if there is none, or more than one.
        subject: its subject, for people.
        serial: what names it among all certificates.
        not_after: when it expires, in seconds since the Unix epoch.
    """

    name: str
    subject: str
    serial: Serial
    not_after: float

    def __str__(self) -> str:
        """One line, whatever somebody has written into it."""
        subject = "".join(map(_show, self.subject[:_LONG]))
        more = "…" if len(self.subject) > _LONG else ""
        return f"{subject}{more}, serial {self.serial[1]:x}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the files are, all in PEM; see `[api.tls]` of the configuration.

    Attributes:
        client_ca: of clients; None where none shows a certificate.
        section: that names them.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    crl: Path | None = None
    section: str = "[api.tls]"


@dataclass(frozen=True, slots=True)
class Chains:
    """What the files hold: our certificate, the CAs of clients, and what these have revoked."""

    own: x509.Certificate
    authorities: list[x509.Certificate]
    lists: list[x509.CertificateRevocationList]


@dataclass(frozen=True, slots=True)
class Material:
    """What was read from the files.

    Attributes:
        context: makes connections with it.
        own: our certificate.
        authorities: SHA-256 of each CA's certificate.
        revoked: certificates that are on one of the lists.
        lists_due: when the first of the lists should have been replaced by a newer one: after three
            quarters of its life; and when the first is out of date, in seconds since the epoch.
    """

    context: ssl.SSLContext
    own: Certificate
    authorities: frozenset[bytes]
    revoked: frozenset[Serial]
    lists_due: tuple[float, float] | None


def read_certificate(encoded: bytes) -> Certificate:
    """Read a certificate in DER, one that was verified.

    Raises:
        ValueError: it is one for OpenSSL, but not for `cryptography`.
    """
    return _describe(x509.load_der_x509_certificate(encoded))


def read_material(files: TlsFiles, kind: type[ssl.SSLObject] = ssl.SSLObject) -> Material:
    """Read all files; slow, and not for the event loop.

    Args:
        files: where they are.
        kind: what the context makes of a connection.

    Raises:
        ConfigurationError: `tls-missing`, `tls-exposed`, `tls-malformed`, `tls-mismatch`.
    """
    found = read_chains(files)
    authorities, lists = found.authorities, found.lists
    return Material(
        _make_context(files, kind),
        _describe(found.own),
        frozenset(sha256(one.public_bytes(Encoding.DER)).digest() for one in authorities),
        frozenset(
            (one.issuer.public_bytes(), revoked.serial_number) for one in lists for revoked in one
        ),
        min(filter(None, map(_due, lists)), default=None),
    )


def read_chains(files: TlsFiles) -> Chains:
    """Read all files, for who looks at them one by one.

    Raises:
        ConfigurationError: as `read_material`.
    """
    own = _parse(x509.load_pem_x509_certificates, files.certificate, "certificates")[0]
    _check_key(files.key, own)
    if files.client_ca is None:
        return Chains(own, [], [])
    authorities = _parse(x509.load_pem_x509_certificates, files.client_ca, "certificates")
    return Chains(own, authorities, [] if files.crl is None else _read_lists(files.crl))


def stamp(files: TlsFiles) -> tuple[object, ...]:
    """What changes when one of the files does; a file that is not there is no error."""
    paths = (files.certificate, files.key, files.client_ca, files.crl)
    return tuple(_stamp(path) for path in paths if path is not None)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def _make_context(files: TlsFiles, kind: type[ssl.SSLObject]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.sslobject_class = kind
    # A resumed session would not be verified again, and its certificate may be revoked by now.
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
        if files.client_ca is None:
            return context
        context.load_verify_locations(files.client_ca)
        if files.crl is not None:
            context.load_verify_locations(files.crl)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        message = f"the TLS library does not take the files of {files.section}: {error}"
        raise ConfigurationError("tls-malformed", message) from error
    # Optional, so that a client without one hears why it is refused; all others are verified.
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _check_key(path: Path, own: x509.Certificate) -> None:
    key = _parse(lambda data: load_pem_private_key(data, None), path, "a private key", secret=True)
    forms = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        ours = own.public_key().public_bytes(*forms)
    except UnsupportedAlgorithm as error:
        message = f"the key of the certificate {own.subject.rfc4514_string()} is not supported"
        raise ConfigurationError("tls-malformed", message, hint="use one of P-256") from error
    if key.public_key().public_bytes(*forms) != ours:
        message = f"{path} is not the key of the certificate of {own.subject.rfc4514_string()}"
        raise ConfigurationError("tls-mismatch", message, hint="its own certificate comes first")


def _read_lists(path: Path) -> list[x509.CertificateRevocationList]:
    def load(data: bytes) -> list[x509.CertificateRevocationList]:
        end = b"-----END X509 CRL-----"
        parts = [part + end for part in data.split(end)[:-1]]
        if not parts:
            raise ValueError("there is none")
        return [x509.load_pem_x509_crl(part) for part in parts]

    return _parse(load, path, "revocation lists")


def _due(one: x509.CertificateRevocationList) -> tuple[float, float] | None:
    if one.next_update_utc is None:
        return None
    begin, end = one.last_update_utc.timestamp(), one.next_update_utc.timestamp()
    return end - (end - begin) / 4, end


def _parse(
    load: Callable[[bytes], Parsed], path: Path, what: str, *, secret: bool = False
) -> Parsed:
    data = _read(path, secret=secret)
    try:
        return load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # What the library says is for programmers, and about a key may hold part of it.
        reason, hint = _explain(data)
        message = f"{path} does not hold {what} in PEM: {reason}"
        raise ConfigurationError("tls-malformed", message, hint=hint) from (
            None if secret else error
        )


def _explain(data: bytes) -> tuple[str, str]:
    """What a file holds that is not what it should, and what to do."""
    labels = [found.decode() for found in _LABEL.findall(data)]
    if not data.strip():
        return "it is empty", "put the file there again"
    if not labels:
        hint = "`openssl x509 -inform DER -in FILE` makes PEM of a certificate in DER"
        return "it has no line -----BEGIN …-----", hint
    if b"ENCRYPTED" in data:
        return "it is encrypted", "`openssl pkey -in FILE -out NEW` takes the password off"
    told = ", ".join(dict.fromkeys(labels))
    hint = "is it the right file, and whole? `openssl x509`, `pkey` and `crl` show what they hold"
    return f"it has {told}, or what stands between its lines is damaged", hint


def _read(path: Path, *, secret: bool) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError("tls-missing", f"{path} is not a regular file")
            if secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
                message = f"others than its owner may open the key's file {path}"
                hint = f"chmod 0400 {path}; have a certificate made for another key"
                raise ConfigurationError("tls-exposed", message, hint=hint)
            return file.read(MAX_FILE)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        hint = "the configuration names it"
        raise ConfigurationError("tls-missing", message, hint=hint) from error


def _show(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")


def _describe(certificate: x509.Certificate) -> Certificate:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = names[0].value if len(names) == 1 else ""
    return Certificate(
        name if isinstance(name, str) else "",
        certificate.subject.rfc4514_string(),
        (certificate.issuer.public_bytes(), certificate.serial_number),
        certificate.not_valid_after_utc.timestamp(),
    )
