from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trees
from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.entry import MAX_ENTRY
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import range_nodes
from chopmark.core.package import (
    MAX_BUNDLE,
    MAX_PACKAGE,
    Package,
    cut_runs,
    parse_package,
    peek_run,
    verify_package,
)
from chopmark.core.text import MAX_INT
from chopmark.core.tiles import WIDTH, encode_bundle
from meshes import live
from mutations import flipped, is_canonical, mutated
from softkeys import cosigner, log_key, sign_head

ORIGIN = "bank-a.example/sz-1"
LOG = log_key(ORIGIN)
ENTRIES = [b"entry %d" % index for index in range(700)]
LEAVES = [trees.leaf(entry) for entry in ENTRIES]
NODES = trees.Nodes(LEAVES)


def package(start: int, end: int, size: int, note: bytes | None = None) -> Package:
    head = Checkpoint(ORIGIN, size, trees.root(LEAVES[:size]))
    return Package(
        ORIGIN,
        start,
        encode_bundle(ENTRIES[start:end]),
        b"".join(NODES(*node) for node in range_nodes(0, start)),
        b"".join(NODES(*node) for node in range_nodes(end, size)),
        note or sign_head(head, LOG),
    )


def open_note(data: bytes) -> SignedCheckpoint:
    return open_checkpoint(data, LOG.vkey)


def refuses(bad: Package, reader: Callable[[bytes], SignedCheckpoint] = open_note) -> bool:
    try:
        verify_package(bad, reader)
    except MalformedError:
        return True
    return False


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, int, int]:
    """Start, end and size of a run within one bundle."""
    size = draw(st.integers(1, len(ENTRIES)))
    start = draw(st.integers(0, size - 1))
    end = draw(st.integers(start + 1, min(size, start // WIDTH * WIDTH + WIDTH)))
    return start, end, size


@given(runs())
def test_package_proves_its_entries(run: tuple[int, int, int]) -> None:
    start, end, size = run
    made = package(*run)
    assert parse_package(made.encode()) == made
    verified = verify_package(made, open_note)
    assert verified.start == start
    assert verified.entries == ENTRIES[start:end]
    assert verified.leaves == LEAVES[start:end]
    assert verified.left == tuple(NODES(*node) for node in range_nodes(0, start))
    assert verified.head.checkpoint.size == size


SMALL = [
    (start, end, size)
    for size in range(1, 10)
    for start in range(size)
    for end in range(start + 1, size + 1)
]


@pytest.mark.parametrize("run", SMALL, ids=str)
def test_small_package_fails_when_anything_changes(run: tuple[int, int, int]) -> None:
    made = package(*run)
    for name in ("bundle", "left", "right"):
        value = getattr(made, name)
        for at in range(0, len(value), 8):
            assert refuses(replace(made, **{name: flipped(value, 8 * at + at % 8)}))
        assert refuses(replace(made, **{name: value + bytes(32)}))
        if value:
            assert refuses(replace(made, **{name: value[32:]}))
            assert refuses(replace(made, **{name: value[:-1]}))
    for start in range(12):
        assert start == made.start or refuses(replace(made, start=start))
    assert refuses(replace(made, origin="bank-a.example/sz-2"))
    assert refuses(replace(made, note=package(0, 1, run[2] + 1).note))


@given(st.data(), runs())
def test_package_fails_when_a_bit_changes(data: st.DataObject, run: tuple[int, int, int]) -> None:
    made = package(*run)
    name = data.draw(st.sampled_from(["bundle", "left", "right"]))
    value = getattr(made, name)
    if value:
        bit = data.draw(st.integers(0, 8 * len(value) - 1))
        assert refuses(replace(made, **{name: flipped(value, bit)}))


@given(mutated(package(5, 9, 300).encode()))
def test_package_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_package, Package.encode)


@given(mutated(package(5, 9, 300).encode()))
def test_package_mutations_verify_only_the_same_entries(data: bytes) -> None:
    try:
        verified = verify_package(parse_package(data), open_note)
    except MalformedError:
        return
    assert (verified.start, verified.entries) == (5, ENTRIES[5:9])


GOOD = decode_cbor(package(1, 3, 5).encode())


@pytest.mark.parametrize(
    "change",
    [
        {0: b"bank-a.example/sz-1"},
        {0: "not an origin"},
        {0: "chopmark/roster/v1"},
        {1: "1"},
        {1: True},
        {1: -1},
        {1: MAX_INT},
        {2: "entries"},
        {2: []},
        {2: bytes(MAX_BUNDLE + 1)},
        {3: None},
        {4: 0},
        {5: "note"},
        {6: b""},
        {-1: b""},
        {"x": b""},
    ],
    ids=str,
)
def test_package_refuses(change: dict[object, object]) -> None:
    assert isinstance(GOOD, dict)
    with pytest.raises(MalformedError):
        parse_package(encode_cbor(GOOD | change))


@pytest.mark.parametrize("key", range(6))
def test_package_refuses_to_lack_a_part(key: int) -> None:
    assert isinstance(GOOD, dict)
    with pytest.raises(MalformedError):
        parse_package(encode_cbor({k: v for k, v in GOOD.items() if k != key}))


def test_package_refuses_more_than_the_most_bytes() -> None:
    made = package(1, 3, 5)
    room = MAX_PACKAGE - len(replace(made, left=bytes(4096)).encode())
    most = replace(made, left=bytes(4096), note=made.note + bytes(room - 1))
    assert len(most.encode()) == MAX_PACKAGE
    assert parse_package(most.encode()) == most
    with pytest.raises(MalformedError):
        parse_package(replace(most, note=most.note + b"x").encode())


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xf6", b"x" * 100])
def test_package_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_package(data)


def test_package_refuses_entries_of_two_bundles() -> None:
    size = 300
    head = sign_head(Checkpoint(ORIGIN, size, trees.root(LEAVES[:size])), LOG)
    assert refuses(package(255, 257, size, head))
    assert refuses(package(0, 257, size, head))
    assert not refuses(package(255, 256, size, head))


def test_package_refuses_to_hold_nothing() -> None:
    assert refuses(package(5, 5, 9))


def test_package_refuses_an_entry_that_is_too_large() -> None:
    for length, good in ((MAX_ENTRY, True), (MAX_ENTRY + 1, False)):
        entry = bytes(length)
        note = sign_head(Checkpoint(ORIGIN, 1, trees.leaf(entry)), LOG)
        made = Package(ORIGIN, 0, encode_bundle([entry]), b"", b"", note)
        assert refuses(made) is not good


def test_package_takes_an_entry_without_bytes() -> None:
    note = sign_head(Checkpoint(ORIGIN, 1, trees.leaf(b"")), LOG)
    verified = verify_package(Package(ORIGIN, 0, b"\x00\x00", b"", b"", note), open_note)
    assert verified.entries == [b""]


def test_package_refuses_a_head_of_another_log() -> None:
    other = log_key("bank-a.example/sz-2")
    head = Checkpoint(other.name, 5, trees.root(LEAVES[:5]))
    made = replace(package(1, 3, 5), note=sign_head(head, other))
    with pytest.raises(RefusedError) as caught:
        verify_package(made, lambda data: open_checkpoint(data, other.vkey))
    assert caught.value.code == "bad-package"
    assert refuses(made)


def test_package_refuses_a_head_that_ends_before_it() -> None:
    note = package(0, 1, 4).note
    with pytest.raises(RefusedError) as caught:
        verify_package(replace(package(3, 5, 5), note=note), open_note)
    assert caught.value.code == "bad-package"


def test_package_of_the_most_entries_fits_a_message() -> None:
    """A run of the most bytes, the longest ranges, and a note with fifteen signatures."""
    head = Checkpoint("x" * 64, MAX_INT, bytes(32))
    witnesses = {cosigner(f"{'y' * 64}/{seed}", seed): MAX_INT for seed in range(1, 15)}
    note = sign_head(head, log_key("x" * 64), witnesses)
    ranges = bytes(63 * 32)
    made = Package("x" * 64, MAX_INT - WIDTH, bytes(MAX_BUNDLE), ranges, ranges, note)
    assert len(made.encode()) <= MAX_PACKAGE


@given(
    st.integers(0, 600),
    st.lists(st.integers(0, MAX_ENTRY).map(bytes), max_size=600),
)
def test_cut_runs_gives_all_entries_in_runs_that_fit(start: int, entries: list[bytes]) -> None:
    runs = list(cut_runs(start, entries))
    position = start
    for begin, run in runs:
        assert begin == position
        assert 1 <= len(run) <= WIDTH - begin % WIDTH
        assert len(encode_bundle(run)) <= MAX_BUNDLE
        position += len(run)
    assert [entry for _, run in runs for entry in run] == entries


def test_cut_runs_cuts_a_full_bundle_of_the_largest_entries_in_two() -> None:
    entries = [bytes(MAX_ENTRY)] * WIDTH
    runs = list(cut_runs(0, entries))
    assert [(start, len(run)) for start, run in runs] == [(0, 203), (203, 53)]
    assert [(start, len(run)) for start, run in cut_runs(250, [b"x"] * 300)] == [
        (250, 6),
        (256, 256),
        (512, 38),
    ]
    assert list(cut_runs(7, [])) == []


# What a package says of itself


@pytest.mark.parametrize("start", [0, 23, 24, 255, 256, 65_535, 65_536, 2**32, 2**62])
@pytest.mark.parametrize("origin", ["a.example/x", "b" * 50 + ".example/sz-1"])
def test_run_is_read_from_the_beginning_of_a_package(start: int, origin: str) -> None:
    for count in (1, 10, 256):
        assert peek_run(live(origin, start, start + count)) == (start, start + count)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xa6", b"\xa6\x00", b"\xa0", b"junk that is long enough", b"\xa6\x00\x7f" + b"x" * 99],
)
def test_what_is_no_package_has_no_run(data: bytes) -> None:
    assert peek_run(data) is None


@pytest.mark.parametrize("lengths", [[1, 2], [2, 1], [1, 1, 240], [0, 0], [3], [1] * 255 + [2]])
def test_run_is_counted_whatever_the_lengths_of_its_entries(lengths: list[int]) -> None:
    bundle = encode_bundle([bytes(length) for length in lengths])
    made = Package(ORIGIN, 7, bundle, b"", b"", b"note")
    assert peek_run(made.encode()) == (7, 7 + len(lengths))
    assert peek_run(Package(ORIGIN, 7, bundle + b"\x00", b"", b"", b"note").encode()) is None


def test_package_cut_short_or_without_entries_has_no_run() -> None:
    whole = live(ORIGIN, 0, 10)
    bundle_end = whole.index(b"head") - 6
    assert all(peek_run(whole[:length]) is None for length in range(bundle_end))
    assert peek_run(live(ORIGIN, 5, 5)) is None
    assert peek_run(live(ORIGIN, 0, WIDTH + 1)) is None
    assert peek_run(live(ORIGIN, 2**63 - 1, 2**63)) is None
