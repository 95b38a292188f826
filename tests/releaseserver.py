"""A real HTTPS server with releases, which can be made to break off, lead astray, or lie."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection, socket
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chopmark.core.keys import ED25519, VerifierKey
from chopmark.core.note import Note, Signature
from rig.authority import Authority, Pair
from rig.patience import PATIENCE

SORT = "chopmark-x86-64"
NAME = "chopmark/firmware-trials"


class Signer:
    """A second key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifier = VerifierKey(NAME, ED25519, raw)

    def note(
        self, digest: str, version: str = "0.2.0", *, sort: str = SORT, text: str = ""
    ) -> bytes:
        """A note over a bundle's digest, or over another text."""
        text = text or f"chopmark/firmware/v1\n{sort} {version}\nsha256 {digest}\nledger 6\n"
        signed = self._key.sign(text.encode())
        return Note(text, (Signature(NAME, self.verifier.key_id, signed),)).encode()


class ReleaseServer:
    """Serves `files` below `/chopmark/` on a loopback port.

    Attributes:
        files: by name.
        asked: path and range of each request.
        cuts: bytes after which answers with a bundle break off, one for each; then they do not.
        ranges: whether parts are given.
        answer: status and headers in place of any file, by name.
        claimed: length that is told in place of the right one, by name.
    """

    def __init__(self, pair: Pair, clients: Path | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.cuts: list[int] = []
        self.ranges = True
        self.answer: dict[str, tuple[int, dict[str, str]]] = {}
        self.claimed: dict[str, int] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.context = context
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/chopmark/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(PATIENCE)
        # Who does not like our certificate breaks off.
        with suppress(OSError), self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    owner: ReleaseServer

    def do_GET(self) -> None:
        name, owner = self.path.removeprefix("/chopmark/"), self.owner
        wanted = self.headers["Range"]
        owner.asked.append((name, wanted))
        if name in owner.answer:
            status, headers = owner.answer[name]
            self._begin(status, {"Content-Length": "0", **headers})
        elif name not in owner.files:
            self._begin(404, {"Content-Length": "0"})
        else:
            self._give(name, owner.files[name], wanted)

    def _give(self, name: str, data: bytes, wanted: str | None) -> None:
        start = int(wanted[6:-1]) if wanted and self.owner.ranges else 0
        if start >= len(data) > 0:
            self._begin(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            return
        size = self.owner.claimed.get(name, len(data))
        headers = {"Content-Length": str(size - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self._begin(206 if start else 200, headers)
        body = data[start:]
        if name.endswith(".raucb") and self.owner.cuts:
            body = body[: self.owner.cuts.pop(0)]
        self.wfile.write(body)
        self.close_connection = True

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(
    folder: Path, *, clients: bool = False, name: str = "localhost"
) -> Iterator[tuple[ReleaseServer, Authority]]:
    """A server while the block runs, and the CA of its certificate."""
    authority = Authority(folder, "updates CA")
    pair = authority.issue("updates.example", hosts=(name,))
    server = ReleaseServer(pair, authority.path if clients else None)
    try:
        yield server, authority
    finally:
        server.close()


@contextmanager
def proxying(status: str = "200 OK") -> Iterator[tuple[int, list[str]]]:
    """A STAND-IN for a bank's proxy: its port, and what it was asked for by CONNECT."""
    asked: list[str] = []
    listening = socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=_relay, args=(listening.accept()[0], asked, status)).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1], asked
    finally:
        with suppress(OSError):
            listening.shutdown(2)  # `accept` ends
        listening.close()
        thread.join()


def _relay(near: socket, asked: list[str], status: str) -> None:
    with near, near.makefile("rb") as lines, suppress(OSError):
        first = lines.readline().decode()
        while lines.readline().strip():
            pass
        asked.append(first.split()[1])
        near.sendall(f"HTTP/1.0 {status}\r\n\r\n".encode())
        if not status.startswith("200"):
            return
        host, _, port = first.split()[1].rpartition(":")
        with create_connection((host, int(port))) as far:
            back = threading.Thread(target=_pump, args=(far, near))
            back.start()
            _pump(near, far)
            back.join()


def _pump(start: socket, end: socket) -> None:
    with suppress(OSError):
        while data := start.recv(65_536):
            end.sendall(data)
        end.shutdown(1)
