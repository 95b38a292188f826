"""Waits after wrong tries: over restarts, for everybody alike, never for ever, in bounded room."""

import pytest

from chopmark.console.access import waits
from chopmark.console.access.waits import (
    FIRST,
    FORGET,
    FREE,
    LONGEST,
    PORT_FREE,
    Counts,
    fail,
    left,
    restart,
    succeed,
    waiting,
)


def failed(times: int, name: str = "chan", now: float = 100.0) -> Counts:
    counts: Counts = {}
    for _ in range(times):
        counts = fail(counts, name, now)
    return counts


def test_free_tries_then_waits_that_double_up_to_the_longest() -> None:
    assert [left(failed(times), "chan") for times in range(FREE + 1)] == [5, 4, 3, 2, 1, 0]
    assert waiting(failed(FREE - 1), "chan", 100) == 0
    told = [waiting(failed(FREE + more), "chan", 100) for more in range(8)]
    assert told == [30, 60, 120, 240, 480, 900, 900, 900]


def test_other_id_does_not_wait_but_the_port_has_its_own_count() -> None:
    counts = failed(FREE)
    assert waiting(counts, "lee", 100) == 0
    for number in range(PORT_FREE - FREE):
        counts = fail(counts, f"x{number}", 100)
    assert waiting(counts, "lee", 100) == FIRST


def test_id_that_nobody_has_is_counted_as_any() -> None:
    known, unknown = failed(3, "chan"), failed(3, "nobody")
    assert left(known, "chan") == left(unknown, "nobody")


def test_ten_thousand_ids_take_bounded_room() -> None:
    counts: Counts = {}
    for number in range(10_000):
        counts = fail(counts, f"id{number}", float(number))
    assert len(counts) <= 257


def test_success_forgives_the_id_and_leaves_the_port_what_it_had() -> None:
    before = failed(4)
    after = succeed(fail(before, "chan", 200), before, "chan")
    assert left(after, "chan") == FREE
    assert after[waits.PORT] == before[waits.PORT]


@pytest.mark.parametrize("up", [0.0, 50.0, 99.0])
def test_wait_begins_anew_when_the_machine_was_started_anew(up: float) -> None:
    counts = restart(failed(FREE), up)
    assert waiting(counts, "chan", up) == FIRST
    assert waiting(restart(counts, up + 29), "chan", up + 29) == 1
    assert waiting(restart(counts, up + 30), "chan", up + 30) == 0


def test_restart_makes_no_wait_shorter_than_it_was_whatever_the_uptime() -> None:
    """A start that is not seen as one: as much time has passed since the failure at least."""
    counts = failed(FREE + 9, now=100.0)
    for up in range(101, 1100, 7):
        assert waiting(restart(counts, up), "chan", up) >= LONGEST + 100 - up


def test_all_is_forgotten_after_an_hour_without_a_failure() -> None:
    assert restart(failed(99), 100 + FORGET + 1) == {}
    assert restart(failed(99), 100 + FORGET) != {}
