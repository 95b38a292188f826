"""The faults of a seed, at random times; each ends by itself, and all when the world heals."""

import asyncio
from functools import partial
from typing import Any

from simulation.disk import FAULTS as COMMIT_FAULTS

_OVER = False


class Chaos:
    """Breaks a world according to its plan."""

    def __init__(self, world: Any) -> None:
        self.world, self.random = world, world.random

    async def run(self) -> None:
        """Break something now and then; cancel to stop."""
        plan = self.world.plan
        faults = [fault for fault in plan.faults if fault != "fork"] or ["kill"]
        while True:
            await asyncio.sleep(self.random.expovariate(1 / plan.fault_pause))
            fault = self.random.choice(faults)
            self.world.note(b"fault", fault, self.world.loop.now)
            box = self.random.choice(self.world.boxes)
            getattr(self, "_" + fault.replace("-", "_"))(box)

    def heal(self) -> None:
        """End all faults."""
        broker = self.world.broker
        self.world.loop.after_steps(0, lambda: None)  # nobody is killed any more
        broker.loss = broker.double = 0.0
        broker.cuts.clear()
        broker.routes.clear()
        broker.up = True
        for box in self.world.boxes:
            box.hsm.away = False
            box.clock.offset = 0
            if box.life is not None:
                box.life.disk.full = False
                box.life.disk.faults.clear()

    def _later(self, mean: float, call: Any, *args: Any) -> None:
        self.world.loop.call_later(self.random.expovariate(1 / mean), call, *args)

    def _kill(self, box: Any) -> None:
        """At one of the next steps, whosever they are."""
        life = box.life
        if life is not None:
            self.world.loop.after_steps(self.random.randint(1, 60), life.crash)

    def _commit(self, _box: Any) -> None:
        """Of an issuer: its commits are those that somebody is answered for."""
        box = self.random.choice(self.world.issuers)
        if box.life is not None:
            kind = self.random.choice(COMMIT_FAULTS)
            box.life.disk.faults.append((self.random.randint(0, 2), kind))

    def _stop(self, box: Any) -> None:
        life = box.life
        if life is not None and life.serving:
            self.world.spawn(life.stop())

    def _disk_full(self, box: Any) -> None:
        if box.life is not None:
            disk = box.life.disk
            disk.full = True
            self._later(3.0, partial(setattr, disk, "full", _OVER))

    def _hsm_away(self, box: Any) -> None:
        box.hsm.away = True
        self._later(3.0, partial(setattr, box.hsm, "away", _OVER))

    def _clock(self, box: Any) -> None:
        span = self.random.choice((3_000, 120_000, 7_200_000))
        box.clock.offset += self.random.randint(-span, span)
        self.world.oracle.unsteady.add(box.origin)

    def _cut(self, box: Any) -> None:
        broker = self.world.broker
        ways = self.random.choice(({"up"}, {"down"}, {"up", "down"}))
        broker.cuts.update((box.id, way) for way in ways)
        self._later(4.0, self._uncut, box)

    def _uncut(self, box: Any) -> None:
        """The line did not survive: what was under way on it is lost."""
        self.world.broker.cuts -= {(box.id, "up"), (box.id, "down")}
        self._line(box)

    def _route(self, box: Any) -> None:
        others = [other for other in self.world.boxes if other is not box]
        route = (box.id, self.random.choice(others).id)
        self.world.broker.routes.add(route)
        self._later(6.0, self.world.broker.routes.discard, route)

    def _broker(self, _box: Any) -> None:
        broker, random = self.world.broker, self.random
        broker.fall()
        sessions, retained = random.random() < 0.5, random.random() < 0.5
        self._later(2.0, lambda: broker.restart(sessions=sessions, retained=retained))

    def _line(self, box: Any) -> None:
        session = self.world.broker.sessions.get(box.id)
        if session is not None and session.line is not None:
            session.line.end("lost")

    async def fork(self) -> None:
        """Put one issuer back to an older copy of its disk, with business before and after."""
        world, random = self.world, self.random
        await asyncio.sleep(random.random() * world.plan.seconds / 2)
        box = random.choice(world.issuers)
        await self._until_serving(box)
        box.keep()
        for _ in range(random.randint(1, 3)):
            await world.clients.attest(box)
        await asyncio.sleep(random.expovariate(2))
        await self._until_serving(box)
        box.restore()
        for _ in range(random.randint(1, 4)):
            await self._until_serving(box)
            await world.clients.attest(box)

    async def put_back(self) -> None:
        """Put one issuer back to a disk from before its last start; its token stays as it is."""
        world, random = self.world, self.random
        box = random.choice(world.issuers)
        await self._until_standing(box)
        box.keep()
        await world.clients.attest(box)
        await self._until_standing(box)
        life = box.life
        life.crash()
        while box.life is life:  # noqa: ASYNC110 - virtual time is cheap
            await asyncio.sleep(0.1)
        await self._until_standing(box)
        await world.clients.attest(box)
        await self._until_serving(box)
        box.put_back()
        await self._until_serving(box)
        await world.clients.attest(box)

    async def _until_standing(self, box: Any) -> None:
        while not box.stands:  # noqa: ASYNC110 - virtual time is cheap
            await asyncio.sleep(0.1)

    @staticmethod
    async def _until_serving(box: Any) -> None:
        while box.life is None or not box.life.serving:  # noqa: ASYNC110 - virtual time is cheap
            await asyncio.sleep(0.1)
