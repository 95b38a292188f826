"""`chopmark roster`: who the members are, and what it takes to change that."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chopmark.cli.commands.peers import policy
from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, say_table, styled
from chopmark.client.files import read_bounded, replace_file
from chopmark.core.note import MAX_NOTE

if TYPE_CHECKING:
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
    from chopmark.core.member import NOTARY
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
            "none: notary" if member.role == NOTARY else ", ".join(member.kinds),
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
