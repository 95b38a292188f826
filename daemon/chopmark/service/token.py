"""The gateway's token: which it is, and making its keys there."""

from collections.abc import Callable, Mapping
from typing import Literal

from chopmark.core.keys import VerifierKey
from chopmark.hsm.config import HsmConfig
from chopmark.ledger.rotation import Role
from chopmark.service.config_model import Config


def hsm_config(
    config: Config, labels: Mapping[Role, str] | None = None, cosigner_name: str | None = None
) -> HsmConfig:
    """What the HSM's module needs to know.

    Args:
        config: the configuration, which has the labels of the first keys.
        labels: of keys that have taken over.
        cosigner_name: name of the cosigner key, if it is not the first one's.
    """
    hsm, later = config.hsm, labels or {}
    return HsmConfig(
        str(hsm.module),
        hsm.token_label,
        hsm.token_serial,
        later.get("log", hsm.log_label),
        later.get("cosigner", hsm.cosigner_label),
        cosigner_name,
        hsm.log_label,
    )


def create_token_keys(
    config: Config, pin: Callable[[], str], cosigner: Literal["ed25519", "p256"] = "ed25519"
) -> tuple[VerifierKey, VerifierKey]:
    """Make log key and cosigner key in the token that the configuration names, or neither.

    Args:
        config: the configuration.
        pin: gives the token's PIN; called once.
        cosigner: what the cosigner key is to be.

    Raises:
        ExistsError: `key-exists`.
        ConfigurationError: the token is not there, refuses the PIN or cannot make such keys.
        TryAgainError: `hsm-away`.
    """
    from chopmark.hsm.ceremony import create_keys  # noqa: PLC0415 - loads the PKCS#11 library

    return create_keys(hsm_config(config), config.gateway.origin, pin, cosigner)
