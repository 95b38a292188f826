"""Making the next version of a roster: from the one in force, and what is to change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.member import Member
from chopmark.core.roster import Institution, ListedKey, ListedMember, Officer, Roster
from chopmark.core.roster_follow import SignedRoster
from chopmark.core.text import encode_base64

DAYS: Final = 365
MAX_ID: Final = 20


@dataclass(frozen=True, slots=True)
class Ending:
    """A key that is to end: whose, its key id in hexadecimal, and the last head of a log key."""

    member: str
    key_id: str
    size: int = 0
    root: bytes = b""
    state: str = "retired"


def begin_version(before: SignedRoster | None, now: datetime, days: int = DAYS) -> Roster:
    """The version that follows, with nothing changed but its time; or an empty first one."""
    issued = now.astimezone(UTC).replace(microsecond=0)
    expires = issued + timedelta(days=days)
    if before is None:
        return Roster(
            version=1, issued=issued, expires=expires, threshold=1, institution=(), member=()
        )
    return replace(
        before.roster,
        version=before.roster.version + 1,
        previous=before.digest.hex(),
        issued=max(issued, before.roster.issued),
        expires=expires,
    )


def set_majority(roster: Roster) -> Roster:
    """The threshold of a first version: more than half of its institutions."""
    return replace(roster, threshold=len(roster.voters()) // 2 + 1)


def change_threshold(roster: Roster, threshold: int) -> Roster:
    """How many institutions must sign the version after this one."""
    return replace(roster, threshold=threshold)


def join(roster: Roster, member: Member, emergency: str | None) -> Roster:
    """Add a gateway, and its institution if it is new."""
    bank = next((one for one in roster.institution if one.name == member.institution), None)
    institutions = roster.institution
    if bank is None:
        name = _new_id(member.origin, {one.id for one in institutions})
        bank = Institution(id=name, name=member.institution, jurisdiction=member.jurisdiction)
        institutions = (*institutions, bank)
    listed = ListedMember(
        id=member.id,
        origin=member.origin,
        institution=bank.id,
        kinds=tuple(sorted(member.kinds)),
        chain=member.chain,
        emergency=emergency,
        log_key=(ListedKey(vkey=member.log_key.encode()),),
        cosigner_key=(ListedKey(vkey=member.cosigner_key.encode()),),
    )
    return replace(roster, institution=institutions, member=(*roster.member, listed))


def change(roster: Roster, member: str, **changes: Any) -> Roster:
    """Change what stands about a member.

    Raises:
        MissingError: `no-such-member`.
    """
    if roster.find(member) is None:
        raise MissingError("no-such-member", f"the roster has no member {member!r}")
    changed = (replace(one, **changes) if one.id == member else one for one in roster.member)
    return replace(roster, member=tuple(changed))


def add_officer(roster: Roster, name: str, institution: str, certificate: str) -> Roster:
    """Name one more person who may release a replica, by the SHA-256 of the certificate."""
    officer = Officer(name=name, institution=institution, certificate=certificate)
    return replace(roster, officer=(*roster.officer, officer))


def add_key(roster: Roster, member: str, vkey: ListedKey) -> Roster:
    """Let a further key of a member sign from now on; the one before it goes on too."""
    listed = _find(roster, member)
    if vkey.key.is_cosigner:
        return change(roster, member, cosigner_key=(*listed.cosigner_key, vkey))
    return change(roster, member, log_key=(*listed.log_key, vkey))


def end_key(roster: Roster, ending: Ending, now: datetime) -> Roster:
    """Let a key end.

    Raises:
        MissingError: `no-such-member`, `no-such-key`.
    """
    listed = _find(roster, ending.member)
    keys = [one for one in (*listed.log_key, *listed.cosigner_key) if _is(one, ending.key_id)]
    if not keys:
        message = f"{ending.member} has no key with the id {ending.key_id}"
        raise MissingError("no-such-key", message, hint="`chopmark roster show` lists them")
    ended = _end(keys[0], ending, now.astimezone(UTC).replace(microsecond=0))
    return change(
        roster,
        ending.member,
        log_key=_swap(listed.log_key, keys[0], ended),
        cosigner_key=_swap(listed.cosigner_key, keys[0], ended),
    )


def _end(key: ListedKey, ending: Ending, now: datetime) -> ListedKey:
    state: Any = ending.state
    if key.key.is_cosigner:
        return replace(key, state=state, since=now)
    if not ending.root:
        message = f"of the log key {ending.key_id} the last size and root are due"
        raise RefusedError("no-last-head", message, hint="--last SIZE:ROOT")
    since = now if ending.state == "compromised" else None
    root = encode_base64(ending.root)
    return replace(key, state=state, last_size=ending.size, last_root=root, since=since)


def _swap(keys: Sequence[ListedKey], old: ListedKey, new: ListedKey) -> tuple[ListedKey, ...]:
    return tuple(new if one is old else one for one in keys)


def _find(roster: Roster, member: str) -> ListedMember:
    listed = roster.find(member)
    if listed is None:
        raise MissingError("no-such-member", f"the roster has no member {member!r}")
    return listed


def _is(key: ListedKey, key_id: str) -> bool:
    return key.key.key_id.hex() == key_id.lower()


def _new_id(origin: str, taken: set[str]) -> str:
    """An id for an institution: the first part of its origin's name."""
    name = origin.split("/", maxsplit=1)[0].split(".", maxsplit=1)[0][: MAX_ID - 3]
    numbers = (f"{name}-{number}" for number in range(2, 99))
    return name if name not in taken else next(one for one in numbers if one not in taken)
