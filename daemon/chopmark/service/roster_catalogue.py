"""Changing what a roster says of documents: kinds, their notaries, scenarios, and who issues what.

A file of `[[kind]]` and `[[scenario]]` tables is read as a roster has them. What has the name of
one that is there takes its place; the rest is added behind.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.member import NOTARY, check_account
from chopmark.core.roster import CatalogueKind, NotaryGroup, Roster, Scenario
from chopmark.service.config_tree import convert_tree, parse_toml
from chopmark.service.roster_edit import change

Named = TypeVar("Named", CatalogueKind, Scenario)


class CatalogueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text that holds `[[kind]]` and `[[scenario]]` tables and nothing else."""

    kind: tuple[CatalogueKind, ...] = ()
    scenario: tuple[Scenario, ...] = ()


def read_catalogue(data: bytes) -> CatalogueFile:
    """Read such a text; whether it fits a roster is for the rules of that.

    Raises:
        ConfigurationError: `config-syntax`, `config-unknown-key`, `config-type`.
        RefusedError: `bad-catalogue`: it is empty, or names one twice.
    """
    found = convert_tree(parse_toml(data), CatalogueFile)
    for what, names in (
        ("kind", [one.name for one in found.kind]),
        ("scenario", [one.name for one in found.scenario]),
    ):
        if len(set(names)) < len(names):
            raise RefusedError("bad-catalogue", f"a {what} occurs twice in one file")
    if not found.kind and not found.scenario:
        hint = "[[kind]] and [[scenario]] tables, as docs/formats/roster.md has them"
        raise RefusedError("bad-catalogue", "the file names neither kind nor scenario", hint=hint)
    return found


def add_catalogue(roster: Roster, found: CatalogueFile) -> Roster:
    """With these kinds and scenarios, in the place of those that have their names."""
    return replace(
        roster,
        kind=_put(roster.kind, found.kind),
        scenario=_put(roster.scenario, found.scenario),
    )


def drop_kind(roster: Roster, name: str) -> Roster:
    """Without a kind.

    Raises:
        MissingError: `no-such-kind`.
    """
    return replace(roster, kind=_drop(roster.kind, name, "kind"))


def drop_scenario(roster: Roster, name: str) -> Roster:
    """Without a scenario.

    Raises:
        MissingError: `no-such-scenario`.
    """
    return replace(roster, scenario=_drop(roster.scenario, name, "scenario"))


def set_notaries(roster: Roster, kind: str, group: NotaryGroup | None) -> Roster:
    """Demand these notaries for a kind of the catalogue, or none.

    Raises:
        MissingError: `no-such-kind`.
    """
    found = next((one for one in roster.kind if one.name == kind), None)
    if found is None:
        raise _missing("kind", kind, [one.name for one in roster.kind])
    return replace(roster, kind=_put(roster.kind, [replace(found, notary=group)]))


def set_kinds(roster: Roster, member: str, kinds: tuple[str, ...]) -> Roster:
    """Let a member issue these kinds; one that was a notary is none any more."""
    return change(roster, member, role="gateway", kinds=kinds)


def set_notary(roster: Roster, member: str) -> Roster:
    """Make a member a notary, who issues nothing."""
    return change(roster, member, role=NOTARY, kinds=())


def set_account(roster: Roster, member: str, account: str | None) -> Roster:
    """Name a member's account on the chain, or none.

    Raises:
        MalformedError: `malformed-account`.
        MissingError: `no-such-member`.
    """
    if account is not None:
        check_account(account)
    return change(roster, member, chain=account)


def _put(listed: tuple[Named, ...], given: Iterable[Named]) -> tuple[Named, ...]:
    made = {one.name: one for one in listed}  # what takes a place stays where that was
    made.update((one.name, one) for one in given)
    return tuple(made.values())


def _drop(listed: tuple[Named, ...], name: str, what: str) -> tuple[Named, ...]:
    kept = tuple(one for one in listed if one.name != name)
    if len(kept) == len(listed):
        raise _missing(what, name, [one.name for one in listed])
    return kept


def _missing(what: str, name: str, known: list[str]) -> MissingError:
    hint = f"the roster has: {', '.join(known)}" if known else f"the roster has no {what}"
    return MissingError(f"no-such-{what}", f"the roster has no {what} {name!r}", hint=hint)
