"""The catalogue of kinds: what a gateway may attest, by the roster (docs/formats/roster.md).

Rules, for one attestation before it is recorded; the first that is broken is told:
1. The roster entitles this gateway to the kind.
2. Where the roster has a catalogue, the kind is in it.
3. A kind that must be blinded is blinded, whether that is asked for or not.
4. All digests that the catalogue demands are given.
5. The validity ends in the future, and not later than the catalogue allows. Where none is given
   the catalogue's longest one is set.
"""

from collections.abc import Iterable
from typing import NamedTuple

from chopmark.core.demands import missing_digests
from chopmark.core.draft import Draft
from chopmark.core.errors import RefusedError
from chopmark.core.member import Member
from chopmark.core.roster import CatalogueKind
from chopmark.core.text import MAX_INT
from chopmark.core.wording import format_time


class Terms(NamedTuple):
    """What an attestation is made with.

    Attributes:
        valid_until: the end of its validity (ms), if it ends.
        blinded: whether it is blinded.
    """

    valid_until: int | None
    blinded: bool


class Catalogue:
    """What holds for each kind that a gateway may attest.

    Args:
        own: the gateway.
        kinds: the roster's catalogue; without any, every kind that `own` may issue is free of it.
    """

    def __init__(self, own: Member, kinds: Iterable[CatalogueKind] = ()) -> None:
        self._own = own
        self._kinds = {kind.name: kind for kind in kinds}

    def check(self, draft: Draft, now: int) -> Terms:
        """Apply the rules; all lines of a batch that differ in their digests only are alike.

        Args:
            draft: of which digests count by being there only.
            now: ms since the Unix epoch.

        Raises:
            RefusedError: `kind-not-allowed`, `kind-not-in-catalogue`, `digest-missing`,
                `already-expired`, `validity-too-long`.
        """
        kind = self._find(draft.kind)
        if draft.valid_until is not None and draft.valid_until <= now:
            raise RefusedError("already-expired", "`valid_until` lies in the past")
        if kind is None:
            return Terms(draft.valid_until, draft.blinded)
        _check_digests(kind, draft)
        return Terms(_end(kind, draft.valid_until, now), draft.blinded or kind.blinded)

    def _find(self, name: str) -> CatalogueKind | None:
        """What the catalogue says of a kind that we may issue; None if there is no catalogue."""
        if self._own.is_notary:
            hint = "a notary countersigns what others attest; the roster says who is one"
            raise RefusedError("kind-not-allowed", "a notary's gateway attests nothing", hint=hint)
        if not self._own.may_issue(name):
            message = f"this gateway may not attest the kind {name}"
            raise RefusedError("kind-not-allowed", message, hint=self._allowed())
        if not self._kinds:
            return None
        kind = self._kinds.get(name)
        if kind is None:
            message = f"the kind {name} is not in the roster's catalogue"
            raise RefusedError("kind-not-in-catalogue", message, hint=self._allowed())
        return kind

    def _allowed(self) -> str:
        known = [name for name in self._kinds if self._own.may_issue(name)]
        return f"it may attest: {', '.join(sorted(known or self._own.kinds))}"


def _check_digests(kind: CatalogueKind, draft: Draft) -> None:
    if missing := missing_digests(kind, draft):
        message = f"attestations of the kind {kind.name} must name the {missing[0]} digest too"
        hint = f"give `{missing[0]}` besides `sha256`: `chopmark attest` does so by itself"
        raise RefusedError("digest-missing", message, hint=hint)


def _end(kind: CatalogueKind, asked: int | None, now: int) -> int | None:
    if kind.validity is None:
        return asked
    latest = min(now + 1000 * kind.validity, MAX_INT)
    if asked is None:
        return latest
    if asked > latest:
        message = f"attestations of the kind {kind.name} are valid until {format_time(latest)}"
        hint = "name no later end, or none: then the longest validity is set"
        raise RefusedError("validity-too-long", f"{message} at most", hint=hint)
    return asked
