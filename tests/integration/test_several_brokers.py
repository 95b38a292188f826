"""Gateways' meshes and ledgers over real Mosquittos, some of which are killed on the way."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from chopmark.mesh.pace import Pace
from integration.link_party import until
from integration.mesh_boxes import boxes
from rig.broker import Broker as Rig
from rig.patience import PATIENCE


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
        await until(lambda: follower.mesh.links.connected == [1])
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
        await asyncio.wait_for(waiting, PATIENCE)
        assert not issuer.mesh.slowed
        await until(lambda: issuer.mesh.lags().get("hk-1") == 0)
        await follower.block_disk()
        await issuer.grow(3000)
        waiting = asyncio.create_task(issuer.mesh.room())
        await until(lambda: issuer.mesh.slowed)
        follower.gate.set()  # so that it can stop
        await follower.stop()
        await asyncio.wait_for(waiting, PATIENCE)
