"""Whose ledger lies in the state folder: that of the gateway that is configured, or another's."""

from chopmark.core.errors import ConfigurationError
from chopmark.core.keys import VerifierKey
from chopmark.core.roster_follow import SignedRoster
from chopmark.ledger.store import read_keys
from chopmark.service.config_model import Config
from chopmark.service.locking import refusal_named
from chopmark.service.membership import read_membership
from chopmark.service.places import log_path


def check_origin(config: Config) -> tuple[VerifierKey, VerifierKey]:
    """The log key and cosigner key that the ledger was made for, if it is of our origin.

    Raises:
        ConfigurationError: `origin-changed`, with both origins.
        InternalError: as `read_keys`.
    """
    path = log_path(config.gateway.state)
    keys = read_keys(path)
    ours, theirs = config.gateway.origin, keys[0].name
    if theirs != ours:
        message = f"the ledger {path} is the log {theirs}, and `gateway.origin` says {ours}"
        hint = f'put origin = "{theirs}" back, or the right state folder: a log keeps its origin'
        raise ConfigurationError("origin-changed", message, hint=hint)
    return keys


def read_pinned(config: Config) -> SignedRoster | None:
    """The roster in force that the ledger holds; None without one, or without a ledger.

    Raises:
        ChopmarkError: the ledger may not be read, or as `check_origin`.
    """
    path = log_path(config.gateway.state)
    with refusal_named(path):
        there = path.exists()
    return read_membership(config, *check_origin(config)).signed if there else None
