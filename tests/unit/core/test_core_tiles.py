"""Tiles and bundles against the recursive tree, and against what C2SP tlog-tiles says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.errors import MalformedError
from chopmark.core.tiles import (
    WIDTH,
    Frontier,
    TileName,
    encode_bundle,
    encode_tile_index,
    parse_bundle,
    parse_tile_name,
    read_tile_node,
    tile_width,
)
from mutations import is_canonical, mutated

LEAVES = trees.numbered(2000)
NODES = trees.Nodes(LEAVES)
ENTRIES = st.lists(st.binary(max_size=300), max_size=8)
NAMES = st.builds(
    TileName,
    st.one_of(st.none(), st.integers(0, 7)),
    st.integers(0, 2**55),
    st.integers(1, WIDTH),
)


@pytest.mark.parametrize(
    ("index", "path"),
    [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_tile_index_is_in_groups_of_three(index: int, path: str) -> None:
    assert encode_tile_index(index) == path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tile/0/000", TileName(0, 0)),
        ("tile/0/x001/x234/067", TileName(0, 1234067)),
        ("tile/2/000.p/1", TileName(2, 0, 1)),
        ("tile/7/x036/x028/x797/x018/963", TileName(7, 36028797018963)),
        ("tile/entries/273.p/112", TileName(None, 273, 112)),
    ],
)
def test_tile_name_is_its_path(path: str, name: TileName) -> None:
    assert name.encode() == path
    assert parse_tile_name(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile//000",
        "0/000",
        "/tile/0/000",
        "tile/tile/0/000",
        "tile/0/000/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/x000",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/X001/002",
        "tile/0/-01",
        "tile/0/1_0",
        "tile/0/٠٠٠",
        "tile/0/000\n",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/٣/000",
        "tile/x/000",
        "tile/entry/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/1000",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/٣",
        "tile/0/000.p/+1",
        "tile/0/../../checkpoint",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 5000 + "000",
    ],
)
def test_tile_name_refuses(path: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_tile_name(path)
    assert caught.value.code == "malformed-tile"


@given(NAMES)
def test_tile_name_round_trip(name: TileName) -> None:
    assert parse_tile_name(name.encode()) == name


@given(NAMES.flatmap(lambda name: mutated(name.encode().encode())))
def test_tile_name_mutations_are_refused_or_canonical(data: bytes) -> None:
    path = data.decode("latin-1")
    assert is_canonical(data, lambda _: parse_tile_name(path), lambda n: n.encode().encode())


@pytest.mark.parametrize(
    ("size", "widths"),
    [
        (0, {}),
        (1, {(0, 0): 1}),
        (256, {(0, 0): 256, (1, 0): 1}),
        (257, {(0, 0): 256, (0, 1): 1, (1, 0): 1}),
        (70000, {(0, 272): 256, (0, 273): 112, (1, 0): 256, (1, 1): 17, (2, 0): 1}),
    ],
)
def test_tile_width_is_what_the_specification_says(
    size: int, widths: dict[tuple[int, int], int]
) -> None:
    for (level, index), width in widths.items():
        assert tile_width(level, index, size) == width
    assert tile_width(0, (size + 255) // 256, size) == 0
    assert tile_width(3, 0, size) == 0


@given(ENTRIES)
def test_bundle_round_trip(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries)) == entries


@given(ENTRIES.flatmap(lambda entries: mutated(encode_bundle(entries))))
def test_bundle_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_bundle, encode_bundle)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x00\x00", b"\xff\xff" + b"x" * 9])
def test_bundle_refuses_what_is_cut_short(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_bundle(data)
    assert caught.value.code == "malformed-bundle"


def test_bundle_takes_entries_of_all_lengths() -> None:
    entries = [b"", b"x" * 255, b"y" * 256, b"z" * 65535]
    assert parse_bundle(encode_bundle(entries)) == entries


def tile_row(level: int, index: int, size: int) -> bytes:
    width = tile_width(level, index, size)
    return b"".join(NODES(8 * level, index * WIDTH + at) for at in range(width))


@pytest.mark.parametrize("level", range(8))
@pytest.mark.parametrize("tile", [0, 3])
def test_tile_node_is_the_subtree(level: int, tile: int) -> None:
    row = tile_row(0, tile, len(LEAVES))
    per_tile = WIDTH >> level
    for index in range(tile * per_tile, (tile + 1) * per_tile):
        assert read_tile_node(row, level, index) == NODES(level, index)


def test_tile_node_of_an_upper_tile() -> None:
    row = tile_row(1, 0, len(LEAVES))
    assert len(row) == 7 * 32
    assert read_tile_node(row, 8, 6) == NODES(8, 6)
    assert read_tile_node(row, 9, 2) == NODES(9, 2)


def test_tile_node_refuses_a_row_that_ends_before_it() -> None:
    with pytest.raises(ValueError, match="too short"):
        read_tile_node(tile_row(0, 0, 5), 1, 2)
    with pytest.raises(ValueError, match="too short"):
        read_tile_node(b"", 0, 0)


@given(st.lists(st.integers(0, 700), max_size=5))
def test_frontier_grows_as_the_tree_does(steps: list[int]) -> None:
    frontier, size = Frontier(), 0
    tiles: dict[tuple[int, int], bytes] = {}
    for step in steps:
        step = min(step, len(LEAVES) - size)  # noqa: PLW2901 - the last steps are cut short
        for level, index, row in frontier.append(LEAVES[size : size + step]):
            tiles[level, index] = row
        size += step
        assert frontier.size == size
        assert frontier.root() == trees.root(LEAVES[:size])
        assert frontier.compact().size == size
    assert tiles == {
        (level, index): tile_row(level, index, size)
        for level in range(3)
        for index in range(9)
        if tile_width(level, index, size)
    }


def test_frontier_fills_a_tile_of_tiles() -> None:
    frontier = Frontier()
    leaf = trees.leaf(b"")
    changed = frontier.append([leaf] * WIDTH * WIDTH)
    assert [(level, index) for level, index, _ in changed[-2:]] == [(1, 0), (2, 0)]
    assert frontier.rows[0] == frontier.rows[1] == []
    assert frontier.root() == frontier.rows[2][0]
    width = tile_width(2, 0, frontier.size)
    assert TileName(2, 0, width).encode() == "tile/2/000.p/1"


def test_frontier_copy_grows_by_itself() -> None:
    frontier = Frontier()
    frontier.append(LEAVES[:300])
    copy = frontier.copy()
    copy.append(LEAVES[300:700])
    assert (frontier.size, frontier.root()) == (300, trees.root(LEAVES[:300]))
    assert copy.root() == trees.root(LEAVES[:700])
