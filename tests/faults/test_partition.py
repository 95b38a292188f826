"""A long partition: both sides attest as if nothing were wrong, and once it ends each has all.

20,000 entries on each side in `make test`; 500,000 with `FAULTS=long`.
"""

import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from network import Network
from oracle import Answer, Heads, check_gateway, check_peer

from chopmark.ledger.store import read_keys
from rig.gateway import HONG_KONG, SHENZHEN, Gateway

LONG: Final = os.environ.get("FAULTS") == "long"
BEHIND: Final = 500_000 if LONG else 20_000
PART: Final = 20_000
"""Attestations in one batch."""
PATIENCE: Final = 900
"""Seconds after which a replica that is not whole is given up."""
MEMORY: Final = 250
"""MB that a daemon may have at most while it catches up, serves, and takes part."""
ASKED: Final = 20
"""Documents of each side that the other is asked for in the end."""

pytestmark = [pytest.mark.usefixtures("_namespaces"), pytest.mark.timeout(2 * PATIENCE)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("p"), (HONG_KONG, SHENZHEN)) as made:
        yield made


def attest(gateway: Gateway, chance: random.Random, count: int) -> list[Answer]:
    """Attest documents in one batch; gives what was answered."""
    digests = [chance.randbytes(32) for _ in range(count)]
    lines = b"".join(b'{"sha256":"%s"}\n' % digest.hex().encode() for digest in digests)
    answers = []
    url = "/v1/attestations:batch"
    with gateway.client() as client, client.stream("POST", url, content=lines) as stream:
        for digest, line in zip(digests, stream.iter_lines(), strict=True):
            said = json.loads(line)
            answers.append(Answer(said["index"], digest, said["state"] == "signed"))
    return answers


def forget_peak(gateway: Gateway) -> None:
    """Count the most memory from here on (proc(5), `clear_refs`)."""
    Path(f"/proc/{gateway.pid}/clear_refs").write_text("5")


def peak(gateway: Gateway) -> int:
    """The most memory that the daemon had, in MB."""
    text = Path(f"/proc/{gateway.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def size_of(gateway: Gateway) -> int:
    size: int = gateway.get("/v1/status")["head"]["size"]
    return size


def verify(gateway: Gateway, answer: Answer, issuer: Gateway) -> dict[str, Any]:
    assert isinstance(answer.says, bytes)
    body = {"digests": {"sha256": answer.says.hex()}, "expect_issuer": issuer.who.id}
    with gateway.client() as client:
        verdict: dict[str, Any] = client.post("/v1/verifications", json=body).json()
    return verdict


def test_partition_with_much_behind_it_heals_without_loss(network: Network) -> None:
    chance = random.Random(f"partition {BEHIND}")  # noqa: S311 - must repeat
    first, second = network.gateways["hk-1"], network.gateways["sz-1"]
    pairs = ((first, second), (second, first))
    heads = {one: Heads(read_keys(one.state / "log.db")[0]) for one in (first, second)}
    answers = {one: attest(one, chance, 10) for one in (first, second)}
    for issuer, receiver in pairs:
        receiver.wait_for_head(issuer, 10)
    network.spaces["sz-1"].lose(100, "in", "out")
    try:
        for _ in range(BEHIND // PART):
            for one in answers:
                answers[one] += attest(one, chance, PART)
        held = [receiver.peer(issuer)["size"] for issuer, receiver in pairs]
    finally:
        for one in answers:
            forget_peak(one)
        network.spaces["sz-1"].mend()
    begun = time.monotonic()
    for issuer, receiver in pairs:
        size = size_of(issuer)
        assert size == BEHIND + 10
        receiver.wait_for(
            lambda issuer=issuer, receiver=receiver: receiver.peer(issuer)["head_size"] == size,  # noqa: B023 - called before the next turn
            f"to have all of {issuer.who.id}",
            seconds=PATIENCE,
        )
    seconds = time.monotonic() - begun
    peaks = {one.who.id: peak(one) for one in answers}
    told = f"{BEHIND} entries on each side, healed in {seconds:.1f} s, most memory {peaks} MB"
    print(told, flush=True)  # noqa: T201 - for those who run it for long, with `-s`
    assert held == [10, 10], "the partition was none"
    assert max(peaks.values()) <= MEMORY, told
    for issuer, receiver in pairs:
        assert check_peer(receiver.peer(issuer)) == []
        replica = receiver.state / "replica" / f"{issuer.who.id}.db"
        assert check_gateway(issuer.state, answers[issuer], heads[issuer], [replica]) == []
        some = chance.sample(answers[issuer], ASKED)
        receiver.wait_for(
            lambda issuer=issuer, receiver=receiver, some=some: (
                {verify(receiver, one, issuer)["verdict"] for one in some} == {"valid"}
            ),
            "to answer for what came",
        )
