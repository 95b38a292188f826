"""Self-tests: one spelling, and none of it that another text could have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.errors import MalformedError
from chopmark.core.selftest import LAST_TIME, MAX_SELF_TEST, SelfTest, parse_self_test
from mutations import is_canonical, mutated

ORIGIN = "bank-hk.example/hk-1"
TEST = SelfTest(ORIGIN, 1_795_352_400_123)
TEXT = f"chopmark/self-test/v1\n{ORIGIN}\n2026-11-22T13:00:00.123Z\n"
TESTS = st.builds(SelfTest, st.just(ORIGIN), st.integers(0, LAST_TIME))


def test_self_test_has_three_lines() -> None:
    assert TEST.encode() == TEXT.encode()


@given(TESTS)
def test_self_test_round_trip(made: SelfTest) -> None:
    assert parse_self_test(made.encode()) == made


@given(TESTS.flatmap(lambda made: mutated(made.encode())))
def test_self_test_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_self_test, SelfTest.encode)


def test_longest_self_test_is_read() -> None:
    longest = SelfTest("a" * 64, LAST_TIME)
    assert len(longest.encode()) <= MAX_SELF_TEST
    assert parse_self_test(longest.encode()) == longest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self-test/v1", "self-test/v2"),
        (f"\n{ORIGIN}", ""),
        ("bank-hk", "Bank-hk"),
        (ORIGIN, "chopmark/x"),
        ("Z\n", "Z"),
        ("Z\n", "Z\n\n"),
        ("Z\n", "Z\nmore"),
        (".123Z", "Z"),
        (".123Z", ".123456Z"),
        (".123Z", ".123+00:00"),
        ("T13", " 13"),
        ("2026-11-22", "2026-11-31"),
        ("2026-11-22", "1969-11-22"),
        ("2026-11-22", "2026-1-22"),
        ("2026-11-22T13:00:00.123Z", "9999-12-31T23:59:59.999-01:00"),
        ("2026-11-22T13:00:00.123Z", "0001-01-01T00:00:00.000+23:00"),
        ("Z\n", "Z" + " " * MAX_SELF_TEST + "\n"),
    ],
)
def test_self_test_rejects_other_spellings(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(MalformedError):
        parse_self_test(TEXT.replace(old, new, 1).encode())


def test_self_test_rejects_what_is_not_utf8() -> None:
    with pytest.raises(MalformedError):
        parse_self_test(b"\xff")


def test_self_test_is_no_checkpoint() -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(TEXT)


@pytest.mark.parametrize("time", [-1, LAST_TIME + 1])
def test_self_test_is_not_written_with_a_time_that_has_no_spelling(time: int) -> None:
    with pytest.raises(ValueError, match="not a time"):
        SelfTest(ORIGIN, time).encode()
