"""Gateways' meshes and ledgers without their daemons, for tests over real brokers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from chopmark.core.columns import frame_entries
from chopmark.core.errors import TryAgainError
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import Store
from chopmark.mesh.mesh import Mesh
from integration.link_party import Reachable, until
from ledgers import Clock, attestations, member, opened, sign
from meshes import FakeLog

HK, MO = "bank-hk.example/hk-1", "bank-mo.example/mo-1"


async def no_heartbeat() -> bytes:
    raise TryAgainError("hsm-away", "there is no HSM here")


class Box:
    """One gateway's mesh; that of sz-1 has the log, the others a replica of it."""

    def __init__(self, me: str, rigs: Sequence[Reachable], log: Log, peers: dict[str, str]) -> None:
        self.log = log
        brokers = [rig.broker_for(me) for rig in rigs]
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
async def boxes(folder: Path, rigs: Sequence[Reachable], *names: str) -> AsyncIterator[list[Box]]:
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
