from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.checkpoint import Checkpoint
from chopmark.ledger.heads import MAX_HEADS, Heads, Seen
from ledgers import ORIGIN


def seen(size: int, time: int = 0, root: bytes = b"r") -> Seen:
    return Seen(Checkpoint(ORIGIN, size, root * 32), b"note %d" % time, time)


def test_heads_wait_until_there_are_as_many_entries() -> None:
    heads = Heads()
    for size in (30, 10, 20):
        assert heads.add(seen(size)) is None
    assert [one.head.size for one in heads.up_to(20)] == [10, 20]
    assert heads.up_to(9) == []


def test_two_heads_of_one_size_prove_a_fork() -> None:
    heads = Heads()
    assert heads.add(seen(10)) is None
    assert heads.add(seen(10, root=b"q")) == seen(10)
    assert heads.up_to(10) == [seen(10)]


def test_newest_heartbeat_of_a_head_stays() -> None:
    heads = Heads()
    for time in (5, 0, 9, 7):
        heads.add(seen(10, time))
    assert heads.up_to(10) == [seen(10, 9)]


def test_newer_heartbeat_is_not_removed_with_the_older_one() -> None:
    heads = Heads()
    heads.add(seen(10, 5))
    heads.add(seen(10, 6))
    heads.remove(seen(10, 5))
    assert heads.up_to(10) == [seen(10, 6)]
    heads.remove(seen(10, 6))
    assert heads.up_to(10) == []


def test_what_a_cosigner_vouched_for_is_kept_longest() -> None:
    heads = Heads()
    heads.add(seen(10_000, 5))
    for size in range(1, 500):
        heads.add(seen(size))
    sizes = [one.head.size for one in heads.up_to(10_000)]
    assert sizes == [10_000, *range(1, MAX_HEADS)]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 9)), max_size=200))
def test_never_more_wait_than_the_bound(added: list[tuple[int, int]]) -> None:
    heads = Heads()
    for size, time in added:
        heads.add(seen(size, time))
    assert len(heads.waiting) <= MAX_HEADS
