"""What must hold for the page's listener, and for the OpenID provider.

1. `[api.page]` has a port of its own, and certificate and key: both, or those of `[api.tls]`.
2. `open_to` names networks by their first address. None is so large that it is no bank's.
3. Sessions end: after a minute to a day without a request, and within a week in any case.
4. `[api.oidc]` goes with `[api.page]`, has HTTPS URLs, and groups, each once. Further hosts, each
   once, may have a port.
"""

import re
from ipaddress import IPv4Network, ip_network
from typing import Final
from urllib.parse import urlsplit

from chopmark.service.config_doors import check_absolute, check_end, check_grant, parse_listen
from chopmark.service.config_model_api import Api, ApiOidc, ApiPage
from chopmark.service.config_tree import wrong_value

MAX_NETWORKS: Final = 64
LARGEST: Final = {4: 8, 6: 32}
"""Bits of the shortest prefix, by IP version: 10.0.0.0/8 is the largest private network."""
_IDLE: Final = (60, 86_400)
_LONGEST: Final = 7 * 86_400
MAX_GROUPS: Final = 64
MAX_HOSTS: Final = 16
_MAX_TEXT: Final = 256
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*", re.ASCII)


def check_page(api: Api) -> None:
    """Apply the rules.

    Raises:
        ConfigurationError: `config-value`.
    """
    if api.page is not None:
        _check_listener(api, api.page)
        _check_networks(api.page.open_to)
        _check_times(api.page)
    if api.oidc is not None:
        if api.page is None:
            hint = "people sign in at the listener of [api.page] only"
            raise wrong_value("api.oidc", "there is no [api.page]", hint=hint)
        _check_oidc(api.oidc)


def _check_listener(api: Api, page: ApiPage) -> None:
    if parse_listen(page.listen) is None:
        hint = "such as 0.0.0.0:8444, [::]:8444, or one address of this machine"
        raise wrong_value("api.page.listen", "not an address with a port", hint=hint)
    if page.listen in (api.listen, None if api.tls is None else api.tls.listen):
        message = "the same as another listener; each needs its own port"
        raise wrong_value("api.page.listen", message)
    if (page.certificate is None) != (page.key is None):
        raise wrong_value("api.page", "a certificate goes with its key: give both, or none")
    if page.certificate is None and api.tls is None:
        hint = "people reach the page by HTTPS: give certificate and key"
        raise wrong_value("api.page", "there is no [api.tls] whose certificate it has", hint=hint)
    for name, path in (("certificate", page.certificate), ("key", page.key)):
        if path is not None:
            check_absolute(f"api.page.{name}", path)


def _check_networks(networks: tuple[str, ...]) -> None:
    where = "api.page.open_to"
    if len(networks) > MAX_NETWORKS:
        raise wrong_value(where, f"more than {MAX_NETWORKS} networks")
    for text in networks:
        try:
            network = ip_network(text)
        except ValueError as error:
            hint = "such as 10.1.2.0/24: its first address, and how many bits are the network's"
            raise wrong_value(where, f"not a network: {text[:64]!r}", hint=hint) from error
        least = LARGEST[4 if isinstance(network, IPv4Network) else 6]
        if network.prefixlen < least:
            hint = "name the networks of the branches"
            raise wrong_value(where, f"{text} is larger than /{least}", hint=hint)
    if len(set(networks)) < len(networks):
        raise wrong_value(where, "one network is there twice")


def _check_times(page: ApiPage) -> None:
    least, most = _IDLE
    if not least <= page.idle <= most:
        raise wrong_value("api.page.idle", f"not {least} to {most} seconds")
    if not page.idle <= page.longest <= _LONGEST:
        raise wrong_value("api.page.longest", f"not from `idle` to {_LONGEST} seconds")


def _check_oidc(oidc: ApiOidc) -> None:
    _check_url("api.oidc.issuer", oidc.issuer)
    _check_url("api.oidc.address", oidc.address)
    if urlsplit(oidc.address).path not in ("", "/"):
        raise wrong_value("api.oidc.address", "it has a path; the page is at the root")
    _check_text("api.oidc.client_id", oidc.client_id)
    _check_text("api.oidc.claim", oidc.claim)
    name = oidc.secret_credential
    if name is not None and not _FILE_NAME.fullmatch(name):
        hint = "the name in LoadCredential= of the unit; never the secret itself"
        raise wrong_value("api.oidc.secret_credential", "not a plain file name", hint=hint)
    if not _SCOPE.fullmatch(oidc.scope) or "openid" not in oidc.scope.split(" "):
        raise wrong_value("api.oidc.scope", 'not words with a space between, "openid" among them')
    if oidc.ca is not None:
        check_absolute("api.oidc.ca", oidc.ca)
    _check_hosts(oidc.hosts)
    _check_groups(oidc)


def _check_hosts(hosts: tuple[str, ...]) -> None:
    where, hint = "api.oidc.hosts", "such as keys.example or keys.example:8443"
    if len(hosts) > MAX_HOSTS or len(set(hosts)) < len(hosts):
        raise wrong_value(where, f"{MAX_HOSTS} at most are due, each once", hint=hint)
    for host in hosts:
        check_end(where, host, port=False, hint=hint)


def _check_groups(oidc: ApiOidc) -> None:
    if not 1 <= len(oidc.group) <= MAX_GROUPS:
        hint = "without a group that has roles nobody could do anything"
        message = f"{len(oidc.group)} [[api.oidc.group]] blocks where 1 to {MAX_GROUPS} are due"
        raise wrong_value("api.oidc.group", message, hint=hint)
    seen: set[str] = set()
    for number, group in enumerate(oidc.group, 1):
        where = f"api.oidc.group[{number}]"
        _check_text(f"{where}.name", group.name)
        if group.name in seen:
            raise wrong_value(f"{where}.name", "the same as one before it")
        seen.add(group.name)
        check_grant(where, group)


def _check_url(where: str, text: str) -> None:
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "?" in text or "#" in text or not text.isprintable() or " " in text:
        raise wrong_value(where, "not an HTTPS URL without query and fragment")


def _check_text(where: str, text: str) -> None:
    if not 0 < len(text) <= _MAX_TEXT or not text.isprintable() or text != text.strip():
        raise wrong_value(where, f"not 1 to {_MAX_TEXT} characters of a name")
