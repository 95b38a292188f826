from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.follow import Follower, Taken
from chopmark.core.merkle import range_nodes, read_range
from chopmark.core.package import Package
from chopmark.core.tiles import encode_bundle
from softkeys import log_key, sign_head

ORIGIN = "bank-a.example/sz-1"
LOG = log_key(ORIGIN)
ENTRIES = [b"entry %d" % index for index in range(40)]
FORKED = [*ENTRIES[:4], b"another", *ENTRIES[5:]]


def package(start: int, end: int, size: int, entries: list[bytes] | None = None) -> Package:
    entries = (entries or ENTRIES)[:size]
    leaves = [trees.leaf(entry) for entry in entries]
    nodes = trees.Nodes(leaves)
    left, right = (
        b"".join(nodes(*node) for node in range_nodes(*run)) for run in ((0, start), (end, size))
    )
    note = sign_head(Checkpoint(ORIGIN, size, trees.root(leaves)), LOG)
    return Package(ORIGIN, start, encode_bundle(entries[start:end]), left, right, note)


def open_note(note: bytes) -> SignedCheckpoint:
    return open_checkpoint(note, LOG.vkey)


def follower(held: int = 0) -> Follower:
    nodes = trees.Nodes([trees.leaf(entry) for entry in ENTRIES])
    return Follower.after(ORIGIN, held, read_range(0, held, nodes), open_note)


def root_of(size: int) -> bytes:
    return trees.root([trees.leaf(entry) for entry in ENTRIES[:size]])


def code_of(following: Follower, bad: Package) -> str:
    before = replace(following, gathered=list(following.gathered), leaves=list(following.leaves))
    with pytest.raises(MalformedError) as caught:
        following.take(bad)
    assert (following.tree.size, following.entries) == (before.tree.size, before.entries)
    return caught.value.code


def test_follower_adds_what_continues_and_knows_the_head_it_reached() -> None:
    following = follower(3)
    assert following.take(package(3, 5, 9)) is Taken.ADDED
    assert following.reached is None
    assert following.take(package(4, 9, 9)) is Taken.ADDED
    assert following.entries == ENTRIES[3:9]
    assert following.leaves == [trees.leaf(entry) for entry in ENTRIES[3:9]]
    assert following.reached is not None
    assert following.reached.checkpoint == Checkpoint(ORIGIN, 9, root_of(9))


def test_follower_tells_what_is_held_and_what_leaves_a_gap() -> None:
    following = follower(5)
    assert following.take(package(0, 5, 7)) is Taken.HELD
    assert following.take(package(1, 3, 5)) is Taken.HELD
    assert following.take(package(6, 8, 8)) is Taken.GAP
    assert sorted(size for size, _ in following.seen) == [5, 7, 8]
    assert (following.entries, following.tree.size) == ([], 5)


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(1, 12), st.integers(0, 20)), max_size=12))
def test_follower_holds_the_log_whatever_order_packages_come_in(
    offers: list[tuple[int, int, int]],
) -> None:
    following = follower()
    for start, count, more in offers:
        end = min(start + count, len(ENTRIES))
        size = min(end + more, len(ENTRIES))
        before = following.tree.size
        taken = following.take(package(start, end, size))
        expected = Taken.GAP if start > before else Taken.HELD if end <= before else Taken.ADDED
        assert taken is expected
        assert following.tree.root() == root_of(following.tree.size)
        assert following.entries == ENTRIES[: following.tree.size]


@pytest.mark.parametrize("start", range(6))
def test_follower_finds_a_fork_in_what_comes_before(start: int) -> None:
    assert code_of(follower(5), package(start, 7, 8, FORKED)) == "fork"


def test_follower_takes_a_forked_branch_that_parts_later() -> None:
    following = follower(4)
    assert following.take(package(2, 7, 7, FORKED)) is Taken.ADDED
    assert code_of(following, package(5, 8, 8)) == "fork"


def test_follower_keeps_a_head_that_it_did_not_compare() -> None:
    following = follower(5)
    assert following.take(package(1, 2, 5, FORKED)) is Taken.HELD
    assert [root for _, root in following.seen] != [root_of(5)]


def test_follower_refuses_a_package_of_another_log() -> None:
    bad = replace(package(0, 2, 2), origin="bank-a.example/sz-2")
    assert code_of(follower(), bad) == "foreign-package"


def test_follower_refuses_a_note_that_the_log_has_not_signed() -> None:
    note = sign_head(Checkpoint(ORIGIN, 2, root_of(2)), log_key(ORIGIN, 9))
    following = follower()
    assert code_of(following, replace(package(0, 2, 2), note=note)) == "no-known-signature"
    assert following.seen == {}


def test_follower_refuses_entries_that_do_not_lie_under_their_head() -> None:
    bad = replace(package(0, 2, 5), bundle=encode_bundle([b"x", b"y"]))
    assert code_of(follower(), bad) == "bad-package"


def test_follower_refuses_hashes_that_do_not_fit_its_size() -> None:
    with pytest.raises(RefusedError):
        Follower.after(ORIGIN, 3, [bytes(32)], open_note)
