"""`chopmark roster`: who the members are, and what it takes to change that."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chopmark.cli.arguments import read_pairs, split_pair
from chopmark.cli.commands.peers import policy
from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, say_table, styled
from chopmark.client.files import read_bounded, replace_file, write_new
from chopmark.core.errors import MissingError, UsageError
from chopmark.core.note import MAX_NOTE

if TYPE_CHECKING:
    from chopmark.core.roster import Roster
    from chopmark.core.roster_follow import SignedRoster

export_policy = policy

Flag = Annotated[bool, Parameter(negative="")]
Many = Annotated[list[str] | None, Parameter(negative="")]


def show(*, note: Flag = False, options: Given) -> int:
    """Show the version of the roster that is in force here, its members and its fingerprint.

    Args:
        note: Print the note itself, as `publish` and `pin` take it.
    """
    with options.connect() as gateway:
        answer = gateway.roster()
    if options.json:
        say_json(answer)
    elif not answer.get("pinned"):
        say(styled("no roster is pinned: the peers are those of the configuration", "dim"))
    elif note:
        sys.stdout.write(str(answer["note"]))
    else:
        _show(answer)
    return 0


def propose(
    output: Path,
    /,
    *,
    draft: Path | None = None,
    base: Path | None = None,
    first: Flag = False,
    join: Annotated[list[Path] | None, Parameter(negative="")] = None,
    emergency: Many = None,
    suspend: Many = None,
    resume: Many = None,
    leave: Many = None,
    successor: Many = None,
    officer: Many = None,
    add_key: Many = None,
    retire_key: Many = None,
    compromised_key: Many = None,
    threshold: int | None = None,
    days: int = 365,
    options: Given,
) -> int:
    """Write the text of the next version, for others to look at and sign.

    It is made of the version in force at the gateway, or of --base FILE, and what the options
    change; or of nothing with --first. With --draft a TOML file that a person has edited, first
    line included, is checked and written in the canonical spelling.

    Args:
        output: Where to write the text.
        draft: A text edited by hand.
        base: The note of the version before, if not that of the gateway.
        first: Make version 1.
        join: The [[peer]] block of a gateway that joins, as its `chopmark peers export` prints it.
        emergency: ID=VKEY: the offline emergency key of a member.
        suspend: Member id whose keys are to count no more.
        resume: Member id that is to be active again.
        leave: Member id that leaves, for good.
        successor: OLD=NEW: member OLD leaves, and goes on as NEW; end its log keys with it.
        officer: NAME=INSTITUTION=FILE: a person who may release a replica, and the certificate.
        add_key: ID=VKEY: a further key of a member, which signs beside the one it has.
        retire_key: ID=KEYID for a cosigner key, ID=KEYID=SIZE=ROOT for a log key.
        compromised_key: The same of a key that is in other hands.
        threshold: Institutions that must sign the version after this one.
        days: How long it holds.
    """
    from datetime import UTC, datetime

    from chopmark.core.roster import ListedKey
    from chopmark.core.roster_follow import check_change
    from chopmark.core.roster_rules import check_roster
    from chopmark.core.roster_text import encode_roster, read_draft
    from chopmark.service import roster_edit as edit
    from chopmark.service.config import parse_peer

    before = None if first else _read_before(base, options)
    now = datetime.now(UTC)
    if draft is not None:
        made = read_draft(read_bounded(draft, MAX_NOTE).decode("utf-8", "replace"))
    else:
        made = edit.begin_version(before, now, days)
        keys = read_pairs(emergency)
        for path in join or []:
            member = parse_peer(read_bounded(path, MAX_NOTE))
            made = edit.join(made, member, keys.pop(member.id, None))
        for name, vkey in keys.items():
            made = edit.change(made, name, emergency=vkey)
        made = _change_states(made, suspend=suspend, resume=resume, leave=leave)
        made = _name_successors(made, successor or [])
        made = _add_officers(made, officer or [])
        for name, vkey in map(split_pair, add_key or []):
            made = edit.add_key(made, name, ListedKey(vkey=vkey))
        for ended in retire_key or []:
            made = edit.end_key(made, _ending(ended, "retired"), now)
        for ended in compromised_key or []:
            made = edit.end_key(made, _ending(ended, "compromised"), now)
        if threshold is not None:
            made = edit.change_threshold(made, threshold)
        elif first:
            made = edit.set_majority(made)
    check_roster(made)
    if before is not None:
        check_change(made, before)
    text = encode_roster(made)
    write_new(output, text.encode())
    _tell_text(text, options, path=str(output))
    return 0


def sign(file: Path, /, *, confirm_lost: Flag = False, options: Given) -> int:
    """Have this institution's gateway sign a version; its line is added to the file.

    A gateway signs one text of a version, and no other ever.

    Args:
        file: The text that `propose` wrote, or the note with the lines of those before.
        confirm_lost: After a recovery: no other text of this version was signed here, as you know
            from the other institutions.
    """
    data = read_bounded(file, MAX_NOTE)
    with options.connect() as gateway:
        note = gateway.sign_roster(data, confirm_lost=confirm_lost)
    replace_file(file, note)
    opened = open_unjudged(note)
    if options.json:
        say_json({"path": str(file), **_describe(opened)})
    else:
        count = len(opened.note.signatures)
        say(f"signed version {opened.roster.version}: {count} signatures in {file}")
        say(f"fingerprint {opened.fingerprint.words}")
    return 0


def publish(file: Path, /, *, options: Given) -> int:
    """Hand a version with enough signatures, or a suspension, to the gateway, which tells all.

    Args:
        file: The note.
    """
    with options.connect() as gateway:
        answer = gateway.publish_roster(read_bounded(file, MAX_NOTE))
    return _report(answer, options)


def pin(file: Path, fingerprint: str, /, *, offline: Flag = False, options: Given) -> int:
    """Put a version in force because you have its fingerprint from somebody you trust.

    It is how a gateway gets its first roster, and how one of two texts of a version is chosen.

    Args:
        file: The note.
        fingerprint: In hexadecimal or in words.
        offline: The gateway does not run, as before its first start: it will start with this
            version. Needs its configuration.
    """
    data = read_bounded(file, MAX_NOTE)
    if offline:
        from chopmark.service.roster_pin import pin_offline

        config = options.load_config()
        _report(pin_offline(config, data, fingerprint), options)
        if os.geteuid() == 0 and not options.json:
            state = config.gateway.state
            say_prose(f"if the daemon runs as user chopmark: chown -R chopmark: {state}", indent=0)
        return 0
    with options.connect() as gateway:
        answer = gateway.pin_roster(data, fingerprint)
    return _report(answer, options)


def check(file: Path, /, *, before: Path | None = None, options: Given) -> int:
    """Check a roster offline: its rules, its signatures, and that it may follow another one.

    Args:
        file: The note.
        before: The note of the version before it; without it nobody's threshold is checked.
    """
    from chopmark.core.roster_follow import check_successor, open_roster

    data = read_bounded(file, MAX_NOTE)
    if before is None:
        opened = open_roster(data)
    else:
        older = open_roster(read_bounded(before, MAX_NOTE))
        opened = open_roster(data, older.roster)
        check_successor(opened, older)
    if options.json:
        say_json(_describe(opened))
    else:
        _show_roster(opened)
        if before is None:
            say(styled("that these signatures suffice is told by the version before", "dim"))
    return 0


def emergency_key(origin: str, output: Path, /, *, options: Given) -> int:
    """Make an emergency key on a machine that is offline; prints what the roster names.

    Whoever has the file can suspend this member, and nothing else: keep it in a safe.

    Args:
        origin: Name of the member's log.
        output: Where to write the private key.
    """
    from chopmark.client.emergency import make_emergency_key

    vkey = make_emergency_key(origin, output)
    say_json({"vkey": vkey, "path": str(output)}) if options.json else say(vkey)
    return 0


def suspension(member: str, origin: str, key: Path, output: Path, /, *, options: Given) -> int:
    """Write the note by which an emergency key suspends its own member; then `publish` it.

    Args:
        member: Its member id.
        origin: Name of its log.
        key: The emergency key's file.
        output: Where to write the note.
    """
    from chopmark.client.emergency import write_suspension

    note = write_suspension(member, origin, key, output)
    say_json({"path": str(output), "note": note}) if options.json else say(f"wrote {output}")
    return 0


def _read_before(base: Path | None, options: Options) -> "SignedRoster":
    if base is not None:
        return open_unjudged(read_bounded(base, MAX_NOTE))
    with options.connect() as gateway:
        answer = gateway.roster()
    if not answer.get("pinned"):
        hint = "make version 1 with --first, or name the version before with --base"
        raise MissingError("no-roster", "no roster is pinned at this gateway", hint=hint)
    return open_unjudged(str(answer["note"]).encode())


def open_unjudged(data: bytes) -> "SignedRoster":
    """A note whose rules hold; who has signed is for others to judge."""
    from chopmark.core.note import parse_note
    from chopmark.core.roster_follow import SignedRoster
    from chopmark.core.roster_rules import check_roster
    from chopmark.core.roster_text import parse_roster

    note = parse_note(data)
    roster = parse_roster(note.text)
    check_roster(roster)
    return SignedRoster(roster, note, frozenset())


def _change_states(roster: "Roster", **states: list[str] | None) -> "Roster":
    from chopmark.service.roster_edit import change

    words = {"suspend": "suspended", "resume": "active", "leave": "left"}
    for option, members in states.items():
        for member in members or []:
            roster = change(roster, member, state=words[option])
    return roster


def _name_successors(roster: "Roster", given: list[str]) -> "Roster":
    from chopmark.service.roster_edit import change

    for member, successor in map(split_pair, given):
        roster = change(roster, member, state="left", successor=successor)
    return roster


def _add_officers(roster: "Roster", given: list[str]) -> "Roster":
    from chopmark.client.officers import read_certificate
    from chopmark.core.officers import fingerprint
    from chopmark.service.roster_edit import add_officer

    for text in given:
        name, rest = split_pair(text)
        institution, path = split_pair(rest)
        certificate = fingerprint(read_certificate(Path(path)))
        roster = add_officer(roster, name, institution, certificate)
    return roster


def _ending(text: str, state: str) -> Any:
    from chopmark.core.text import parse_decimal, parse_hash
    from chopmark.service.roster_edit import Ending

    parts = text.split("=", 3)
    if len(parts) == 2:
        return Ending(parts[0], parts[1], state=state)
    if len(parts) != 4:
        hint = "ID=KEYID of a cosigner key, ID=KEYID=SIZE=ROOT of a log key"
        raise UsageError("usage", f"not a key that ends: {text[:80]!r}", hint=hint)
    size = parse_decimal(parts[2], "the last size")
    return Ending(parts[0], parts[1], size, parse_hash(parts[3], "the last root"), state)


def _report(answer: dict[str, Any], options: Options) -> int:
    if options.json:
        say_json(answer)
    else:
        say(f"version {answer['version']} of the roster is in force: {answer['words']}")
        _show_alarms(answer)
    return 0


def _show(answer: dict[str, Any]) -> None:
    _show_roster(open_unjudged(str(answer["note"]).encode()))
    if answer.get("suspended"):
        say(styled(f"suspended by their own keys: {', '.join(answer['suspended'])}", "red"))
    _show_alarms(answer)


def _show_alarms(answer: dict[str, Any]) -> None:
    for alarm in answer.get("alarms", []):
        say(styled(f"{alarm['message']}: {alarm['hint']}", "red"))


def _show_roster(opened: "SignedRoster") -> None:
    from chopmark.core.roster_follow import needed

    roster = opened.roster
    say_fields(
        [
            ("version", roster.version),
            ("fingerprint", opened.fingerprint.words),
            ("", opened.fingerprint.hex),
            ("issued", roster.issued.isoformat()),
            ("expires", roster.expires.isoformat()),
            ("signed by", ", ".join(line.name for line in opened.note.signatures)),
            ("next needs", f"{needed(roster)} of {len(roster.voters())} institutions"),
        ]
    )
    banks = {one.id: one for one in roster.institution}
    rows: list[list[object]] = [
        [
            member.id,
            banks[member.institution].name,
            banks[member.institution].jurisdiction,
            f"{member.state}, now {member.successor}" if member.successor else member.state,
            ", ".join(member.kinds),
            ", ".join(
                f"{one.key.key_id.hex()} {one.state}"
                for one in (*member.log_key, *member.cosigner_key)
            ),
        ]
        for member in roster.member
    ]
    headings = ("member", "institution", "place", "state", "kinds", "keys")
    say_table(headings, rows, whole=headings[:1])


def _describe(opened: "SignedRoster") -> dict[str, Any]:
    from chopmark.core.roster_follow import needed

    roster = opened.roster
    return {
        "version": roster.version,
        "fingerprint": opened.fingerprint.hex,
        "words": opened.fingerprint.words,
        "expires": roster.expires.isoformat(),
        "signatures": [line.name for line in opened.note.signatures],
        "signers": sorted(opened.signers),
        "needed": needed(roster),
    }


def _tell_text(text: str, options: Options, path: str) -> None:
    from chopmark.core.roster import Fingerprint

    fingerprint = Fingerprint(text)
    if options.json:
        say_json({"path": path, "fingerprint": fingerprint.hex, "words": fingerprint.words})
    else:
        say(f"wrote {path}; fingerprint {fingerprint.words}")
