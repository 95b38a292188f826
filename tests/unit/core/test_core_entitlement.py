"""Which kinds a member might issue when it did."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from chopmark.core.entitlement import SPREAD, Entitlement, Term, entitle
from rosters import GZ, following, founding, with_member

DAY = 86_400_000
FIRST, LOST, BACK = 10 * DAY, 20 * DAY, 30 * DAY
OTHER, BOTH = frozenset({"letter"}), frozenset({"letter", "deposit"})
HELD = Entitlement([Term(3, FIRST, BOTH), Term(4, LOST, OTHER), Term(5, BACK, BOTH)])


def adopted(version: int) -> Callable[[], int]:
    return lambda: version


def never() -> int:
    raise AssertionError("asked though all versions agree")


@pytest.mark.parametrize(
    ("time", "version", "good"),
    [
        (0, 0, True),  # before the first version that is held that one counts
        (FIRST, 0, True),
        (LOST - SPREAD - 1, 3, True),
        (LOST, 3, True),  # the version is on its way
        (LOST + SPREAD - 1, 3, True),
        (LOST + SPREAD, 3, False),  # a member that does not adopt it wins nothing
        (LOST - DAY, 4, False),  # a member that has adopted it is bound at once
        (BACK - SPREAD - 1, 4, False),
        (BACK - SPREAD, 4, True),
        (BACK, 3, True),
        (LOST + DAY, 5, True),  # it had adopted what we had not yet
        (LOST + DAY, 10**6, True),  # there is nothing newer than the newest
    ],
)
def test_kind_may_be_issued_by_the_version_in_force(time: int, version: int, *, good: bool) -> None:
    assert HELD.covers("deposit", time, adopted(version)) is good


def test_member_that_claims_a_version_that_is_not_held_is_bound_by_the_newest() -> None:
    held = Entitlement([Term(1, FIRST, BOTH), Term(2, LOST, OTHER)])
    assert not held.covers("deposit", FIRST, adopted(10**6))
    assert held.covers("deposit", FIRST, adopted(0))


@pytest.mark.parametrize("time", [0, LOST, BACK + DAY])
def test_log_is_not_read_where_all_versions_agree(time: int) -> None:
    assert HELD.covers("letter", time, never)
    assert not HELD.covers("diploma", time, never)


def test_any_kind_covers_every_kind() -> None:
    assert Entitlement([Term(1, 0, frozenset({"*"}))]).covers("deposit", 0, never)


def test_versions_that_do_not_list_the_member_say_nothing_of_it() -> None:
    first = founding()
    second = following(
        first,
        member=(*first.member, GZ.listed()),
        institution=(*first.institution, GZ.institution()),
    )
    third = following(second, member=with_member(second, "gz-1", kinds=("letter",)))
    versions = [(first, FIRST), (second, LOST), (replace(third), BACK)]
    made = entitle("gz-1", versions)
    assert made.covers("deposit", FIRST, adopted(0))
    assert not made.covers("deposit", BACK + DAY, adopted(0))
