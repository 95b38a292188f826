import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from chopmark.core.checkpoint import SignedCheckpoint, open_checkpoint
from chopmark.core.entry import MAX_ENTRY
from chopmark.core.errors import InternalError, MissingError
from chopmark.core.merkle import leaf_hash, root_from_inclusion
from chopmark.core.package import MAX_BUNDLE, MAX_PACKAGE, parse_package, verify_package
from chopmark.core.policy import Policy
from chopmark.core.proof import verify_proof
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState, Store
from ledgers import (
    LOG,
    NOW,
    append,
    attestation,
    attestations,
    digest,
    make_store,
    revocation,
    sign,
)

SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000]


@contextmanager
def reading(path: Path) -> Iterator[tuple[Reader, LogState]]:
    """A reader, and the state that it would be asked under."""
    store = Store(path)
    state = store.state
    store.close()
    reader = Reader(path)
    yield reader, state
    reader.close()


def signed_store(path: Path, entries: list[bytes]) -> Path:
    store = make_store(path, entries)
    sign(store)
    store.close()
    return path


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """65,537 entries of a few bytes, in appends that end at and around 65,536."""
    path = tmp_path_factory.mktemp("big") / "log.db"
    store = make_store(path)
    for start, end in ((0, 65_535), (65_535, 65_536), (65_536, 65_537)):
        entries = [b"%d" % number for number in range(start, end)]
        append(store, entries)
    sign(store)
    store.close()
    return path


def open_note(note: bytes) -> SignedCheckpoint:
    return open_checkpoint(note, LOG.vkey)


@pytest.mark.parametrize("size", SIZES)
def test_proofs_of_all_entries_lead_to_the_signed_head(tmp_path: Path, size: int) -> None:
    entries = attestations(size)
    with reading(signed_store(tmp_path / "log.db", entries)) as (reader, state):
        for index, entry in enumerate(entries):
            proof = reader.proof(index, state)
            root = root_from_inclusion(leaf_hash(entry), index, size, proof.hashes)
            assert root == state.head.root
        proven = verify_proof(reader.proof(size - 1, state), Policy((LOG.vkey,)))
        assert proven.extra.entry == entries[-1]


@pytest.mark.parametrize("size", SIZES)
def test_packages_from_every_start_verify(tmp_path: Path, size: int) -> None:
    entries = attestations(size)
    with reading(signed_store(tmp_path / "log.db", entries)) as (reader, state):
        for start in {*range(0, size, 61), size - 1}:
            package, count = reader.package(start, state)
            verified = verify_package(parse_package(package.encode()), open_note)
            assert verified.entries == entries[start : start + count]
            assert start + count == min(size, (start // 256 + 1) * 256)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_tree_of_three_levels_proves_its_entries(big: Path, size: int) -> None:
    with reading(big) as (reader, state):
        root = reader.root_at(size)
        assert (root == state.head.root) == (size == 65_537)
        start = size - 1 - (size - 1) % 256
        for index in {0, 255, 256, 32_768, start, size - 1}:
            if size == 65_537:
                proof = reader.proof(index, state)
                leaf = leaf_hash(b"%d" % index)
                assert root_from_inclusion(leaf, index, size, proof.hashes) == root
            verified = verify_package(reader.package(index, state)[0], open_note)
            assert verified.entries[0] == b"%d" % index


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 700), (255, 257), (256, 512), (699, 700)])
def test_entries_of_any_range(tmp_path: Path, start: int, end: int) -> None:
    entries = attestations(700)
    with reading(signed_store(tmp_path / "log.db", entries)) as (reader, _):
        assert reader.entries(start, end) == entries[start:end]


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (5, 5), (6, 5), (699, 701), (700, 701), (-1, 1)]
)
def test_entries_that_are_not_there_are_missing(tmp_path: Path, start: int, end: int) -> None:
    with reading(signed_store(tmp_path / "log.db", attestations(700))) as (reader, _):
        with pytest.raises(MissingError) as caught:
            reader.entries(start, end)
        assert caught.value.code == "no-such-entry"


def test_large_entries_fill_several_packages(tmp_path: Path) -> None:
    entries = [bytes([number]) * MAX_ENTRY for number in range(256)]
    with reading(signed_store(tmp_path / "log.db", entries)) as (reader, state):
        start, found = 0, []
        while start < 256:
            package, count = reader.package(start, state)
            assert len(package.bundle) <= MAX_BUNDLE
            assert len(package.encode()) <= MAX_PACKAGE
            found += verify_package(package, open_note).entries
            start += count
    assert found == entries


@pytest.mark.parametrize("index", [5, 6, 7, -1])
def test_unsigned_entries_have_no_proof_and_no_package(tmp_path: Path, index: int) -> None:
    store = make_store(tmp_path / "log.db", attestations(5))
    sign(store)
    append(store, attestations(2, start=5))
    store.close()
    with reading(store.path) as (reader, state):
        for call in (reader.proof, reader.package):
            with pytest.raises(MissingError) as caught:
                call(index, state)
            assert caught.value.code == "not-signed"
        assert reader.package(0, state)[1] == 5


def test_log_that_was_never_signed_has_no_proofs(tmp_path: Path) -> None:
    make_store(tmp_path / "log.db", attestations(5)).close()
    with reading(tmp_path / "log.db") as (reader, state), pytest.raises(MissingError):
        reader.proof(0, state)


def references(path: Path, target: int) -> tuple[tuple[int, int, int] | None, int]:
    with reading(path) as (reader, state):
        return reader.references(target, state.head.size)


def test_nothing_is_said_about_an_entry_without_references(tmp_path: Path) -> None:
    path = signed_store(tmp_path / "log.db", [*attestations(3), revocation(1)])
    assert references(path, 0) == (None, -1)
    assert references(path, 2**63 - 1) == (None, -1)


def test_first_revocation_counts(tmp_path: Path) -> None:
    entries = [*attestations(3), revocation(1, 2, NOW + 1), revocation(1, 3, NOW + 2)]
    path = signed_store(tmp_path / "log.db", entries)
    assert references(path, 1) == ((3, 2, NOW + 1), -1)


def test_grave_revocation_is_not_hidden_by_an_earlier_mild_one(tmp_path: Path) -> None:
    entries = [*attestations(3), revocation(1, 2), revocation(1, 4, NOW + 9), revocation(1, 5)]
    path = signed_store(tmp_path / "log.db", entries)
    assert references(path, 1) == ((4, 4, NOW + 9), -1)


def test_newest_supersession_counts(tmp_path: Path) -> None:
    entries = [attestation(0), attestation(1, supersedes=0), attestation(2, supersedes=0)]
    path = signed_store(tmp_path / "log.db", [*entries, revocation(0)])
    assert references(path, 0) == ((3, 0, NOW), 2)


def test_unsigned_references_say_nothing_yet(tmp_path: Path) -> None:
    store = make_store(tmp_path / "log.db", attestations(2))
    sign(store)
    append(store, [revocation(0), attestation(3, supersedes=1)])
    store.close()
    assert references(store.path, 0) == (None, -1)
    assert references(store.path, 1) == (None, -1)


def test_references_are_seen_once_they_are_signed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "log.db", attestations(2))
    with reading(store.path) as (reader, _):
        assert reader.references(0, 2) == (None, -1)
        assert reader.graves(digest(0), 2, 9) == []
        append(store, [revocation(0, 4)])
        assert reader.references(0, 2) == (None, -1)
        assert reader.references(0, 3) == ((2, 4, NOW), -1)
        assert reader.graves(digest(0), 3, 9) == [0]
        append(store, [attestation(3, supersedes=1)])
        assert reader.references(1, 3) == (None, -1)
        assert reader.references(1, 4) == (None, 3)
    store.close()


@pytest.mark.parametrize("size", SIZES)
def test_proofs_made_together_are_those_made_alone(tmp_path: Path, size: int) -> None:
    path = signed_store(tmp_path / "log.db", attestations(size))
    indexes = sorted({0, size // 2, size - 1, *range(max(0, size - 70), size)})
    with reading(path) as (reader, state), reading(path) as (other, _):
        alone = [other.proof(index, state) for index in indexes]
        assert reader.proofs(indexes, state) == alone


def test_proofs_made_together_see_what_came_since(tmp_path: Path) -> None:
    store = make_store(tmp_path / "log.db", attestations(5))
    sign(store)
    with reading(store.path) as (reader, state):
        assert len(reader.proofs(range(5), state)) == 5
        append(store, attestations(3, start=5))
        sign(store)
        for proof in reader.proofs(range(8), store.state):
            assert verify_proof(proof, Policy((LOG.vkey,))).head.checkpoint.size == 8
        with pytest.raises(MissingError):
            reader.proofs([7, 8], store.state)
    store.close()


@pytest.mark.parametrize("uniform", [True, False])
def test_each_entry_is_found_whatever_their_lengths(tmp_path: Path, *, uniform: bool) -> None:
    kinds = ["document"] if uniform else ["a", "bank-statement", "kyc-report"]
    entries = [attestation(number, kind=kinds[number % len(kinds)]) for number in range(300)]
    with reading(signed_store(tmp_path / "log.db", entries)) as (reader, _):
        assert [reader.entry(index) for index in range(300)] == entries
        for index in (300, 511, 512, 2**40):
            with pytest.raises(MissingError) as caught:
                reader.entry(index)
            assert caught.value.code == "no-such-entry"


@pytest.mark.parametrize(
    "damage", ["DELETE FROM tile", "DROP TABLE tile", "UPDATE tile SET hashes = x'00'"]
)
def test_damaged_tree_is_our_own_fault(tmp_path: Path, damage: str) -> None:
    path = signed_store(tmp_path / "log.db", attestations(300))
    with reading(path) as (reader, state):
        writer = Store(path)
        writer._db.execute(damage)
        writer.close()
        with pytest.raises(InternalError) as caught:
            reader.proof(7, state)
        assert caught.value.code == "damaged-ledger"


def test_damaged_bundle_is_our_own_fault(tmp_path: Path) -> None:
    path = signed_store(tmp_path / "log.db", attestations(300))
    with reading(path) as (reader, _):
        writer = Store(path)
        writer._db.execute("UPDATE bundle SET entries = x'000501'")
        writer.close()
        with pytest.raises(InternalError) as caught:
            reader.entries(0, 1)
        assert caught.value.code == "damaged-ledger"


def test_damaged_entry_is_never_given_for_a_verdict(tmp_path: Path) -> None:
    path = signed_store(tmp_path / "log.db", attestations(10))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        bundle = bytearray(db.execute("SELECT entries FROM bundle").fetchone()[0])
        bundle[-1] ^= 1  # in the kind of the last entry, which still parses
        db.execute("UPDATE bundle SET entries = ?", (bytes(bundle),))
    with reading(path) as (reader, _):
        assert reader.entry(8) == attestations(10)[8]
        with pytest.raises(InternalError) as caught:
            reader.entry(9)
    assert caught.value.code == "damaged-ledger"
