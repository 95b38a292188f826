"""`chopmark roster propose`: the text of the next version."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from chopmark.cli.arguments import read_pairs, split_pair
from chopmark.cli.commands.roster import Flag, Many, open_unjudged
from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_json
from chopmark.client.files import read_bounded, write_new
from chopmark.core.errors import MissingError, UsageError
from chopmark.core.note import MAX_NOTE

if TYPE_CHECKING:
    from chopmark.core.roster import NotaryGroup, Roster
    from chopmark.core.roster_follow import SignedRoster


@dataclass(frozen=True)
class Changes:
    """What is different in the next version.

    Attributes:
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
        catalogue: TOML file of [[kind]] and [[scenario]] tables, which are added, or take the
            place of those of their names.
        drop_kind: Kind that is to be in the catalogue no more.
        drop_scenario: Scenario that is to be there no more.
        notaries: KIND=NUMBER=INSTITUTION,INSTITUTION: so many of these must countersign what is
            attested of a kind; KIND=0: nobody must.
        notary: Member id of one that is to countersign only, and to issue nothing.
        kinds: ID=KIND,KIND: what a member may issue; "*" for everything.
        chain: ID=ACCOUNT: a member's account on the chain; ID=none for none.
        threshold: Institutions that must sign the version after this one.
        days: How long it holds.
    """

    join: Annotated[list[Path] | None, Parameter(negative="")] = None
    emergency: Many = None
    suspend: Many = None
    resume: Many = None
    leave: Many = None
    successor: Many = None
    officer: Many = None
    add_key: Many = None
    retire_key: Many = None
    compromised_key: Many = None
    catalogue: Annotated[list[Path] | None, Parameter(negative="")] = None
    drop_kind: Many = None
    drop_scenario: Many = None
    notaries: Many = None
    notary: Many = None
    kinds: Many = None
    chain: Many = None
    threshold: int | None = None
    days: int = 365


_NONE: Final = Changes()


def propose(
    output: Path,
    /,
    *,
    draft: Path | None = None,
    base: Path | None = None,
    first: Flag = False,
    changes: Annotated[Changes, Parameter(name="*")] = _NONE,
    options: Given,
) -> int:
    """Write the text of the next version, for others to look at and sign.

    It is made of the version in force at the gateway, or of --base FILE, and what the options
    change; or of nothing with --first. With --draft a TOML file that a person has edited, first
    line included, is checked and written in the canonical spelling; no other changes go with it.

    Args:
        output: Where to write the text.
        draft: A text edited by hand.
        base: The note of the version before, if not that of the gateway.
        first: Make version 1.
    """
    from chopmark.core.roster_follow import check_change
    from chopmark.core.roster_rules import check_roster
    from chopmark.core.roster_text import encode_roster, read_draft

    if draft is not None and changes != _NONE:
        hint = "write them into the draft, or leave --draft out"
        raise UsageError(
            "usage", "--draft is the whole text: no other changes go with it", hint=hint
        )
    before = None if first else _read_before(base, options)
    if draft is not None:
        made = read_draft(read_bounded(draft, MAX_NOTE).decode("utf-8", "replace"))
    else:
        made = _make_next(before, changes, datetime.now(UTC))
    check_roster(made)
    if before is not None:
        check_change(made, before)
    text = encode_roster(made)
    write_new(output, text.encode())
    _tell_text(text, options, path=str(output))
    return 0


def _make_next(before: "SignedRoster | None", changes: Changes, now: datetime) -> "Roster":
    """The next version, or version 1 where there is none before."""
    from chopmark.service import roster_edit as edit

    made = edit.begin_version(before, now, changes.days)
    made = _let_join(made, changes)
    made = _change_states(made, changes)
    made = _name_successors(made, changes.successor or [])
    made = _add_officers(made, changes.officer or [])
    made = _change_keys(made, changes, now)
    made = _change_issuing(made, changes)
    made = _change_catalogue(made, changes)
    if changes.threshold is not None:
        return edit.change_threshold(made, changes.threshold)
    return edit.set_majority(made) if before is None else made


def _let_join(roster: "Roster", changes: Changes) -> "Roster":
    from chopmark.service.config import parse_peer
    from chopmark.service.roster_edit import change, join

    keys = read_pairs(changes.emergency)
    for path in changes.join or []:
        member = parse_peer(read_bounded(path, MAX_NOTE))
        roster = join(roster, member, keys.pop(member.id, None))
    for name, vkey in keys.items():
        roster = change(roster, name, emergency=vkey)
    return roster


def _change_keys(roster: "Roster", changes: Changes, now: datetime) -> "Roster":
    from chopmark.core.roster import ListedKey
    from chopmark.service.roster_edit import add_key, end_key

    for name, vkey in map(split_pair, changes.add_key or []):
        roster = add_key(roster, name, ListedKey(vkey=vkey))
    for ended in changes.retire_key or []:
        roster = end_key(roster, _ending(ended, "retired"), now)
    for ended in changes.compromised_key or []:
        roster = end_key(roster, _ending(ended, "compromised"), now)
    return roster


def _change_issuing(roster: "Roster", changes: Changes) -> "Roster":
    from chopmark.service.roster_catalogue import set_account, set_kinds, set_notary

    for name, kinds in read_pairs(changes.kinds).items():
        roster = set_kinds(roster, name, tuple(kinds.split(",")))
    for name in changes.notary or []:
        roster = set_notary(roster, name)
    for name, account in read_pairs(changes.chain).items():
        roster = set_account(roster, name, None if account == "none" else account)
    return roster


def _change_catalogue(roster: "Roster", changes: Changes) -> "Roster":
    from chopmark.service import roster_catalogue as edit

    for name in changes.drop_kind or []:
        roster = edit.drop_kind(roster, name)
    for name in changes.drop_scenario or []:
        roster = edit.drop_scenario(roster, name)
    for path in changes.catalogue or []:
        roster = edit.add_catalogue(roster, edit.read_catalogue(read_bounded(path, MAX_NOTE)))
    for kind, given in read_pairs(changes.notaries).items():
        roster = edit.set_notaries(roster, kind, _read_group(given))
    return roster


def _read_group(text: str) -> "NotaryGroup | None":
    from chopmark.core.roster import NotaryGroup
    from chopmark.core.text import parse_decimal

    if text == "0":
        return None
    number, listed = split_pair(text)
    threshold = parse_decimal(number, "how many notaries must countersign")
    return NotaryGroup(institutions=tuple(listed.split(",")), threshold=threshold)


def _read_before(base: Path | None, options: Options) -> "SignedRoster":
    if base is not None:
        return open_unjudged(read_bounded(base, MAX_NOTE))
    with options.connect() as gateway:
        answer = gateway.roster()
    if not answer.get("pinned"):
        hint = "make version 1 with --first, or name the version before with --base"
        raise MissingError("no-roster", "no roster is pinned at this gateway", hint=hint)
    return open_unjudged(str(answer["note"]).encode())


def _change_states(roster: "Roster", changes: Changes) -> "Roster":
    from chopmark.service.roster_edit import change

    states = {"suspended": changes.suspend, "active": changes.resume, "left": changes.leave}
    for state, members in states.items():
        for member in members or []:
            roster = change(roster, member, state=state)
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


def _tell_text(text: str, options: Options, path: str) -> None:
    from chopmark.core.roster import Fingerprint

    fingerprint = Fingerprint(text)
    if options.json:
        say_json({"path": path, "fingerprint": fingerprint.hex, "words": fingerprint.words})
    else:
        say(f"wrote {path}; fingerprint {fingerprint.words}")
