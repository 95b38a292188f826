"""When an origin may go on after its ledger was recovered."""

from dataclasses import replace

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.mark import HeadMark
from chopmark.service.recovery_rule import Fate, judge
from ledgers import ORIGIN, member
from softkeys import log_key

HEAD = Checkpoint(ORIGIN, 5, b"\1" * 32)
MARK = HeadMark(HEAD, 7, b"e" * 16, clean=True)
OWN = "Bank of Shenzhen"
HK = member(log_key("bank-hk.example/hk-1", 3), institution="Bank of Hong Kong")
HK2 = member(log_key("bank-hk.example/hk-2", 4), institution="Bank of Hong Kong")
MO = member(log_key("bank-mo.example/mo-1", 5), institution="Bank of Macao")
SZ2 = member(log_key("bank-sz.example/sz-2", 6), institution=OWN)
ALL = {HK: True, HK2: False, MO: True, SZ2: False}


def test_clean_mark_equal_head_and_all_institutions_let_it_go_on() -> None:
    assert judge(MARK, HEAD, [], ALL, OWN).fate is Fate.GOES_ON


def test_institution_that_is_silent_is_waited_for() -> None:
    made = judge(MARK, HEAD, [], ALL | {HK: False}, OWN)
    assert (made.fate, made.silent) == (Fate.WAITING, ("Bank of Hong Kong",))


def test_institution_that_is_suspended_is_not_waited_for() -> None:
    stopped = {replace(MO, state="suspended"): False}
    assert judge(MARK, HEAD, [], {HK: True} | stopped, OWN).fate is Fate.GOES_ON
    made = judge(MARK, HEAD, [], {HK: False} | stopped, OWN)
    assert (made.fate, made.silent) == (Fate.WAITING, ("Bank of Hong Kong",))


def test_gateway_that_is_suspended_does_not_answer_for_an_active_one() -> None:
    answered = {replace(HK, state="suspended"): True, HK2: False, MO: True}
    assert judge(MARK, HEAD, [], answered, OWN).silent == ("Bank of Hong Kong",)


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (None, "no head mark"),
        (replace(MARK, clean=False), "orderly stop"),
        (replace(MARK, head=replace(HEAD, size=9)), "at 9 entries"),
        (replace(MARK, head=replace(HEAD, size=4)), "at 4 entries"),
        (replace(MARK, head=replace(HEAD, root=b"\2" * 32)), "another root"),
    ],
)
def test_any_other_mark_retires_it(mark: HeadMark | None, why: str) -> None:
    made = judge(mark, HEAD, [], ALL, OWN)
    assert made.fate is Fate.RETIRED
    assert why in made.reasons[0]


@pytest.mark.parametrize("size", [3, 9])
def test_head_beyond_what_is_left_retires_it(size: int) -> None:
    made = judge(MARK, HEAD, [replace(HEAD, size=size)], ALL | {MO: False}, OWN)
    assert (made.fate, made.silent) == (Fate.RETIRED, ("Bank of Macao",))
    assert str(size) in made.reasons[0]
