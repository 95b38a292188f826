import pytest

from chopmark.core.tiles import WIDTH
from chopmark.mesh.broker import Message
from chopmark.mesh.unverified import (
    MAX_GROUP,
    MAX_PIECES,
    Piece,
    Unverified,
    holes,
    next_bundle,
)


def message() -> Message:
    return Message("t", b"", None, retain=False, mid=1, release=lambda: None)


def piece(start: int, end: int, helper: str = "", size: int = 100) -> Piece:
    return Piece(start, end, b"x" * size, None if helper else message(), helper)


def buffer(*pieces: Piece, limit: int = 10_000) -> Unverified:
    made = Unverified(limit)
    for one in pieces:
        made.put(one)
    return made


def starts(group: list[Piece]) -> list[int]:
    return [one.start for one in group]


def test_group_is_what_continues_the_log_in_order() -> None:
    made = buffer(piece(20, 30), piece(0, 10), piece(10, 20), piece(40, 50))
    assert starts(made.next_group(0)) == [0, 10, 20]
    assert made.done(30) is None
    assert made.runs() == [(40, 50)]
    assert starts(made.next_group(30)) == []
    assert starts(made.next_group(45)) == [40], "it overlaps"


def test_group_has_what_is_held_already_since_its_head_may_be_new() -> None:
    made = buffer(piece(0, 10), piece(10, 20))
    assert starts(made.next_group(15)) == [0, 10]
    made.done(20)
    assert made.runs() == []
    assert made.bytes == 0


def test_group_is_bounded() -> None:
    made = buffer(*(piece(start, start + 1) for start in range(MAX_GROUP + 5)), limit=10**6)
    assert len(made.next_group(0)) == MAX_GROUP


def test_what_was_of_use_is_acknowledged_and_what_lies_behind_a_bad_one_is_kept() -> None:
    good, bad, behind = piece(0, 10), piece(10, 20, "mo-1"), piece(20, 30)
    made = buffer(good, bad, behind)
    made.next_group(0)
    assert made.done(10) == "mo-1"
    assert good.message is None
    assert behind.message is None, "it is acknowledged: what fills the hole may need its place"
    assert made.runs() == [(20, 30)]
    assert made.bytes == 100


def test_what_seemed_to_follow_on_a_bad_one_is_acknowledged_and_kept() -> None:
    """Or a peer that says that its packages follow on one another would stop up the link."""
    bad, behind, farther = piece(0, 10), piece(10, 20), piece(20, 30)
    made = buffer(bad, behind, farther)
    made.next_group(0)
    made.done(0)
    assert (behind.message, farther.message) == (None, None)
    assert made.runs() == [(10, 20), (20, 30)]


def test_nobody_is_blamed_for_the_hole_behind_a_package_that_said_too_much() -> None:
    made = buffer(piece(0, 10, "sz-1"), piece(10, 20, "mo-1"))
    made.next_group(0)
    assert made.done(7) is None
    assert made.runs() == [(10, 20)]


def test_bytes_are_bounded_and_what_lies_farthest_ahead_goes_first() -> None:
    made = buffer(piece(30, 40), piece(10, 20), limit=250)
    far = piece(50, 60)
    assert not made.put(far)
    assert far.message is None, "it was acknowledged"
    assert made.put(piece(0, 10))
    assert made.runs() == [(0, 10), (10, 20)]
    assert (made.bytes, made.dropped) == (200, 2)


def test_number_of_pieces_is_bounded() -> None:
    made = buffer(*(piece(start, start + 1, size=1) for start in range(MAX_PIECES + 7)))
    assert len(made.runs()) == MAX_PIECES
    assert made.dropped == 7


def test_what_is_being_stored_is_not_dropped() -> None:
    made = buffer(piece(0, 10), piece(10, 20), limit=200)
    made.next_group(0)
    assert not made.put(piece(5, 8))
    assert made.runs() == [(0, 10), (10, 20)]
    made.done(20)
    assert made.bytes == 0


def test_answer_takes_the_place_of_a_live_package_and_no_other_does() -> None:
    live_one, answer = piece(0, 10), piece(0, 20, "sz-1")
    made = buffer(live_one)
    assert not made.put(piece(0, 15))
    assert made.put(answer)
    assert answer.message is live_one.message, "it is acknowledged when the answer is durable"
    assert made.runs() == [(0, 20)]
    assert (made.bytes, made.answers) == (100, 100)
    made.next_group(0)
    assert not made.put(piece(0, 30, "mo-1")), "it is being stored"


def test_clearing_acknowledges_everything() -> None:
    one = piece(0, 10)
    made = buffer(one, piece(10, 20))
    made.clear()
    assert one.message is None
    assert (made.bytes, made.answers, made.runs(), made.farthest()) == (0, 0, [], None)


def test_what_continues_the_log_is_known_across_what_is_kept() -> None:
    made = buffer(piece(10, 20), piece(40, 50))
    assert made.continues(10, 10)
    assert made.continues(20, 10)
    assert not made.continues(21, 10)
    assert not made.continues(20, 5)


@pytest.mark.parametrize(
    ("size", "end", "covered", "expected"),
    [
        (0, 0, [], []),
        (0, 1, [], [0]),
        (10, 600, [], [10, 256, 512]),
        (0, 600, [(0, 256)], [256, 512]),
        (0, 600, [(512, 600), (0, 203)], [203, 256]),
        (0, 600, [(100, 600)], [0]),
        (0, 300, [(0, 1000)], []),
        (300, 600, [(0, 256), (256, 310)], [310, 512]),
        (0, 768, [(256, 512), (256, 300)], [0, 512]),
    ],
)
def test_holes_are_asked_for_bundle_by_bundle(
    size: int, end: int, covered: list[tuple[int, int]], expected: list[int]
) -> None:
    assert list(holes(size, end, covered)) == expected


def test_next_bundle_begins_where_no_package_goes_beyond() -> None:
    assert [next_bundle(index) for index in (0, 255, 256)] == [WIDTH, WIDTH, 2 * WIDTH]
