"""What meets the other gateways: the mesh, and what is compared of all that they show."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from chopmark.ledger.blame import Blame
from chopmark.mesh import topics
from chopmark.mesh.mesh import Mesh
from chopmark.service.brokers import make_brokers
from chopmark.service.forks import Forks
from chopmark.service.heartbeat import make_heartbeat
from chopmark.service.own_heads import OwnHeads
from chopmark.service.parts.issuing import Issuing
from chopmark.service.parts.opening import Opened
from chopmark.service.roster_start import make_record


@dataclass(frozen=True, slots=True)
class Meeting:
    """The mesh, and what others did wrong.

    Attributes:
        observe_own: told each head of our own log that anybody shows.
    """

    mesh: Mesh
    forks: Forks
    blame: Blame
    observe_own: Callable[[bytes], Awaitable[None]]


def make_meeting(opened: Opened, issuing: Issuing) -> Meeting:
    """Bring them together."""
    own, replicas = opened.own, opened.replicas
    forks = _make_forks(opened)
    blame = Blame()
    for replica in replicas:
        replica.admit = opened.storage.admit
        replica.on_evidence = forks.found
        replica.blame = blame
        replica.on_heartbeat = partial(issuing.guard.heard, replica.member)
    mesh = _make_mesh(opened, forks)
    _join(opened, issuing, mesh)
    forks.tell = lambda payload: mesh.tell(topics.evidence(own.id), payload)
    forks.observe_own = _make_observer(opened, issuing, forks)
    if opened.trust.quorum is not None:
        opened.trust.quorum.observe_own_head = forks.observe_own
    return Meeting(mesh, forks, blame, forks.observe_own)


def _make_forks(opened: Opened) -> Forks:
    """Who keeps evidence; officers of the roster in force may release what it freezes."""
    followed = {replica.origin: replica for replica in opened.replicas}
    forks = Forks(opened.own, opened.log, followed, opened.clock)
    forks.releases.officers = opened.rosters.officers
    forks.releases.changed = opened.rosters.changed.set
    return forks


def _make_mesh(opened: Opened, forks: Forks) -> Mesh:
    log, trust = opened.log, opened.trust
    return Mesh(
        opened.own.id,
        make_brokers(opened.config),
        log,
        opened.replicas,
        lambda: make_heartbeat(log, trust.cosigner, opened.clock),
        opened.outside.make_link,
        {**trust.handlers, "evidence": forks.take, "roster": opened.rosters.take},
    )


def _join(opened: Opened, issuing: Issuing, mesh: Mesh) -> None:
    """Give the mesh to those who tell others something, or ask them."""
    opened.trust.join(mesh)
    opened.rosters.tell = mesh.tell
    opened.rosters.record = make_record(issuing.sequencer)
    issuing.standing.ask = mesh.ask_heads

    def stand() -> None:
        mesh.head_moved()
        opened.trust.tell_again()

    issuing.standing.on_standing = stand


def _make_observer(
    opened: Opened, issuing: Issuing, forks: Forks
) -> Callable[[bytes], Awaitable[None]]:
    own_heads = OwnHeads(opened.own, opened.log, forks)

    async def observe(note: bytes) -> None:
        await issuing.standing.observe_own_head(note)
        await own_heads.observe(note)

    return observe
