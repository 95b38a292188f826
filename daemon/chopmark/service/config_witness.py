"""What must hold for the logs of others that a gateway cosigns (`[[witness.log]]`).

1. An origin is a line of 1 to 128 characters, named once, and no member's.
2. Its key signs notes, and is no member's.
3. A pinned head has size and root.
"""

from chopmark.core.checkpoint import check_foreign_origin
from chopmark.core.keys import ECDSA_P256, ED25519
from chopmark.core.text import MAX_INT, parse_hash
from chopmark.service.config_model import Config, WitnessLog
from chopmark.service.config_peers import parse_key
from chopmark.service.config_tree import apply_check, wrong_value


def check_witness_logs(config: Config) -> None:
    """Apply the rules.

    Raises:
        ConfigurationError: `config-value`.
    """
    peers = config.peers
    origins = {config.gateway.origin, *(peer.origin for peer in peers)}
    keys = {key.public for peer in peers for key in (peer.log_key, peer.cosigner_key)}
    for number, log in enumerate(config.witness.log, 1):
        where = f"witness.log[{number}]"
        _check_log(where, log)
        if log.origin in origins:
            message = f"{log.origin} is a member's, or stands there twice"
            hint = "members' logs are cosigned as they are, by the key that policies name"
            raise wrong_value(f"{where}.origin", message, hint=hint)
        if log.log_key.public in keys:
            raise wrong_value(f"{where}.vkey", "this is the key of a member")
        origins.add(log.origin)


def _check_log(where: str, log: WitnessLog) -> None:
    apply_check(f"{where}.origin", check_foreign_origin, log.origin)
    key = parse_key(f"{where}.vkey", log.vkey)
    if key.type not in (ED25519, ECDSA_P256):
        raise wrong_value(f"{where}.vkey", "a key of this type signs no checkpoints")
    if (log.size is None) != (log.root is None):
        raise wrong_value(where, "size and root go together")
    if log.size is not None and not 0 < log.size <= MAX_INT:
        raise wrong_value(f"{where}.size", "not a size above 0")
    if log.root is not None:
        apply_check(f"{where}.root", lambda text: parse_hash(text, "root"), log.root)
