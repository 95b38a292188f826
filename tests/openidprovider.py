"""Glewlwyd, a real OpenID provider, on a port of this machine: for tests of signing in there."""

import json
import shutil
import signal
import sqlite3
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from rig.authority import Authority
from rig.broker import free_port
from rig.patience import PATIENCE

SCHEMA: Final = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
LIBRARIES: Final = Path("/usr/lib/glewlwyd")
SECRET: Final = "the secret of the client there"
_PASSWORD: Final = "a password of hers there"
_DURATIONS: Final = {
    "access-token-duration": 3600,
    "refresh-token-duration": 3600,
    "code-duration": 60,
}
_PLACES: Final = {"user": "user", "client": "client", "user_auth_scheme": "scheme"}


def is_there() -> bool:
    return shutil.which("glewlwyd") is not None


@dataclass
class Glewlwyd:
    """The process, below `folder`; `redirect` is where it sends browsers back to."""

    folder: Path
    authority: Authority
    redirect: str
    port: int = field(default_factory=free_port)
    host: str = "localhost"

    @property
    def address(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.address}/api/oidc"

    def start(self) -> "Glewlwyd":
        self.folder.mkdir(parents=True)
        self._make_database()
        config = self.folder / "glewlwyd.conf"
        config.write_text(self._configure())
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["glewlwyd", "--config-file", config], stdout=log, stderr=log
            )
        try:
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.authority.path)
        return httpx.Client(
            verify=context, base_url=self.address, trust_env=False, timeout=PATIENCE
        )

    def agree(self, where: str, name: str) -> str:
        """A person signs in there and agrees; gives where her browser is sent with the code."""
        with self.client() as browser:
            asked = {"username": name, "password": _PASSWORD}
            _good(browser.post("/api/auth/", json=asked))
            _good(browser.put("/api/auth/grant/chopmark", json={"scope": "openid"}))
            answer = browser.get(f"{where}&g_continue")
            assert answer.status_code == 302, answer.text
            return answer.headers["location"]

    def _make_database(self) -> None:
        with sqlite3.connect(self.folder / "glewlwyd.db") as database:
            database.executescript(SCHEMA.read_text())
            text = "SELECT gumi_parameters FROM g_user_module_instance"
            parameters = json.loads(database.execute(text).fetchone()[0])
            parameters["data-format"]["groups"] = {"multiple": True, "read": True, "write": True}
            change = "UPDATE g_user_module_instance SET gumi_parameters = ?"
            database.execute(change, (json.dumps(parameters),))
        database.close()

    def _configure(self) -> str:
        pair = self.authority.issue("localhost", file="glewlwyd")
        values: dict[str, Any] = {
            "port": self.port,
            "bind_address": "127.0.0.1",
            "external_url": self.address,
            "login_url": "login.html",
            "api_prefix": "api",
            "log_mode": "console",
            "log_level": "WARNING",
            "cookie_secure": 1,
            "session_expiration": 3600,
            "admin_scope": "g_admin",
            "profile_scope": "g_profile",
            "plugin_module_path": f"{LIBRARIES}/plugin",
            "use_secure_connection": True,
            "secure_connection_key_file": pair.key,
            "secure_connection_pem_file": pair.certificate,
            "hash_algorithm": "SHA512",
        }
        values |= {f"{key}_module_path": f"{LIBRARIES}/{name}" for key, name in _PLACES.items()}
        lines = [f"{key} = {_value(value)}" for key, value in values.items()]
        path = self.folder / "glewlwyd.db"
        return "\n".join([*lines, f'database = {{ type = "sqlite3"; path = "{path}" }};', ""])

    def _set_up(self) -> None:
        with self.client() as admin:
            self._wait(admin)
            _good(admin.post("/api/auth/", json={"username": "admin", "password": "password"}))
            _good(admin.post("/api/mod/plugin/", json=self._plugin()))
            client = {
                "client_id": "chopmark",
                "name": "chopmark",
                "confidential": True,
                "enabled": True,
                "password": SECRET,
                "client_secret": SECRET,
                "redirect_uri": [self.redirect],
                "authorization_type": ["code"],
                "scope": ["openid"],
                "token_endpoint_auth_method": ["client_secret_basic"],
            }
            _good(admin.post("/api/client/", json=client))
            for name, groups in (("anna", ["clerks", "others"]), ("bert", ["others"])):
                user = {
                    "username": name,
                    "name": f"{name.title()} of the bank",
                    "password": _PASSWORD,
                    "enabled": True,
                    "scope": ["openid"],
                    "groups": groups,
                }
                _good(admin.post("/api/user/", json=user))

    def _plugin(self) -> dict[str, Any]:
        key = generate_private_key(65537, 2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claim = {"name": "groups", "mandatory": True, "user-property": "groups", "type": "string"}
        parameters = {
            "iss": self.issuer,
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": private.decode(),
            "cert": public.decode(),
            "auth-type-code-enabled": True,
            "pkce-allowed": True,
            "pkce-required": True,
            "pkce-method-plain-allowed": False,
            "jwks-show": True,
            "name-claim": "mandatory",
            "claims": [claim],
            **_DURATIONS,
        }
        name = {"module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": True}
        return name | {"parameters": parameters}

    def _wait(self, client: httpx.Client) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                client.get("/api/auth/")
            except httpx.TransportError:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()[-3000:]) from None
                time.sleep(0.05)
            else:
                return


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'


def _good(answer: httpx.Response) -> None:
    assert answer.status_code == 200, (answer.status_code, answer.text, answer.request.url)
