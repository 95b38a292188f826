"""The gateway's token: which it is, and making its keys there."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.pin import Source
from chopmark.ledger.rotation import Role, read_labels
from chopmark.ledger.store import read_keys
from chopmark.service.audit_local import noting
from chopmark.service.config_model import Config
from chopmark.service.places import log_path


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
        log_label=later.get("log", hsm.log_label),
        cosigner_label=later.get("cosigner", hsm.cosigner_label),
        witness_label=hsm.witness_label,
        cosigner_name=cosigner_name,
        first_label=hsm.log_label,
        init_string=hsm.init_string,
        usage_limit=hsm.usage_limit,
        chain_label=chain_label(config),
    )


def chain_label(config: Config) -> str | None:
    """Label of the key of the account on a chain; None where the token is to have none."""
    anchor = config.anchor
    wanted = anchor is not None and anchor.publish and anchor.key == "hsm"
    return anchor.key_label if anchor is not None and wanted else None


def present_hsm_config(config: Config) -> HsmConfig:
    """The same with the keys that the ledger on the disk is signed by; else with the first ones."""
    path = log_path(config.gateway.state)
    try:
        return hsm_config(config, read_labels(path), read_keys(path)[1].name)
    except (ChopmarkError, sqlite3.Error, OSError):
        return hsm_config(config)


def create_token_keys(
    config: Config, pin: Source, cosigner: Literal["ed25519", "p256"] = "ed25519"
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


def create_token_witness_key(config: Config, pin: Source) -> VerifierKey:
    """Make the witness key in the token that the configuration names; see `create_witness_key`."""
    from chopmark.hsm.witness_key import create_witness_key  # noqa: PLC0415 - as above

    with noting(log_path(config.gateway.state), "key.generated", role="witness") as about:
        key = create_witness_key(present_hsm_config(config), config.gateway.origin, pin)
        about["vkey"] = key.encode()
    return key


def create_chain_account(config: Config, pin: Callable[[], Source]) -> str:
    """Make the key of the gateway's account, in the token or in a file; gives the account.

    Args:
        config: with `[anchor]`.
        pin: gives where the PIN comes from; not called for a key in a file.

    Raises:
        ConfigurationError: `no-anchor`, and what `create_chain_key` raises.
        ExistsError: `key-exists`.
    """
    from chopmark.anchor.software import create_key_file  # noqa: PLC0415 - loads more than it seems
    from chopmark.hsm.chain_making import create_chain_key  # noqa: PLC0415 - as above

    anchor = config.anchor
    if anchor is None:
        hint = "add [anchor] with endpoints and contract: docs/operations/anchor.md"
        raise ConfigurationError("no-anchor", "the configuration has no [anchor]", hint=hint)
    with noting(log_path(config.gateway.state), "key.generated", role="chain") as about:
        if anchor.key_file is not None:
            account = create_key_file(anchor.key_file)
        else:
            hsm = replace(present_hsm_config(config), chain_label=anchor.key_label)
            account = create_chain_key(hsm, pin())
        about["account"] = account
    return account
