"""Clients that attest, revoke and verify at random, and keep what they were answered."""

import asyncio
from typing import Any

KINDS = ("document", "bank-statement")


class Clients:
    """The callers of all gateways; they outlive every gateway."""

    def __init__(self, world: Any) -> None:
        self.world, self.random = world, world.random
        self.digests: list[bytes] = []
        self.proofs: dict[bytes, bytes] = {}

    async def run(self) -> None:
        """One client, for ever."""
        pause = self.world.plan.pause
        while True:
            await asyncio.sleep(self.random.expovariate(1 / pause))
            roll = self.random.random()
            if roll < 0.45:
                await self.attest(self.random.choice(self.world.issuers))
            elif roll < 0.6:
                await self._revoke(self.random.choice(self.world.issuers))
            else:
                await self._verify(self.random.choice(self.world.boxes))

    async def verify_all(self) -> None:
        """Ask every gateway for something that was attested."""
        for box in self.world.boxes:
            await self._verify(box)

    async def attest(self, box: Any) -> None:
        """Attest one or more documents."""
        life = _serving(box)
        if life is None:
            return
        digests = [self._digest() for _ in range(self._count())]
        kind, seconds = self.random.choice(KINDS), self.random.choice((0.05, 1.0, 5.0))
        task = await life.call(life.submit(digests, kind, seconds))
        if task is not None and task.result() is not None:
            self.proofs[digests[0]] = task.result()

    async def _revoke(self, box: Any) -> None:
        life = _serving(box)
        known = self.world.oracle.promises[box.origin]
        targets = [index for index, (item, _) in known.items() if isinstance(item, bytes)]
        if life is not None and targets:
            item = (self.random.choice(targets), self.random.randrange(6))
            _finish(await life.call(life.submit([item], "", 2.0)))

    async def _verify(self, box: Any) -> None:
        life = _serving(box)
        if life is not None and self.digests:
            digest = self.random.choice(self.digests)
            proof = self.proofs.get(digest) if self.random.random() < 0.3 else None
            _finish(await life.call(life.verify(digest, proof)))

    def _count(self) -> int:
        if self.random.random() < self.world.plan.crowd:
            return self.random.randint(200, 600)
        return self.random.choice((1, 1, 2, 5))

    def _digest(self) -> bytes:
        """Mostly a new document, sometimes one that was attested before."""
        if self.digests and self.random.random() < 0.1:
            return self.random.choice(self.digests)
        self.digests.append(self.random.randbytes(32))
        return self.digests[-1]


def _serving(box: Any) -> Any:
    life = box.life
    return life if life is not None and life.serving else None


def _finish(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.result()
