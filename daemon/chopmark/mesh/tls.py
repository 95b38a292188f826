"""TLS towards a broker: our files, the context of a connection, and what went wrong in plain words.

TLS 1.3 where the broker has it, 1.2 at least; certificates of both sides. Files are read for each
connection, so that a renewed certificate counts from the next one on. What can be known before
connecting is said before: a broker says no more than "bad certificate", if it says anything.

With TLS 1.3 a client has finished its handshake before the broker looks at the certificate, and
what is sent meanwhile can cost it the broker's answer (the socket is reset). So the answer is asked
for by a connection of its own that sends nothing (`probe`), once one has been lost without a word.
"""

import contextlib
import os
import socket
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from chopmark.mesh.broker import Broker, Fault, Tls
from chopmark.mesh.words import explain_alert, explain_cut, explain_verification

CUT: Final = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
"""How a connection ends that the other side did not want to begin."""
CREDENTIALS: Final = "/run/credentials"
"""Where systemd puts credentials; the group's bits there stand for its access list."""
MAX_FILE: Final = 1024 * 1024
"""Bytes of a certificate file: some hundred certificates."""
ANSWER: Final = 3.0
"""Seconds to wait for what a broker says to our certificate."""


class TlsFaultError(Exception):
    """What is wrong, before anything was sent."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _Socket(ssl.SSLSocket):
    """One that is closed when its handshake fails: nobody else would."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as ssl has it
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Context(ssl.SSLContext):
    """A context that checks for the name it was made for, whatever the host is called."""

    sslsocket_class = _Socket
    name: str

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        """As `ssl.SSLContext.wrap_socket`, for this name."""
        return super().wrap_socket(sock, **{**options, "server_hostname": self.name})


def open_context(tls: Tls) -> Context:
    """Read the files and make the context of one connection. Blocks: they are on a disk.

    Raises:
        TlsFaultError: a file is missing, unreadable, too open, or not what it should be; the key
            is not that of the certificate; the certificate's CN is not our member id.
    """
    check_files(tls)
    context = Context(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.name = tls.name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(tls.ca)
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except OSError as error:  # an SSLError; or a file has gone since it was checked
        reason = getattr(error, "reason", None) or error.strerror
        message = f"OpenSSL does not take {tls.certificate}, its key or {tls.ca}: {reason}"
        raise TlsFaultError(Fault("tls-file", message, "look at them by openssl")) from error
    return context


def check_files(tls: Tls) -> list[x509.Certificate]:
    """Check what can be known without the broker; gives our certificate and those beside it.

    Raises:
        TlsFaultError: as `open_context`.
    """
    _load(tls.ca, "the CA's certificate (tls.ca)")
    chain = _load(tls.certificate, "our certificate (tls.certificate)")
    _check_name(chain[0], tls)
    _check_key(chain[0], tls)
    return chain


def explain(error: BaseException | None, tls: Tls) -> Fault | None:
    """What an error of a handshake means; None if it is no matter of TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return explain_verification(error.verify_code, error.verify_message, tls)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return explain_alert(error.reason or str(error), tls, _validity(tls))
    return None


def probe(broker: Broker, tls: Tls, port: int, seconds: float) -> Fault | None:
    """Ask why a broker has closed a connection: what it says to our certificate. Blocks.

    Args:
        broker: which.
        tls: how.
        port: which of its ports.
        seconds: to connect.

    Returns:
        What is wrong, or None if the broker says nothing against it, or nothing at all.
    """
    shaken = False
    try:
        context = open_context(tls)
        with (
            socket.create_connection((broker.host, port), timeout=seconds) as plain,
            context.wrap_socket(plain) as secure,
        ):
            shaken = True
            secure.settimeout(ANSWER)
            secure.recv(1)  # an alert, an end, or time is up
    except TlsFaultError as error:
        return error.fault
    except (*CUT, ssl.SSLEOFError):
        return None if shaken else explain_cut()
    except OSError as error:
        return explain(error, tls)
    return None


def _no_password() -> str:
    # Without it OpenSSL would ask on the terminal; an empty one opens no key.
    return ""


def _load(path: Path, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path, what))
    except ValueError as error:
        hint = "it begins with -----BEGIN CERTIFICATE-----; `openssl x509 -in FILE -text` shows it"
        raise TlsFaultError(Fault("tls-file", f"{what}: {path} is no PEM file", hint)) from error


def _read(path: Path, what: str, closed: int = 0) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & closed:
                hint = f"chmod 0400 {path}, and make a new key if somebody may have read it"
                message = f"{what}: others than its owner may open {path}"
                raise TlsFaultError(Fault("tls-key-exposed", message, hint))
            return file.read(MAX_FILE)
    except OSError as error:
        hint = "see that it is there, and that the user of the daemon may read it"
        message = f"{what}: cannot read {path}: {error.strerror}"
        raise TlsFaultError(Fault("tls-file", message, hint)) from error


def _check_name(certificate: x509.Certificate, tls: Tls) -> None:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    common = [str(name.value) for name in names]
    if common == [tls.member]:
        return
    message = f"our certificate {tls.certificate} is for CN={','.join(common) or '(none)'}"
    hint = f"have one made for CN={tls.member}, which is [gateway] id"
    raise TlsFaultError(Fault("tls-wrong-cn", f"{message}, and we are {tls.member}", hint))


def _check_key(certificate: x509.Certificate, tls: Tls) -> None:
    held = tls.key.is_relative_to(CREDENTIALS)
    closed = stat.S_IRWXO if held else stat.S_IRWXG | stat.S_IRWXO
    key = _load_key(tls.key, _read(tls.key, "our key (tls.key)", closed))
    try:
        belongs = key.public_key() == certificate.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        raise _unsupported(f"our certificate (tls.certificate): {tls.certificate}") from error
    if not belongs:
        message = f"the key {tls.key} is not that of the certificate {tls.certificate}"
        hint = "put the two that belong together there; both are read again at each attempt"
        raise TlsFaultError(Fault("tls-key-mismatch", message, hint))


def _load_key(path: Path, data: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(data, None)
    except TypeError as error:
        hint = "store it without a password, in a file of mode 0400 or a systemd credential"
        message = f"our key (tls.key): {path} has a password"
        raise TlsFaultError(Fault("tls-file", message, hint)) from error
    except ValueError as error:
        hint = "it begins with -----BEGIN PRIVATE KEY-----"
        message = f"our key (tls.key): {path} is no private key in PEM"
        raise TlsFaultError(Fault("tls-file", message, hint)) from error
    except UnsupportedAlgorithm as error:
        raise _unsupported(f"our key (tls.key): {path}") from error


def _unsupported(what: str) -> TlsFaultError:
    return TlsFaultError(
        Fault("tls-file", f"{what} is of a kind that is not supported", "use P-256")
    )


def _validity(tls: Tls) -> str:
    """What is wrong with the dates of our certificate, by our clock; empty if nothing is."""
    with contextlib.suppress(TlsFaultError):
        ours, now = check_files(tls)[0], datetime.now(UTC)
        if now > ours.not_valid_after_utc:
            return f"has expired at {ours.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if now < ours.not_valid_before_utc:
            return f"begins to hold at {ours.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return ""
