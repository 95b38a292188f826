"""Who may come in at the API: users of `[[api.user]]`, the files of `[api.tls]` and `[api.page]`.

Codes: `config-value` (there is no such user or group); `tls-missing`, `tls-exposed`,
`tls-malformed`, `tls-mismatch`; `tls-certificate-expired`, `tls-not-yet`, `tls-server-use`,
`tls-name`; `tls-ca-expired`, `tls-no-ca`; `tls-crl-missing`, `tls-crl-out-of-date`; and
`tls-certificate-expiring`, `no-clients`, `console-unlimited`, `console-barred`.
"""

import os
import pwd
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from chopmark.api.certificates import TlsFiles, read_chains
from chopmark.api.identity import ROLES, Role
from chopmark.core.errors import ConfigurationError
from chopmark.service.callers import make_callers, open_doors, page_files, tls_files
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.config_model_api import Api, ApiTls
from chopmark.service.console_records import CONSOLE_ROLES, CONSOLE_USER

_RENEW = "have a new one made and put it there; no restart is needed"


def check_entrance(scene: Scene) -> Iterator[Finding]:
    """Read what the daemon reads, and look at what it leaves to clients to find out."""
    api = scene.config.api
    try:
        open_doors(api)
    except ConfigurationError as error:
        yield scene.judge(error, "see docs/configuration.md")
        return
    yield from _check_console(api)
    if api.tls is not None and not api.client:
        finding = "[api.tls] listens, and no [[api.client]] may come in"
        yield Finding("no-clients", finding, "name your programs: docs/api.md", "warning")
    if api.tls is not None:
        yield from _check_tls(api.tls, _now(scene))
    if api.page is not None and api.page.certificate is not None:  # else it is that of [api.tls]
        files = page_files(api, api.page)
        yield from _check_own(files, read_chains(files).own, _now(scene))


def _check_console(api: Api) -> Iterator[Finding]:
    """The technicians' console, where there is one, may do what it needs, and no more."""
    try:
        person = pwd.getpwnam(CONSOLE_USER)
    except KeyError:
        return
    roles = ", ".join(f'"{role}"' for role in CONSOLE_ROLES)
    block = f'[[api.user]] with user = "{CONSOLE_USER}" and roles = [{roles}]'
    granted = _roles_of(api, person)
    if "operator" not in granted:
        finding = f"{CONSOLE_USER} has not the role operator: its records wait, and it sees little"
        yield Finding("console-barred", finding, f"add {block}", "warning")
    elif "issuer" in granted:
        finding = f"{CONSOLE_USER} may attest and revoke: who takes it over does so, too"
        remedy = f"add {block}; others on the unix socket need a block of theirs then"
        yield Finding("console-unlimited", finding, remedy, "warning")


def _roles_of(api: Api, person: pwd.struct_passwd) -> frozenset[Role]:
    """What a user may do on the unix socket."""
    grants = make_callers(api).grants
    if grants.users is None:
        return ROLES
    groups = os.getgrouplist(person.pw_name, person.pw_gid)
    of_group = (grant for gid, grant in grants.groups if gid in groups)
    grant = grants.users.get(person.pw_uid) or next(of_group, None)
    return frozenset() if grant is None else grant.roles


def _now(scene: Scene) -> datetime:
    return datetime.fromtimestamp(scene.now / 1000, UTC)


def _check_tls(tls: ApiTls, now: datetime) -> Iterator[Finding]:
    files = tls_files(tls)
    chains = read_chains(files)
    yield from _check_own(files, chains.own, now)
    for one in chains.authorities:
        yield from _check_authority(tls, one, now)
    if tls.crl is not None:
        yield from _check_lists(tls, chains.authorities, chains.lists, now)


def _check_own(files: TlsFiles, own: x509.Certificate, now: datetime) -> Iterator[Finding]:
    ours = f"the certificate of {files.section}, {files.certificate},"
    if now > own.not_valid_after_utc:
        finding = f"{ours} has expired on {own.not_valid_after_utc:%Y-%m-%d}"
        yield Finding("tls-certificate-expired", finding, _RENEW)
    elif (own.not_valid_after_utc - now).days < 30:
        finding = f"{ours} expires on {own.not_valid_after_utc:%Y-%m-%d}"
        yield Finding("tls-certificate-expiring", finding, _RENEW, "warning")
    if now < own.not_valid_before_utc:
        finding = f"{ours} holds only from {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield Finding("tls-not-yet", finding, "is the clock right?")
    if not _serves(own):
        finding = f"{ours} is not one for servers"
        remedy = "have one made with the extended key usage serverAuth"
        yield Finding("tls-server-use", finding, remedy)
    yield from _check_names(ours, own)


def _serves(own: x509.Certificate) -> bool:
    try:
        usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usage


def _check_names(ours: str, own: x509.Certificate) -> Iterator[Finding]:
    """Clients go by the subject's alternative names alone (RFC 9110 §4.3.4)."""
    host = socket.gethostname()
    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
    except x509.ExtensionNotFound:
        known, addresses = [], []
    if not known and not addresses:
        remedy = "have one made with a subjectAltName: clients look at nothing else"
        yield Finding("tls-name", f"{ours} names no host", remedy)
    elif not any(_is_of(name, host) for name in known):
        told = ", ".join([*known, *map(str, addresses)])
        finding = f"{ours} is for {told}, and this machine calls itself {host}"
        remedy = "clients must reach it by one of these names; otherwise have another one made"
        yield Finding("tls-name", finding, remedy, "warning")


def _is_of(name: str, host: str) -> bool:
    """Whether a name in a certificate may be of this machine, whose domain may not be known."""
    name, host = name.lower(), host.lower()
    return name.startswith("*.") or host in (name, name.partition(".")[0])


def _check_authority(tls: ApiTls, one: x509.Certificate, now: datetime) -> Iterator[Finding]:
    name = one.subject.rfc4514_string()
    if now > one.not_valid_after_utc:
        finding = f"the CA {name} in {tls.client_ca} has expired: none of its clients gets in"
        yield Finding("tls-ca-expired", finding, "put its successor there, too")
    try:
        is_ca = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = one.version == x509.Version.v1
    if not is_ca:
        finding = f"{name} in {tls.client_ca} is no CA"
        remedy = "that file is for the CAs that issue clients' certificates, not for these"
        yield Finding("tls-no-ca", finding, remedy)


def _check_lists(
    tls: ApiTls,
    authorities: Sequence[x509.Certificate],
    lists: Sequence[x509.CertificateRevocationList],
    now: datetime,
) -> Iterator[Finding]:
    for one in authorities:
        if not any(found.issuer == one.subject for found in lists):
            finding = f"{tls.crl} has no list of the CA {one.subject.rfc4514_string()}"
            remedy = "put its newest list there, too: without it none of its clients gets in"
            yield Finding("tls-crl-missing", finding, remedy)
    for found in lists:
        end = found.next_update_utc
        if end is not None and now > end:
            whose = found.issuer.rfc4514_string()
            finding = f"the list of {whose} in {tls.crl} is out of date since {end:%Y-%m-%d %H:%M}"
            remedy = "fetch the newest one: until then none of its clients gets in"
            yield Finding("tls-crl-out-of-date", finding, remedy)
