"""The daemon's event loop makes no blocking call: the service in this process, on real parts."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from blockbuster import BlockingError, blockbuster_ctx
from documents import digests_of, some_document

from chopmark.service import main
from chopmark.service.config import load_config
from chopmark.service.looplag import LoopLag
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE

MODULES = ["chopmark", "litestar", "uvicorn", "aiomqtt", "paho", "prometheus_client"]


@asynccontextmanager
async def serving(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The daemon of a gateway as a task of this test."""
    for name, value in gateway.environment().items():
        monkeypatch.setenv(name, value)
    daemon = asyncio.create_task(main._main(gateway.config, load_config(gateway.config), ""))
    while not await asyncio.to_thread(gateway.is_ready):
        assert not daemon.done(), daemon.exception()
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        if not daemon.done():  # else nobody would handle it but this test's own process
            os.kill(os.getpid(), signal.SIGTERM)
        await daemon


async def use(gateway: Gateway, metrics: str) -> None:
    """Everything that a client can ask for."""
    transport = httpx.AsyncHTTPTransport(uds=str(gateway.socket))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", timeout=PATIENCE
    ) as client:
        document = some_document("does not block")
        digests = digests_of(document)
        made = await client.post("/v1/attestations", json={"digests": digests})
        assert made.status_code == 201, made.text
        lines = b"".join(b'{"sha256":"%064x"}\n' % number for number in range(10_000))
        answer = await client.post("/v1/attestations:batch?proofs=1", content=lines)
        assert "proof" in json.loads(answer.text.splitlines()[-1])
        index = made.json()["index"]
        revoked = await client.post("/v1/revocations", json={"index": index, "reason": 2})
        assert revoked.status_code == 201
        for body in ({"digests": digests}, {"proof": made.json()["proof"], "digests": digests}):
            verdict = await client.post("/v1/verifications", json=body)
            assert verdict.json()["verdict"] == "revoked"
        lines = json.dumps({"digests": digests}) + "\n"
        bulk = await client.post("/v1/verifications:batch", content=lines * 100)
        assert bulk.text.count('"verdict":"revoked","sentence"') == 200
        for path in (
            *("/v1/status", "/v1/peers", "/v1/entries?limit=100", "/v1/proofs/hk-1/0"),
            *("/v1/replicas", "/v1/openapi.json", "/v1/events?seconds=0"),
            *(f"/v1/documents/{name}/{digest}" for name, digest in digests.items()),
        ):
            assert (await client.get(path)).status_code == 200
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        assert "chopmark_ready 1.0" in (await client.get(f"{metrics}/metrics")).text


async def test_attesting_verifying_and_watching_never_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await asyncio.to_thread(Cluster, tmp_path / "c", (HONG_KONG, SHENZHEN))
    gateway, peer = cluster["hk-1"], cluster["sz-1"]
    metrics = f"http://127.0.0.1:{gateway.metrics_port}"
    try:
        await asyncio.to_thread(peer.start)
        async with serving(gateway, monkeypatch):
            with blockbuster_ctx(MODULES) as blockbuster:
                # Coverage takes a lock for each file that it sees: that is not the daemon's.
                lock = blockbuster.functions["threading.Lock.acquire"]
                lock.can_block_in("coverage/collector.py", "lock_data")
                await use(gateway, metrics)
            await asyncio.to_thread(peer.wait_for_head, gateway, 10_002)
    finally:
        await asyncio.to_thread(cluster.stop)


async def test_a_blocking_call_would_be_seen() -> None:
    """The test above can fail: this one seeds what it looks for."""
    lag = LoopLag(lambda: time.sleep(0.001) or 0.0)  # type: ignore[func-returns-value]
    with blockbuster_ctx(MODULES), pytest.raises(BlockingError):
        await lag.run()
