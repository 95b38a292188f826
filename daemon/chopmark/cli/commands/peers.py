"""`chopmark peers`: the other gateways, and what they need to know of this one."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chopmark.cli.commands.status import show_peers
from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_json, styled, warn
from chopmark.core.errors import UnreachableError

if TYPE_CHECKING:
    from chopmark.core.member import Member


def list_peers(*, options: Given) -> int:
    """Show each peer and its replica: how far it is, and as of when it is complete."""
    with options.connect() as gateway:
        peers = gateway.peers()
    if options.json:
        say_json(peers)
    elif peers:
        show_peers(peers)
    else:
        say(styled("no peers are configured", "dim"))
    return 0


def export(*, options: Given) -> int:
    """Print the [[peer]] block that goes into the configuration of this gateway's peers.

    With --config it is the gateway of that configuration. When the gateway does not run, the block
    is made from the configuration and the ledger on disk; an account on a chain whose key is in the
    token is not in it then.
    """
    from chopmark.service.config_text import render_peer

    values = _read_identity(options)
    if options.json:
        say_json(values)
    else:
        sys.stdout.write(render_peer(_member(values)))
    return 0


def policy(member: str | None = None, /, *, options: Given) -> int:
    """Print the policy with which `chopmark verify --policy` checks proofs offline.

    Args:
        member: Member id of the issuer; this gateway itself by default.
    """
    from chopmark.core.policy import parse_policy

    with options.connect() as gateway:
        text = gateway.policy(member)
    parsed = parse_policy(text).encode()
    if options.json:
        say_json({"policy": parsed})
    else:
        sys.stdout.write(parsed)
    return 0


def _read_identity(options: Options) -> Mapping[str, Any]:
    from chopmark.service.identity import read_identity

    try:
        with options.connect_own() as gateway:
            return gateway.export()
    except UnreachableError as error:
        if options.gateway is not None:
            raise
        warn(styled(f"note: {error.message}: using the configuration", stream=sys.stderr))
        config = options.load_config()
        values = read_identity(config)
        if config.anchor is not None and config.anchor.publish and values["chain"] is None:
            note = "note: the account on the chain is not in it: export again once the gateway runs"
            warn(styled(note, stream=sys.stderr))
        return values


def _member(values: Mapping[str, Any]) -> "Member":
    from chopmark.core.keys import parse_vkey
    from chopmark.core.member import Member

    return Member(
        id=str(values["id"]),
        origin=str(values["origin"]),
        log_key=parse_vkey(values["log_vkey"]),
        cosigner_key=parse_vkey(values["cosigner_vkey"]),
        institution=str(values["institution"]),
        jurisdiction=str(values["jurisdiction"]),
        kinds=frozenset(values["kinds"]),
        chain=values.get("chain"),
    )
