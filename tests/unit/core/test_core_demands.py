"""Which attestations break the catalogue of kinds, as their readers see it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chopmark.core.demands import find_breach
from chopmark.core.entitlement import SPREAD, Entitlement, Term
from chopmark.core.entry import Attestation
from chopmark.core.roster import CatalogueKind

NOW = 1_795_352_400_000
DAY = 86_400
KINDS = (
    CatalogueKind(name="bank-statement"),
    CatalogueKind(name="deposit", validity=DAY),
    CatalogueKind(name="kyc-report", blinded=True),
    CatalogueKind(name="diploma", digests=("sha256", "sm3")),
    CatalogueKind(name="report", digests=("sha256", "json-jcs/1")),
)
CATALOGUE = {kind.name: kind for kind in KINDS}
PLAIN = Attestation(NOW, bytes(32), "bank-statement")
END = NOW + 1000 * DAY


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (PLAIN, None),
        (replace(PLAIN, blinded=True), None),
        (replace(PLAIN, kind="letter"), "has no kind letter"),
        (replace(PLAIN, kind="kyc-report"), "are blinded"),
        (replace(PLAIN, kind="kyc-report", blinded=True), None),
        (replace(PLAIN, kind="diploma"), "name an SM3 digest"),
        (replace(PLAIN, kind="diploma", sm3=bytes(32)), None),
        (replace(PLAIN, kind="report"), "name a digest json-jcs/1"),
        (replace(PLAIN, kind="report", canonical=(("json-jcs/1", bytes(32)),)), None),
        (replace(PLAIN, kind="deposit", valid_until=END), None),
        (replace(PLAIN, kind="deposit", valid_until=END + 60_000), None),  # made_at was rounded
        (replace(PLAIN, kind="deposit", valid_until=END + 120_001), "1 days at most"),
        (replace(PLAIN, kind="deposit"), "1 days at most"),
    ],
)
def test_rule_that_is_broken_is_named(entry: Attestation, words: str | None) -> None:
    found = find_breach(CATALOGUE, entry)
    assert (found is None) if words is None else (found is not None and words in found)
    assert find_breach({}, entry) is None, "without a catalogue there is no rule"


def adopted(version: int) -> Callable[[], int]:
    return lambda: version


def test_rules_are_those_of_the_version_in_force_for_the_entry() -> None:
    kinds, later = frozenset({"*"}), NOW + 10**9
    strict = {"kyc-report": CATALOGUE["kyc-report"]}
    free = {"kyc-report": CatalogueKind(name="kyc-report")}
    held = Entitlement([Term(1, 0, kinds, free), Term(2, later, kinds, strict)])
    entry = replace(PLAIN, kind="kyc-report")
    assert held.breach(entry, NOW, adopted(0)) is None
    assert held.breach(entry, NOW, adopted(2)), "its issuer knew better"
    assert held.breach(entry, later, adopted(0)) is None, "both count while it is on its way"
    assert held.breach(entry, later + SPREAD, adopted(0))


def test_log_is_not_read_where_all_versions_say_the_same() -> None:
    def never() -> int:
        raise AssertionError

    kinds = frozenset({"*"})
    held = Entitlement([Term(1, 0, kinds, CATALOGUE), Term(2, 9, kinds, CATALOGUE)])
    assert held.breach(PLAIN, NOW, never) is None
    assert held.breach(replace(PLAIN, kind="diploma"), NOW, never)
    assert Entitlement([Term(1, 0, kinds)]).breach(PLAIN, NOW, never) is None
