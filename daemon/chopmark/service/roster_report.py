"""What is told of the roster: as JSON, and as alarms."""

from collections.abc import Collection, Sequence
from typing import Any

from chopmark.core.member import NOTARY, Member
from chopmark.core.roster import WARN_DAYS, CatalogueKind, Roster, Scenario
from chopmark.core.roster_follow import SignedRoster, needed
from chopmark.core.scenarios import Scenarios
from chopmark.core.wording import format_time
from chopmark.ledger.rosters import Held
from chopmark.service.membership import find_own, suspended

Alarm = dict[str, str]
"""`code`, `message` and `hint`."""


def show(
    signed: SignedRoster | None, us: Member, held: Held, alarms: Sequence[Alarm]
) -> dict[str, Any]:
    """The version in force as JSON (docs/api.md, `GET /v1/roster`)."""
    if signed is None:
        return {"pinned": False, "version": None, "conflict": None, "alarms": alarms}
    roster = signed.roster
    own = find_own(roster, us)
    return {
        "pinned": True,
        "version": roster.version,
        "fingerprint": signed.fingerprint.hex,
        "words": signed.fingerprint.words,
        "issued": format_time(int(roster.issued.timestamp() * 1000)),
        "expires": format_time(int(roster.expires.timestamp() * 1000)),
        "needed": needed(roster),
        "member": own.state if own is not None else None,
        "suspended": sorted(suspended(roster, held)),
        "stale": any(alarm["code"] == "roster-stale" for alarm in alarms),
        "kinds": [_kind(kind) for kind in roster.kind],
        "scenarios": [_scenario(one, roster) for one in roster.scenario],
        "notaries": [one.id for one in roster.member if one.role == NOTARY],
        "conflict": held.conflict,
        "rivals": [digest.hex() for digest in held.rivals],
        "alarms": alarms,
        "note": signed.encode().decode(),
    }


def _kind(kind: CatalogueKind) -> dict[str, Any]:
    """What the catalogue says of a kind; times in seconds."""
    return {
        "name": kind.name,
        "max_age": kind.max_age,
        "validity": kind.validity,
        "blinded": kind.blinded,
        "digests": list(kind.digests),
    }


def _scenario(scenario: Scenario, roster: Roster) -> dict[str, Any]:
    """A scenario, with the active members that may issue and receive; times in seconds.

    Parties are names of institutions, or codes of jurisdictions. A notary does neither.
    """
    of = Scenarios(roster)
    active = [one for one in roster.members() if one.is_active and not one.is_notary]
    names = {one.id: one.name for one in roster.institution}
    return {
        "name": scenario.name,
        "title": scenario.title,
        "kinds": list(scenario.kinds),
        "issuers": [names.get(one, one) for one in scenario.issuers],
        "receivers": [names.get(one, one) for one in scenario.receivers],
        "purposes": list(scenario.purposes),
        "consent": scenario.consent,
        "validity": scenario.validity,
        "issuing": [one.id for one in active if of.has_party(scenario.issuers, one)],
        "receiving": [one.id for one in active if of.has_party(scenario.receivers, one)],
    }


def expiry(left: float | None) -> Alarm | None:
    """Whether it expires soon, by the days that are left."""
    if left is None or left > WARN_DAYS:
        return None
    hint = "propose the next version: `chopmark roster propose`"
    if left <= 0:
        return _alarm("roster-expired", "the roster has expired; it still holds", hint)
    return _alarm("roster-expiring", f"the roster expires in {left:.0f} days", hint)


def conflict(held: Held) -> Alarm | None:
    """Whether there are two texts of one version, and none is pinned."""
    if held.conflict is None:
        return None
    message = f"there are two valid texts of version {held.conflict} of the roster"
    hint = "find out who signed both; then `chopmark roster pin` one of them"
    return _alarm("roster-conflict", message, hint)


def behind(ahead: Collection[str], newest: int) -> Alarm | None:
    """Whether institutions have adopted a newer version than ours."""
    if not ahead:
        return None
    message = f"{', '.join(sorted(ahead))} adopted version {newest} of the roster, we have not"
    if len(ahead) == 1:
        return _alarm("roster-newer", message, "ask its operator for that version")
    return _alarm("roster-stale", message, "get it from them: `chopmark roster publish FILE`")


def _alarm(code: str, message: str, hint: str) -> Alarm:
    return {"code": code, "message": message, "hint": hint}
