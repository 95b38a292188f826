"""The certificates that the configuration names, and how many days each still has."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from chopmark.service.config_model import Config

MAX_FILE: Final = 1024 * 1024
_MOST: Final = 100
"""Certificates of one file that are looked at."""


@dataclass(frozen=True, slots=True)
class Held:
    """One certificate, or why it cannot be read.

    Attributes:
        use: the key of the configuration that names its file.
        subject: its common name.
        ends: when, or None.
        problem: why there is none; empty otherwise.
    """

    use: str
    subject: str = ""
    ends: datetime | None = None
    problem: str = ""

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it ends; below 0 once it has ended."""
        return None if self.ends is None else (self.ends - now).days


def read_certificates(config: Config) -> list[Held]:
    """All that there are, those that end first before the others."""
    found = [one for use, path in _named(config) for one in _read(use, path)]
    return sorted(found, key=lambda one: one.ends or datetime.min.replace(tzinfo=UTC))


def _named(config: Config) -> Iterator[tuple[str, Path]]:
    for number, broker in enumerate(config.broker, 1):
        if broker.tls is not None:
            yield f"broker[{number}].tls.certificate", broker.tls.certificate
            yield f"broker[{number}].tls.ca", broker.tls.ca
    api, syslog = config.api, config.audit.syslog
    if api.tls is not None:
        yield "api.tls.certificate", api.tls.certificate
        yield "api.tls.client_ca", api.tls.client_ca
    if api.page is not None and api.page.certificate is not None:
        yield "api.page.certificate", api.page.certificate
    if api.oidc is not None and api.oidc.ca is not None:
        yield "api.oidc.ca", api.oidc.ca
    if config.anchor is not None and config.anchor.ca is not None:
        yield "anchor.ca", config.anchor.ca
    if syslog is not None:
        pairs = (("audit.syslog.ca", syslog.ca), ("audit.syslog.certificate", syslog.certificate))
        yield from ((use, path) for use, path in pairs if path is not None)


def _read(use: str, path: Path) -> list[Held]:
    try:
        with path.open("rb") as file:
            loaded = x509.load_pem_x509_certificates(file.read(MAX_FILE))
    except OSError as error:
        return [Held(use, problem=f"{path}: {error.strerror}")]
    except ValueError:
        return [Held(use, problem=f"{path}: no certificate in PEM")]
    return [Held(use, _name(one), one.not_valid_after_utc) for one in loaded[:_MOST]]


def _name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else certificate.subject.rfc4514_string()
    except ValueError:
        return "?"
