"""Finding, reading and checking a gateway's configuration, before anything is started."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from chopmark.core.errors import ConfigurationError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.service.config_check import check_config
from chopmark.service.config_model import Config, PeerFile, make_member
from chopmark.service.config_peers import check_members, check_peers
from chopmark.service.config_tree import convert_tree, parse_toml

__all__ = [
    "Config",
    "find_config",
    "load_config",
    "own_member",
    "parse_config",
    "parse_peer",
]

DEFAULT_PATH: Final = Path("/etc/chopmark/gateway.toml")
PATH_VARIABLE: Final = "CHOPMARK_CONFIG"
MAX_CONFIG: Final = 256 * 1024
"""Bytes of a configuration file: room for some 400 peers."""


def find_config(explicit: Path | None) -> Path:
    """Which file to read: the one from the command line, `CHOPMARK_CONFIG`, the default."""
    return explicit or Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigurationError: `config-missing`, `config-syntax`, `config-unknown-key`,
            `config-type` or `config-value`; the message names the file, and the key or line.
    """
    data = _read(path)
    try:
        return parse_config(data)
    except ConfigurationError as error:
        message = f"{path}: {error.message}"
        raise ConfigurationError(error.code, message, hint=error.hint) from error


def read_fingerprint(path: Path) -> str:
    """SHA-256 of a configuration file as it is, in hexadecimal; raises as `load_config`."""
    return sha256(_read(path)).hexdigest()


def parse_config(data: bytes) -> Config:
    """Decode and check the text of a configuration file; raises as `load_config`."""
    config = convert_tree(parse_toml(data), Config)
    check_config(config)
    return config


def parse_peer(data: bytes) -> Member:
    """Read a text that holds exactly one `[[peer]]` block; raises as `load_config`."""
    peers = convert_tree(parse_toml(data), PeerFile).peer
    if len(peers) != 1:
        hint = "`chopmark peers export` prints such a block"
        raise ConfigurationError("config-value", "not exactly one [[peer]] block", hint=hint)
    return check_peers(peers)[0][1]


def own_member(config: Config, log_key: VerifierKey, cosigner_key: VerifierKey) -> Member:
    """This gateway as a member, with the keys that its HSM holds.

    Raises:
        ConfigurationError: `config-value` if they are not two different keys of the right names
            and types, or one of them is a peer's.
    """
    own = make_member(config.gateway, log_key, cosigner_key)
    check_members([("gateway", own), *check_peers(config.peer)])
    return own


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG + 1)
    except OSError as error:
        hint = f"`chopmark init` writes one; --config or {PATH_VARIABLE} names another"
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigurationError("config-missing", message, hint=hint) from error
    if len(data) > MAX_CONFIG:
        message = f"{path} is longer than {MAX_CONFIG} bytes: this is no gateway.toml"
        raise ConfigurationError("config-syntax", message)
    return data
