"""What the catalogue of kinds demands of an attestation, as those who verify it see it.

An issuer's gateway applies the catalogue before it records (`core.catalogue`). An attestation that
breaks it all the same was made by other or older software: it is as true as any, and the reader is
warned (docs/verdicts.md, The catalogue's rules).
"""

from collections.abc import Mapping
from typing import Final

from chopmark.core.draft import Draft
from chopmark.core.entry import Attestation
from chopmark.core.roster import CatalogueKind

_SLACK: Final = 120_000
"""Ms between the check of a draft and its entry's time, which may be rounded down to the minute."""


def missing_digests(kind: CatalogueKind, made: Attestation | Draft) -> list[str]:
    """The digests that a kind demands and an attestation does not name."""
    named = {"sha256", *(name for name, _ in made.canonical)}
    if made.sm3 is not None:
        named.add("sm3")
    return [name for name in kind.digests if name not in named]


def find_breach(catalogue: Mapping[str, CatalogueKind], entry: Attestation) -> str | None:
    """The first rule of a version's catalogue that an attestation breaks, in words; or None."""
    if not catalogue:
        return None
    kind = catalogue.get(entry.kind)
    if kind is None:
        return f"the roster's catalogue has no kind {entry.kind}"
    of = f"attestations of the kind {kind.name}"
    if kind.blinded and not entry.blinded:
        return f"the roster demands that {of} are blinded, and this one is not"
    if missing := missing_digests(kind, entry):
        what = "an SM3 digest" if missing[0] == "sm3" else f"a digest {missing[0]}"
        return f"the roster demands that {of} name {what}, and this one does not"
    if kind.validity is not None:
        latest = entry.made_at + 1000 * kind.validity + _SLACK
        if entry.valid_until is None or entry.valid_until > latest:
            days = kind.validity / 86_400
            return (
                f"the roster lets {of} be valid for {days:g} days at most, and this one is longer"
            )
    return None
