"""Writing configuration text: a commented gateway.toml, and the block that describes a peer."""

import json
import re
import textwrap
from pathlib import Path
from typing import Final, get_args

import msgspec

from chopmark.core.member import Member
from chopmark.service.config_model import Broker, Config, Firmware, Peer
from chopmark.service.config_model_api import ApiOidc

HEADER: Final = """\
# Configuration of one chopmark gateway; docs/configuration.md says more about each key.
# `chopmark config check` tells whether it holds. The PIN of the HSM never stands here.
"""
TLS_EXAMPLE: Final = """\
# A broker on another machine is reached by TLS, with certificates of both sides:
# [broker.tls]
# ca = "/etc/chopmark/broker/ca.pem"
# certificate = "/etc/chopmark/broker/hk-1.pem"
# key = "/etc/chopmark/broker/hk-1.key"
"""
KINDS_EXAMPLE: Final = """\
# What differs for documents of one kind stands in a table of its own:
# [kinds.bank-statement]
# max_age = 86400
"""
SYSLOG_EXAMPLE: Final = """\
# The audit log also goes to a receiver of syslog over TLS, if there is a table for it:
# [audit.syslog]
# host = "siem.example"
# ca = "/etc/chopmark/siem-ca.crt"
"""
ANCHOR_EXAMPLE: Final = """\
# Heads are anchored on a FISCO BCOS chain, if there is a table for it:
# [anchor]
# endpoints = ["http://127.0.0.1:8545"]
# contract = "0x0000000000000000000000000000000000000000"
"""
BACKUP_EXAMPLE: Final = """\
# The ledger is copied once a day, if there is a table that says where to:
# [backup]
# folder = "/mnt/copies"
"""
FIRMWARE_EXAMPLE: Final = """\
# On the appliance `firmware fetch` gets a release, if there is a table that says where from:
# [firmware]
# source = "https://updates.example/chopmark/"
"""
PEERS_HINT: Final = """\
# Each peer follows as a [[peer]] block: append what `chopmark peers export` prints there.
"""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WIDTH: Final = 98


def render_config(config: Config) -> str:
    """The text of a configuration file, each key with its comment; parses to `config` again."""
    parts = [
        HEADER,
        _section("[gateway]", config.gateway),
        _section("[hsm]", config.hsm),
        _section("[api]", config.api),
        *([] if config.api.tls is None else [_section("[api.tls]", config.api.tls)]),
        *([] if config.api.page is None else [_section("[api.page]", config.api.page)]),
        *_oidc(config.api.oidc),
        *(_section("[[api.client]]", client) for client in config.api.client),
        *(_section("[[api.user]]", user) for user in config.api.user),
        _section("[metrics]", config.metrics),
        _section("[storage]", config.storage),
        _section("[retention]", config.retention),
        _section("[clock]", config.clock),
        _section("[witness]", config.witness),
        _section("[start]", config.start),
        ANCHOR_EXAMPLE if config.anchor is None else _section("[anchor]", config.anchor),
        BACKUP_EXAMPLE if config.backup is None else _section("[backup]", config.backup),
        SYSLOG_EXAMPLE
        if config.audit.syslog is None
        else _section("[audit.syslog]", config.audit.syslog),
        FIRMWARE_EXAMPLE if config.firmware is None else _section("[firmware]", config.firmware),
        *(part for broker in config.broker for part in _broker(broker)),
        *([] if config.kinds else [KINDS_EXAMPLE]),
        *(_section(f"[kinds.{_key(name)}]", kind) for name, kind in config.kinds.items()),
        *(_section("[[witness.log]]", log) for log in config.witness.log),
        PEERS_HINT,
        *(_section("[[peer]]", peer, comments=False) for peer in config.peer),
    ]
    return "\n".join(parts)


def render_peer(member: Member) -> str:
    """The `[[peer]]` block with which another gateway gets to know `member`."""
    peer = Peer(
        id=member.id,
        origin=member.origin,
        log_vkey=member.log_key.encode(),
        cosigner_vkey=member.cosigner_key.encode(),
        institution=member.institution,
        jurisdiction=member.jurisdiction,
        kinds=tuple(sorted(member.kinds)),
        chain=member.chain,
    )
    return _section("[[peer]]", peer, comments=False)


def render_broker(broker: Broker) -> str:
    """The `[[broker]]` block of a broker, and that of its TLS if it has one."""
    tls = [] if broker.tls is None else [_section("[broker.tls]", broker.tls)]
    return "\n".join([_section("[[broker]]", broker), *tls])


def render_firmware(firmware: Firmware) -> str:
    """The `[firmware]` table, without comments."""
    return _section("[firmware]", firmware, comments=False)


def render_value(value: object) -> str:
    """A value of a key, in TOML."""
    return _value(value)


def _section(title: str, section: msgspec.Struct, *, comments: bool = True) -> str:
    lines = [title]
    for field in msgspec.structs.fields(section):
        if _is_blocks(field.type):
            continue
        meta = _described(field.type) if comments else None
        if meta is not None and meta.description:
            lines.extend(f"# {line}" for line in textwrap.wrap(meta.description, _WIDTH))
        value = getattr(section, field.name)
        if value is not None:
            lines.append(f"{field.name} = {_value(value)}")
        elif meta is not None and meta.examples:
            lines.append(f"# {field.name} = {_value(meta.examples[0])}")
    return "\n".join(lines) + "\n"


def _broker(broker: Broker) -> list[str]:
    """The section of a broker, and that of its TLS: as a comment where it has none."""
    tls = TLS_EXAMPLE if broker.tls is None else _section("[broker.tls]", broker.tls)
    return [_section("[[broker]]", broker), tls]


def _oidc(oidc: ApiOidc | None) -> list[str]:
    """The section of the OpenID provider, and those of its groups, if there is one."""
    if oidc is None:
        return []
    groups = [_section("[[api.oidc.group]]", group) for group in oidc.group]
    return [_section("[api.oidc]", oidc), *groups]


def _is_blocks(kind: object) -> bool:
    """Whether a field is tables, which stand in sections of their own."""
    inner = get_args(kind)[:1]
    return any(isinstance(one, type) and issubclass(one, msgspec.Struct) for one in inner)


def _described(kind: object) -> msgspec.Meta | None:
    """The part of an annotation that is for people; others hold bounds."""
    metas = (part for part in get_args(kind) if isinstance(part, msgspec.Meta))
    return next((meta for meta in metas if meta.description), None)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return _string(str(value) if isinstance(value, Path) else value)


def _string(value: object) -> str:
    """A TOML basic string: JSON's escapes are TOML's too, but TOML also escapes DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
