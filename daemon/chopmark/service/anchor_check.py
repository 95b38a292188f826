"""What commands do with the chain beside the daemon: counting, and forgetting what was read."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from chopmark.anchor.chain import Chain, Endpoint, Place
from chopmark.anchor.rpc import Node
from chopmark.anchor.store import store_path
from chopmark.core.errors import ConfigurationError, MissingError
from chopmark.core.member import Member
from chopmark.core.transaction import origin_hash
from chopmark.ledger.store import read_keys
from chopmark.service.config_model import Anchor, Config
from chopmark.service.locking import lock_state
from chopmark.service.membership import read_membership
from chopmark.service.places import log_path


def anchor_of(config: Config) -> Anchor:
    """`[anchor]`.

    Raises:
        MissingError: `no-anchor`.
    """
    if config.anchor is None:
        hint = "[anchor] names a chain: docs/operations/anchor.md"
        raise MissingError("no-anchor", "the configuration has no [anchor]", hint=hint)
    return config.anchor


def place_of(anchor: Anchor) -> Place:
    """Which contract on which chain."""
    return Place(anchor.chain_id, anchor.contract, anchor.first_block)


def make_chain(anchor: Anchor) -> Chain:
    """The chain by the nodes of the configuration; nobody is asked yet."""
    ca = None if anchor.ca is None else str(anchor.ca)
    return Chain(place_of(anchor), [Endpoint(Node(url, ca)) for url in anchor.endpoints])


def count_anchors(config: Config, logs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many anchors the contract counts of each log that has an account, by member. Blocks.

    Args:
        config: of the gateway.
        logs: `anchor.logs` of its status.

    Raises:
        MissingError: `no-anchor`.
        UnreachableError: `chain-away`.
    """
    path = log_path(config.gateway.state)
    membership = read_membership(config, *read_keys(path))
    members = {one.id: one for one in (membership.own, *membership.peers)}
    pairs = [(members[one["id"]], one) for one in logs if one["account"] and one["id"] in members]
    counted = asyncio.run(
        _count(anchor_of(config), [(one["account"], member) for member, one in pairs])
    )
    return {member.id: number for (member, _), number in zip(pairs, counted, strict=True)}


async def _count(anchor: Anchor, asked: Sequence[tuple[str, Member]]) -> list[int]:
    chain = make_chain(anchor)
    try:
        async with chain.view() as view:
            keys = [(account, origin_hash(member.origin)) for account, member in asked]
            return [one.number for one in await view.latest(keys)]
    finally:
        await chain.close()


def forget_chain(config: Config) -> bool:
    """Remove what was read of the chain; gives whether there was anything.

    Raises:
        MissingError: `no-anchor`.
        ExistsError: the gateway runs.
    """
    path = store_path(config.gateway.state, place_of(anchor_of(config)))
    lock = lock_state(config.gateway.state)
    try:
        there = path.exists()
        for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            one.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path} cannot be removed: {error.strerror}"
        raise ConfigurationError("anchor-storage", message) from error
    else:
        return there
    finally:
        lock.close()
