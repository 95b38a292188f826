"""One-time codes: the RFCs' own vectors, and which numbers are taken."""

import pytest

from chopmark.console.access.codes import AHEAD, find, name_of
from chopmark.core.enrolment import Secret

KEY = b"12345678901234567890"
SECRET = Secret("", KEY, KEY)
HOTP_VALUES = (
    *("755224", "287082", "359152", "969429", "338314"),
    *("254676", "287922", "162583", "399871", "520489"),
)
"""RFC 4226, appendix D."""
TOTP_VALUES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
"""RFC 6238, appendix B, for SHA-1; of its eight digits six are asked here, the last ones."""


@pytest.mark.parametrize(("count", "code"), list(enumerate(HOTP_VALUES)))
def test_hotp_vectors_of_rfc_4226(count: int, code: str) -> None:
    assert find(SECRET, "counter", code, count - 1, 0) == count


@pytest.mark.parametrize(("time", "code"), TOTP_VALUES.items())
def test_totp_vectors_of_rfc_6238(time: int, code: str) -> None:
    assert find(SECRET, "clock", code[2:], -1, time) == time // 30


@pytest.mark.parametrize(
    ("late", "taken"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)]
)
def test_clock_of_a_technician_may_be_one_step_wrong(late: int, *, taken: bool) -> None:
    found = find(SECRET, "clock", "005924", -1, 1234567890 + late)
    assert (found is not None) == taken


def test_step_that_was_used_is_not_taken_again_nor_one_before_it() -> None:
    step = 1234567890 // 30
    for used in (step, step + 1):
        assert find(SECRET, "clock", "005924", used, 1234567890) is None
    assert find(SECRET, "clock", "005924", step - 1, 1234567890) == step


def test_counter_is_found_again_within_a_small_window_only() -> None:
    code = HOTP_VALUES[9]
    assert find(SECRET, "counter", code, 9 - AHEAD, 0) == 9
    assert find(Secret("", KEY, KEY, 0), "counter", code, 9, 0) is None
    far = Secret("", KEY, KEY, counter=10)
    assert find(far, "counter", code, -1, 0) is None
    import pyotp

    beyond = pyotp.HOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").at(AHEAD)
    assert find(SECRET, "counter", beyond, -1, 0) is None
    assert find(SECRET, "counter", beyond, 0, 0) == AHEAD


@pytest.mark.parametrize("typed", ["", "28708", "2870820", "２８７０８２", "\ud800", "287 082x"])
def test_what_is_no_code_is_not_taken(typed: str) -> None:
    assert find(SECRET, "counter", typed, -1, 0) is None


def test_code_may_be_typed_in_two_groups() -> None:
    assert find(SECRET, "counter", "287 082", -1, 0) == 1


def test_kinds_are_remembered_apart() -> None:
    assert name_of(SECRET, "clock") != name_of(SECRET, "counter")
