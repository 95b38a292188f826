"""Addresses, paths and grants as the tables about the doors of the API have them."""

import ipaddress
import re
from pathlib import Path
from typing import Final

from chopmark.core.member import check_kinds
from chopmark.service.config_model_api import ApiClient, ApiUser, OidcGroup
from chopmark.service.config_tree import apply_check, wrong_value

MAX_PORT: Final = 65_535
_LISTEN: Final = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):([1-9][0-9]{0,4})", re.ASCII)

_END: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::([1-9][0-9]{0,4}))?", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9_-]{1,63}"
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?", re.ASCII)


def check_absolute(where: str, path: Path) -> None:
    """Refuse a path that is not absolute, or does not print.

    Raises:
        ConfigurationError: `config-value`.
    """
    if not path.is_absolute() or not str(path).isprintable():
        raise wrong_value(where, f"not an absolute path: {str(path)!r}")


def is_loopback(listen: str) -> bool:
    """Whether this is a loopback address with a port."""
    address = parse_listen(listen)
    return address is not None and address.is_loopback


def parse_listen(listen: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, if there is one with a port behind it."""
    found = _LISTEN.fullmatch(listen)
    if not found or int(found[3]) > MAX_PORT:
        return None
    try:
        return ipaddress.ip_address(found[1] or found[2])
    except ValueError:
        return None


def check_host(where: str, host: str) -> None:
    """A label too long, or an empty one, is a UnicodeError at each look-up: it is no name."""
    if not (_HOST.fullmatch(host) or _is_ipv6(host)):
        raise wrong_value(where, "not a name or address of a machine")


def check_end(where: str, end: str, *, port: bool, hint: str) -> None:
    """Refuse what is no host with a port behind it; whether that must be there says `port`.

    Raises:
        ConfigurationError: `config-value`.
    """
    found = _END.fullmatch(end)
    if found is None or (port and found[2] is None) or int(found[2] or 1) > MAX_PORT:
        raise wrong_value(where, "not a host with a port", hint=hint)
    check_host(where, found[1].strip("[]"))


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def check_grant(where: str, grant: ApiClient | ApiUser | OidcGroup) -> None:
    """Refuse roles or kinds that are none.

    Raises:
        ConfigurationError: `config-value`.
    """
    if not grant.roles or len(set(grant.roles)) < len(grant.roles):
        hint = "of issuer, verifier, auditor and operator, at least one, each once"
        raise wrong_value(f"{where}.roles", "not a list of roles", hint=hint)
    apply_check(f"{where}.kinds", check_kinds, grant.kinds)
