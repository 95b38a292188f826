"""What is told of the roster's scenarios."""

import pytest

from chopmark.ledger.rosters import Held
from chopmark.service.roster_report import show
from rosters import opened, rich, with_notary


@pytest.mark.parametrize(
    ("notary", "expected"), [("hk-1", (["sz-1"], [])), ("mo-1", (["sz-1"], ["hk-1"]))]
)
def test_notary_is_neither_issuer_nor_receiver_of_a_scenario(
    notary: str, expected: tuple[list[str], list[str]]
) -> None:
    roster = with_notary(rich(), notary)
    told = show(opened(roster), roster.members()[0], Held((), None, (), ()), [])
    loan = told["scenarios"][0]
    assert (loan["issuing"], loan["receiving"]) == expected
    assert told["notaries"] == [notary]
