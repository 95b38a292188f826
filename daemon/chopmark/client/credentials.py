"""A client's credentials for HTTPS: files of PEM, named by options or by the environment."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chopmark.core.errors import ChopmarkError, ForbiddenError, UsageError

CA: Final = "CHOPMARK_CA"
CERTIFICATE: Final = "CHOPMARK_CERT"
KEY: Final = "CHOPMARK_KEY"
_ALERTS: Final = {
    "CERTIFICATE_EXPIRED": (
        "certificate-expired",
        "your certificate has expired",
        "have a new one made; if it is good for longer, tell the operator of the gateway's lists",
    ),
    "UNKNOWN_CA": (
        "certificate-unknown-ca",
        "your certificate is not of a CA that the gateway trusts",
        "--cert names the one that was made for this gateway; its operator sets client_ca",
    ),
    "CERTIFICATE_REVOKED": (
        "certificate-revoked",
        "your certificate has been revoked",
        "have a new one made, with a new key",
    ),
    "CERTIFICATE": (  # bad, unsupported, unknown or required
        "certificate-refused",
        "the gateway does not take your certificate",
        "it must be one for clients (extended key usage clientAuth); the gateway's log says more",
    ),
}
"""What a gateway's alert (RFC 8446 §6.2) means, by part of its name; the first that fits."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of PEM.

    Attributes:
        ca: of the CA that has signed the gateway's certificate; None for those of the system.
        certificate: the client's, then those between it and its CA; None for none.
        key: its private key, not encrypted; None if it is in the same file.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def find_credentials(
    given: Credentials | None = None, environment: Mapping[str, str] | None = None
) -> Credentials:
    """Those given, and for what is missing `CHOPMARK_CA`, `CHOPMARK_CERT` and `CHOPMARK_KEY`."""
    one = given or Credentials()
    variables = os.environ if environment is None else environment
    ca, certificate, key = (
        Path(variables[name]) if variables.get(name) else None for name in (CA, CERTIFICATE, KEY)
    )
    # A key goes with its certificate: one from elsewhere would not fit.
    own = (one.certificate, one.key) if one.certificate else (certificate, one.key or key)
    return Credentials(one.ca or ca, *own)


def make_context(credentials: Credentials) -> ssl.SSLContext:
    """The TLS settings of a client: 1.3 only, and the gateway must prove its name.

    Raises:
        UsageError: `bad-credentials`, naming the file.
    """
    ca, certificate, key = credentials.ca, credentials.certificate, credentials.key
    if key is not None and certificate is None:
        raise UsageError("bad-credentials", "a key is of no use without its certificate")
    for path, option, variable in (
        (ca, "--ca", CA),
        (certificate, "--cert", CERTIFICATE),
        (key, "--key", KEY),
    ):
        if path is not None:
            _check_readable(path, f"{option} or {variable} names it")
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        message = f"{ca} does not hold certificates of CAs in PEM"
        hint = "each begins with -----BEGIN CERTIFICATE-----; ask the gateway's operator for it"
        raise UsageError("bad-credentials", message, hint=hint) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate is not None:
        files = f"{certificate} and {key}" if key else str(certificate)
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            message = f"no certificate and its key are in {files}, in PEM"
            hint = "the key is not encrypted, and belongs to the first certificate of the file"
            raise UsageError("bad-credentials", message, hint=hint) from error
    return context


def explain(error: ssl.SSLError, where: str) -> ChopmarkError | None:
    """What a failure of TLS means for a person; None if it is none about certificates."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate of the gateway at {where} is not good: {error.verify_message}"
        hint = f"--ca or {CA} names the CA that has signed it; the address must be its name"
        return ForbiddenError("gateway-not-trusted", message, hint=hint)
    reason = error.reason or ""
    for part, (code, message, hint) in _ALERTS.items():
        if "ALERT" in reason and part in reason:
            text = f"the gateway at {where} refuses you: {message}"
            return ForbiddenError(code, text, hint=hint)
    return None


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _check_readable(path: Path, hint: str) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise UsageError("bad-credentials", message, hint=hint) from error
