"""Cookies of the page (RFC 6265bis): read strictly, and made so that only this server gets them.

All are named `__Host-`: browsers take such a cookie only by TLS, for all paths, and from this very
host, so that no other server of the bank's domain can put one in its place. They look at the name
as it is sent: so do we, for of what we took off a name, another server could make up one that is
not `__Host-` to a browser, and is to us.
"""

from collections.abc import Iterable
from typing import Final

SESSION: Final = "__Host-chopmark-session"
DEVICE: Final = "__Host-chopmark-device"
"""Says that somebody has signed in from this browser before; see `lockout`."""
PENDING: Final = "__Host-chopmark-oidc"
"""Binds an answer of the OpenID provider to the browser that was sent there."""
_BLANK: Final = b" \t"
"""What may stand around a name or a value; Python's `strip` also takes bytes that browsers keep."""

Headers = Iterable[tuple[bytes, bytes]]


def read_cookie(headers: Headers, name: str) -> str | None:
    """The value of a cookie; None if it is not there, or there twice: then nobody knows whose."""
    found = [
        value.strip(_BLANK)
        for key, line in headers
        if key == b"cookie"
        for part in line.split(b";")
        for key_of, _, value in [part.partition(b"=")]
        if key_of.strip(_BLANK) == name.encode()
    ]
    return found[0].decode("latin-1") if len(found) == 1 else None


def make_cookie(
    name: str, value: str, *, seconds: int | None = None, lax: bool = False
) -> tuple[bytes, bytes]:
    """The header that sets a cookie.

    Args:
        name: one of those above.
        value: of characters that need no quoting.
        seconds: that the browser keeps it; None for as long as it runs.
        lax: it must also come with a click on a page of another site: of the OpenID provider.
    """
    same = "Lax" if lax else "Strict"
    age = "" if seconds is None else f"; Max-Age={seconds}"
    text = f"{name}={value}; Path=/; Secure; HttpOnly; SameSite={same}{age}"
    return b"set-cookie", text.encode("ascii")


def drop_cookie(name: str) -> tuple[bytes, bytes]:
    """The header by which the browser forgets a cookie."""
    return make_cookie(name, "", seconds=0)
