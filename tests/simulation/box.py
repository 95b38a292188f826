"""One machine with its gateway: real parts and real wiring, that may end at any step."""

import asyncio
import contextvars
import shutil
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from chopmark.api.ports import Asked
from chopmark.core.check import facts_from_proof
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, InternalError
from chopmark.core.mark import HeadMark
from chopmark.core.policy import Policy
from chopmark.core.proof import parse_proof
from chopmark.core.verdict import Issuer, Match, Question, Verdict
from chopmark.ledger.log import Log
from chopmark.ledger.store import LogState
from chopmark.ledger.worker import Worker
from chopmark.service.config_model import Config, Witness
from chopmark.service.parts.outside import Outside
from chopmark.service.wiring import Parts, open_parts
from simulation.disk import Disk
from simulation.hsm import Hsm, SimClock, SimSigner
from simulation.index import Kept, SimIndex
from simulation.loop import OWNER
from simulation.network import link_to
from simulation.oracle import Floor, Given, History, Item

PATIENCE = 60.0
"""Seconds in which a gateway that was told to stop must have stopped."""


class Life:
    """One process of a gateway, from its start to its end."""

    def __init__(self, box: "Box", folder: Path) -> None:
        self.box, self.folder = box, folder
        self.dead = self.serving = False
        self.parts: Parts | None = None
        world = box.world
        self.disk = Disk(folder, world.random, world.trace)
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self._times: dict[str, int] = {}
        self._looked: dict[Log, LogState] = {}
        self._calls: set[asyncio.Task[Any]] = set()
        self.came: Counter[tuple[str, int]] = Counter()  # packages, by where they begin
        self.main = self._spawn(self._run())

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.box.world.loop.create_task(work, context=self._context)

    async def _run(self) -> None:
        """As `service.main`, without HTTP."""
        box, world = self.box, self.box.world
        gateway = msgspec.structs.replace(box.config.gateway, state=self.folder)
        rule = Witness(rule="jurisdictions" if world.plan.witnessed else "none")
        config = msgspec.structs.replace(box.config, gateway=gateway, witness=rule)
        draw = world.random.randbytes
        outside = Outside(box.clock, SimIndex, link_to(world.broker), random=draw)
        async with AsyncExitStack() as stack:
            reading = Worker("read")
            stack.callback(reading.close)
            signer: Any = SimSigner(box.hsm, self)
            parts = await open_parts(config, signer, reading, stack, outside)
            self.parts = parts
            self.note_held(after=True)
            self.serving = True
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(parts.standing.run(), name="standing")
                    tasks.create_task(parts.sequencer.run(), name="sequencer")
                    tasks.create_task(parts.mesh.run(), name="mesh")
                    tasks.create_task(parts.watch_disks(), name="disks")
                    if parts.trust.witnesses:
                        tasks.create_task(parts.trust.run(), name="trust")
                    tasks.create_task(parts.auditing.run(), name="audit")
            finally:
                self.serving = False

    # How it ends

    def crash(self) -> None:
        """Cut the power: from here on nothing that it does has any effect."""
        if self.dead or self.main.done():
            return
        self.note_held(after=False)
        self.dead, self.serving = True, False
        self.box.world.trace(b"crash", self.box.id.encode())
        self.disk.cut(self.box.next_folder())
        if self.box.world.random.random() < 0.1:
            self.box.indices.clear()
        self.main.cancel()
        for call in self._calls:
            call.cancel()

    async def stop(self) -> None:
        """Stop as on SIGTERM: requests that are running are answered first."""
        self.serving = False
        await self.answer()
        self.note_held(after=False)
        self.main.cancel()

    async def answer(self) -> None:
        """Until all that was asked is answered."""
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=PATIENCE)

    async def wait(self) -> None:
        """Until it has ended."""
        await asyncio.wait({self.main})
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(set(self._calls))

    # What it is asked, as the API asks it

    async def call(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Ask, and wait: None if the gateway ended before it answered, or the caller gave up."""
        world = self.box.world
        task = self._spawn(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        if world.random.random() < 0.05:
            world.loop.call_later(world.random.expovariate(20), task.cancel)
        await asyncio.wait({task})
        return None if self.dead or task.cancelled() else task

    async def submit(self, items: Sequence[Item], kind: str, seconds: float) -> bytes | None:
        """Attest or revoke, and tell the oracle each answer; gives the first entry's proof."""
        box, gateway = self.box, self.parts.gateway
        box.oracle.asked.update(item for item in items if isinstance(item, bytes))
        try:
            if isinstance(items[0], tuple):
                recorded = await gateway.revoke(*items[0], seconds)
            else:
                recorded = await gateway.record([Draft(one, kind) for one in items], seconds)
        except ChopmarkError as error:
            self._note_refusal(error, items)
            return None
        if self.dead or recorded.known:  # it was revoked for this reason before
            return None
        box.world.note(b"recorded", box.id, recorded)
        box.oracle.recorded(box.origin, recorded, items)
        end = recorded.start + recorded.count
        if not await gateway.wait_signed(end - 1, seconds) or self.dead:
            return None
        box.oracle.answered_signed(box.origin, end)
        proof = await gateway.proof(box.id, recorded.start)
        self._check_proof(proof, recorded.start, items[0])
        if gateway.demands_quorum() and await gateway.wait_witnessed(end - 1, seconds):
            proof = await gateway.proof(box.id, recorded.start)
            self._check_proof(proof, recorded.start, items[0], witnessed=True)
        return proof

    async def verify(self, digest: bytes, proof: bytes | None) -> None:
        """Verify, and tell the oracle the verdict."""
        box = self.box
        self.note_held(after=False)
        before = self._sizes()
        question = Question(box.clock.now_ms())
        asked = Asked(Digests(digest), proof, None, question)
        try:
            verdict = await self.parts.gateway.verify(asked)
        except InternalError as error:  # its disk failed over what the proof tells, and it ends
            self._note_refusal(error, ())
            return
        if not self.dead:
            box.world.note(b"verdict", box.id, verdict.word)
            box.oracle.verdicts.append(Given(box.id, digest, verdict, before, self._sizes()))

    async def ask(self, digest: bytes, issuer: str) -> Verdict:
        """What it says of a document of an issuer that one expects."""
        question = Question(self.box.clock.now_ms(), expect_issuer=issuer)
        task = self._spawn(self.parts.gateway.verify(Asked(Digests(digest), None, None, question)))
        return await task

    def _sizes(self) -> dict[str, int]:
        return {log.origin: log.signed_size for log in self.logs()}

    def _note_refusal(self, error: ChopmarkError, items: Sequence[Item]) -> None:
        self.box.world.note(b"refused", self.box.id, error.code)
        if error.code == "not-recorded" and not self.dead:
            digests = [item for item in items if isinstance(item, bytes)]
            self.box.oracle.refusals += [(self.box.origin, one) for one in digests]

    def _check_proof(self, data: bytes, index: int, item: Item, *, witnessed: bool = False) -> None:
        if not isinstance(item, bytes):
            return
        box = self.box
        proof = parse_proof(data)
        policy = Policy((box.keys.log_key,))
        if witnessed:
            policy = self.parts.trust.policy(box.origin)
        issuer = Issuer(box.id, box.origin, box.origin, "HK")
        facts = facts_from_proof(proof, policy, Digests(item), issuer, lambda _: True)
        if facts.problem or facts.match != Match.ALL or facts.index != index:
            box.oracle.fail(1, f"the proof of entry {index} of {box.origin} does not hold")
        if witnessed and facts.quorum != "reached":
            box.oracle.fail(12, f"the proof of entry {index} of {box.origin} has no quorum")

    # What it holds

    def replicas(self) -> list[Any]:
        """Its replicas."""
        return [peer.log for peer in self.parts.mesh.peers.values()] if self.parts else []

    def has_counted(self, name: str) -> bool:
        """Whether its metrics name a peer that misbehaves."""
        if self.parts is None:
            return False
        status = next(one for one in self.parts.report.peers() if one["id"] == name)
        return status["state"] == "failed" or name in self.blamed()

    def blamed(self, only: str = "") -> set[str]:
        """Whom its metrics say to have sent what is of no use; a wrong clock is another matter."""
        counted = (key for replica in self.replicas() for key in replica.blame.counts)
        return {
            name for name, cause in counted if cause == only or (not only and cause != "bad-time")
        }

    def logs(self) -> list[Any]:
        """Our own log and the replicas'."""
        if self.parts is None:
            return []
        return [self.parts.log, *[peer.log.log for peer in self.parts.mesh.peers.values()]]

    def note_held(self, *, after: bool) -> None:
        """Tell the oracle what is held."""
        for log in self.logs():
            s = log.state
            floor = Floor(s.size, s.head.size, s.seen_time, s.fork_note is not None)
            self.box.oracle.held(self.box.id, log.origin, floor, after=after)
            cosigned = self.parts.trust.cosigner.last(log.origin) if self.parts else None
            if log.origin != self.box.origin:
                size = cosigned.head.size if cosigned else 0
                self.box.oracle.row_held(self.box.origin, log.origin, size, after=after)

    def note_times(self) -> None:
        """Rule 3, while it runs: no as-of time goes back."""
        for log in self.logs():
            state = log.state
            if self._looked.get(log) is state:  # nothing has come: as it was when we looked last
                continue
            self._looked[log] = state
            origin, now = state.head.origin, state.seen_time
            before = self._times.get(origin, 0)
            if now < before:
                self.box.oracle.fail(3, f"{self.box.id}: {origin} as of {now}, was {before}")
            self._times[origin] = now

    def root_held(self, origin: str, size: int) -> bytes | None:
        """Root of the first entries of a log, as they are held; None if there are fewer."""
        log = next(log for log in self.logs() if log.origin == origin)
        if log.state.size < size:
            return None
        root: bytes = log.read_now(lambda reader, _: reader.root_at(size))
        return root

    @staticmethod
    def entries(log: Any) -> list[bytes]:
        """All entries of a log, signed or not."""
        size = log.state.size
        return log.read_now(lambda reader, _: reader.entries(0, size)) if size else []


class Box:
    """A machine: what outlives the gateway's process."""

    def __init__(self, world: Any, config: Config, keys: Any, folder: Path, mean: float) -> None:
        self.world, self.config, self.keys = world, config, keys
        self.id, self.origin = config.gateway.id, config.gateway.origin
        self.oracle = world.oracle
        self.clock = SimClock(world.loop)
        self.hsm = Hsm(keys, world.oracle, world.loop, mean)
        self.indices: dict[str, Kept] = {}
        self.life: Life | None = None
        self.down = False
        self._folder = folder
        self._lives = 0
        self._kept: Path | None = None
        self._kept_mark: HeadMark | None = None

    @property
    def folder(self) -> Path:
        """Where the gateway's state lies now."""
        return self._folder / str(self._lives)

    def next_folder(self) -> Path:
        """A fresh folder for what a power cut leaves."""
        self._lives += 1
        self.folder.mkdir()
        return self.folder

    async def run(self) -> None:
        """Start the gateway whenever it has ended, until the box is down."""
        while not self.down:
            life = self.life = Life(self, self.folder)
            await life.wait()
            self._judge(life)
            if life.dead:
                life.disk.close()
            await asyncio.sleep(self.world.random.expovariate(1.0))

    async def stop(self) -> None:
        """Stop for good."""
        self.down = True
        if self.life is not None:
            await self.life.stop()

    def keep(self) -> None:
        """Keep a copy of the disk as it is now, and of the token: what SoftHSM would come to."""
        self._kept_mark = self.hsm.mark
        self._kept = self._folder / "kept"
        self._kept.mkdir()
        self.life.disk.cut(self._kept)

    @property
    def stands(self) -> bool:
        """Whether its gateway may sign."""
        life = self.life
        return bool(life and life.serving and life.parts.standing.may_sign() is None)

    def put_back(self) -> None:
        """Cut the power, and start from the copy; the token knows better."""
        life = self.life
        if life is None or not life.serving or self.world.calm:
            return
        history = History(self.origin, life.entries(life.parts.log))
        life.crash()
        self.oracle.put_back(self.id, history)
        self._copy_kept()

    def _copy_kept(self) -> None:
        target = self.next_folder()
        with suppress(FileNotFoundError):
            shutil.copytree(self._kept, target, dirs_exist_ok=True)
        self.indices.clear()

    def restore(self) -> None:
        """Cut the power, and start from the copy: from now on the log is forked.

        Nobody can know: the token was put back as well, and its peers are not asked (`alone`).
        """
        life = self.life
        if life is None or not life.serving or self.world.calm:
            return
        history = History(self.origin, life.entries(life.parts.log))
        life.crash()
        self.oracle.restore(self.id, history)
        self.hsm.mark = self._kept_mark
        self._copy_kept()

    def _judge(self, life: Life) -> None:
        """A gateway may end when it is told to, and when it cannot know what its disk holds."""
        if life.dead or life.main.cancelled():
            return
        error = life.main.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        known = isinstance(error, InternalError) and error.code == "commit-unknown"
        if not (known and life.disk.unknown):
            self.oracle.fail(0, f"{self.id} ended: {error!r}")
        life.note_held(after=False)
