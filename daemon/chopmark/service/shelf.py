"""One log that is searched, and what it says of an entry or a proof."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property

from chopmark.core.check import not_entitled
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.entitlement import Entitlement, Term
from chopmark.core.entry import GRAVE_REASONS
from chopmark.core.errors import RefusedError
from chopmark.core.member import Member
from chopmark.core.merkle import leaf_hash
from chopmark.core.proof import Proof, parse_extra
from chopmark.core.verdict import Facts, Issuer, Pruned, Revoked, Source
from chopmark.ledger.chains import read_chain
from chopmark.ledger.forks import Stop
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState


@dataclass(frozen=True)
class Shelf:
    """One log that is searched: whose it is, and why it is not followed any more, if so.

    Attributes:
        observe_proof: told each proof of this log that is presented.
        warning: what every verdict about this log says, if there is something to say.
        rejects: whether a signed head is of a branch that officers have not kept.
        entitlement: what the member may issue, and might; without it what it may now.
    """

    member: Member
    log: Log
    source: Source
    stopped: Callable[[], Stop | None] = lambda: None
    observe_proof: Callable[[Proof], Awaitable[None]] | None = None
    warning: Callable[[], str | None] = lambda: None
    rejects: Callable[[Checkpoint], bool] = lambda _head: False
    entitlement: Entitlement | None = None

    @cached_property
    def issuer(self) -> Issuer:
        """The issuer as verdicts name it."""
        m = self.member
        return Issuer(m.id, m.origin, m.institution, m.jurisdiction, m.successor)

    @cached_property
    def entitled(self) -> Entitlement:
        """What the member may issue, and might."""
        return self.entitlement or Entitlement([Term(0, 0, self.member.kinds)])

    def as_of(self, now: int) -> int | None:
        """Time (ms) up to which this log is known to be complete; our own always is."""
        if self.source is Source.OWN:
            return now
        return self.log.state.seen_time * 1000 or None


def entitle(shelf: Shelf, facts: Facts, now: int) -> Facts:
    """Add the problem if the issuer might not issue the kind when it did.

    Or a warning if it might, and has broken another rule of the catalogue.
    """
    entry = facts.entry
    if entry is None or facts.problem is not None:
        return facts
    time = facts.existed_by
    if time is None:
        time = entry.made_at if facts.quorum == "none" else now

    def adopted() -> int:
        found = shelf.log.read_now(lambda reader, _: reader.adopted(facts.index))
        return 0 if found is None else found.version

    if shelf.entitled.covers(entry.kind, time, adopted):
        return add_warning(facts, shelf.entitled.breach(entry, time, adopted))
    return replace(facts, problem=not_entitled(shelf.issuer, entry.kind))


def add_warning(facts: Facts, said: str | None) -> Facts:
    """Add what a verdict says beside its sentence, if there is something to say."""
    if said is None:
        return facts
    return replace(facts, warning=f"{facts.warning}; {said}" if facts.warning else said)


def with_references(shelf: Shelf, facts: Facts, now: int) -> Facts:
    """Add the revocation that counts, and what has replaced the attestation."""
    revoked, newer = _read_references(shelf, facts.index)
    if newer is None:
        return replace(facts, revoked=revoked)
    size = _known_size(shelf)
    chain, cut = shelf.log.read_now(lambda reader, _: read_chain(reader, newer, size, now))
    return replace(facts, revoked=revoked, superseded_by=newer, chain=chain, chain_cut=cut)


def _read_references(shelf: Shelf, index: int) -> tuple[Revoked | None, int | None]:
    """The revocation that counts, and the newest attestation that supersedes this one."""
    size = _known_size(shelf)
    revoked, newer = shelf.log.read_now(lambda reader, _: reader.references(index, size))
    return Revoked(*revoked) if revoked else None, newer if newer >= 0 else None


def _known_size(shelf: Shelf) -> int:
    """What we have recorded ourselves counts at once, though the HSM may not have signed it."""
    state = shelf.log.state
    return state.size if shelf.source is Source.OWN else state.head.size


def rejected(shelf: Shelf, proof: Proof) -> str | None:
    """Why a head does not count that officers have rejected, if they have."""
    if not shelf.rejects(proof.checkpoint()):
        return None
    return "its head is of the history that was not kept when its forked ledger was released"


def unvouched(shelf: Shelf, proof: Proof) -> str | None:
    """Why a head that lies beyond what we hold does not count, by what the roster says of keys."""
    if proof.checkpoint().size <= shelf.log.signed_size:
        return None
    try:
        shelf.member.open_head(proof.note)
    except RefusedError as error:
        return error.message
    return None


def prune(shelf: Shelf, index: int) -> Pruned:
    """What is said of an entry whose body was removed here."""
    revoked, _ = _read_references(shelf, index)
    grave = revoked is not None and revoked.reason in GRAVE_REASONS
    return Pruned(shelf.issuer, index, must_wait=grave)


def contradicted(shelf: Shelf, proof: Proof) -> str | None:
    """Why a proof's signed head and entry are not those of the log that we hold, if so."""
    found: str | None = shelf.log.read_now(lambda r, s: _contradiction(r, s, proof))
    return found


def _contradiction(reader: Reader, state: LogState, proof: Proof) -> str | None:
    head = proof.checkpoint()
    if head.size <= state.head.size and reader.root_at(head.size) != head.root:
        return "its log shows two histories: the proof's checkpoint is not the one held here"
    if proof.index < state.head.size:
        leaf = reader.node(0, proof.index)  # stays though the entry's body may be pruned
        if leaf != leaf_hash(parse_extra(proof.extra).entry):
            return "its log shows two histories: another entry is held here at that index"
    return None
