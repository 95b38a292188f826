"""A TLS connection to a receiver of syslog (RFC 5425), and why there is none, in words.

`open_line` and `Line.send` block, and are for a thread; the rest returns at once. The files are
read for each connection, so that a renewed certificate counts from the next one on.
"""

import fcntl
import socket
import ssl
import struct
import termios
from contextlib import suppress
from pathlib import Path
from typing import Final

from chopmark.core.errors import UnreachableError
from chopmark.service.config_model import Syslog

CONNECT: Final = 10.0
"""Seconds for a connection, and for its handshake."""
SILENCE: Final = 30
"""Seconds after which a receiver that acknowledges nothing is given up."""
_PROBES: Final = 3
_READ: Final = 4096
_ENDED: Final = "the receiver has ended the connection"
_HINTS: Final = {
    "hostname": "is `name` the name in the receiver's certificate?",
    "ca": "does `ca` hold the certificate of whoever signed the receiver's?",
    "expired": "the receiver needs a new certificate, or this gateway the right time",
    "ours": "does the receiver trust whoever signed our certificate, and has that not expired?",
    "asks": "the receiver asks for a certificate of ours: give `certificate` and `key`",
    "plain": "is this the port for syslog over TLS, usually 6514?",
    "ended": "if it does so again and again: does it take our certificate? its own log says why",
    "network": "is the receiver up, and does a firewall let us through?",
}
_VERIFY: Final = {9: "expired", 10: "expired", 62: "hostname", 64: "hostname"}
"""By OpenSSL's X509_V_ERR numbers; all others are about who signed it."""
_ALERTS: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "asks",
    "WRONG_VERSION_NUMBER": "plain",
    "RECORD_LAYER_FAILURE": "plain",
}


class LineError(UnreachableError):
    """There is no connection; message and hint say why."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("syslog-away", message, hint=hint)


class Line:
    """An open connection."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._sending = False
        self._closed = False

    def send(self, data: bytes) -> None:
        """Give bytes to the kernel; blocks while the receiver does not take them.

        Raises:
            LineError: the connection has ended.
        """
        self._sending = True
        try:
            self._sock.settimeout(SILENCE)
            self._sock.sendall(data)
        except OSError as error:
            raise explain(error) from error
        finally:
            self._sending = False
            if self._closed:
                self._sock.close()

    def unacknowledged(self) -> int:
        """Bytes that the receiver's TCP has not acknowledged (SIOCOUTQ of tcp(7)).

        Raises:
            LineError: the connection has ended.
        """
        try:
            answer = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError as error:
            raise explain(error) from error
        found: int = struct.unpack("i", answer)[0]
        return found

    def check(self) -> None:
        """See whether the connection still stands; what the receiver says is not read.

        Raises:
            LineError: it has ended.
        """
        try:
            self._sock.settimeout(0)
            if self._sock.recv(_READ) == b"":
                raise LineError(_ENDED, _HINTS["ended"])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise explain(error) from error

    def close(self) -> None:
        """End it; a thread that is sending hears of it, and closes it."""
        self._closed = True
        if self._sending:  # OpenSSL's object is the thread's
            with suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
            return
        with suppress(OSError, ValueError):  # the goodbye (RFC 5425 §4.4), if there is room for it
            self._sock.settimeout(0)
            self._sock.unwrap()
        self._sock.close()


def open_line(syslog: Syslog) -> Line:
    """Connect.

    Raises:
        LineError: it did not succeed, and why.
    """
    context = _make_context(syslog)
    try:
        plain = socket.create_connection((syslog.host, syslog.port), CONNECT)
    except (OSError, UnicodeError) as error:
        raise explain(error) from error
    try:
        _watch(plain)
        return Line(context.wrap_socket(plain, server_hostname=syslog.name or syslog.host))
    except (OSError, UnicodeError) as error:
        plain.close()
        raise explain(error) from error


def explain(error: OSError | UnicodeError) -> LineError:
    """What went wrong with a connection, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _HINTS[_VERIFY.get(error.verify_code, "ca")]
        return LineError(f"the receiver's certificate is refused: {error.verify_message}", hint)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError):
        return LineError(_ENDED, _HINTS["ended"])
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error)
        kind = "ours" if "ALERT" in reason else "network"
        said = reason.replace("_", " ").lower()
        return LineError(f"TLS failed: {said}", _HINTS[_ALERTS.get(reason, kind)])
    if isinstance(error, socket.gaierror | UnicodeError):  # of IDNA, for a label that is too long
        why = "none can be like it" if isinstance(error, UnicodeError) else error.strerror
        return LineError(f"its name is not known: {why}", "see `host`, and the DNS")
    if isinstance(error, TimeoutError):
        return LineError("it does not answer", _HINTS["network"])
    return LineError(error.strerror or str(error), _HINTS["network"])


def _make_context(syslog: Syslog) -> ssl.SSLContext:
    """TLS 1.2 at least (RFC 9662), the receiver's name checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _check_readable("ca", syslog.ca)
    try:
        context.load_verify_locations(syslog.ca)
    except OSError as error:
        raise LineError(f"{syslog.ca} cannot be used: {_say(error)}", "see `ca`") from error
    if syslog.certificate is not None and syslog.key is not None:
        _check_readable("certificate", syslog.certificate)
        _check_readable("key", syslog.key)
        try:
            # An encrypted key must not make OpenSSL ask for a password on some terminal.
            context.load_cert_chain(syslog.certificate, syslog.key, password=lambda: "")
        except OSError as error:
            message = f"{syslog.certificate} and {syslog.key} cannot be used: {_say(error)}"
            hint = "they must be PEM, belong together, and the key not be encrypted"
            raise LineError(message, hint) from error
    return context


def _check_readable(name: str, path: Path) -> None:
    """OpenSSL does not say which file it is."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise LineError(f"{path} cannot be used: {error.strerror}", f"see `{name}`") from error


def _say(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()


def _watch(plain: socket.socket) -> None:
    """Let the kernel find out that a receiver is gone without a word."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE // _PROBES)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)
