"""Who this gateway is, from what lies on its disk: no daemon and no HSM is asked."""

from typing import Any

from chopmark.ledger.store import read_keys
from chopmark.service.config import Config, own_member
from chopmark.service.places import log_path


def read_identity(config: Config) -> dict[str, Any]:
    """What other gateways' configuration must say about this one (`GET /v1/export`).

    Raises:
        MissingError: `no-ledger`.
        ConfigurationError: `config-value` if the ledger's keys and the configuration disagree,
            `bad-key-file`.
    """
    log_key, cosigner_key = read_keys(log_path(config.gateway.state))
    member = own_member(config, log_key, cosigner_key)
    return {
        "id": member.id,
        "origin": member.origin,
        "log_vkey": log_key.encode(),
        "cosigner_vkey": cosigner_key.encode(),
        "institution": member.institution,
        "jurisdiction": member.jurisdiction,
        "kinds": sorted(member.kinds),
        "chain": _read_account(config),
    }


def _read_account(config: Config) -> str | None:
    """Our account on a chain, of a key in a file; one in the token only that can tell."""
    anchor = config.anchor
    if anchor is None or not anchor.publish or anchor.key_file is None:
        return None
    from chopmark.anchor.software import read_account  # noqa: PLC0415 - of few gateways

    return read_account(anchor.key_file)
