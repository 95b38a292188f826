"""What answers callers: verdicts, those who wait for signatures and quorums, and cosigning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chopmark.core.proof import Proof
from chopmark.core.verdict import Source
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.service.awaiting import Awaiting
from chopmark.service.parts.issuing import Issuing
from chopmark.service.parts.meeting import Meeting
from chopmark.service.parts.opening import Opened
from chopmark.service.past_policies import PastPolicies
from chopmark.service.retention import Retention
from chopmark.service.shelf import Shelf
from chopmark.service.signing import Signing
from chopmark.service.submissions import Own, Submissions
from chopmark.service.verifier import Verifier
from chopmark.service.witnessed import foreign_logs, member_log


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers what.

    Attributes:
        verifier: verdicts.
        retention: what replicas keep of which verdicts are made.
        signing: those who wait for a signed head.
        witnessing: those who wait for a quorum; None where our policy demands none.
        submissions: cosigns heads that are handed in by HTTP.
        logs: by member id, every log that is held.
        shelves: by origin, the same with what is said of each.
    """

    verifier: Verifier
    retention: Retention
    signing: Signing
    witnessing: Awaiting | None
    submissions: Submissions
    logs: Mapping[str, Log]
    shelves: Mapping[str, Shelf]


def make_answering(opened: Opened, issuing: Issuing, meeting: Meeting) -> Answering:
    """Bring them together."""
    shelves = [
        _shelve_own(opened, meeting),
        *(_shelve(one, opened, meeting) for one in opened.replicas),
    ]
    verifier, retention = _make_verifier(shelves, opened, meeting)
    signing = Signing(opened.log, opened.reading)
    sequencer, mesh = issuing.sequencer, meeting.mesh

    def head_moved() -> None:
        signing.head_moved()
        mesh.head_moved()

    sequencer.on_head, sequencer.room = head_moved, mesh.room
    logs = {opened.own.id: opened.log} | {one.peer: one.log for one in opened.replicas}
    witnessing, submissions = _make_witnessing(opened), _make_submissions(opened, meeting)
    by_origin = {shelf.member.origin: shelf for shelf in shelves}
    return Answering(verifier, retention, signing, witnessing, submissions, logs, by_origin)


def _make_verifier(
    shelves: Sequence[Shelf], opened: Opened, meeting: Meeting
) -> tuple[Verifier, Retention]:
    """What is asked for and was removed comes back, so that these two go together."""
    past = PastPolicies(opened.members).of
    members = opened.members
    verifier = Verifier(
        *(shelves, opened.reading, members.max_age, opened.trust.policies, past),
        *(members.blinded_kinds, members.known_kinds),
    )
    after, fetch = opened.config.retention.after, meeting.mesh.fetch
    retention = Retention(opened.replicas, opened.clock, after, fetch)
    verifier.on_pruned = retention.want
    return verifier, retention


def _shelve(replica: Replica, opened: Opened, meeting: Meeting) -> Shelf:
    member, log = replica.member, replica.log
    return Shelf(
        *(member, log, Source.REPLICA, lambda: replica.stopped, replica.observe_proof),
        warning=lambda: meeting.forks.releases.warning(member.origin),
        rejects=lambda head: (head.size, head.root) in replica.rejected,
        entitlement=opened.members.entitlement(member),
    )


def _shelve_own(opened: Opened, meeting: Meeting) -> Shelf:
    own, forks = opened.own, meeting.forks

    async def observe(proof: Proof) -> None:
        await meeting.observe_own(proof.note)

    return Shelf(
        *(own, opened.log, Source.OWN, lambda: forks.of(own.origin), observe),
        entitlement=opened.members.entitlement(own),
    )


def _make_witnessing(opened: Opened) -> Awaiting | None:
    """Who waits for quorums, where our policy demands one."""
    log, quorum = opened.log, opened.trust.quorum
    if quorum is None:
        return None
    witnessing = Awaiting(log, opened.reading, quorum.policy.notaries)
    quorum.on_witnessed = witnessing.head_moved
    return witnessing


def _make_submissions(opened: Opened, meeting: Meeting) -> Submissions:
    own, log, cosigner = opened.own, opened.log, opened.trust.cosigner
    members = [member_log(replica, cosigner) for replica in opened.replicas]
    known = [*members, *foreign_logs(log, opened.config.witness.log, opened.signer)]
    ours = Own(own.origin, own.log_keys, meeting.observe_own)
    return Submissions(ours, lambda: known, opened.clock, cosigner.may_cosign)
