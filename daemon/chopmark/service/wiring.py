"""Builds the gateway's parts from its configuration, and closes them again."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from litestar.handlers import BaseRouteHandler

from chopmark.api.problems import REFUSED
from chopmark.api.refusals import Refusals
from chopmark.api.submissions import make_witness_routes
from chopmark.api.tiles import make_tile_route
from chopmark.core.errors import (
    ConfigurationError,
    InternalError,
    MissingError,
    TryAgainError,
)
from chopmark.core.member import Member
from chopmark.core.note import parse_note
from chopmark.core.ports import Clock
from chopmark.core.proof import Proof
from chopmark.core.verdict import Source
from chopmark.hsm.signer import HsmSigner, open_signer
from chopmark.ledger.blame import Blame
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.rotation import apply_due, read_labels
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.store import create_store, read_keys
from chopmark.ledger.witness import Cosigner, open_cosigner
from chopmark.ledger.worker import Worker
from chopmark.mesh import topics
from chopmark.mesh.link import Broker, Link
from chopmark.mesh.mesh import Mesh
from chopmark.service.auditing import Auditing, watch_parts
from chopmark.service.awaiting import Awaiting
from chopmark.service.clock import SystemClock
from chopmark.service.clockguard import ClockGuard
from chopmark.service.config import Config, own_member
from chopmark.service.credentials import read_pin
from chopmark.service.forks import Forks, OwnHeads
from chopmark.service.gates import first_refusal
from chopmark.service.gateway import GatewayService
from chopmark.service.locking import lock_state, refusal_named
from chopmark.service.looplag import LoopLag
from chopmark.service.marks import Marks
from chopmark.service.membership import Membership
from chopmark.service.metrics import GatewayCollector, Metrics
from chopmark.service.places import index_path, log_path, old_index_files, replica_path
from chopmark.service.report import Report
from chopmark.service.retention import Retention
from chopmark.service.roster_start import make_record, open_rosters
from chopmark.service.rosters import Rosters
from chopmark.service.rotation import Rotation
from chopmark.service.signing import Signing
from chopmark.service.standing import Standing
from chopmark.service.storage import Storage
from chopmark.service.submissions import Own, Submissions
from chopmark.service.tiles import TileService
from chopmark.service.token import hsm_config
from chopmark.service.trust import Trust, policies_of
from chopmark.service.verifier import Shelf, Verifier
from chopmark.service.witnessed import foreign_logs, member_log


@dataclass(frozen=True, slots=True)
class Outside:
    """What a gateway meets besides its HSM and its files; a simulation has its own."""

    clock: Clock = field(default_factory=SystemClock)
    open_index: Callable[[Path], DigestIndex] = DigestIndex
    make_link: Callable[..., Link] = Link
    random: Callable[[int], bytes] = secrets.token_bytes
    make_guard: Callable[[str, str, Clock], ClockGuard] = ClockGuard


@dataclass(frozen=True, slots=True)
class Parts:
    """What `main` runs."""

    gateway: GatewayService
    sequencer: Sequencer
    mesh: Mesh
    forks: Forks
    guard: ClockGuard
    report: Report
    log: Log
    storage: Storage
    lag: LoopLag
    refusals: Refusals
    metrics: Metrics
    trust: Trust
    standing: Standing
    routes: Sequence[BaseRouteHandler]
    submissions: Submissions
    retention: Retention
    auditing: Auditing
    rosters: Rosters


async def build(config: Config, stack: AsyncExitStack) -> Parts:
    """Open everything, in the order in which a fault is best explained.

    Args:
        config: checked configuration.
        stack: closes what was opened, whatever happens.

    Raises:
        ChopmarkError: with the first thing that is wrong.
    """
    state = config.gateway.state
    if not log_path(state).exists():
        hint = "create it with `chopmark init`, or take a lost one back with `chopmark recover`"
        raise MissingError("no-ledger", f"there is no ledger in {state}", hint=hint)
    stack.callback(lock_state(state).close)
    reading = Worker("read")
    stack.callback(reading.close)
    path = log_path(state)
    await reading.run(apply_due, path)
    known = await reading.run(read_keys, path)
    signer = await open_signer(
        hsm_config(config, await reading.run(read_labels, path), known[1].name),
        config.gateway.origin,
        lambda: read_pin(config),
        known=known,
    )
    stack.push_async_callback(signer.close)
    return await open_parts(config, signer, reading, stack, Outside())


async def open_parts(
    config: Config, signer: HsmSigner, reading: Worker, stack: AsyncExitStack, outside: Outside
) -> Parts:
    """Open the logs with a signer that is there, and bring all together; raises as `build`."""
    state = config.gateway.state
    own = own_member(config, signer.log_key, signer.cosigner_key)
    files = _Files(state, reading, stack, outside.open_index)
    log = await files.open(log_path(state), own)
    rosters = await open_rosters(config, log, signer, outside.clock)
    members = rosters.membership
    policies = policies_of(members, config)
    storage = await _watch(config, log, stack)
    replicas = [
        Replica(peer, await files.open_replica(peer), outside.clock) for peer in members.peers
    ]
    rosters.logs = [(replica.member, replica.log) for replica in replicas]
    cosigner = await open_cosigner(log, signer)
    trust = Trust(members.own, log, replicas, policies, cosigner, outside.clock)
    parts = _assemble(config, rosters, signer, log, replicas, reading, outside, storage, trust)
    await parts.forks.start()
    return parts


def _assemble(
    config: Config,
    rosters: Rosters,
    signer: HsmSigner,
    log: Log,
    replicas: Sequence[Replica],
    reading: Worker,
    outside: Outside,
    storage: Storage,
    trust: Trust,
) -> Parts:
    clock, members, own = outside.clock, rosters.membership, rosters.membership.own
    sequencer = Sequencer(log, signer, clock)
    standing = _make_standing(config, rosters, log, signer, outside)
    blame = Blame()
    guard = outside.make_guard(config.clock.require, own.institution, clock)
    guard.look()
    sequencer.refuse = first_refusal(standing.refuse, members.refuse, storage.refuse, guard.refuse)
    sequencer.permitted = standing.permitted
    forks = Forks(own, log, {replica.origin: replica for replica in replicas}, clock)
    for replica in replicas:
        replica.admit = storage.admit
        replica.on_evidence = forks.found
        replica.blame = blame
        replica.on_heartbeat = partial(guard.heard, replica.member)
    brokers = [Broker(broker.host, broker.port) for broker in config.broker]
    mesh = Mesh(
        own.id,
        brokers,
        log,
        replicas,
        lambda: make_heartbeat(log, trust.cosigner, clock),
        outside.make_link,
        {**trust.handlers, "evidence": forks.take, "roster": rosters.take},
    )
    trust.join(mesh)
    rosters.tell, rosters.record = mesh.tell, make_record(sequencer)
    trust.cosigner.may_cosign = standing.may_sign
    standing.ask, standing.on_standing = mesh.ask_heads, mesh.head_moved
    forks.tell = lambda payload: mesh.tell(topics.evidence(own.id), payload)
    own_heads = OwnHeads(own, log, forks)

    async def observe_own(note: bytes) -> None:
        await standing.observe_own_head(note)
        await own_heads.observe(note)

    forks.observe_own = observe_own
    if trust.quorum is not None:
        trust.quorum.observe_own_head = observe_own
    signing, witnessing = Signing(log, reading), _make_witnessing(log, reading, trust)

    def head_moved() -> None:
        signing.head_moved()
        mesh.head_moved()

    sequencer.on_head, sequencer.room = head_moved, mesh.room
    shelves = [_shelve_own(members, log, forks), *(_shelve(members, one) for one in replicas)]
    verifier = Verifier(shelves, reading, members.max_age, trust.policies)
    retention = Retention(replicas, clock, config.retention.after, mesh.fetch)
    verifier.on_pruned = retention.want
    lag, refusals = LoopLag(), Refusals()
    report = Report(
        *(own, log, sequencer, signer, mesh, replicas, clock, storage, lag),
        *(forks, guard, trust, standing, rosters),
    )
    collector = GatewayCollector(
        report.status, replicas, mesh, storage, lag, refusals, clock, blame
    )
    rotation = Rotation(config, log, signer, rosters)
    logs = {own.id: log} | {replica.peer: replica.log for replica in replicas}
    gateway = GatewayService(
        *(own, sequencer, logs, signing, verifier, report, clock, rosters, rotation),
        forks.describe,
        witnessing,
        members.catalogue,
    )
    witness = _make_witness(config, own, observe_own, log, signer, replicas, clock, trust)
    routes = [make_tile_route(TileService(logs)), *make_witness_routes(witness, gateway)]
    auditing = Auditing(log, sequencer, clock, outside.random)
    auditing.refused = lambda: REFUSED + refusals.early()
    gateway.audit = rosters.audit = auditing
    watch_parts(auditing, signer, storage, guard, replicas, standing)
    return Parts(
        gateway=gateway,
        sequencer=sequencer,
        mesh=mesh,
        forks=forks,
        guard=guard,
        report=report,
        log=log,
        storage=storage,
        lag=lag,
        refusals=refusals,
        metrics=Metrics(collector),
        trust=trust,
        standing=standing,
        routes=routes,
        submissions=witness,
        retention=retention,
        auditing=auditing,
        rosters=rosters,
    )


def _make_standing(
    config: Config, rosters: Rosters, log: Log, signer: HsmSigner, outside: Outside
) -> Standing:
    """What keeps our own log from being signed on a ledger that is not the newest."""
    members = rosters.membership
    return Standing(
        log,
        members.own,
        Marks(log, signer, outside.random),
        [peer.id for peer in members.peers],
        lambda: signer.warning,
        alone=config.start.alone,
    )


def _make_witnessing(log: Log, reading: Worker, trust: Trust) -> Awaiting | None:
    """Who waits for quorums, where our policy demands one."""
    if trust.quorum is None:
        return None
    witnessing = Awaiting(log, reading, trust.quorum.policy.notaries)
    trust.quorum.on_witnessed = witnessing.head_moved
    return witnessing


def _make_witness(
    config: Config,
    own: Member,
    observe_own: Callable[[bytes], Awaitable[None]],
    log: Log,
    signer: HsmSigner,
    replicas: Sequence[Replica],
    clock: Clock,
    trust: Trust,
) -> Submissions:
    """What cosigns heads that are handed in by HTTP."""
    members = [member_log(replica, trust.cosigner) for replica in replicas]
    known = [*members, *foreign_logs(log, config.witness.log, signer)]
    ours = Own(own.origin, own.log_keys, observe_own)
    return Submissions(ours, lambda: known, clock, trust.cosigner.may_cosign)


async def _watch(config: Config, log: Log, stack: AsyncExitStack) -> Storage:
    """The disk, looked at once: nothing is issued before we know how full it is."""
    bounds = config.storage
    storage = Storage(config.gateway.state, bounds.alarm, bounds.stop, lambda: log.state.size)
    stack.callback(storage.close)
    await storage.look()
    return storage


async def make_heartbeat(log: Log, cosigner: Cosigner, clock: Clock) -> bytes:
    """Our newest head with our own cosignature as of now: what peers' as-of times come from.

    Raises:
        TryAgainError: while the HSM is away, no head was signed yet, or the clock stands at or
            before 1970, where no cosignature has a time (C2SP tlog-cosignature).
        ChopmarkError: what `Cosigner.may_cosign` gives.
    """
    state = log.state
    if state.note is None:
        raise TryAgainError("not-signed", "no head was signed yet")
    time = clock.now_ms() // 1000
    if time <= 0:
        raise TryAgainError("clock-wrong", "the clock stands before 1970", hint="set it")
    made = await cosigner.cosign(state.head, parse_note(state.note), time)
    time, note = made.time, made.note
    with suppress(TryAgainError):  # a full disk must not keep peers from hearing of us
        await log.write(lambda store: store.move_seen(time, note))
    return note


def _shelve(members: Membership, replica: Replica) -> Shelf:
    return Shelf(
        replica.member,
        replica.log,
        Source.REPLICA,
        lambda: replica.stopped,
        replica.observe_proof,
        members.entitlement(replica.member),
    )


def _shelve_own(members: Membership, log: Log, forks: Forks) -> Shelf:
    own = members.own

    async def observe(proof: Proof) -> None:
        await forks.observe_own(proof.note)

    stopped, entitlement = lambda: forks.of(own.origin), members.entitlement(own)
    return Shelf(own, log, Source.OWN, stopped, observe, entitlement)


@dataclass(frozen=True, slots=True)
class _Files:
    """Opens the logs of one gateway; `stack` closes them."""

    state: Path
    reading: Worker
    stack: AsyncExitStack
    open_index: Callable[[Path], DigestIndex]

    async def open_replica(self, peer: Member) -> Log:
        path = replica_path(self.state, peer.id)
        if not path.exists():  # derived data: an empty one fills itself from the peers
            _make_folder(path.parent)
            create_store(path, peer.log_key, peer.cosigner_key)
        try:
            return await self.open(path, peer)
        except InternalError as error:
            hint = f"move {path}* away and start again: a replica fills from its peers"
            raise InternalError(error.code, error.message, hint=hint) from error

    async def open(self, path: Path, member: Member) -> Log:
        log_key, cosigner_key = await self.reading.run(read_keys, path)
        if log_key not in member.log_keys or cosigner_key not in member.all_cosigner_keys:
            message = f"{path} was made for other keys than those of {member.origin}"
            hint = "is this the right token, and the right [[peer]] block?"
            raise ConfigurationError("keys-changed", message, hint=hint)
        index = index_path(self.state, member.id)
        _make_folder(index.parent)
        for old in old_index_files(self.state, member.id):
            with refusal_named(old):
                old.unlink(missing_ok=True)
        log = await open_log(path, index, self.reading, self.open_index)
        self.stack.push_async_callback(log.close)
        return log


def _make_folder(path: Path) -> None:
    with refusal_named(path):
        path.mkdir(mode=0o700, exist_ok=True)
