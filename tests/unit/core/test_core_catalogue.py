"""What a gateway may attest, by the catalogue of kinds."""

from dataclasses import replace

import msgspec
import pytest

from chopmark.core.catalogue import Catalogue
from chopmark.core.draft import Draft
from chopmark.core.errors import RefusedError
from chopmark.core.roster import CatalogueKind
from rosters import HK, founding

NOW = 1_795_352_400_000
DAY = 86_400
OWN = founding().members()[1]
KINDS = (
    CatalogueKind(name="bank-statement"),
    CatalogueKind(name="deposit", validity=DAY),
    CatalogueKind(name="kyc-report", blinded=True),
    CatalogueKind(name="diploma", digests=("sha256", "sm3")),
    CatalogueKind(name="report", digests=("sha256", "json-jcs/1")),
)
CATALOGUE = Catalogue(OWN, KINDS)


def draft(kind: str, until: int | None = None, sm3: bytes | None = None) -> Draft:
    return Draft(bytes(32), kind, sm3, until)


def refused(catalogue: Catalogue, asked: Draft) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        catalogue.check(asked, NOW)
    return caught.value


def test_member_of_these_tests_is_the_one_meant() -> None:
    assert OWN.id == HK.id


@pytest.mark.parametrize("until", [None, NOW + 1, NOW + 10**12])
def test_kind_without_bounds_keeps_the_validity_asked_for(until: int | None) -> None:
    assert CATALOGUE.check(draft("bank-statement", until), NOW) == (until, False)
    assert Catalogue(OWN).check(draft("whatever", until), NOW) == (until, False)


def test_longest_validity_is_set_where_none_is_given() -> None:
    assert CATALOGUE.check(draft("deposit"), NOW).valid_until == NOW + 1000 * DAY


@pytest.mark.parametrize("until", [NOW + 1, NOW + 1000 * DAY])
def test_shorter_validity_stays(until: int) -> None:
    assert CATALOGUE.check(draft("deposit", until), NOW).valid_until == until


def test_longer_validity_than_the_catalogue_allows_is_refused() -> None:
    error = refused(CATALOGUE, draft("deposit", NOW + 1000 * DAY + 1))
    assert (error.code, error.status) == ("validity-too-long", 422)


@pytest.mark.parametrize("kind", ["bank-statement", "deposit"])
def test_validity_that_has_ended_is_refused(kind: str) -> None:
    assert refused(CATALOGUE, draft(kind, NOW)).code == "already-expired"


def test_kind_that_is_not_in_the_catalogue_is_refused_and_the_kinds_are_named() -> None:
    error = refused(CATALOGUE, draft("document"))
    assert (error.code, error.status) == ("kind-not-in-catalogue", 422)
    assert error.hint == "it may attest: bank-statement, deposit, diploma, kyc-report, report"


def test_kind_that_the_member_may_not_issue_is_refused_and_its_kinds_are_named() -> None:
    entitled = replace(OWN, kinds=frozenset({"deposit", "letter"}))
    error = refused(Catalogue(entitled, KINDS), draft("diploma"))
    assert (error.code, error.hint) == ("kind-not-allowed", "it may attest: deposit")
    error = refused(Catalogue(entitled), draft("diploma"))
    assert error.hint == "it may attest: deposit, letter"


@pytest.mark.parametrize("asked", [True, False])
def test_blinded_kind_is_blinded_whether_that_is_asked_for_or_not(*, asked: bool) -> None:
    kyc = msgspec.structs.replace(draft("kyc-report"), blinded=asked)
    assert CATALOGUE.check(kyc, NOW).blinded


def test_other_kinds_are_blinded_where_that_is_asked_for() -> None:
    for catalogue in (CATALOGUE, Catalogue(OWN)):
        plain = draft("bank-statement")
        assert not catalogue.check(plain, NOW).blinded
        assert catalogue.check(msgspec.structs.replace(plain, blinded=True), NOW).blinded


def test_digest_that_the_catalogue_demands_must_be_there() -> None:
    assert CATALOGUE.check(draft("diploma", sm3=bytes(32)), NOW).valid_until is None
    assert refused(CATALOGUE, draft("diploma")).code == "digest-missing"
    named = msgspec.structs.replace(draft("report"), canonical=(("json-jcs/1", bytes(32)),))
    assert CATALOGUE.check(named, NOW).valid_until is None
    other = msgspec.structs.replace(named, canonical=(("pdf-pages/1", bytes(32)),))
    for asked in (draft("report"), other):
        error = refused(CATALOGUE, asked)
        assert (error.code, "json-jcs/1" in error.message) == ("digest-missing", True)
