"""The rows `anchor.*`: what following a chain brings, and what anchoring costs who attests.

The chain is an EVM node (anvil) behind the stand-in for FISCO BCOS (demo/rig/standin.py).
"""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import Bench, Figures
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.keys import parse_vkey
from chopmark.core.transaction import Anchor
from load import LoadFailedError, ask_all, attestation
from rig.anchored import deploy, follow_chain, name_accounts
from rig.broker import Broker
from rig.chain import CHAIN_ID, Anvil
from rig.gateway import HONG_KONG, SHENZHEN, Gateway
from rig.standin import StandIn
from rows import Figure

ROWS: Final = ("anchor.follow", "anchor.cost")
ANCHORS: Final = 1500
CLIENTS: Final = 16
REQUESTS: Final = 1600
TURNS: Final = 7
_PATIENCE: Final = 120.0


def both(bench: Bench) -> Figures:
    """Measure them."""
    folder = bench.folder / "anchor"
    node = Anvil(folder / "chain", last=False).start()
    standin = StandIn(node.url).start()
    # Of its own: at the others' there are gateways with these names already.
    broker = Broker(folder / "broker")
    try:
        count = min(ANCHORS, bench.scale // 10)
        return {
            "anchor.follow": _follow(broker, folder, node, standin, count),
            "anchor.cost": _cost(bench, broker, folder, standin),
        }
    finally:
        broker.stop()
        standin.stop()
        node.stop()
        shutil.rmtree(folder)


def _follow(broker: Broker, folder: Path, node: Anvil, standin: StandIn, count: int) -> Figure:
    """Anchors that a gateway reads and compares a second, by its own count."""
    issuer = Gateway(folder / SHENZHEN.id, SHENZHEN, broker)
    reader = Gateway(folder / HONG_KONG.id, HONG_KONG, broker)
    contract = deploy(issuer, node.url)
    reader.add_peers([issuer])
    issuer.add_peers([reader])
    account: str = node.call("eth_accounts")[0]
    try:
        issuer.start()
        reader.start()
        notes = _make_heads(issuer, count)
        reader.wait_for_head(issuer, count)
        reader.stop()
        for number, note in enumerate(notes):
            _anchor(node, str(contract["contract"]), account, note, number)
        follow_chain(reader, [standin.url], contract, publish=False, poll=0.1)
        name_accounts(reader, {SHENZHEN.id: account})
        reader.start()
        rate = _watch(reader, count)
    finally:
        issuer.stop()
        reader.stop()
    return Figure(rate, _check_rate(issuer, notes))


def _make_heads(issuer: Gateway, count: int) -> list[bytes]:
    """Signed heads of all sizes."""
    notes = []
    with issuer.client() as client:
        for number in range(count):
            body = {"digests": {"sha256": f"{number:064x}"}, "kind": "document"}
            client.post("/v1/attestations", json=body).raise_for_status()
            notes.append(client.get(f"/log/{issuer.who.id}/checkpoint").content)
    return notes


def _anchor(node: Anvil, contract: str, account: str, note: bytes, number: int) -> None:
    """By an account whose key the node has: signing is not what is measured."""
    data = Anchor(CHAIN_ID, bytes.fromhex(contract[2:]), number, note).transaction().data
    sent = {"from": account, "to": contract, "data": "0x" + data.hex(), "gas": hex(2_000_000)}
    node.call("eth_sendTransaction", sent)


def _watch(reader: Gateway, count: int) -> float:
    """From the first that were read on; where the first look shows all, from the start on."""
    first: tuple[int, float] | None = None
    started = time.perf_counter()
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        state: dict[str, Any] = reader.get("/v1/status")["anchor"]
        read, now = state["read"], time.perf_counter()
        if read and first is None:
            first = read, now
        if read >= count and first is not None:
            if any(one["ahead"] or one["fork"] or one["bad"] for one in state["logs"]):
                raise LoadFailedError("an anchor does not agree with the replica")
            if first[0] == read:
                first = 0, started
            return (read - first[0]) / (now - first[1])
        time.sleep(0.01)
    raise LoadFailedError("the anchors are not read")


def _check_rate(issuer: Gateway, notes: list[bytes]) -> float:
    """Signatures of heads that are checked a second, and nothing else."""
    text = next(line for line in issuer.export().splitlines() if line.startswith("log_vkey"))
    key = parse_vkey(text.split('"')[1])
    start = time.perf_counter()
    for note in notes:
        open_checkpoint(note, key)
    return len(notes) / (time.perf_counter() - start)


def _cost(bench: Bench, broker: Broker, folder: Path, standin: StandIn) -> Figure:
    """Attestations a second with a chain / without, by turns."""
    with _pair(broker, folder, standin) as (plain, anchoring):
        ratios = []
        count = min(REQUESTS, bench.scale // 10)
        for turn in range(TURNS):
            rates, numbers = {}, range(turn * count, (turn + 1) * count)
            for gateway in (plain, anchoring) if turn % 2 else (anchoring, plain):
                requests = [attestation(number) for number in numbers]
                rates[gateway] = asyncio.run(ask_all(gateway.socket, requests, CLIENTS)).rate
            ratios.append(rates[anchoring] / rates[plain])
    return Figure(median(ratios), 1)


@contextmanager
def _pair(broker: Broker, folder: Path, standin: StandIn) -> Iterator[tuple[Gateway, Gateway]]:
    plain = Gateway(folder / "plain" / SHENZHEN.id, SHENZHEN, broker)
    anchoring = Gateway(folder / "with" / HONG_KONG.id, HONG_KONG, broker)
    contract = deploy(anchoring, standin.url)
    follow_chain(anchoring, [standin.url], contract, every=10, poll=1.0)
    try:
        yield plain.start(), anchoring.start()
    finally:
        plain.stop()
        anchoring.stop()
