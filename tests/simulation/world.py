"""One seed: four or five gateways, a broker, clients and faults, and in the end the oracle."""

import asyncio
import gc
import hashlib
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from anybody import ANYBODY
from chopmark.api.identity import CALLER
from chopmark.core import checkpoint, evidence, member
from chopmark.core import keys as core_keys
from chopmark.core.audit import date_of
from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.note import parse_note
from chopmark.core.verdict import Word
from chopmark.ledger import audit
from chopmark.ledger.audit_check import check_audit
from chopmark.ledger.cosigned_check import check_cosigned
from chopmark.ledger.fsck import check_store
from chopmark.service import auditing
from chopmark.service import config_model as model
from chopmark.service.places import log_path, replica_path
from ledgers import new_ledger
from simulation.attacker import Attacker
from simulation.bounds import Journal, check_life
from simulation.box import PATIENCE, Box, Life
from simulation.chaos import Chaos
from simulation.clients import Clients
from simulation.disk import simulated_disks
from simulation.hsm import START, Keys
from simulation.loop import MAX_STEPS, SimLoop
from simulation.malice import Malice
from simulation.network import Sent, SimBroker
from simulation.oracle import History, Oracle, ViolationError
from simulation.plan import Plan, add_attacks, draw_plan

NAMES = ("sz-1", "hk-1", "mo-1", "hk-2", "gz-1")
ATTACKER = "xx-1"
CONVERGED = 240.0
"""Virtual seconds after the last fault in which everybody must have everything."""
LOOK = 0.5
MOST_AHEAD = 60
"""Seconds by which a peer's clock may be ahead; ours never jumped."""


@dataclass(frozen=True)
class Result:
    """What a seed came to."""

    seed: int
    trace: str
    seconds: float
    messages: int
    entries: int
    steps: int
    violations: tuple[str, ...]


class World:
    """All parts of one seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.plan = _plan(seed)
        self.random = Random(f"run {seed}")  # noqa: S311 - no secret
        self.loop = SimLoop(self.random)
        self.loop.call_delay = self.plan.call
        self.oracle = Oracle()
        self._hash = hashlib.blake2b(digest_size=16)
        self.broker = SimBroker(self.loop, self.random, self.trace)
        self.broker.loss, self.broker.double = self.plan.loss, self.plan.double
        self.broker.delay, self.broker.window = self.plan.delay, self.plan.window
        self.broker.watch = self._watch
        self.malice = Malice(self.broker, seed)
        self.oracle.junk = self.malice.junk
        self.oracle.attackers = self.malice.liars
        self.boxes = [self._make_box(name, folder) for name in NAMES[: self.plan.gateways]]
        self._by_id = {box.id: box for box in self.boxes}
        self.issuers = self.boxes[: self.plan.issuers]
        self.tasks: list[asyncio.Task[Any]] = []
        self.entries = 0
        self.calm = False
        self.calm_since = 0
        self.clients = Clients(self)
        self.journal = Journal(self.loop)
        if self.plan.witnessed:
            self.broker.ears.append(self._hear_note)
        self.attacker: Attacker | None = None
        if self.plan.attacks:
            self.attacker = Attacker(self, ATTACKER, _keys(ATTACKER))
            self.oracle.attackers.add(ATTACKER)

    def trace(self, *parts: bytes) -> None:
        """Make what happens part of the run's hash."""
        self._hash.update(b"%r" % self.loop.now)
        for part in parts:
            self._hash.update(part)

    def note(self, *parts: Any) -> None:
        """As `trace`, of anything that has a canonical text."""
        self.trace(repr(parts).encode())

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that belongs to no gateway."""
        self.tasks.append(self.loop.create_task(work))
        return self.tasks[-1]

    async def run(self) -> None:
        """Faults, then peace, then the end; then everything is judged."""
        machines = [self.spawn(box.run()) for box in self.boxes]
        chaos, clients = Chaos(self), self.clients
        busy = [self.spawn(chaos.run())]
        busy += [self.spawn(clients.run()) for _ in range(self.plan.clients)]
        attack = self.spawn(self.attacker.run()) if self.attacker else None
        if self.malice.active:
            busy.append(self.spawn(self.malice.run()))
        if "fork" in self.plan.faults:
            busy.append(self.spawn(chaos.fork()))
        if self.plan.put_back:
            busy.append(self.spawn(chaos.put_back()))
        await asyncio.sleep(self.plan.seconds)
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)
        self.calm = True
        self.calm_since = START // 1000 + int(self.loop.now) + 1
        chaos.heal()
        for box in self.boxes:
            await box.life.answer()
        if self.attacker is not None:  # new heads are vouched for at once: no need to wait long
            for box in self.issuers:
                await clients.attest(box)
        await self._converge()
        await clients.verify_all()
        await self._converge()  # a proof that was presented may be of another history
        if not self.oracle.violations:  # else nobody waited for the gateways to have everything
            await self._end(machines, attack)

    async def _end(self, machines: list[Any], attack: asyncio.Task[Any] | None) -> None:
        """Everything is judged, stopped, and judged again by what is on the disks."""
        self._judge()
        if attack is not None:
            await self._judge_attack()
            attack.cancel()
        for box in self.boxes:
            await box.stop()
        await asyncio.wait(machines)
        self._collect()
        self._check_disks()

    async def _converge(self) -> None:
        end = self.loop.now + CONVERGED
        while not (self._is_settled() or self.loop.now > end or self.oracle.violations):  # noqa: ASYNC110 - virtual
            await asyncio.sleep(LOOK)

    def _is_settled(self) -> bool:
        lives = [box.life for box in self.boxes]
        if any(life is None or not life.serving for life in lives):
            return False
        own = {life.parts.log.origin: life.parts.log for life in lives}
        noticed = {life.box.origin for life in lives if life.parts.standing.state == "behind"}
        self.oracle.fenced = self.oracle.restored & noticed
        behind = self.oracle.behind | self.oracle.fenced  # peers lack what was never signed there
        replicas = [r for life in lives for r in life.replicas() if r.origin in own]
        signed = all(
            origin in behind or (log.state.note and log.state.size == log.signed_size)
            for origin, log in own.items()
        )
        heard = [replica for replica in replicas if replica.origin not in behind]
        done = signed and all(_is_done(replica, own[replica.origin]) for replica in heard)
        done = done and all(self._is_witnessed(log) for log in own.values())
        done = done and all(self._is_witnessed(replica.log) for replica in replicas)
        done = done and (self.attacker is None or self._is_aware(lives, heard))
        if not done or len({_convicted(life) for life in lives}) > 1:
            return False  # it is on its way
        whole = [life for life in lives if life.box.origin not in self.oracle.old_disks]
        return all(map(_is_logged, whole))  # with an old disk nothing may be written

    def _is_witnessed(self, log: Any) -> bool:
        """Whether it is witnessed, or need not be."""
        return bool(log.state.witnessed_size >= log.state.head.size) or not self._has_witnesses

    @property
    def _has_witnesses(self) -> bool:
        """Whether a quorum must come: of those who were not put back."""
        return self.plan.witnessed and not self.oracle.old_disks

    def _hear_note(self, sender: str, sent: Sent) -> None:
        """Rule 12: the cosignatures of honest members, as they are published."""
        honest = any(sender == box.id for box in self.boxes)
        if not honest or sent.topic.split("/")[3] not in ("checkpoint", "cosignature"):
            return
        note = parse_note(sent.payload)
        head = parse_checkpoint(note.text)
        boxes = {box.keys.cosigner_key.name: box for box in self.boxes}
        for line in note.signatures:
            box = boxes.get(line.name)
            if box is None or head.origin in self.oracle.restored:
                continue
            self.oracle.cosignature_seen(box.origin, head, int.from_bytes(line.payload[:8], "big"))
            logs = box.life.logs() if box.life and box.life.serving else ()
            held = [log.state.size for log in logs if log.origin == head.origin]
            if box.origin not in self.oracle.old_disks and held and held[0] < head.size:
                self.oracle.fail(12, f"{box.id} has cosigned {head}, and holds {held[0]} entries")

    def _is_aware(self, lives: list[Any], replicas: list[Any]) -> bool:
        """Whether all have heard from one another since access rules hold, and of the attacker."""
        stopped = (replica.conflict is not None for replica in replicas)
        times = (replica.log.state.seen_time for replica in replicas)
        fresh = all(t >= self.calm_since or s for t, s in zip(times, stopped, strict=True))
        return fresh and all(life.has_counted(ATTACKER) for life in lives)

    async def _judge_attack(self) -> None:
        """Rule 13: what can be seen of it at the end."""
        for box in self.boxes:
            if box.life is None or not box.life.has_counted(ATTACKER):
                self.oracle.fail(13, f"{box.id} has counted nothing against the attacker")
            else:
                self._judge_replicas(box)
                for origin in sorted(set(self.oracle.histories) - self.oracle.old_disks):
                    await self._judge_fresh(box, origin)
        for text in self.journal.floods() if not self.oracle.old_disks else ():
            self.oracle.fail(13, text)

    def _judge_replicas(self, box: Box) -> None:
        """Nobody is blamed for another, nothing is awaited in vain, and no time lies ahead."""
        if not self.malice.active and not self.oracle.old_disks:
            spoofed = self.plan.attack_race and self.plan.attack_spoof
            answers = set() if spoofed else box.life.blamed("bad-answer")
            for name in sorted((box.life.blamed() - self.oracle.tainted | answers) - {ATTACKER}):
                self.oracle.fail(13, f"{box.id} blames {name}")
        for one in box.life.replicas():
            if one.missing and one.peer != ATTACKER and one.origin not in self.oracle.old_disks:
                self.oracle.fail(13, f"{box.id} waits for {one.missing} entries of {one.origin}")
            ahead = one.log.state.seen_time - box.clock.now_ms() // 1000
            if ahead > MOST_AHEAD and not {box.origin, one.origin} & self.oracle.unsteady:
                self.oracle.fail(13, f"{box.id} has a time {ahead} s ahead of {one.origin}")

    async def _judge_fresh(self, box: Box, origin: str) -> None:
        """What stands in an honest member's log is valid, and as of now."""
        digest = self.oracle.histories[origin][-1].standing(self.random)
        if digest is None:
            return
        verdict = await box.life.ask(digest, origin)
        if {box.origin, origin} & self.oracle.unsteady and verdict.word == Word.VALID_AS_OF:
            return  # a clock was wrong when it took a time from the future
        if verdict.word == Word.UNWITNESSED and not self._has_witnesses:
            return
        stale = box.origin != origin and (verdict.as_of or 0) < self.calm_since * 1000
        if verdict.word != Word.VALID or stale:
            text = f"{verdict.word} as of {verdict.as_of}, access rules hold since"
            self.oracle.fail(13, f"{box.id} said of {origin} {text} {self.calm_since}")

    def size_of(self, origin: str) -> int:
        """Entries of a log, as whoever reads along may know."""
        if self.attacker is not None and origin == self.attacker.log.origin:
            return self.attacker.log.size
        life = next(box.life for box in self.boxes if box.origin == origin)
        return life.parts.log.signed_size if life and life.parts else 0

    def check_bounds(self) -> None:
        """Rule 13: what is kept of what comes."""
        for box in self.boxes:
            if box.life is not None and box.life.serving:
                for text in check_life(box.life):
                    self.oracle.fail(13, f"{box.id}: {text}")

    def _judge(self) -> None:
        lives = [box.life for box in self.boxes if box.life and box.life.serving]
        if len(lives) < len(self.boxes):
            self.oracle.fail(5, "not every gateway is up once faults have ended")
        histories = [History(one.box.origin, one.entries(one.parts.log)) for one in lives]
        self.entries = sum(len(history.raw) for history in histories)
        self.oracle.close(histories)
        self.oracle.check_evidence({life.box.id: _accused(life) for life in lives})
        known = {history.origin for history in histories}
        for life in lives:
            life.note_held(after=True)
            for log in life.logs()[1:]:
                if log.origin not in known:  # its issuer is not up
                    continue
                self.oracle.check_replica(life.box.id, log.origin, life.entries(log), log.state)
                if not self._is_witnessed(log):
                    text = f"{log.state.head.size} entries of {log.origin} are not witnessed"
                    self.oracle.fail(12, f"{text}, as {life.box.id} knows")
        self.oracle.check_cosigners()

    def _check_disks(self) -> None:
        for box in self.boxes:
            self._check_rows(box)
            for other in self.issuers:  # the others' logs are empty
                own = other is box
                path = log_path(box.folder) if own else replica_path(box.folder, other.id)
                found = check_store(path, None, other.keys.log_key, other.keys.cosigner_key)
                found += check_audit(path).findings if own else []
                forked = other.origin in self.oracle.restored
                for finding in found:
                    if not (finding.code == "fork" and forked and not own):
                        self.oracle.fail(9, f"{box.id} of {other.id}: {finding}")

    def _check_rows(self, box: Box) -> None:
        """What its cosigner has cosigned, as `chopmark fsck` does."""
        others = [one for one in self.issuers if one is not box]
        keys = {one.origin: (one.keys.log_key,) for one in self.issuers}
        held = {one.origin: replica_path(box.folder, one.id) for one in others}
        for finding in check_cosigned(log_path(box.folder), keys, held):
            forked = any(f" {origin} at " in finding.message for origin in self.oracle.restored)
            if not (finding.code in ("cosigner-contradicts", "cosigner-beyond") and forked):
                self.oracle.fail(9, f"{box.id}: {finding}")

    def _collect(self) -> None:
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                self.oracle.fail(0, f"{task.get_coro()} ended: {task.exception()!r}")
        for fault in self.loop.faults:
            self.oracle.fail(0, f"nobody expected {fault}")

    def _watch(self, client: str, message: Any) -> None:
        """A message has come, or is being acknowledged."""
        life = self._by_id[client].life
        if life is not None and life.serving:
            life.note_times()
        if not message.topic.endswith("/entries") and "/reply/" not in message.topic:
            return
        if life is not None and life.serving:
            self.oracle.watched(life, {log.origin: log for log in life.replicas()}, message)

    def _make_box(self, name: str, folder: Path) -> Box:
        number = NAMES.index(name)
        home = folder / name
        names = NAMES[: self.plan.gateways] + (ATTACKER,) * bool(self.plan.attacks)
        shutil.copytree(_templates(names) / name, home / "0", copy_function=shutil.copyfile)
        config = _configs(names)[name]
        if "fork" in self.plan.faults or self.plan.put_back:  # peers are not to help
            config = msgspec.structs.replace(config, start=model.Start(alone=True))
        box = Box(self, config, _keys(name), home, self.plan.hsm)
        box.clock.offset = self.plan.offsets[number]
        return box

    def end(self) -> None:
        """Leave no task behind, however the run ended."""
        self.loop.after_steps(0, lambda: None)
        self.loop.most = self.loop.steps + MAX_STEPS
        left = asyncio.all_tasks(self.loop)
        for box in self.boxes:
            box.down = True
        for task in left:
            task.cancel()
        if left:
            _, left = self.loop.run_until_complete(asyncio.wait(left, timeout=PATIENCE))
        for task in left:
            self.oracle.fail(0, f"{task.get_name()} does not end: {task.get_stack(limit=1)}")
        self.loop.close()

    def result(self, seed: int) -> Result:
        """What it came to."""
        return Result(
            seed=seed,
            trace=self._hash.hexdigest(),
            seconds=self.loop.now,
            messages=self.broker.messages,
            entries=self.entries,
            steps=self.loop.steps,
            violations=tuple(self.oracle.violations),
        )


def run_seed(seed: int) -> Result:
    """Run one seed; what went wrong is in the result."""
    CALLER.set(ANYBODY)  # clients call what the API calls
    folder = _scratch() / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    world = World(seed, folder)
    with simulated_disks(), _quiet(), world.journal:
        try:
            world.loop.run_until_complete(world.run())
        except Exception as error:  # noqa: BLE001 - a run that ends so is a failure like any other
            world.oracle.fail(0, f"the run ended: {error!r}")
        finally:
            world.end()
            shutil.rmtree(folder, ignore_errors=True)
    return world.result(seed)


def has_attacker(seed: int) -> bool:
    """Whether a member of this seed is an attacker."""
    return bool(_plan(seed).attacks)


def _plan(seed: int) -> Plan:
    plan = draw_plan(Random(f"plan {seed}"))  # noqa: S311 - no secret
    return add_attacks(plan, Random(f"attack {seed}"))  # noqa: S311 - no secret


def check_seed(seed: int) -> Result:
    """Run one seed.

    Raises:
        ViolationError: with the seed, and how to run it again.
    """
    result = run_seed(seed)
    if result.violations:
        again = f"make simulate SEEDS={seed}   # or: python tests/simulation/run.py {seed}"
        raise ViolationError("\n  ".join([f"seed {seed}:", *result.violations[:10], again]))
    return result


def _accused(life: Any) -> dict[str, Any]:
    """Why each log is not followed any more by a gateway that holds evidence against it."""
    forks, attackers = life.parts.forks, life.box.oracle.attackers
    logs = [log for log in life.logs() if log.origin.rpartition("/")[2] not in attackers]
    return {log.origin: forks.of(log.origin) for log in logs}


def _convicted(life: Any) -> frozenset[str]:
    """Whose logs are not followed any more."""
    return frozenset(origin for origin, stop in _accused(life).items() if stop)


def _is_done(replica: Any, own: Any) -> bool:
    """Whether a replica has all that there is, or has seen the fork and keeps the evidence."""
    state = replica.log.state
    if replica.conflict is not None:
        return state.fork_note is not None
    if state.size > own.state.size:  # its issuer was restored: does it say something else now?
        return Life.entries(replica.log)[: own.state.size] == Life.entries(own)
    return bool(state.size == own.state.size and state.head == own.state.head)


def _is_logged(life: Any) -> bool:
    """Whether each day of the audit log that is over is in the ledger: nothing comes after."""
    look = life.parts.log.read_now
    unlogged = look(lambda reader, _: reader.look(audit.read_unlogged))
    date = look(lambda reader, _: reader.look(audit.read_tip)).date
    return not unlogged and date in (None, date_of(life.box.clock.now_ms()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Each note is read, and each signature checked, once (by all its bytes and the keys).

    The date is looked at every two seconds: runs are short.
    """
    verify, parse = core_keys._verify_ed25519, checkpoint.parse_note
    opened = member.open_checkpoint
    minute, auditing.MINUTE = auditing.MINUTE, 2
    core_keys._verify_ed25519 = lru_cache(maxsize=4096)(verify)
    cached = lru_cache(maxsize=1024)(parse)
    checkpoint.parse_note = member.parse_note = evidence.parse_note = cached
    member.open_checkpoint = lru_cache(maxsize=1024)(opened)
    gc.disable()
    try:
        yield
    finally:
        core_keys._verify_ed25519, checkpoint.parse_note = verify, parse
        member.parse_note, evidence.parse_note, member.open_checkpoint = parse, parse, opened
        auditing.MINUTE = minute
        gc.enable()


SCRATCH: list[Path] = []
"""Where databases lie; one folder, or none yet."""


@contextmanager
def scratch() -> Iterator[None]:
    """A folder for databases: in memory, where there is such a thing."""
    memory = Path("/dev/shm")  # noqa: S108 - tests only, and the name below it is random
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="chopmark-simulation-", dir=parent) as name:
        use_scratch(Path(name))
        try:
            yield
        finally:
            _templates.cache_clear()
            SCRATCH.clear()


def use_scratch(folder: Path) -> None:
    """Use a folder that another process has made."""
    SCRATCH[:] = [folder]


def _scratch() -> Path:
    return SCRATCH[0] / str(os.getpid())


@cache
def _keys(name: str) -> Keys:
    number = len(NAMES) if name == ATTACKER else NAMES.index(name)
    return Keys(f"bank-{name[:2]}.example/{name}", number + 1)


@cache
def _configs(names: tuple[str, ...]) -> dict[str, model.Config]:
    peers = {name: _peer(name) for name in names}
    return {
        name: model.Config(
            gateway=model.Gateway(
                id=name,
                origin=_keys(name).origin,
                institution=f"Bank of {name}",
                jurisdiction="CN",
            ),
            hsm=model.Hsm(module=Path("/none"), token_label=name),
            clock=model.Clock(require="none"),
            broker=(model.Broker(host="broker.example"),),
            peer=tuple(peer for other, peer in peers.items() if other != name),
        )
        for name in peers
    }


def _peer(name: str) -> model.Peer:
    keys = _keys(name)
    return model.Peer(
        id=name,
        origin=keys.origin,
        log_vkey=keys.log_key.encode(),
        cosigner_vkey=keys.cosigner_key.encode(),
        institution=f"Bank of {name}",
        jurisdiction="CN",
        kinds=("*",),
    )


@cache
def _templates(names: tuple[str, ...]) -> Path:
    """The state folder of each gateway before its first start."""
    root = _scratch() / "-".join(["templates", *names])
    for name in names:
        state = root / name
        for other in names:
            path = log_path(state) if other == name else replica_path(state, other)
            path.parent.mkdir(parents=True, exist_ok=True)
            new_ledger(path, _keys(other).log_key, _keys(other).cosigner_key)
    return root
