"""Where the gateway is: `unix:PATH`, HTTPS, or loopback HTTP.

Other machines are not reached by plain HTTP: a verdict that anyone on the way can change is none.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chopmark.core.errors import UsageError

VARIABLE: Final = "CHOPMARK_GATEWAY"
DEFAULT: Final = "unix:/run/chopmark/api.sock"
_MAX_SOCKET_PATH: Final = 107
"""Bytes (unix(7): 108 with the closing NUL)."""
_HINT: Final = "an address is unix:PATH, https://HOST:PORT or http://127.0.0.1:PORT"
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A gateway's address: the path of its unix socket, or None; and the base URL."""

    text: str
    socket: str | None
    url: str

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken there."""
        return self.url.startswith("https:")


def find_address(explicit: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The address to use: the one given, `CHOPMARK_GATEWAY`, the default socket."""
    variables = os.environ if environment is None else environment
    return explicit or variables.get(VARIABLE) or DEFAULT


def parse_address(text: str) -> Address:
    """Read a gateway's address.

    Raises:
        UsageError: `bad-address`.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or not path.isprintable():
            raise UsageError("bad-address", f"no path in {text!r}", hint=_HINT)
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
            message = f"{path} is too long for a unix socket"
            raise UsageError("bad-address", message, hint=f"{_MAX_SOCKET_PATH} bytes at most")
        return Address(text, path, "http://localhost")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise UsageError("bad-address", f"not an address: {text!r}", hint=_HINT) from error
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    good = host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))
    if not good or extra:
        raise UsageError("bad-address", f"not a gateway's address: {text!r}", hint=_HINT)
    literal = f"[{host}]" if ":" in host else host
    return Address(text, None, f"{parts.scheme}://{literal}:{port}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
