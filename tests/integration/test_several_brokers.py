"""Gateways' meshes and ledgers over real Mosquittos, some of which are killed on the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from chopmark.core.columns import frame_entries
from chopmark.core.errors import TryAgainError
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import Store
from chopmark.mesh.broker import Broker
from chopmark.mesh.mesh import Mesh
from chopmark.mesh.pace import Pace
from ledgers import Clock, attestations, member, opened, sign
from meshes import FakeLog
from rig.broker import Broker as Rig

HK, MO = "bank-hk.example/hk-1", "bank-mo.example/mo-1"


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[list[Rig]]:
    with Rig(tmp_path / "first") as first, Rig(tmp_path / "second") as second:
        yield [first, second]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test need not wait for."""
    monkeypatch.setattr("chopmark.mesh.news.STATUS_STEP", 1)
    monkeypatch.setattr("chopmark.mesh.catchup.RETRY", 0.2)
    monkeypatch.setattr("chopmark.mesh.lanes.REST", 0.2)


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of real programs raise no event
            await asyncio.sleep(0.01)


async def no_heartbeat() -> bytes:
    raise TryAgainError("hsm-away", "there is no HSM here")


class Box:
    """One gateway's mesh; that of sz-1 has the log, the others a replica of it."""

    def __init__(self, me: str, rigs: list[Rig], log: Log, peers: dict[str, str]) -> None:
        self.log = log
        brokers = [Broker(rig.host, rig.port) for rig in rigs]
        followed = [FakeLog(origin, name) for name, origin in peers.items()]
        self.replica = Replica(member(), log, Clock())
        if me == "sz-1":
            self.mesh = Mesh(me, brokers, log, followed, no_heartbeat)
        else:
            own = FakeLog({"hk-1": HK, "mo-1": MO}[me])
            self.mesh = Mesh(me, brokers, own, [self.replica, *followed], no_heartbeat)
        self.gate = threading.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        self._task = asyncio.create_task(self.mesh.run())
        await until(lambda: len(self.mesh.links.connected) == len(self.mesh.links.each))
        return self

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def grow(self, count: int) -> None:
        """Append entries and sign the head, as the sequencer does."""
        entries = attestations(count, self.log.state.size)

        def append(store: Store) -> None:
            self.log.append_now([frame_entries(entries)])
            sign(store)

        await self.log.write(append)
        self.mesh.head_moved()

    async def block_disk(self) -> None:
        """Nothing is written until the gate is opened."""
        blocked = asyncio.get_running_loop().run_in_executor
        self.gate.clear()
        started = threading.Event()

        def wait(_: Store) -> None:
            started.set()
            self.gate.wait(60)

        self._blocking = asyncio.create_task(self.log.write(wait))
        await blocked(None, started.wait)

    async def open_disk(self) -> None:
        self.gate.set()
        await self._blocking


@asynccontextmanager
async def boxes(folder: Path, rigs: list[Rig], *names: str) -> AsyncIterator[list[Box]]:
    """Boxes that are not started yet; all know each other."""
    origins = {"hk-1": HK, "mo-1": MO}
    async with AsyncExitStack() as stack:
        made = []
        for name in names:
            log = await stack.enter_async_context(opened(folder, name))
            peers = {one: origins[one] for one in origins if one != name}
            made.append(Box(name, rigs, log, peers))
            stack.push_async_callback(made[-1].stop)
        yield made


async def test_live_stream_goes_on_when_one_of_two_brokers_is_killed(
    tmp_path: Path, rigs: list[Rig]
) -> None:
    async with boxes(tmp_path, rigs, "sz-1", "hk-1") as (issuer, follower):
        await follower.start()
        await issuer.start()
        await until(lambda: issuer.mesh.peers["hk-1"].seen == {0: True, 1: True})
        for number in range(40):
            await issuer.grow(100)
            if number == 20:
                await asyncio.to_thread(rigs[0].kill)
        await until(lambda: follower.replica.signed_size == 4000)
        intake = follower.mesh.peers["sz-1"].intake
        assert intake.duplicates
        assert follower.mesh.links.connected == [1]
        assert "away" not in follower.mesh.links.each[1].reason
        await asyncio.to_thread(rigs[0].start)
        await until(lambda: follower.mesh.links.connected == issuer.mesh.links.connected == [0, 1])
        await asyncio.to_thread(rigs[1].kill)
        await issuer.grow(100)
        await until(lambda: follower.replica.signed_size == 4100)
    assert follower.replica.counters.dropped == 0


async def test_broker_that_stands_still_holds_up_nobody(tmp_path: Path, rigs: list[Rig]) -> None:
    async with boxes(tmp_path, rigs, "sz-1", "hk-1") as (issuer, follower):
        await follower.start()
        await issuer.start()
        rigs[0].freeze()
        try:
            for _ in range(50):
                await issuer.grow(300)
            await until(lambda: follower.replica.signed_size == 15_000)
        finally:
            rigs[0].thaw()


async def test_new_replica_catches_up_from_two_peers_though_one_stops_and_a_broker_is_killed(
    tmp_path: Path, rigs: list[Rig]
) -> None:
    size = 60_000
    async with boxes(tmp_path, rigs, "sz-1", "hk-1", "mo-1") as (issuer, helper, newcomer):
        await issuer.grow(size)
        await helper.start()
        await issuer.start()
        await until(lambda: helper.replica.signed_size == size)
        await newcomer.start()
        await until(lambda: newcomer.replica.size > size // 8)
        await asyncio.to_thread(rigs[0].kill)
        await issuer.stop()
        await until(lambda: newcomer.replica.signed_size == size)
        assert newcomer.replica.counters.dropped == 0
        unverified = newcomer.mesh.peers["sz-1"].intake.unverified
        await until(lambda: not unverified.bytes)


async def test_catch_up_goes_on_where_it_was_after_a_restart(
    tmp_path: Path, rigs: list[Rig]
) -> None:
    size = 40_000
    async with boxes(tmp_path, rigs, "sz-1") as (issuer,):
        await issuer.grow(size)
        await issuer.start()
        async with boxes(tmp_path, rigs, "hk-1") as (first,):
            await first.start()
            await until(lambda: first.replica.size > 5_000)
            await first.stop()
        async with boxes(tmp_path, rigs, "hk-1") as (second,):
            reached = second.replica.size
            assert reached > 5_000
            await second.start()
            await until(lambda: second.replica.signed_size == size)
            assert second.replica.counters.entries == size - reached


async def test_live_stream_that_outruns_a_blocked_disk_is_bounded_and_caught_up_with(
    tmp_path: Path, rigs: list[Rig]
) -> None:
    async with boxes(tmp_path, rigs, "sz-1", "hk-1") as (issuer, follower):
        await follower.start()
        await issuer.start()
        await issuer.grow(1000)
        await until(lambda: follower.replica.signed_size == 1000)
        unverified = follower.mesh.peers["sz-1"].intake.unverified
        unverified.limit = 300_000
        await follower.block_disk()
        for _ in range(60):
            await issuer.grow(1000)
            await asyncio.sleep(0.005)
            assert unverified.bytes <= unverified.limit
        await until(lambda: unverified.dropped)
        assert follower.replica.size < 20_000
        await follower.open_disk()
        await until(lambda: follower.replica.signed_size == 61_000)
        assert follower.replica.counters.dropped == 0


async def test_issuer_waits_for_a_connected_peer_and_not_for_one_that_left(
    tmp_path: Path, rigs: list[Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.mesh.mesh.Pace", partial(Pace, 2000))
    async with boxes(tmp_path, rigs, "sz-1", "hk-1") as (issuer, follower):
        await follower.start()
        await issuer.start()
        await issuer.grow(1000)
        await until(lambda: issuer.mesh.lags().get("hk-1") == 0)
        await follower.block_disk()
        await issuer.grow(3000)
        waiting = asyncio.create_task(issuer.mesh.room())
        await until(lambda: issuer.mesh.slowed)
        assert issuer.mesh.lags() == {"hk-1": 3000}
        await follower.open_disk()
        await asyncio.wait_for(waiting, 60)
        assert not issuer.mesh.slowed
        await until(lambda: issuer.mesh.lags().get("hk-1") == 0)
        await follower.block_disk()
        await issuer.grow(3000)
        waiting = asyncio.create_task(issuer.mesh.room())
        await until(lambda: issuer.mesh.slowed)
        follower.gate.set()  # so that it can stop
        await follower.stop()
        await asyncio.wait_for(waiting, 60)
