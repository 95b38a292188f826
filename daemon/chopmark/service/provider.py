"""The bank's OpenID provider, as the configuration has it."""

import ssl

from chopmark.api.signin.oidc import Oidc, OidcSettings
from chopmark.core.errors import ConfigurationError
from chopmark.service.config_model_api import ApiOidc
from chopmark.service.credentials import read_secret


def open_provider(oidc: ApiOidc) -> Oidc:
    """Make it; nothing is asked of it before somebody signs in. Reads files.

    Raises:
        ConfigurationError: `secret-missing`, `secret-exposed`, `secret-malformed`; `oidc-ca`.
    """
    name = oidc.secret_credential
    settings = OidcSettings(
        oidc.issuer,
        oidc.client_id,
        None if name is None else read_secret(name),
        oidc.address.rstrip("/") + "/v1/session/oidc/callback",
        oidc.scope,
        oidc.claim,
        {one.name: (frozenset(one.roles), frozenset(one.kinds)) for one in oidc.group},
    )
    return Oidc(settings, _make_context(oidc))


def _make_context(oidc: ApiOidc) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=oidc.ca)
    except (OSError, ValueError) as error:
        message = f"cannot read the CAs of the OpenID provider, {oidc.ca}: {error}"
        raise ConfigurationError("oidc-ca", message, hint="[api.oidc] ca names the file") from error
