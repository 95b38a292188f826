"""Trees, ranges and proofs against the recursive definition in `trees`."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    fold_perfect,
    fold_range,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_nodes,
    read_range,
    root_from_inclusion,
    verify_consistency,
)
from mutations import flipped

SMALL = range(1, 18)
SIZES = st.integers(1, 1200)


@lru_cache(maxsize=64)
def leaves_of(size: int) -> tuple[bytes, ...]:
    return tuple(trees.numbered(size))


@lru_cache(maxsize=64)
def nodes_of(size: int) -> trees.Nodes:
    return trees.Nodes(leaves_of(size))


@lru_cache(maxsize=64)
def root_of(size: int) -> bytes:
    return trees.root(leaves_of(size))


def includes(root: bytes, leaf: bytes, index: int, size: int, proof: list[bytes]) -> bool:
    try:
        return root_from_inclusion(leaf, index, size, proof) == root
    except RefusedError as error:
        return error.code != "bad-inclusion"


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    try:
        verify_consistency(old, new, old_root, new_root, proof)
    except RefusedError as error:
        return error.code != "bad-consistency"
    return True


def damaged(proof: list[bytes], bit: int = 0) -> list[list[bytes]]:
    """The proof with each hash damaged, left out, doubled, shortened, and with one too many."""
    changed = [
        [*proof[:at], *other, *proof[at + 1 :]]
        for at, value in enumerate(proof)
        for other in ([flipped(value, bit)], [], [value, value], [value[:-1]], [b""])
    ]
    return [*changed, [*proof, b"\x00" * 32], [b"\x00" * 32, *proof], [*proof, b""]]


def test_hashes_have_their_prefixes() -> None:
    assert leaf_hash(b"").hex().startswith("6e340b9cffb37a98")
    assert leaf_hash(b"abc") == trees.leaf(b"abc")
    assert node_hash(b"l" * 32, b"r" * 32) != leaf_hash(b"l" * 32 + b"r" * 32)
    assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize("size", [0, *SMALL, 255, 256, 257])
def test_compact_range_gives_the_root(size: int) -> None:
    tree = CompactRange()
    assert tree.size == 0
    tree.append(leaves_of(size))
    assert tree.root() == root_of(size)
    assert tree.size == size
    again = CompactRange.from_hashes(size, tree.hashes)
    assert again == tree


@pytest.mark.parametrize("size", SMALL)
def test_inclusion_proofs_of_small_trees(size: int) -> None:
    for index in range(size):
        proof = list(inclusion_proof(index, size, nodes_of(size)))
        assert proof == trees.path(index, leaves_of(size))
        assert includes(root_of(size), leaves_of(size)[index], index, size, proof)


@pytest.mark.parametrize("size", SMALL)
def test_inclusion_proofs_of_small_trees_fail_when_anything_changes(size: int) -> None:
    root = root_of(size)
    for index in range(size):
        leaf = leaves_of(size)[index]
        proof = trees.path(index, leaves_of(size))
        for bad in damaged(proof, bit=index):
            assert not includes(root, leaf, index, size, bad)
        assert not includes(root, flipped(leaf, index), index, size, proof)
        assert not includes(flipped(root, index), leaf, index, size, proof)
        others = set(range(-1, size + 3)) - {index}
        assert not any(includes(root, leaf, other, size, proof) for other in others)


@pytest.mark.parametrize("size", SMALL)
def test_inclusion_proofs_of_small_trees_are_of_one_length_for_a_size(size: int) -> None:
    """A wrong size fails unless the path has the same shape; then the head's signature tells."""
    for index in range(size):
        proof = trees.path(index, leaves_of(size))
        for other in range(-1, 40):
            taken = includes(root_of(size), leaves_of(size)[index], index, other, proof)
            same_shape = 0 <= index < other and _turns(index, other) == _turns(index, size)
            assert taken == same_shape


def _turns(index: int, size: int) -> list[bool]:
    """From the leaf up: whether the sibling is on the left."""
    if size == 1:
        return []
    k = trees.split(size)
    left = index >= k
    return [*_turns(index - k if left else index, size - k if left else k), left]


@given(st.data(), SIZES)
def test_inclusion_proofs_of_larger_trees(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(index, size, nodes_of(size)))
    leaf = leaves_of(size)[index]
    assert proof == trees.path(index, leaves_of(size))
    assert includes(root_of(size), leaf, index, size, proof)
    bit = data.draw(st.integers(0, 255))
    assert not any(includes(root_of(size), leaf, index, size, bad) for bad in damaged(proof, bit))
    assert not includes(root_of(size), flipped(leaf, bit), index, size, proof)
    wrong = data.draw(
        st.integers(0, size - 1).filter(lambda other: other != index) if size > 1 else st.just(1)
    )
    assert not includes(root_of(size), leaf, wrong, size, proof)


@pytest.mark.parametrize("leaf", [b"", b"x" * 31, b"x" * 33])
def test_inclusion_refuses_a_leaf_that_is_no_hash(leaf: bytes) -> None:
    assert not includes(leaf, leaf, 0, 1, [])


def test_inclusion_in_the_largest_tree() -> None:
    size = 2**63 - 1
    proof = [b"%032d" % level for level in range(63)]
    assert len(root_from_inclusion(b"x" * 32, 0, size, proof)) == 32
    with pytest.raises(RefusedError):
        root_from_inclusion(b"x" * 32, 0, size, proof[1:])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 1), (1, 1), (5, 4)])
def test_inclusion_proof_of_no_leaf_is_our_fault(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, nodes_of(4))


@pytest.mark.parametrize("new", SMALL)
def test_consistency_proofs_of_small_trees(new: int) -> None:
    for old in range(1, new + 1):
        proof = list(consistency_proof(old, new, nodes_of(new)))
        assert proof == trees.proof(old, leaves_of(new))
        assert is_consistent(old, new, root_of(old), root_of(new), proof)


@pytest.mark.parametrize("new", SMALL)
def test_consistency_proofs_of_small_trees_fail_when_anything_changes(new: int) -> None:
    for old in range(1, new + 1):
        roots = root_of(old), root_of(new)
        proof = trees.proof(old, leaves_of(new))
        for bad in damaged(proof, bit=old):
            assert not is_consistent(old, new, *roots, bad)
        assert not is_consistent(old, new, flipped(roots[0], new), roots[1], proof)
        assert not is_consistent(old, new, roots[0], flipped(roots[1], new), proof)
        for other in set(range(-1, new + 2)) - {old}:
            assert not is_consistent(other, new, *roots, proof)
        for other in range(-1, old):
            assert not is_consistent(old, other, *roots, proof)


@given(st.data(), SIZES)
def test_consistency_proofs_of_larger_trees(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    proof = list(consistency_proof(old, new, nodes_of(new)))
    assert proof == trees.proof(old, leaves_of(new))
    assert is_consistent(old, new, root_of(old), root_of(new), proof)
    bit = data.draw(st.integers(0, 255))
    for bad in damaged(proof, bit):
        assert not is_consistent(old, new, root_of(old), root_of(new), bad)
    assert not is_consistent(old, new, flipped(root_of(old), bit), root_of(new), proof)
    forked = trees.root(trees.numbered(old, seed=1))
    assert not is_consistent(old, new, forked, root_of(new), proof)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_consistency_from_no_tree_is_refused(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_proof(old, new, nodes_of(3))
    assert not is_consistent(old, new, EMPTY_ROOT, root_of(3), [])


@given(st.integers(0, 400), st.integers(0, 400))
def test_range_nodes_cover_each_leaf_once(start: int, width: int) -> None:
    nodes = range_nodes(start, start + width)
    covered = [i for level, at in nodes for i in range(at << level, (at + 1) << level)]
    assert covered == list(range(start, start + width))
    assert len(nodes) <= 2 * max(1, width).bit_length()


@given(st.integers(0, 300), st.integers(0, 300))
def test_ranges_join_to_the_root(first: int, second: int) -> None:
    size = first + second
    left = read_range(0, first, nodes_of(size))
    right = read_range(first, size, nodes_of(size))
    tree = CompactRange.from_hashes(first, left)
    assert fold_range(left) == tree.root() == root_of(first)
    tree.extend(range_nodes(first, size), right)
    assert tree.root() == root_of(size)
    assert tree.hashes == read_range(0, size, nodes_of(size))
    assert tree.size == size


@pytest.mark.parametrize(
    "hashes", [[], [b"x" * 32], [b"x" * 32] * 3, [b"x" * 32, b"x" * 31], [b"x" * 32, b"x" * 33]]
)
def test_compact_range_refuses_hashes_that_do_not_fit(hashes: list[bytes]) -> None:
    with pytest.raises(RefusedError) as caught:
        CompactRange.from_hashes(3, hashes)
    assert caught.value.code == "bad-range"
    assert isinstance(caught.value, MalformedError)


@pytest.mark.parametrize("power", range(9))
def test_fold_perfect_is_the_root_of_a_perfect_tree(power: int) -> None:
    assert fold_perfect(leaves_of(1 << power)) == root_of(1 << power)
