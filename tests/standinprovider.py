"""A STAND-IN for an OpenID provider, which signs whatever a test wants: wrong tokens above all.

It speaks HTTPS and is asked by the gateway's own code; what a real provider does, `openidprovider`
shows.
"""

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from rig.authority import Authority

Json = dict[str, Any]


@dataclass
class StandIn:
    """The server.

    Attributes:
        claims: what tokens say beside the usual, or in its place; None leaves a claim out.
        header: the same for their header.
        key: signs them; `shown` are the keys that others are told of.
        metadata: in the place of what it says of itself.
        answers: by path, bodies in the place of its own.
        asked: what came to the token endpoint, the newest last, and all paths.
    """

    authority: Authority
    claims: Json = field(default_factory=dict)
    header: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[Json] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.shown = [self.key]
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        pair = self.authority.issue("localhost", file="stand-in")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}"

    def agree(self, where: str) -> str:
        """The query with which a browser comes back from there."""
        given = dict(parse_qsl(urlsplit(where).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = given["nonce"]
        return f"code={code}&state={given['state']}"

    def describe(self) -> Json:
        ends = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "jwks_uri": "keys",
        }
        found = {name: f"{self.issuer}/{path}" for name, path in ends.items()}
        return {"issuer": self.issuer, **found} | self.metadata

    def keys(self) -> Json:
        return {"keys": [key.as_dict(private=False) for key in self.shown]}

    def tokens(self, asked: Json) -> Json:
        self.asked.append(asked)
        nonce = self.codes.pop(asked.get("code", ""), None)
        if nonce is None:
            return {"error": "invalid_grant"}
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "sub": "4711",
            "aud": "chopmark",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "groups": ["clerks"],
            "preferred_username": "anna",
        }
        claims = {k: v for k, v in (usual | self.claims).items() if v is not None}
        header = {"alg": "ES256", "kid": self.key.kid} | self.header
        key = OctKey.import_key("0123456789" * 4) if header["alg"] == "HS256" else self.key
        return {
            "access_token": "x",
            "token_type": "Bearer",
            "id_token": jwt.encode(header, claims, key, algorithms=[header["alg"]]),
        }


class _Handler(BaseHTTPRequestHandler):
    provider: StandIn

    def do_GET(self) -> None:
        known = {"/.well-known/openid-configuration": "describe", "/keys": "keys"}
        self._answer(getattr(self.provider, known[self.path])())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        asked: Json = dict(parse_qsl(body))
        self._answer(self.provider.tokens(asked | {"auth": self.headers["authorization"]}))

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, content: Json) -> None:
        self.provider.paths.append(self.path)
        data = self.provider.answers.get(self.path, json.dumps(content).encode())
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
