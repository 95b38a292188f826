"""Scenarios of a roster: what fits, and why something does not."""

import pytest
from msgspec.structs import replace

from chopmark.core.catalogue import Catalogue
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.roster import Scenario
from chopmark.core.roster_rules import check_roster
from chopmark.core.scenarios import Dealing, Scenarios
from rosters import SME_LOAN, founding, rich, with_notary

ROSTER = rich()
SZ, HK, MO, GZ = ROSTER.members()
SCENARIOS = Scenarios(ROSTER)


def dealing(purpose: str = "sme-loan", **changes: object) -> Dealing:
    values: dict[str, object] = {"kind": "kyc-report", "issuer": SZ, "receiver": HK} | changes
    return Dealing(**values, purpose=purpose)  # type: ignore[arg-type]


def code_of(asked: Dealing, name: str | None = None, of: Scenarios = SCENARIOS) -> str:
    with pytest.raises(ChopmarkError) as caught:
        of.find(asked, name)
    return caught.value.code


def test_scenario_of_institution_and_jurisdiction_is_found() -> None:
    assert SCENARIOS.find(dealing()) == SME_LOAN
    assert SCENARIOS.find(dealing(), SME_LOAN.name) == SME_LOAN


def test_roster_without_scenarios_lets_everything_pass() -> None:
    assert Scenarios(founding()).find(dealing("whatever")) is None
    assert Scenarios().find(dealing("whatever")) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": "mortgage"}, "purpose-not-allowed"),
        ({"kind": "bank-statement"}, "no-scenario"),
        ({"issuer": GZ}, "no-scenario"),
        ({"receiver": MO}, "no-scenario"),
        ({"issuer": HK, "receiver": SZ}, "no-scenario"),
    ],
)
def test_dealing_that_no_scenario_has_is_refused(changes: dict[str, object], code: str) -> None:
    assert code_of(dealing(**changes)) == code  # type: ignore[arg-type]
    assert code_of(dealing(**changes), SME_LOAN.name) == "scenario-differs"  # type: ignore[arg-type]


def test_consent_tells_which_of_several_scenarios_is_meant() -> None:
    other = replace(SME_LOAN, name="other")
    of = Scenarios(replace(ROSTER, scenario=(*ROSTER.scenario, other)))
    assert of.find(dealing(), consented={"other"}) == other
    assert of.find(dealing(), SME_LOAN.name, {"other"}) == SME_LOAN
    free = replace(SME_LOAN, name="free", consent=False)
    of = Scenarios(replace(ROSTER, scenario=(*ROSTER.scenario, other, free)))
    for named in ({"other", SME_LOAN.name}, {"job"}, {"free"}):
        with pytest.raises(RefusedError) as caught:
            of.find(dealing(), consented=named)
        assert caught.value.code == "ambiguous-scenario"


def test_scenario_that_there_is_not_is_missing() -> None:
    assert code_of(dealing(), "sme-loan") == "no-such-scenario"
    assert code_of(dealing(), "sme-loan", Scenarios()) == "no-such-scenario"


def test_refusal_of_a_purpose_names_those_that_are_allowed() -> None:
    with pytest.raises(RefusedError) as caught:
        SCENARIOS.find(dealing("mortgage"))
    assert "sme-loan" in caught.value.hint


def test_of_two_scenarios_that_fit_one_must_be_named() -> None:
    twin = replace(SME_LOAN, name="twin", consent=False)
    both = Scenarios(replace(ROSTER, scenario=(*ROSTER.scenario, twin)))
    assert code_of(dealing(), of=both) == "ambiguous-scenario"
    assert both.find(dealing(), "twin") == twin


@pytest.mark.parametrize(
    "made",
    [
        Scenario(name="s", kinds=("a",), issuers=("CN",), receivers=("HK",), purposes=("p",)),
        Scenario(
            name="s",
            kinds=("bank-statement",),
            issuers=("CN",) * 2,
            receivers=("HK",),
            purposes=("p",),
        ),
        Scenario(
            name="s",
            kinds=("bank-statement",),
            issuers=("CN",),
            receivers=("HK",),
            purposes=tuple(f"p{number}" for number in range(65)),
        ),
    ],
)
def test_scenario_that_breaks_a_rule_is_refused(made: Scenario) -> None:
    with pytest.raises(RefusedError, match="scenario 's'"):
        check_roster(replace(ROSTER, scenario=(made,)))


def test_scenarios_of_a_roster_without_a_catalogue_name_any_kind() -> None:
    made = replace(SME_LOAN, kinds=("deed",))
    check_roster(replace(founding(), kind=(), scenario=(made,)))


def test_notary_may_not_attest_and_is_told_why() -> None:
    roster = with_notary(ROSTER, "hk-1")
    check_roster(roster)
    notary = roster.members()[1]
    assert notary.is_notary
    with pytest.raises(RefusedError, match="a notary's gateway attests nothing"):
        Catalogue(notary, roster.kind).check(Draft(bytes(32), "diploma"), 0)


def test_notary_that_is_asked_for_counts_like_any_witness() -> None:
    roster = with_notary(ROSTER, "hk-1")
    policy_names = roster.rule().notaries[0].institutions
    assert roster.members()[1].institution in policy_names
