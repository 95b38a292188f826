"""Who may do what at the API, as the configuration says it: names become numbers, at the start."""

import grp
import pwd
from collections.abc import Callable
from dataclasses import dataclass

from chopmark.api.certificates import TlsFiles
from chopmark.api.identity import Callers, Grant, Grants
from chopmark.api.trust import Trust
from chopmark.core.errors import ConfigurationError
from chopmark.service.config_model import Api, ApiClient, ApiTls, ApiUser
from chopmark.service.config_tree import wrong_value


def make_callers(api: Api) -> Callers:
    """Everybody whom the configuration names; asks the system's name service.

    Raises:
        ConfigurationError: `config-value`: there is no such user or group, or twice the same.
    """
    users: dict[int, Grant] = {}
    groups: dict[int, Grant] = {}
    for number, one in enumerate(api.user, 1):
        if one.user is not None:
            where, found, kind = f"api.user[{number}].user", users, _find_user
        else:
            where, found, kind = f"api.user[{number}].group", groups, _find_group
        account = _look_up(where, one.user or one.group or "", kind)
        if account in found:
            raise wrong_value(where, "this is the same as one before it")
        found[account] = _grant(one)
    clients = {client.subject: (client.name, _grant(client)) for client in api.client}
    return Callers(Grants(users if api.user else None, tuple(groups.items()), clients))


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who may come in, and whom the TLS door trusts, if there is one; as long as the daemon runs.

    The rates of clients go on with it, whatever else is made anew.
    """

    callers: Callers
    trust: Trust | None


def open_entrance(api: Api) -> Entrance:
    """Make it; slow, and not for the event loop.

    Raises:
        ConfigurationError: as `make_callers` and `read_material`.
    """
    trust = None if api.tls is None else Trust(tls_files(api.tls))
    return Entrance(make_callers(api), trust)


def tls_files(tls: ApiTls) -> TlsFiles:
    """Where the files of the TLS door are."""
    return TlsFiles(tls.certificate, tls.key, tls.client_ca, tls.crl)


def _grant(block: ApiClient | ApiUser) -> Grant:
    return Grant(frozenset(block.roles), frozenset(block.kinds), block.rate)


def _find_user(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _find_group(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _look_up(where: str, name: str, find: Callable[[str], int]) -> int:
    """The number of an account; a number may be of one that has no name."""
    if name.isdecimal():
        return int(name)
    try:
        return find(name)
    except KeyError as error:
        raise _unknown(where, name) from error


def _unknown(where: str, name: str) -> ConfigurationError:
    hint = "create it, or give its number"
    return wrong_value(where, f"this machine knows no {name!r}", hint=hint)
