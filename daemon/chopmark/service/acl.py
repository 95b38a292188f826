"""The access list of a Mosquitto, made from a roster: the same roster gives the same bytes."""

from collections.abc import Mapping, Sequence
from typing import Final

from chopmark.core.errors import UsageError
from chopmark.core.roster import ListedMember
from chopmark.core.roster_follow import SignedRoster
from chopmark.mesh.rights import readable, writable

MAX_USER: Final = 256
"""Characters of a user name."""


def make_acl(
    signed: SignedRoster,
    subjects: Mapping[str, str] | None = None,
    bridges: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The text of an `acl_file`.

    A member is two users, as firmware-config/mosquitto/chopmark.conf has it: the CN of its
    certificate, by which it reads (and writes, at a broker with one listener only), and the whole
    subject, by which it writes. Who has left has no rights.

    Args:
        signed: the roster.
        subjects: by member id, where the subject is more than a CN, as RFC 2253 writes it.
        bridges: by user name: ids of the members that speak through this bridge.

    Raises:
        UsageError: `no-such-member`, or `usage` for a name that cannot be one.
    """
    members = [one for one in signed.roster.member if one.state != "left"]
    subjects, bridges = subjects or {}, bridges or {}
    known = {one.id for one in members}
    _check_known(known, subjects, bridges)
    _check_users([one.id for one in signed.roster.member], subjects, bridges)
    parts = [_header(signed)]
    parts += [_member(one, subjects.get(one.id, f"CN={one.id}")) for one in members]
    parts += [_bridge(name, behind) for name, behind in sorted(bridges.items())]
    return "\n".join(parts)


def _header(signed: SignedRoster) -> str:
    fingerprint = signed.fingerprint
    lines = [
        "Access list for Mosquitto, made by `chopmark roster export-acl`; not to be edited.",
        f"Roster: version {signed.roster.version}",
        f"Fingerprint: {fingerprint.hex}",
        f"In words: {fingerprint.words}",
    ]
    return "".join(f"# {line}\n" for line in lines)


def _member(member: ListedMember, subject: str) -> str:
    state = "" if member.state == "active" else f" ({member.state})"
    writes = writable(member.id)
    return "\n".join(
        [
            f"# {member.id}, {member.origin}{state}",
            *_user(member.id, writes, readable(member.id)),
            *_user(subject, writes, []),
        ]
    )


def _bridge(name: str, behind: Sequence[str]) -> str:
    """A bridge may do what the members may that speak through it, and hands on what they read."""
    writes = [topic for one in behind for topic in writable(one)]
    reads = list(dict.fromkeys(topic for one in behind for topic in readable(one)))
    return "\n".join([f"# bridge for {', '.join(behind)}", *_user(name, writes, reads)])


def _user(name: str, writes: Sequence[str], reads: Sequence[str]) -> list[str]:
    lines = [f"topic write {topic}" for topic in writes]
    return [f"user {name}", *lines, *(f"topic read {topic}" for topic in reads), ""]


def _check_known(
    known: set[str], subjects: Mapping[str, str], bridges: Mapping[str, Sequence[str]]
) -> None:
    named = [*subjects, *(one for behind in bridges.values() for one in behind)]
    for one in named:
        if one not in known:
            message = f"the roster has no member {one!r} that has not left"
            raise UsageError("no-such-member", message)


def _check_users(
    members: Sequence[str], subjects: Mapping[str, str], bridges: Mapping[str, Sequence[str]]
) -> None:
    """That no user name is another one's: Mosquitto would give it the rights of both.

    Names of members that have left count, for their certificates may still be good; so does the
    bare CN of one whose subject is another.
    """
    for name in (*subjects.values(), *bridges):
        if not name.isprintable() or not 0 < len(name.strip()) == len(name) <= MAX_USER:
            raise UsageError("usage", f"not a user name: {name!r}")
    owners: dict[str, str] = {}
    for one in members:
        for name in (one, f"CN={one}"):
            owners[name] = one
    for one, name in subjects.items():
        if owners.setdefault(name, one) != one or name == one:
            hint = "give the whole subject of its certificate, as RFC 2253 writes it"
            raise UsageError("usage", f"{name!r} is a user name of {owners[name]}", hint=hint)
    for name in bridges:
        if name in owners:
            hint = "let its certificate have a CN with upper-case letters: no member id has them"
            raise UsageError("usage", f"{name!r} is the user name of a member", hint=hint)
