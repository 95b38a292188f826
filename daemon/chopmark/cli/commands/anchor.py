"""`chopmark anchor`: heads on a FISCO BCOS chain."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, say_table, styled
from chopmark.core.errors import MissingError, UsageError

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient

_WORDS: Final = ("ahead", "fork", "bad")
FOUND: Final = 10
"""Exit code where the chain and what was read of it differ."""
_PAUSE: Final = 0.5
"""Seconds between two looks at the gateway."""


def initialise(*, options: Given) -> int:
    """Make the key of this gateway's account on the chain; once for each gateway.

    It is made in the token, or with `key = "file"` in [anchor] in that file, for tokens without the
    curve secp256k1 (`chopmark hsm doctor --sign` says). The account is what peers must know: it
    goes into the roster as `chain`, or without one into this gateway's [[peer]] blocks. The gateway
    uses the key from its next start on.

    The PIN of the token is read from $CREDENTIALS_DIRECTORY/hsm-pin, or asked for on the terminal.
    """
    from chopmark.cli.pin import pin_source
    from chopmark.service.token import create_chain_account

    config = options.load_config()
    account = create_chain_account(config, lambda: pin_source(config))
    where = "file" if config.anchor is not None and config.anchor.key_file else "hsm"
    if options.json:
        say_json({"account": account, "key": where})
        return 0
    say_fields([("account", account), ("key", where)])
    say()
    say("next: have the roster name it as `chain`, and start the gateway again")
    return 0


def deploy(
    endpoint: str, /, *, chain_id: int = 20_200, key: Path | None = None, options: Given
) -> int:
    """Put the contract onto a chain, once for all members; prints what goes into [anchor].

    Nobody administers it, so it does not matter who does this. By default a key is made for it and
    forgotten; a chain that lets some accounts only deploy needs the key of one of them.

    Args:
        endpoint: Web3 JSON-RPC of a node, such as http://127.0.0.1:8545.
        chain_id: Number of the chain; it must be the node's.
        key: PEM file with a key on secp256k1.
    """
    import asyncio

    from chopmark.anchor.deploying import deploy as put
    from chopmark.anchor.rpc import Node
    from chopmark.anchor.software import load_key_file

    if not endpoint.startswith(("http://", "https://")):
        hint = "such as http://127.0.0.1:8545"
        raise UsageError("usage", f"not an address of a node: {endpoint}", hint=hint)
    secret = None if key is None else load_key_file(key)

    async def run() -> tuple[str, int]:
        node = Node(endpoint)
        try:
            return await put(node, chain_id, secret)
        finally:
            await node.close()

    contract, block = asyncio.run(run())
    if options.json:
        say_json({"contract": contract, "first_block": block, "chain_id": chain_id})
        return 0
    say("[anchor]")
    say(f'endpoints = ["{endpoint}"]')
    say(f"chain_id = {chain_id}")
    say(f'contract = "{contract}"')
    say(f"first_block = {block}")
    return 0


def status(*, options: Given) -> int:
    """Show how the chain is followed, and how this gateway's log and its peers' are anchored."""
    with options.connect() as gateway:
        state = gateway.status().get("anchor")
    if state is None:
        raise _no_anchor()
    if options.json:
        say_json(state)
        return 0
    say_fields(_fields(state))
    say()
    heads = ("member", "account", "anchors", "size", "block", "ahead", "other history", "wrong")
    say_table(heads, [_row(one) for one in state["logs"]])
    return 0


def list_anchors(member: str, /, *, after: int = 0, limit: int = 100, options: Given) -> int:
    """List the anchors of a member's log, the smallest head first, and what each was found to be.

    Args:
        member: Member id.
        after: Size of a head: only larger ones are listed.
        limit: So many at most, up to 1000.
    """
    with options.connect() as gateway:
        rows = gateway.anchors(member, after, limit)
    if options.json:
        say_json(rows)
        return 0
    names = ("number", "size", "block", "state", "transaction")
    say_table(names, [[one[name] for name in names] for one in rows])
    for one in rows:
        if one["reason"]:
            say_prose(f"{one['number']}: {one['reason']}")
    return 0


def check(*, wait: int = 30, options: Given) -> int:
    """Compare what this gateway has read with what the contract counts, asking the chain directly.

    What was anchored just now, the gateway may read a moment later. The exit code is 10 if it has
    read less than was counted even then: its nodes hide something, or it is far behind.

    Args:
        wait: Seconds in which the gateway must have read what was counted.
    """
    from chopmark.service.anchor_check import count_anchors

    with options.connect() as gateway:
        counted = count_anchors(options.load_config(), _logs(gateway))
        read = _read_on(gateway, counted, wait)
    rows = [{"id": one, "read": read.get(one, 0), "counted": counted[one]} for one in counted]
    good = not _behind(read, counted)
    if options.json:
        say_json({"complete": good, "logs": rows})
    else:
        names = ("id", "read", "counted")
        say_table(names, [[one[name] for name in names] for one in rows])
        say(styled("complete", "green") if good else styled("not complete", "red"))
    return 0 if good else FOUND


def _logs(gateway: "GatewayClient") -> list[dict[str, Any]]:
    state = gateway.status().get("anchor")
    if state is None:
        raise _no_anchor()
    logs: list[dict[str, Any]] = state["logs"]
    return logs


def _read_on(gateway: "GatewayClient", counted: Mapping[str, int], seconds: int) -> dict[str, int]:
    """What the gateway has read of each log, as soon as that is enough; or whatever it is then."""
    deadline = time.monotonic() + seconds
    while True:
        read = {one["id"]: one["number"] for one in _logs(gateway)}
        if not _behind(read, counted) or time.monotonic() >= deadline:
            return read
        time.sleep(_PAUSE)


def _behind(read: Mapping[str, int], counted: Mapping[str, int]) -> bool:
    return any(read.get(one, 0) < number for one, number in counted.items())


def forget(*, options: Given) -> int:
    """Forget what was read of the chain, gateway stopped: it is read again from the next start on.

    For a chain that was set up anew, or a database that is damaged. What was anchored stays.
    """
    from chopmark.service.anchor_check import forget_chain

    config = options.load_config()
    removed = forget_chain(config)
    if options.json:
        say_json({"removed": removed})
    else:
        say("forgotten; it is read again at the next start" if removed else "nothing was known")
    return 0


def _fields(state: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "chain", state["chain_id"]
    yield "contract", state["contract"]
    for node in state["endpoints"]:
        reason = f": {node['reason']}" if node["reason"] else ""
        yield "node", f"{node['url']} {node['state']}{reason}"
    height = "?" if state["height"] is None else state["height"]
    yield "read up to", f"block {state['block']} of {height}"
    yield "missing", state["missing"] or None
    yield "problem", state["problem"]
    own = state["own"]
    if own is None:
        yield "our log", "not anchored (publish = false)"
        return
    where = "in the HSM" if own["key"] == "hsm" else "a SOFTWARE key, in a file"
    yield "account", f"{own['account'] or 'no key yet: `chopmark anchor init`'} ({where})"
    if own["account"] and not own["listed"]:
        yield "listed", "NO: peers do not know this account, and leave our anchors aside"
    if own["number"]:
        yield "our log", f"anchor {own['number']}, size {own['size']}, in block {own['block']}"
    yield "waiting", "a head waits for its anchor" if own["waiting"] else None
    yield "a node says", own["refused"] if own["waiting"] else None


def _row(one: Mapping[str, Any]) -> list[object]:
    return [one[name] for name in ("id", "account", "number", "size", "block", *_WORDS)]


def _no_anchor() -> MissingError:
    hint = "[anchor] in its configuration names a chain: docs/operations/anchor.md"
    return MissingError("no-anchor", "this gateway follows no chain", hint=hint)
