"""Which roster may follow another one, and who must have signed it.

9. Its number is one higher, it names the SHA-256 of the text before, and was not issued earlier.
10. No member and no key vanishes, and no id or origin passes on: who leaves is listed as `left`.
   A key that is not active stays so, with the same last head; who has left stays away, and a
   successor that was named stays.
11. More than half of the institutions of the version before, and the threshold that it names, have
   signed, each by an active log key of an active member.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chopmark.core.errors import RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.note import Note, parse_note, verify_note
from chopmark.core.roster import Fingerprint, ListedMember, Roster
from chopmark.core.roster_rules import check_roster, demand, refused
from chopmark.core.roster_text import parse_roster


@dataclass(frozen=True, slots=True)
class SignedRoster:
    """A roster whose rules hold, with its note: only lines of keys that are known, all good.

    Attributes:
        signers: ids of the institutions that have signed.
    """

    roster: Roster
    note: Note
    signers: frozenset[str]

    @property
    def fingerprint(self) -> Fingerprint:
        """What people compare."""
        return Fingerprint(self.note.text)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text."""
        return self.fingerprint.digest

    def encode(self) -> bytes:
        """The note."""
        return self.note.encode()


def open_roster(data: bytes, before: Roster | None = None) -> SignedRoster:
    """Read a roster's note, and check the rules of one roster by itself, and its signatures.

    Args:
        data: the note.
        before: the version before, whose keys sign; the roster's own, if it is not at hand.

    Raises:
        MalformedError: `malformed-note`, `malformed-roster`.
        RefusedError: `bad-roster`; `bad-signature`; `no-known-signature`.
    """
    note = parse_note(data)
    roster = parse_roster(note.text)
    check_roster(roster)
    judge = roster if before is None else before
    keys = dict(_signers(judge))
    others = dict(_signers(roster)) | keys
    verified = [one.key for one in verify_note(note, others)]
    signers = frozenset(keys[key] for key in verified if key in keys)
    return SignedRoster(roster, keep_lines(note, verified), signers)


def check_successor(signed: SignedRoster, before: SignedRoster) -> None:
    """Rules 9 to 11, for a roster that `open_roster` has read with the version before it.

    Raises:
        RefusedError: `bad-roster`; `roster-unsigned`.
    """
    check_change(signed.roster, before)
    check_signed(signed, before.roster)


def check_change(roster: Roster, before: SignedRoster) -> None:
    """Rules 9 and 10.

    Raises:
        RefusedError: `bad-roster`.
    """
    old = before.roster
    demand(roster.version == old.version + 1, f"version {old.version} is not the one before")
    demand(roster.previous == before.digest.hex(), "it names another text as the version before")
    demand(roster.issued >= old.issued, "it was issued before the version before it")
    origins = {one.origin: one.id for one in old.member}
    for member in roster.member:
        taken = origins.get(member.origin, member.id)
        demand(taken == member.id, f"the origin {member.origin} was {taken}'s")
    for gone in old.member:
        _check_kept(gone, roster.find(gone.id))


def check_signed(signed: SignedRoster, judge: Roster) -> None:
    """Rule 11.

    Raises:
        RefusedError: `roster-unsigned`, saying how many are missing.
    """
    due = needed(judge)
    if len(signed.signers) < due:
        message = f"{len(signed.signers)} institutions have signed, and {due} must"
        hint = f"of these: {', '.join(sorted(judge.voters()))}"
        raise RefusedError("roster-unsigned", message, hint=hint)


def needed(roster: Roster) -> int:
    """How many institutions must sign the version that follows."""
    return max(len(roster.voters()) // 2 + 1, roster.threshold)


def keep_lines(note: Note, keys: Iterable[VerifierKey]) -> Note:
    """A note with nothing but one line of each of these keys."""
    lines = {(line.name, line.key_id): line for line in note.signatures}
    return Note(note.text, tuple(lines[key.name, key.key_id] for key in keys))


def _signers(roster: Roster) -> Iterator[tuple[VerifierKey, str]]:
    """The log keys that may sign the version after this one, each with its institution."""
    for member in roster.member:
        if member.state == "active":
            for key in member.active():
                yield key, member.institution


def _check_kept(before: ListedMember, after: ListedMember | None) -> None:
    where = f"member {before.id}"
    if after is None:
        raise refused(f"{where} is missing; who leaves is listed as left")
    demand(after.origin == before.origin, f"{where}: another origin than {before.origin}")
    demand(after.institution == before.institution, f"{where}: of another institution")
    demand(before.state != "left" or after.state == "left", f"{where} has left")
    kept = before.successor in (None, after.successor)
    demand(kept, f"{where}: another successor than {before.successor}")
    for old in (*before.log_key, *before.cosigner_key):
        new = [one for one in (*after.log_key, *after.cosigner_key) if one.vkey == old.vkey]
        demand(len(new) == 1, f"{where}: the key {old.vkey[:80]} is missing")
        # A head that was once given as the last stays so; only that the key was stolen is news.
        kept = old.state == "active" or (
            new[0].state in (old.state, "compromised")
            and (new[0].last_size, new[0].last_root) == (old.last_size, old.last_root)
        )
        demand(kept, f"{where}: the key {old.vkey[:80]} has ended, and stays as it was")
