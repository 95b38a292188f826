"""The gateway's token: which it is, and making its keys there."""

from collections.abc import Callable
from typing import Literal

from chopmark.core.keys import VerifierKey
from chopmark.hsm.config import HsmConfig
from chopmark.service.config_model import Config


def hsm_config(config: Config) -> HsmConfig:
    """What the HSM's module needs to know."""
    hsm = config.hsm
    return HsmConfig(
        str(hsm.module),
        hsm.token_label,
        hsm.token_serial,
        hsm.log_label,
        hsm.cosigner_label,
        hsm.witness_label,
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


def create_token_witness_key(config: Config, pin: Callable[[], str]) -> VerifierKey:
    """Make the witness key in the token that the configuration names; see `create_witness_key`."""
    from chopmark.hsm.witness_key import create_witness_key  # noqa: PLC0415 - as above

    return create_witness_key(hsm_config(config), config.gateway.origin, pin)
