"""What must hold for the doors of the API, and for who may do what there.

1. The socket's path is absolute and fits into a socket address. `listen` is a loopback address.
2. `[api.tls]` names an address and a port, its own, and absolute paths.
3. `[[api.client]]` goes with `[api.tls]`. Names and subjects are there once; a role is given, and
   kinds are kinds.
4. `[[api.user]]` names a user or a group, each once.
5. `[api.page]` keeps the rules of `config_page`, and so does `[api.oidc]`.
"""

import re
from pathlib import Path
from typing import Final

from chopmark.service.config_doors import check_absolute, check_grant, is_loopback, parse_listen
from chopmark.service.config_model_api import Api, ApiTls, ApiUser
from chopmark.service.config_page import check_page
from chopmark.service.config_tree import wrong_value

MAX_SOCKET_PATH: Final = 107
"""Bytes: sun_path of unix(7) has 108 with the closing NUL."""
MAX_SUBJECT: Final = 64
"""Characters of a common name (ub-common-name, RFC 5280 appendix A.1)."""
MAX_CLIENTS: Final = 256
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}", re.ASCII)
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@$-]{0,63}", re.ASCII)


def check_api(api: Api) -> None:
    """Apply the rules.

    Raises:
        ConfigurationError: `config-value`.
    """
    check_absolute("api.socket", api.socket)
    length = len(str(api.socket).encode())
    if length > MAX_SOCKET_PATH:
        raise wrong_value("api.socket", f"{length} bytes; a socket has at most {MAX_SOCKET_PATH}")
    if api.listen is not None and not is_loopback(api.listen):
        hint = "such as 127.0.0.1:8080 or [::1]:8080; no other machine may reach this port"
        raise wrong_value("api.listen", "not a loopback address with a port", hint=hint)
    if api.tls is not None:
        _check_tls(api.tls, api.listen)
    check_page(api)
    _check_clients(api)
    _check_users(api.user)


def _check_tls(tls: ApiTls, plain: str | None) -> None:
    if parse_listen(tls.listen) is None:
        hint = "such as 0.0.0.0:8443, [::]:8443, or one address of this machine"
        raise wrong_value("api.tls.listen", "not an address with a port", hint=hint)
    if tls.listen == plain:
        raise wrong_value("api.tls.listen", "the same as api.listen; each needs its own port")
    for name in ("certificate", "key", "client_ca", "crl"):
        path: Path | None = getattr(tls, name)
        if path is not None:
            check_absolute(f"api.tls.{name}", path)


def _check_clients(api: Api) -> None:
    if api.client and api.tls is None:
        hint = "client certificates are shown at the listener of [api.tls] only"
        raise wrong_value("api.client", "there is no [api.tls]", hint=hint)
    if len(api.client) > MAX_CLIENTS:
        raise wrong_value("api.client", f"more than {MAX_CLIENTS} blocks")
    names: set[str] = set()
    subjects: set[str] = set()
    for number, client in enumerate(api.client, 1):
        where = f"api.client[{number}]"
        if not _NAME.fullmatch(client.name):
            raise wrong_value(f"{where}.name", "not 1 to 32 of a-z, 0-9, . and -")
        subject = client.subject
        if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise wrong_value(f"{where}.subject", f"not 1 to {MAX_SUBJECT} characters of a name")
        if client.name in names:
            raise wrong_value(f"{where}.name", "the same as one before it")
        if subject in subjects:
            raise wrong_value(f"{where}.subject", "the same as one before it")
        names.add(client.name)
        subjects.add(subject)
        check_grant(where, client)


def _check_users(users: tuple[ApiUser, ...]) -> None:
    if len(users) > MAX_CLIENTS:
        raise wrong_value("api.user", f"more than {MAX_CLIENTS} blocks")
    seen: set[tuple[str, str]] = set()
    for number, user in enumerate(users, 1):
        where = f"api.user[{number}]"
        if (user.user is None) == (user.group is None):
            raise wrong_value(where, "name a user or a group, one of the two")
        key, name = ("user", user.user) if user.group is None else ("group", user.group)
        if name is None or not _ACCOUNT.fullmatch(name):
            raise wrong_value(f"{where}.{key}", f"not the name or number of a {key}")
        if (key, name) in seen:
            raise wrong_value(f"{where}.{key}", "the same as one before it")
        seen.add((key, name))
        check_grant(where, user)
