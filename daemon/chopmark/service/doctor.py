"""`chopmark hsm doctor` for a gateway's own token, or for one that is still to become one's."""

import time
from pathlib import Path

from chopmark.core.errors import ChopmarkError
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.diagnosis import Line, Need, diagnose
from chopmark.hsm.doctor import examine
from chopmark.hsm.facts import Facts
from chopmark.hsm.pin import Source
from chopmark.hsm.trial import Clocks
from chopmark.ledger.store import read_keys
from chopmark.service.clock import SystemClock
from chopmark.service.config_model import Config
from chopmark.service.places import log_path
from chopmark.service.token import present_hsm_config


def examine_gateway(config: Config, pin: Source | None) -> tuple[Facts, tuple[Line, ...]]:
    """Look at the module and token of a configured gateway, which may run."""
    hsm = present_hsm_config(config)
    facts = examine(
        hsm.module,
        hsm,
        reserved=hsm.init_string,
        origin=config.gateway.origin,
        pin=pin,
        clocks=_clocks(),
    )
    labels: tuple[tuple[str, str], ...] = (
        ("log", hsm.log_label),
        ("cosigner", hsm.cosigner_label),
        ("witness", hsm.witness_label),
    )
    if hsm.chain_label is not None:
        labels += (("chain", hsm.chain_label),)
    return facts, diagnose(facts, Need(labels, _uses_ed25519(config)))


def examine_module(
    module: Path, label: str | None, init_string: str | None, pin: Source | None
) -> tuple[Facts, tuple[Line, ...]]:
    """Look at a module that no gateway is configured for."""
    path = str(module.absolute())
    config = None if label is None else HsmConfig(path, label, init_string=init_string)
    facts = examine(path, config, reserved=init_string, pin=pin, clocks=_clocks())
    return facts, diagnose(facts, Need())


def _uses_ed25519(config: Config) -> bool | None:
    try:
        keys = read_keys(log_path(config.gateway.state))
    except ChopmarkError:
        return None
    return not all(key.is_p256 for key in keys)


def _clocks() -> Clocks:
    return Clocks(SystemClock().now_ms, time.monotonic)
