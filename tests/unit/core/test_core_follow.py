from dataclasses import replace

import pytest

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError
from chopmark.core.follow import Follower, Taken
from chopmark.core.merkle import range_nodes
from chopmark.core.note import Note, Signature, parse_note
from chopmark.core.package import Package
from chopmark.core.tiles import encode_bundle
from softkeys import cosigner, log_key, sign_head
from trees import Nodes, leaf, root

ORIGIN = "bank-a.example/sz-1"
LOG = log_key(ORIGIN)
COSIGNER = cosigner(f"{ORIGIN}/cosigner", 2)
ENTRIES = [b"entry %d" % number for number in range(600)]


def open_note(note: bytes) -> SignedCheckpoint:
    return open_checkpoint(note, LOG.vkey, (COSIGNER.vkey,))


def package(start: int, end: int, size: int = 600, entries: list[bytes] = ENTRIES) -> Package:
    leaves = [leaf(entry) for entry in entries[:size]]
    nodes = Nodes(leaves)
    return Package(
        ORIGIN,
        start,
        encode_bundle(entries[start:end]),
        b"".join(nodes(*node) for node in range_nodes(0, start)),
        b"".join(nodes(*node) for node in range_nodes(end, size)),
        sign_head(Checkpoint(ORIGIN, size, root(leaves)), LOG),
    )


def follower(size: int = 0) -> Follower:
    """A follower of the test log that holds [0, size)."""
    nodes = Nodes([leaf(entry) for entry in ENTRIES[:size]] or [b""])
    hashes = [nodes(*node) for node in range_nodes(0, size)]
    return Follower.after(ORIGIN, size, hashes, open_note)


def code_of(made: Follower, bad: Package) -> str:
    before = (made.tree.hashes, list(made.entries), made.reached)
    with pytest.raises(ChopmarkError) as caught:
        made.take(bad)
    assert (made.tree.hashes, made.entries, made.reached) == before
    return caught.value.code


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 599])
def test_packages_in_order_are_added(size: int) -> None:
    made = follower(size)
    start = size
    while start < 600:
        end = min((start // 256 + 1) * 256, 600)
        assert made.take(package(start, end)) is Taken.ADDED
        assert (made.reached is not None) == (end == 600)
        start = end
    assert made.entries == ENTRIES[size:]
    assert made.leaves == [leaf(entry) for entry in ENTRIES[size:]]
    assert made.tree.root() == root([leaf(entry) for entry in ENTRIES])
    assert made.reached is not None
    assert made.reached.checkpoint.size == 600
    assert made.seen == {}


@pytest.mark.parametrize(("start", "end"), [(0, 256), (256, 300), (299, 300), (0, 1)])
def test_package_whose_entries_are_held_brings_its_head_alone(start: int, end: int) -> None:
    made = follower(300)
    assert made.take(package(start, end)) is Taken.HELD
    assert made.entries == []
    assert [size for size, _ in made.seen] == [600]


def test_package_beyond_what_is_held_is_a_gap() -> None:
    made = follower(255)
    assert made.take(package(256, 300)) is Taken.GAP
    assert made.entries == []
    assert [size for size, _ in made.seen] == [600]


@pytest.mark.parametrize("held", [1, 128, 255, 257, 299])
def test_package_that_overlaps_brings_the_rest(held: int) -> None:
    made = follower(held)
    start = held - held % 256
    end = min(start + 256, 300)
    assert made.take(package(start, end, 300)) is Taken.ADDED
    assert made.entries == ENTRIES[held:end]
    assert made.tree.root() == root([leaf(entry) for entry in ENTRIES[:end]])


def test_heads_seen_on_the_way_are_kept_until_they_are_reached() -> None:
    made = follower()
    made.take(package(0, 200, 500))
    made.take(package(200, 256, 600))
    assert sorted(size for size, _ in made.seen) == [500, 600]
    made.take(package(256, 500, 500))
    assert [size for size, _ in made.seen] == [600]
    assert made.reached is not None
    assert made.reached.checkpoint.size == 500


def test_newest_head_that_was_reached_counts() -> None:
    made = follower()
    for start, end in ((0, 10), (10, 20), (20, 30)):
        made.take(package(start, end, end if end < 30 else 40))
    assert made.reached is not None
    assert made.reached.checkpoint.size == 20
    assert len(made.entries) == 30


def forged(at: int) -> list[bytes]:
    return [*ENTRIES[:at], b"another", *ENTRIES[at + 1 :]]


@pytest.mark.parametrize(
    ("held", "start", "end", "at"),
    [(256, 256, 300, 7), (300, 256, 400, 299), (300, 256, 400, 3), (1, 0, 20, 0)],
)
def test_signed_package_that_contradicts_what_is_held_is_a_fork(
    held: int, start: int, end: int, at: int
) -> None:
    assert code_of(follower(held), package(start, end, entries=forged(at))) == "fork"


def test_signed_package_that_differs_only_in_what_is_new_is_followed() -> None:
    """Nothing that is held contradicts it: the heads tell later."""
    made = follower(256)
    assert made.take(package(256, 300, entries=forged(299))) is Taken.ADDED


def test_package_of_another_log_is_refused() -> None:
    bad = replace(package(0, 5), origin="bank-b.example/hk-1")
    assert code_of(follower(), bad) == "foreign-package"


def test_package_without_a_good_signature_is_refused() -> None:
    note = sign_head(Checkpoint(ORIGIN, 600, b"\1" * 32), log_key(ORIGIN, 9))
    assert code_of(follower(), replace(package(0, 5), note=note)) == "no-known-signature"


def test_entries_that_do_not_lie_under_the_head_are_refused() -> None:
    bad = replace(package(0, 5), bundle=encode_bundle(forged(3)[:5]))
    assert code_of(follower(), bad) == "bad-package"


@pytest.mark.parametrize("held", [0, 3])
def test_bundle_that_is_cut_short_is_refused(held: int) -> None:
    bad = replace(package(0, 5), bundle=b"\0\5abc")
    made = follower(held)
    with pytest.raises(MalformedError):
        made.take(bad)
    assert made.entries == []


def test_note_is_kept_without_what_a_carrier_added() -> None:
    head = Checkpoint(ORIGIN, 5, b"\1" * 32)
    note = parse_note(sign_head(head, LOG, {COSIGNER: 7}))
    junk = tuple(Signature(f"junk-{n}", b"abcd", b"x" * 500) for n in range(50))
    signed = open_note(Note(note.text, (*junk, *note.signatures)).encode())
    assert signed.encode() == note.encode()


def test_note_keeps_the_earliest_of_several_cosignatures() -> None:
    head = Checkpoint(ORIGIN, 5, b"\1" * 32)
    lines = [COSIGNER.sign(head.encode(), time) for time in (9, 7, 8)]
    first = LOG.sign(head.encode())
    signed = open_note(Note(head.encode(), (first, *lines, first)).encode())
    assert signed.encode() == sign_head(head, LOG, {COSIGNER: 7})
    assert [one.time for one in open_note(signed.encode()).verified] == [0, 7]


def test_unsigned_text_has_no_note() -> None:
    with pytest.raises(RefusedError):
        open_note(sign_head(Checkpoint(ORIGIN, 5, b"\1" * 32), COSIGNER, {}))
