"""Who the members are: what the pinned roster says, or without one the configuration.

A roster that is pinned wins: `[[peer]]` blocks, and what `[gateway]` says of institution,
jurisdiction and kinds, are then left aside. Who we are is told by `[gateway] id` and the keys of
the token: what the roster says of other keys is not about us.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from chopmark.core.catalogue import Catalogue
from chopmark.core.entitlement import Entitlement, Term, entitle
from chopmark.core.errors import ChopmarkError, ForbiddenError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.note import parse_note
from chopmark.core.roster import ListedMember, Roster
from chopmark.core.roster_follow import SignedRoster
from chopmark.core.roster_text import parse_roster
from chopmark.core.scenarios import Scenarios
from chopmark.ledger.rosters import Held, read_held
from chopmark.ledger.schema import connect
from chopmark.ledger.store import read_keys
from chopmark.service.config import Config, own_member
from chopmark.service.places import log_path


@dataclass(frozen=True, slots=True)
class Membership:
    """The members as of one version of the roster.

    Attributes:
        own: this gateway.
        peers: all others, those that are suspended or have left too.
        chain: the versions of the roster that are held, the one in force last.
        refusal: why this gateway may not issue, or None.
        max_age: seconds for which an answer about a kind is fresh.
        times: when each version of `chain` came in force here, in seconds.
    """

    own: Member
    peers: tuple[Member, ...]
    chain: tuple[SignedRoster, ...]
    refusal: ChopmarkError | None
    max_age: Callable[[str], int]
    times: tuple[int, ...] = ()

    @property
    def signed(self) -> SignedRoster | None:
        """The roster in force."""
        return self.chain[-1] if self.chain else None

    @property
    def catalogue(self) -> Catalogue:
        """What we may attest, by the catalogue of the roster in force."""
        return Catalogue(self.own, () if self.signed is None else self.signed.roster.kind)

    @property
    def scenarios(self) -> Scenarios:
        """What documents may be used for, by the roster in force."""
        return Scenarios(None if self.signed is None else self.signed.roster)

    @property
    def blinded_kinds(self) -> frozenset[str]:
        """Kinds whose attestations must be blinded, by the roster in force."""
        kinds = () if self.signed is None else self.signed.roster.kind
        return frozenset(kind.name for kind in kinds if kind.blinded)

    @property
    def known_kinds(self) -> frozenset[str]:
        """Kinds that some version of the catalogue has, or that members may issue without one.

        Empty if some member may issue whatever it likes.
        """
        named = {kind.name for one in self.chain for kind in one.roster.kind}
        if not named:
            named = {kind for one in (self.own, *self.peers) for kind in one.kinds}
        return frozenset() if "*" in named else frozenset(named)

    def entitlement(self, member: Member) -> Entitlement:
        """What a member may issue, and might by older versions."""
        if self.signed is None or find_own(self.signed.roster, member) is None:
            return Entitlement([Term(0, 0, member.kinds)])
        rosters = (one.roster for one in self.chain)
        times = (1000 * time for time in self.times)
        return entitle(member.id, zip(rosters, times, strict=True))

    def refuse(self, _waiting: int) -> ChopmarkError | None:
        """For `Sequencer.refuse`."""
        error = self.refusal
        return error and type(error)(error.code, error.message, hint=error.hint)


def form_membership(
    config: Config, log_key: VerifierKey, cosigner_key: VerifierKey, held: Held
) -> Membership:
    """The members, with the keys that our token holds.

    Raises:
        ConfigurationError: what `own_member` raises.
    """
    own = own_member(config, log_key, cosigner_key)
    chain = tuple(map(open_held, held.notes))
    if not chain:
        return Membership(own, config.peers, (), None, config.max_age)
    roster = chain[-1].roster
    stopped = suspended(roster, held)
    members = [_as_suspended(one) if one.id in stopped else one for one in roster.members()]
    mine = next((one for one in members if _is_us(one, own)), None)
    refusal = _refuse(own, mine, log_key, cosigner_key)
    if mine is not None:
        own = replace(
            mine,
            log_key=log_key,
            cosigner_key=cosigner_key,
            more_log_keys=_others(log_key, mine.log_key, *mine.more_log_keys),
            more_cosigner_keys=_others(cosigner_key, *mine.cosigner_keys),
        )
    else:
        own = replace(own, state="suspended")  # nobody counts what it cosigns
    peers = tuple(one for one in members if one is not mine and one.id != own.id)

    def max_age(kind: str) -> int:
        known = roster.max_age(kind)
        return config.max_age(kind) if known is None else known

    return Membership(own, peers, chain, refusal, max_age, held.times)


def read_peers(config: Config) -> tuple[Member, ...]:
    """The peers, from what is on the disk; no HSM and no running gateway are needed.

    From a ledger that cannot be read nothing is learnt: that it cannot is found elsewhere.
    """
    try:
        return read_membership(config, *read_keys(log_path(config.gateway.state))).peers
    except (ChopmarkError, sqlite3.Error, OSError):
        return config.peers


def read_membership(config: Config, log_key: VerifierKey, cosigner_key: VerifierKey) -> Membership:
    """The members, from what is on the disk; from a ledger that cannot be read nothing is learnt.

    Raises:
        ConfigurationError: what `own_member` raises.
    """
    try:
        with closing(connect(log_path(config.gateway.state), read_only=True)) as db:
            held = read_held(db)
    except (ChopmarkError, sqlite3.Error, OSError):
        held = Held((), None, (), ())
    return form_membership(config, log_key, cosigner_key, held)


def open_held(note: bytes) -> SignedRoster:
    """A version that was checked before it was kept."""
    parsed = parse_note(note)
    return SignedRoster(parse_roster(parsed.text), parsed, frozenset())


def suspended(roster: Roster, held: Held) -> set[str]:
    """Ids of members that the roster calls active, and their emergency key has suspended."""
    stopped = {vkey for vkey, _ in held.suspensions}
    active = (one for one in roster.member if one.state == "active")
    return {one.id for one in active if one.emergency in stopped}


def find_own(roster: Roster, own: Member) -> ListedMember | None:
    """What the roster says of us."""
    listed = roster.find(own.id)
    return listed if listed is not None and listed.origin == own.origin else None


def _others(used: VerifierKey, *keys: VerifierKey) -> tuple[VerifierKey, ...]:
    return tuple(key for key in keys if key != used)


def _is_us(member: Member, own: Member) -> bool:
    return (member.id, member.origin) == (own.id, own.origin)


def _as_suspended(member: Member) -> Member:
    return replace(member, state="suspended") if member.is_active else member


def _refuse(
    own: Member, mine: Member | None, log_key: VerifierKey, cosigner_key: VerifierKey
) -> ChopmarkError | None:
    if mine is None:
        message = f"{own.origin} is not in the roster"
        hint = "let a version be proposed with it: `chopmark roster propose --join`"
        return ForbiddenError("not-a-member", message, hint=hint)
    if not mine.is_active:
        message = f"{own.origin} is {mine.state}, as the roster or its own emergency key says"
        hint = "a later version of the roster can take it back, with another emergency key"
        if mine.successor is not None:
            hint = f"its successor is {mine.successor}: nothing is issued here any more"
        return ForbiddenError("member-suspended", message, hint=hint)
    past = {one.key for one in mine.past_log_keys}
    good = log_key in set(mine.log_keys) - past and cosigner_key in mine.cosigner_keys
    if not good:
        message = f"the keys of the token are not those that the roster names for {own.origin}"
        return ForbiddenError("key-not-in-roster", message, hint="is this the right token?")
    return None
