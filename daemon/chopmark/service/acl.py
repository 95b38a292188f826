"""The access list of a Mosquitto, made from a roster: the same roster gives the same bytes.

Where there is no roster it is made from the members that a configuration names.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from chopmark.core.errors import UsageError
from chopmark.core.roster_follow import SignedRoster
from chopmark.mesh.rights import readable, writable
from chopmark.service.config_model import Config

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
    fingerprint = signed.fingerprint
    header = (
        f"Roster: version {signed.roster.version}",
        f"Fingerprint: {fingerprint.hex}",
        f"In words: {fingerprint.words}",
    )
    members = [_Listed(one.id, one.origin, one.state) for one in signed.roster.member]
    return _write(header, members, subjects or {}, bridges or {})


def make_acl_without_roster(
    config: Config,
    subjects: Mapping[str, str] | None = None,
    bridges: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The same for the gateway and the `[[peer]]` blocks of a configuration; raises as `make_acl`.

    Members are in the order of their ids: each gateway's configuration gives the same bytes but for
    the line that says whose it is.
    """
    own = config.gateway
    header = (
        f"No roster: made from the [[peer]] blocks in the configuration of {own.id}.",
        "Nobody has signed who the members are: look that all of them are here, and no others.",
        "Make it anew whenever a [[peer]] block changes; once a roster is pinned, from that.",
    )
    listed = [_Listed(one.id, one.origin, "active") for one in config.peer]
    listed.append(_Listed(own.id, own.origin, "active"))
    return _write(header, sorted(listed), subjects or {}, bridges or {})


class _Listed(NamedTuple):
    """A member, as far as its rights go."""

    id: str
    origin: str
    state: str


def _write(
    header: Sequence[str],
    listed: Sequence[_Listed],
    subjects: Mapping[str, str],
    bridges: Mapping[str, Sequence[str]],
) -> str:
    members = [one for one in listed if one.state != "left"]
    _check_known({one.id for one in members}, subjects, bridges)
    _check_users([one.id for one in listed], subjects, bridges)
    made = "Access list for Mosquitto, made by `chopmark roster export-acl`; not to be edited."
    parts = ["".join(f"# {line}\n" for line in (made, *header))]
    parts += [_member(one, subjects.get(one.id, f"CN={one.id}")) for one in members]
    parts += [_bridge(name, behind) for name, behind in sorted(bridges.items())]
    return "\n".join(parts)


def _member(member: _Listed, subject: str) -> str:
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
            message = f"there is no member {one!r} that has not left"
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
