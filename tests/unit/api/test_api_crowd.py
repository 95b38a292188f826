"""Idle connections give way: the oldest of all, or of the client that has too many."""

from chopmark.api.crowd import Crowd
from chopmark.api.limits import ApiLimits


class Visitor:
    def __init__(self, whose: str) -> None:
        self.whose = whose
        self.gone = False

    def give_way(self) -> None:
        self.gone = True


def crowd(whose: str, **limits: int) -> tuple[Crowd, list[Visitor]]:
    made = Crowd(ApiLimits(**limits))  # type: ignore[arg-type]
    visitors = [Visitor(one) for one in whose]
    for visitor in visitors:
        made.enter(visitor)
    return made, visitors


def gone(visitors: list[Visitor]) -> str:
    return "".join(str(i) for i, visitor in enumerate(visitors) if visitor.gone)


def test_oldest_idle_one_gives_way() -> None:
    made, visitors = crowd("abcd", connections=3)
    assert gone(visitors) == "0"
    made.work(visitors[1])
    made.rest(visitors[1])
    made.enter(Visitor("e"))
    assert gone(visitors) == "02", "one that was busy since has been idle for less time"
    assert len(made) == 3


def test_busy_ones_stay() -> None:
    made, visitors = crowd("ab", connections=2)
    for visitor in visitors:
        made.work(visitor)
    third = Visitor("c")
    made.enter(third)
    assert not gone([*visitors, third])
    assert len(made) == 3


def test_client_with_too_many_makes_room_for_itself_alone() -> None:
    made, visitors = crowd("abaa", per_client=2)
    assert gone(visitors) == "0"
    assert not made.is_full_of("a")
    made.work(visitors[2])
    made.work(visitors[3])
    made.enter(Visitor("a"))
    assert made.is_full_of("a")
    assert not made.is_full_of("b")


def test_nobody_in_particular_has_no_bound_of_a_client() -> None:
    made, visitors = crowd("aaaa", per_client=2)
    assert gone(visitors) == "01"
    made, visitors = Crowd(ApiLimits(per_client=2)), [Visitor("") for _ in range(4)]
    for visitor in visitors:
        made.enter(visitor)
    assert not gone(visitors)


def test_who_gave_way_or_left_counts_no_more() -> None:
    made, visitors = crowd("ab", connections=1)
    made.leave(visitors[0])
    made.leave(visitors[1])
    made.leave(visitors[1])
    made.rest(visitors[1])
    assert len(made) == 0
    made.enter(Visitor("c"))
    assert len(made) == 1
