"""The rules of a roster by itself; `roster_follow` has those of what may follow it.

1. Version 1 names no version before, others do. It holds for 400 days at most.
2. Institutions: ids and names differ. Members: ids and origins differ, and each belongs to an
   institution of the roster.
3. A log key is named as its origin and has a type that signs checkpoints; a cosigner key is named
   `<origin>/cosigner`, or `<origin>/cosigner-2` and so on; an emergency key is Ed25519 and named
   `<origin>/emergency`. A raw public key occurs once in the roster, whatever it is used for.
4. A member that is active has an active log key and an active cosigner key, and at most two of
   each, while one takes over. A log key that is not active says which head was its last, a
   cosigner key since when it is not.
5. The threshold is 1 to the number of institutions that vote.
6. Who names a successor has left, with the last head of every log key, for another member of its
   institution; nobody is a successor of itself, by however many steps.
7. A kind's notaries are institutions of the roster; as many as are needed are active, the
   institution of each active member that may issue the kind left out.
8. A notary may issue no kind.
9. Scenarios differ in their names. Kinds are such as the catalogue has, if there is one; issuers
   and receivers are institutions of the roster, or jurisdictions of some; purposes are words.
10. Of the witness groups each jurisdiction is in one at most, and in whatever institution's log:
   each group can be satisfied, and one of them needs more than half of its institutions.
"""

from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import Final, TypeVar

from chopmark.core.canonical import MAX_NAMES
from chopmark.core.canonical import NAME as CANONICAL
from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import ECDSA_P256, ED25519, VerifierKey, parse_vkey
from chopmark.core.member import (
    ANY_KIND,
    NOTARY,
    check_institution,
    check_jurisdiction,
    check_kind,
    check_kinds,
    check_member_id,
    is_cosigner_name,
)
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.quorum import generate
from chopmark.core.roster import (
    MAX_DAYS,
    CatalogueKind,
    ListedKey,
    ListedMember,
    Officer,
    Roster,
    Scenario,
)
from chopmark.core.text import MAX_INT, parse_hash

T = TypeVar("T")

MAX_VERSION: Final = 10**6
MAX_ACTIVE: Final = 2
"""Active keys of one sort: the old one and the new one, while one takes over."""
MAX_LISTED: Final = 64
"""Names in a list of a scenario."""
MAX_SECONDS: Final = 100 * 366 * 86_400
_HEX: Final = frozenset("0123456789abcdef")


def check_roster(roster: Roster) -> None:
    """Rules 1 to 10.

    Raises:
        RefusedError: `bad-roster`, saying what and where.
    """
    _check_head(roster)
    _check_institutions(roster)
    for kind in roster.kind:
        _check_kind(kind)
        _check_notaries(kind, roster)
    _check_unique("kind", (kind.name for kind in roster.kind))
    for scenario in roster.scenario:
        _check_scenario(scenario, roster)
    _check_unique("scenario", (one.name for one in roster.scenario))
    for officer in roster.officer:
        _check_officer(officer, roster)
    for member in roster.member:
        _check_member(member, roster)
    _check_unique("member", (one.id for one in roster.member))
    _check_unique("origin", (one.origin for one in roster.member))
    keys = chain.from_iterable(one.keys() for one in roster.member)
    _check_unique("public key", (key.public.hex() for key in keys))
    for member in roster.member:
        _check_successor(member, roster)
    demand(1 <= roster.threshold <= len(roster.voters()), "threshold: 1 to all institutions")
    _check_witnesses(roster)


def _check_head(roster: Roster) -> None:
    demand(1 <= roster.version <= MAX_VERSION, "version: a number from 1 on")
    demand((roster.version == 1) == (roster.previous is None), "previous: of all but version 1")
    if roster.previous is not None:
        _check_hex("previous", roster.previous)
    held = roster.expires - roster.issued
    demand(0 < held.total_seconds() <= MAX_DAYS * 86400, f"expires: within {MAX_DAYS} days")
    demand(roster.issued.timestamp() > 0, "issued: before 1970")


def _check_institutions(roster: Roster) -> None:
    for one in roster.institution:
        where = f"institution {one.id[:40]!r}"
        _apply(where, check_member_id, one.id)
        _apply(where, check_institution, one.name)
        _apply(where, check_jurisdiction, one.jurisdiction)
    _check_unique("institution", (one.id for one in roster.institution))
    _check_unique("institution", (one.name for one in roster.institution))
    owners = {member.institution for member in roster.member}
    for one in roster.institution:
        demand(one.id in owners, f"institution {one.id}: it has no member")


def _check_kind(kind: CatalogueKind) -> None:
    where = f"kind {kind.name[:40]!r}"
    _apply(where, check_kind, kind.name)
    for name, seconds in (("max_age", kind.max_age), ("validity", kind.validity)):
        bounded = seconds is None or 1 <= seconds <= MAX_SECONDS
        demand(bounded, f"{where}: {name}: seconds from 1 on")
    _check_digests(where, kind.digests)


def _check_digests(where: str, digests: tuple[str, ...]) -> None:
    """SHA-256, then perhaps SM3, then names of canonical digests, of which more may come to be."""
    known = 2 if digests[:2] == ("sha256", "sm3") else 1
    names = digests[known:]
    good = digests[:1] == ("sha256",) and all(map(CANONICAL.fullmatch, names))
    ordered = list(names) == sorted(set(names))
    message = '["sha256"], then "sm3" if it is demanded, then canonical digests in their order'
    demand(good and ordered and len(names) <= MAX_NAMES, f"{where}: digests: {message}")


def _check_notaries(kind: CatalogueKind, roster: Roster) -> None:
    if kind.notary is None:
        return
    where = f"kind {kind.name!r}: notary"
    wanted, threshold = kind.notary.institutions, kind.notary.threshold
    known = {one.id for one in roster.institution}
    demand(known.issuperset(wanted), f"{where}: no such institution")
    demand(len(set(wanted)) == len(wanted), f"{where}: an institution occurs twice")
    demand(1 <= threshold <= len(wanted), f"{where}: threshold: 1 to all of its institutions")
    active = {one.institution for one in roster.member if one.state == "active"}
    for member in roster.member:
        if member.state == "active" and {kind.name, ANY_KIND}.intersection(member.kinds):
            left = active.intersection(wanted) - {member.institution}
            enough = len(left) >= threshold
            demand(enough, f"{where}: {member.id} may issue it, and has {len(left)} notaries")


def _check_scenario(scenario: Scenario, roster: Roster) -> None:
    where = f"scenario {scenario.name[:40]!r}"
    _apply(where, check_kind, scenario.name)
    if scenario.title is not None:
        _apply(f"{where}: title", check_institution, scenario.title)
    places = {one.jurisdiction for one in roster.institution}
    parties = {one.id for one in roster.institution} | places
    catalogue = {one.name for one in roster.kind}
    _check_names(f"{where}: issuers", scenario.issuers, parties)
    _check_names(f"{where}: receivers", scenario.receivers, parties)
    _check_names(f"{where}: kinds", scenario.kinds, catalogue)
    _check_names(f"{where}: purposes", scenario.purposes)
    for name in (*scenario.kinds, *scenario.purposes):
        _apply(where, check_kind, name)
    seconds = scenario.validity
    demand(seconds is None or 1 <= seconds <= MAX_SECONDS, f"{where}: validity: seconds from 1 on")


def _check_names(where: str, names: tuple[str, ...], known: Collection[str] = ()) -> None:
    demand(0 < len(names) <= MAX_LISTED, f"{where}: 1 to {MAX_LISTED} names")
    demand(len(set(names)) == len(names), f"{where}: a name occurs twice")
    for name in names:
        demand(not known or name in known, f"{where}: there is no {name[:40]!r}")


def _check_officer(officer: Officer, roster: Roster) -> None:
    where = f"officer {officer.name[:40]!r}"
    _apply(where, check_institution, officer.name)
    _check_hex(f"{where}: certificate", officer.certificate)
    known = {one.id for one in roster.institution}
    demand(officer.institution in known, f"{where}: no such institution")


def _check_member(member: ListedMember, roster: Roster) -> None:
    where = f"member {member.id[:40]!r}"
    _apply(where, check_member_id, member.id)
    _apply(where, check_origin, member.origin)
    if member.role == NOTARY:
        demand(member.kinds == (), f"{where}: kinds: a notary may issue none")
    else:
        _apply(where, check_kinds, member.kinds)
    known = {one.id for one in roster.institution}
    demand(member.institution in known, f"{where}: no such institution")
    if member.tls is not None:
        _check_hex(f"{where}: tls", member.tls)
    if member.chain is not None:
        good = 0 < len(member.chain) <= 80 and member.chain.isascii() and member.chain.isalnum()
        demand(good, f"{where}: chain: 1 to 80 letters and digits")
    for listed in member.log_key:
        _check_log_key(where, listed, member)
    for listed in member.cosigner_key:
        _check_cosigner_key(where, listed, member)
    if member.emergency is not None:
        key = _parse_key(f"{where}: emergency", member.emergency)
        good = (key.name, key.type) == (f"{member.origin}/emergency", ED25519)
        demand(good, f"{where}: emergency: an Ed25519 key named {member.origin}/emergency")
    _check_states(where, member)


def _check_successor(member: ListedMember, roster: Roster) -> None:
    if member.successor is None:
        return
    where = f"member {member.id[:40]!r}: successor"
    named = roster.find(member.successor)
    if named is None:
        raise refused(f"{where}: no such member")
    demand(named.institution == member.institution, f"{where}: of another institution")
    ended = all(one.state != "active" for one in member.log_key)
    demand(member.state == "left" and ended, f"{where}: it has not left, with its log keys ended")
    seen = {member.id}
    while named is not None and named.successor is not None:
        demand(named.id not in seen, f"{where}: it leads back")
        seen.add(named.id)
        named = roster.find(named.successor)
    demand(named is None or named.id not in seen, f"{where}: it leads back")


def _check_states(where: str, member: ListedMember) -> None:
    for name, keys in (("log_key", member.log_key), ("cosigner_key", member.cosigner_key)):
        active = sum(one.state == "active" for one in keys)
        least = int(member.state == "active")
        demand(len(keys) > 0, f"{where}: {name}: none")
        demand(least <= active <= MAX_ACTIVE, f"{where}: {name}: {active} are active")
    _check_unique("key name", (one.key.name for one in member.cosigner_key))


def _check_log_key(where: str, listed: ListedKey, member: ListedMember) -> None:
    where = f"{where}: log_key"
    key = _parse_key(where, listed.vkey)
    demand(key.name == member.origin, f"{where}: it is not named {member.origin}")
    demand(key.type in (ED25519, ECDSA_P256), f"{where}: of a type that signs no checkpoints")
    demand((listed.state == "compromised") == (listed.since is not None), f"{where}: since")
    ended = listed.state != "active"
    given = (listed.last_size is not None, listed.last_root is not None)
    demand(given == (ended, ended), f"{where}: last_size and last_root: of one that has ended")
    if listed.last_size is not None and listed.last_root is not None:
        demand(0 <= listed.last_size <= MAX_INT, f"{where}: last_size")
        root = _read_root(where, listed.last_root)
        demand(listed.last_size > 0 or root == EMPTY_ROOT, f"{where}: last_root of no entries")


def _check_cosigner_key(where: str, listed: ListedKey, member: ListedMember) -> None:
    where = f"{where}: cosigner_key"
    key = _parse_key(where, listed.vkey)
    named = is_cosigner_name(key.name, member.origin)
    demand(named, f"{where}: it is not named {member.origin}/cosigner, or the same with -2 …")
    demand(key.is_cosigner, f"{where}: of a type that makes no cosignatures")
    demand((listed.state != "active") == (listed.since is not None), f"{where}: since")
    last = (listed.last_size, listed.last_root)
    demand(last == (None, None), f"{where}: last_size and last_root are of log keys")


def _check_witnesses(roster: Roster) -> None:
    demand(roster.witness is None or len(roster.witness.group) > 0, "witness: no group")
    members = [one for one in roster.members() if one.is_active]
    for issuer in members:
        try:
            generate(issuer, members, roster.rule())
        except RefusedError as error:
            raise refused(f"witness: {error.message}") from error


def _check_unique(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        demand(value not in seen, f"the {what} {value[:40]!r} occurs twice")
        seen.add(value)


def _check_hex(where: str, text: str) -> None:
    demand(len(text) == 64 and _HEX.issuperset(text), f"{where}: 64 of 0-9a-f")


def _parse_key(where: str, text: str) -> VerifierKey:
    try:
        return parse_vkey(text)
    except MalformedError as error:
        raise refused(f"{where}: {error.message}") from error


def _read_root(where: str, text: str) -> bytes:
    try:
        return parse_hash(text, "last_root")
    except MalformedError as error:
        raise refused(f"{where}: {error.message}") from error


def _apply(where: str, check: Callable[[T], None], value: T) -> None:
    try:
        check(value)
    except MalformedError as error:
        raise RefusedError("bad-roster", f"{where}: {error.message}", hint=error.hint) from error


def demand(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse a roster unless a condition holds."""
    if not condition:
        raise refused(otherwise)


def refused(message: str) -> RefusedError:
    """The error of a roster that breaks a rule."""
    return RefusedError("bad-roster", f"the roster breaks a rule: {message}")
