"""Scenarios: who may use whose documents for what, by the roster (docs/formats/roster.md).

Rules, for a dealing:
1. A roster without scenarios lets documents of any kind be used for any purpose, with consent.
2. A scenario fits if it has the document's kind, the institutions of issuer and receiver, by
   themselves or by their jurisdictions, and the purpose.
3. Where a scenario is named, that one must fit; where none is, just one of all must, or of those
   that the consents which are shown name.
"""

from collections.abc import Collection
from dataclasses import dataclass

from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.member import Member
from chopmark.core.roster import Roster, Scenario


@dataclass(frozen=True, slots=True)
class Dealing:
    """A document of a kind, from one institution to another, for a purpose."""

    kind: str
    issuer: Member
    receiver: Member
    purpose: str


class Scenarios:
    """The scenarios of a roster.

    Attributes:
        all: them, in the roster's order.
    """

    def __init__(self, roster: Roster | None = None) -> None:
        self.all = () if roster is None else roster.scenario
        listed = () if roster is None else roster.institution
        self._ids = {one.name: one.id for one in listed}

    def find(
        self, dealing: Dealing, name: str | None = None, consented: Collection[str] = ()
    ) -> Scenario | None:
        """The scenario of a dealing; None if the roster has none at all.

        Args:
            dealing: what is to be done.
            name: of the one that is meant, if that was said.
            consented: names in consents, which tell which of several is meant.

        Raises:
            MissingError: `no-such-scenario`.
            RefusedError: `scenario-differs` if the named one does not fit, `no-scenario`,
                `purpose-not-allowed`, `ambiguous-scenario`.
        """
        if name is not None:
            return self._find_named(dealing, name)
        if not self.all:
            return None
        fitting = [one for one in self.all if self.misfit(dealing, one) is None]
        meant = [one for one in fitting if one.consent and one.name in consented]
        if len(meant) == 1:  # nobody's word leads to one that demands none
            return meant[0]
        if len(fitting) > 1:
            names = ", ".join(one.name for one in fitting)
            message = f"several scenarios of the roster fit: {names}"
            raise RefusedError("ambiguous-scenario", message, hint="name the one that is meant")
        if not fitting:
            raise self._explain(dealing)
        return fitting[0]

    def misfit(self, dealing: Dealing, scenario: Scenario) -> str | None:
        """What of a dealing is not in a scenario, in words; None if it fits."""
        if dealing.kind not in scenario.kinds:
            return f"it is for the kinds {', '.join(scenario.kinds)}, not for {dealing.kind}"
        if not self.has_party(scenario.issuers, dealing.issuer):
            return f"{dealing.issuer.institution} is none of its issuers"
        if not self.has_party(scenario.receivers, dealing.receiver):
            return f"{dealing.receiver.institution} is none of its receivers"
        if dealing.purpose not in scenario.purposes:
            return f"its purposes are {', '.join(scenario.purposes)}, not {dealing.purpose}"
        return None

    def has_party(self, parties: tuple[str, ...], member: Member) -> bool:
        """Whether a list of institutions and jurisdictions has a member's."""
        return self._ids.get(member.institution) in parties or member.jurisdiction in parties

    def _find_named(self, dealing: Dealing, name: str) -> Scenario:
        found = next((one for one in self.all if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in self.all) or "none"
            hint = f"the roster has: {known}"
            raise MissingError("no-such-scenario", f"there is no scenario {name!r}", hint=hint)
        if (why := self.misfit(dealing, found)) is not None:
            message = f"the scenario {name} does not fit: {why}"
            hint = "name another scenario, or none: then the one that fits is found"
            raise RefusedError("scenario-differs", message, hint=hint)
        return found

    def _explain(self, dealing: Dealing) -> RefusedError:
        """Why none fits: for want of the purpose alone, or of all."""
        between = f"from {dealing.issuer.institution} to {dealing.receiver.institution}"
        purposes = {
            purpose
            for one in self.all
            for purpose in one.purposes
            if self.misfit(Dealing(dealing.kind, dealing.issuer, dealing.receiver, purpose), one)
            is None
        }
        if purposes:
            message = f"{dealing.kind} {between} may not be used for {dealing.purpose}"
            hint = f"the roster allows: {', '.join(sorted(purposes))}"
            return RefusedError("purpose-not-allowed", message, hint=hint)
        message = f"no scenario of the roster has the kind {dealing.kind} {between}"
        hint = "`chopmark scenarios` shows them; the members can agree on another roster"
        return RefusedError("no-scenario", message, hint=hint)
