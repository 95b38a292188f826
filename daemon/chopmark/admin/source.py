"""Where releases come from, by HTTPS: small files whole, a large one from any byte on.

Nothing else is spoken and no redirect is followed: what answers is who the configuration names, by
the CA that it names. What is passing (`UnreachableError`) may be tried again; the rest may not.
"""

import http.client
import re
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from chopmark.core.errors import (
    ChopmarkError,
    ConfigurationError,
    MissingError,
    RefusedError,
    UnreachableError,
)
from chopmark.service.config_model import Firmware

SECONDS: Final = 30.0
"""Without a byte, after which a connection counts as broken."""
PIECE: Final = 65_536
_PASSING: Final = frozenset((408, 425, 429))
_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})", re.ASCII)
_HINT: Final = "see [firmware] of the configuration, and what answers there"


class Body:
    """What the source sends of a file.

    Attributes:
        start: number of its first byte in the file.
        size: bytes of the whole file.
    """

    def __init__(self, answer: http.client.HTTPResponse, start: int, size: int) -> None:
        self.start, self.size = start, size
        self._answer = answer

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, as they come; raises as `Source.open`."""
        with _explained():
            while piece := self._answer.read1(PIECE):
                yield piece


class Source:
    """The folder at the other end.

    Args:
        settings: `[firmware]`.
        key: private key of our certificate there, if it has one.

    Raises:
        ConfigurationError: `tls-files-wrong`.
    """

    def __init__(self, settings: Firmware, key: Path | None) -> None:
        self._settings = settings
        self._path = urlsplit(settings.source).path
        self._context = _make_context(settings, key)

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Body]:
        """A file of the folder, from byte `start` on, or from the first if the source likes.

        Raises:
            UnreachableError: `firmware-source-away`: it may be tried again.
            MissingError: `no-update`: it has no such file.
            RefusedError: `firmware-source-wrong`.
        """
        with closing(self._connect()) as connection:
            with _explained():
                answer = _get(connection, self._path + name, start)
            with closing(answer):
                yield _read_head(answer, name, start)

    def read(self, name: str, most: int) -> bytes:
        """A small file; raises as `open`, and `firmware-source-wrong` if it is larger."""
        data = b""
        with self.open(name) as body:
            for piece in body.pieces():
                data += piece
                if len(data) > most:
                    raise _wrong(f"{name} has more than {most} bytes")
        return data

    def _connect(self) -> http.client.HTTPSConnection:
        host, port = self._settings.reached
        made = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=self._context)
        if self._settings.proxy is not None:
            made.set_tunnel(*self._settings.source_address)
        return made


def _make_context(settings: Firmware, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, key)
    except OSError as error:  # SSLError is one
        message = f"[firmware] ca, certificate or the key for it: {error}"
        hint = "PEM files; the key is /etc/chopmark/credentials/firmware-key"
        raise ConfigurationError("tls-files-wrong", message, hint=hint) from error
    return context


def _get(
    connection: http.client.HTTPSConnection, path: str, start: int
) -> http.client.HTTPResponse:
    connection.request("GET", path, headers={"Range": f"bytes={start}-"} if start else {})
    answer = connection.getresponse()
    if answer.status != 416 or not start:
        return answer
    connection.close()  # the file there ends before this byte: all of it, then
    return _get(connection, path, 0)


def _read_head(answer: http.client.HTTPResponse, name: str, start: int) -> Body:
    status = answer.status
    if status == 206 and start:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start:
            raise _wrong(f"{name}: not the part that was asked for")
        return Body(answer, start, int(found[3]))
    if status != 200:
        raise _explain_status(status, name, answer.headers.get("Location", ""))
    if answer.length is None:
        raise _wrong(f"{name}: it does not say how long it is")
    return Body(answer, 0, answer.length)


def _explain_status(status: int, name: str, location: str) -> ChopmarkError:
    if status == 404:
        hint = "put the two files there, named after the sort of box"
        return MissingError("no-update", f"the source has no {name}", hint=hint)
    if 300 <= status < 400:
        message = f"{name}: it leads on to {location[:200]!r}, which is not followed"
        return _wrong(message)
    if status in _PASSING or status >= 500:
        return _away(f"status {status}")
    return _wrong(f"{name}: status {status}")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ssl.SSLEOFError as error:
        raise _away("the connection broke off") from error
    except ssl.SSLError as error:
        told = getattr(error, "verify_message", "") or error.reason or str(error)
        raise _wrong(f"TLS: {told}") from error
    except http.client.HTTPException as error:
        raise _away(f"no answer by HTTP: {type(error).__name__}") from error
    except OSError as error:
        if str(error).startswith("Tunnel"):
            raise _wrong(f"the proxy refuses: {error}") from error
        raise _away(error.strerror or str(error) or type(error).__name__) from error


def _away(why: str) -> UnreachableError:
    hint = "give `firmware fetch` again: it goes on where it stopped"
    message = f"the firmware source does not answer, or broke off: {why}"
    return UnreachableError("firmware-source-away", message, hint=hint)


def _wrong(why: str) -> RefusedError:
    return RefusedError("firmware-source-wrong", f"the firmware source: {why}", hint=_HINT)
