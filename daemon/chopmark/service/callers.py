"""Who may do what at the API, as the configuration says it: names become numbers, at the start."""

import grp
import pwd
import time
from collections.abc import Callable
from dataclasses import dataclass

from chopmark.api.certificates import TlsFiles
from chopmark.api.identity import Callers, Grant, Grants
from chopmark.api.signin.accounts import Accounts
from chopmark.api.signin.desk import Desk, Provider
from chopmark.api.signin.sessions import Sessions
from chopmark.api.signin.visits import Visitors
from chopmark.api.trust import Trust
from chopmark.core.errors import ConfigurationError
from chopmark.core.wording import format_time
from chopmark.service.accounts import AccountFile
from chopmark.service.config_model import Config
from chopmark.service.config_model_api import Api, ApiClient, ApiOidc, ApiPage, ApiTls, ApiUser
from chopmark.service.config_tree import wrong_value
from chopmark.service.places import accounts_path


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
    """Who may come in, and how; as long as the daemon runs.

    The rates of clients go on with it, and so do sessions, whatever else is made anew.

    Attributes:
        callers: who may do what by certificate, or on the unix socket.
        trust: whom the TLS door trusts, if there is one.
        page: the files of the page's listener, if there is one.
        visitors: who comes there.
        desk: where they sign in.
    """

    callers: Callers
    trust: Trust | None
    page: Trust | None
    visitors: Visitors
    desk: Desk

    @property
    def trusts(self) -> tuple[Trust, ...]:
        """The files of all doors."""
        return tuple(trust for trust in (self.trust, self.page) if trust is not None)

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        return [alarm for trust in self.trusts for alarm in trust.alarms()] + self.desk.alarms()


def open_entrance(config: Config) -> Entrance:
    """Make it; slow, and not for the event loop.

    Raises:
        ConfigurationError: as `open_doors`; `accounts-malformed`; `secret-missing`,
            `secret-exposed`, `secret-malformed`; `oidc-ca`.
    """
    callers, trust, page = open_doors(config.api)
    settings = config.api.page or ApiPage(listen="")
    sessions = Sessions(settings.idle, settings.longest)
    accounts = Accounts(AccountFile(accounts_path(config.gateway.state)), _now)
    desk = Desk(accounts, sessions, provider=_open_provider(config.api.oidc))
    visitors = Visitors(sessions, settings.open_to, settings.open_rate)
    return Entrance(callers, trust, page, visitors, desk)


def open_doors(api: Api) -> tuple[Callers, Trust | None, Trust | None]:
    """Who may come in, and the files of the TLS door and of the page's listener.

    Raises:
        ConfigurationError: as `make_callers` and `read_material`.
    """
    trust = None if api.tls is None else Trust(tls_files(api.tls))
    return make_callers(api), trust, None if api.page is None else Trust(page_files(api, api.page))


def tls_files(tls: ApiTls) -> TlsFiles:
    """Where the files of the TLS door are."""
    return TlsFiles(tls.certificate, tls.key, tls.client_ca, tls.crl)


def page_files(api: Api, page: ApiPage) -> TlsFiles:
    """Where those of the page's listener are, which asks nobody for a certificate."""
    if page.certificate is not None and page.key is not None:
        return TlsFiles(page.certificate, page.key, section="[api.page]")
    assert api.tls is not None, "the configuration was checked"  # noqa: S101
    return TlsFiles(api.tls.certificate, api.tls.key, section="[api.page]")


def _open_provider(oidc: ApiOidc | None) -> Provider | None:
    if oidc is None:
        return None
    # Loaded by who has a provider: it takes some MB and a fifth of a second.
    from chopmark.service.provider import open_provider  # noqa: PLC0415

    return open_provider(oidc)


def _now() -> str:
    return format_time(time.time_ns() // 1_000_000)


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
