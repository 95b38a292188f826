"""Which kinds a member might issue when it did: by the roster in force for each of its entries.

Kinds come and go with versions of the roster, and what was issued rightly stays right.

Rules for one entry:
1. The versions are those held here that list the member. Before the first of them, that one counts.
2. The version in force is the newest that was in force here when the entry existed: by the time at
   which a quorum had cosigned it; by now, if none has; by its own time where none is demanded.
3. A newer version that the member had adopted in its own log before the entry counts instead.
4. Versions reach gateways within a minute: so long before and after, the one and the other count.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from chopmark.core.demands import find_breach
from chopmark.core.entry import Attestation
from chopmark.core.member import ANY_KIND
from chopmark.core.roster import CatalogueKind, Roster

SPREAD: Final = 60_000
"""Milliseconds in which a version reaches all gateways that are connected."""


@dataclass(frozen=True, slots=True)
class Term:
    """What one version of the roster says of a member.

    Attributes:
        since: when that version came in force here, ms since the Unix epoch.
        kinds: that the member may issue.
        catalogue: of kinds, by name.
    """

    version: int
    since: int
    kinds: frozenset[str]
    catalogue: Mapping[str, CatalogueKind] = field(default_factory=dict)

    def permits(self, kind: str) -> bool:
        """Whether the member may issue this kind."""
        return kind in self.kinds or ANY_KIND in self.kinds


class Entitlement:
    """What one member may issue, and might.

    Args:
        terms: oldest version first.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self._terms = tuple(terms)
        self._ruled = any(term.catalogue for term in self._terms)
        self._agreed = lru_cache(maxsize=256)(self._agree)

    def covers(self, kind: str, time: int, adopted: Callable[[], int]) -> bool:
        """Whether an entry of this kind was issued rightly.

        Args:
            kind: of the entry.
            time: when it existed, as rule 2 says (ms).
            adopted: gives the newest version that the member's log has adopted before the entry, or
                0; it is asked only where versions differ.
        """
        agreed = self._agreed(kind)
        if agreed is not None:
            return agreed
        return any(term.permits(kind) for term in self._in_force(time, adopted))

    def breach(self, entry: Attestation, time: int, adopted: Callable[[], int]) -> str | None:
        """The rule of the catalogue that an entry breaks, in words; None if it breaks none.

        Arguments as of `covers`. Where several versions count, one that is kept is enough.
        """
        if not self._ruled:
            return None
        said = {term.version: find_breach(term.catalogue, entry) for term in self._terms}
        if len(set(said.values())) == 1:
            return said[self._terms[-1].version]
        counting = [said[term.version] for term in self._in_force(time, adopted)]
        return None if None in counting else counting[-1]

    def _in_force(self, time: int, adopted: Callable[[], int]) -> list[Term]:
        """The versions that count for an entry."""
        least = min(adopted(), self._terms[-1].version)
        before = [term for term in self._terms if term.since <= time - SPREAD]
        least = max(least, (before or self._terms)[-1 if before else 0].version)
        return [
            term
            for term in self._terms
            if term.version == least or (term.version > least and term.since <= time + SPREAD)
        ]

    def _agree(self, kind: str) -> bool | None:
        """What all versions say; None if they differ."""
        said = {term.permits(kind) for term in self._terms}
        return said.pop() if len(said) == 1 else None


def entitle(member: str, versions: Iterable[tuple[Roster, int]]) -> Entitlement:
    """The entitlement of a member, by its id.

    Args:
        member: its id.
        versions: oldest first, each with the time (ms) at which it came in force here.
    """
    listed = ((roster, since, roster.find(member)) for roster, since in versions)
    return Entitlement(
        Term(
            *(roster.version, since, frozenset(found.kinds)),
            catalogue={kind.name: kind for kind in roster.kind},
        )
        for roster, since, found in listed
        if found is not None
    )
