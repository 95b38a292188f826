"""Verification by a proof, which may be older or newer than the replica, or false."""

from pathlib import Path

import pytest

from bookshelves import Book, Library, attest, revoke, sha
from chopmark.api.ports import Asked
from chopmark.core.digest import Digests
from chopmark.core.errors import MalformedError
from chopmark.core.proof import parse_proof
from chopmark.core.verdict import Question, Source, Word
from chopmark.ledger.forks import Stop
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import create_store
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import NOW, Clock
from softkeys import log_key

# By proof


async def test_proof_of_what_the_replica_holds(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), attest("b"))
    proof = await sz.proof(0)
    verdict = await library.ask("a", proof)
    assert verdict.word == Word.VALID
    (one,) = verdict.judgements
    assert (one.facts.referred, one.facts.source, one.facts.quorum) == (
        True,
        Source.REPLICA,
        "none",
    )


async def test_proof_with_another_document_is_a_mismatch(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), attest("b"))
    assert (await library.ask("c", await sz.proof(0))).word == Word.MISMATCH
    assert (await library.ask("b", await sz.proof(0))).word == Word.MISMATCH
    assert (await library.ask("c")).word == Word.UNKNOWN


async def test_proof_of_another_issuer_than_expected_is_a_mismatch(
    library: Library, sz: Book
) -> None:
    await sz.add(attest("a"))
    verdict = await library.ask("a", await sz.proof(0), expect_issuer="hk-1")
    assert verdict.word == Word.MISMATCH


async def test_proof_without_its_document_is_attestation_only(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    assert (await library.ask(None, await sz.proof(0))).word == Word.ATTESTATION_ONLY


async def test_old_proof_of_what_was_revoked_since(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    proof = await sz.proof(0)
    await sz.add(revoke(0))
    assert (await library.ask("a", proof)).word == Word.REVOKED


async def test_proof_newer_than_the_replica(library: Library, sz: Book, tmp_path: Path) -> None:
    """The replica knows nothing about the entry; what it knew of its log is fresh."""
    ahead = await library.open("sz-9", 2)  # the seed of sz-1: the origin itself, further on
    ahead.key, ahead.second = sz.key, sz.second
    log = await _twin(library, sz, tmp_path / "twin.db")
    ahead.log = log
    await ahead.add(attest("a"), attest("b"))
    await sz.add(attest("a"))
    verdict = await library.ask("b", await ahead.proof(1))
    assert verdict.word == Word.VALID
    assert verdict.judgements[0].facts.source == Source.PROOF
    assert verdict.as_of == NOW - 60_000


async def _twin(library: Library, book: Book, path: Path) -> Log:
    """Another log of the same origin and keys."""
    create_store(path, book.key.vkey, book.second.vkey)
    log = await open_log(path, path.with_suffix(".index"), library.reading)
    library.stack.push_async_callback(log.close)
    return log


@pytest.mark.parametrize("held", [("x", "b"), ("a", "x"), ("x", "b", "c"), ("a", "x", "c")])
async def test_proof_that_contradicts_the_replica_is_untrusted(
    library: Library, sz: Book, tmp_path: Path, held: tuple[str, ...]
) -> None:
    other = Book("sz-1", await _twin(library, sz, tmp_path / "twin.db"), sz.key, sz.second)
    await other.add(attest("a"), attest("b"))
    await sz.add(*map(attest, held))
    verdict = await library.ask("a", await other.proof(0))
    assert verdict.word == Word.UNTRUSTED
    assert "two histories" in (verdict.judgements[0].facts.problem or "")


async def test_newer_proof_whose_entry_contradicts_the_replica_is_untrusted(
    library: Library, sz: Book, tmp_path: Path
) -> None:
    other = Book("sz-1", await _twin(library, sz, tmp_path / "twin.db"), sz.key, sz.second)
    await other.add(attest("a"), attest("b"), attest("c"))
    await sz.add(attest("x"))
    assert (await library.ask("a", await other.proof(0))).word == Word.UNTRUSTED


async def test_proof_against_a_replica_in_conflict_is_untrusted(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    sz.stopped = Stop("two histories were shown", 1)
    assert (await library.ask("a", await sz.proof(0))).word == Word.UNTRUSTED


async def test_proof_of_an_unknown_log_is_untrusted(library: Library) -> None:
    stranger = await library.open("mo-1", 7)
    await stranger.add(attest("a"))
    verdict = await library.ask("a", await stranger.proof(0))
    assert verdict.word == Word.UNTRUSTED
    assert stranger.key.name in (verdict.judgements[0].facts.problem or "")


async def test_proof_signed_by_another_key_is_untrusted(
    library: Library, sz: Book, tmp_path: Path
) -> None:
    await sz.add(attest("a"))
    false = Book(
        "sz-1", await _twin(library, sz, tmp_path / "twin.db"), log_key(sz.key.name, 99), sz.second
    )
    await false.add(attest("a"))
    assert (await library.ask("a", await false.proof(0))).word == Word.UNTRUSTED


async def test_proof_of_a_revocation_is_untrusted(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), revoke(0))
    assert (await library.ask("a", await sz.proof(1))).word == Word.UNTRUSTED


async def test_proof_that_cannot_be_read_is_an_error(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    proof = await sz.proof(0)
    with pytest.raises(MalformedError):
        await library.ask("a", proof[:-1])
    parse_proof(proof)


async def test_proof_stops_a_replica_that_it_contradicts(
    library: Library, sz: Book, tmp_path: Path
) -> None:
    replica = Replica(sz.shelf.member, sz.log, Clock())
    shelf = Shelf(
        sz.shelf.member, sz.log, Source.REPLICA, lambda: replica.stopped, replica.observe_proof
    )
    verifier = Verifier([shelf], library.reading, library.max_age)
    other = Book("sz-1", await _twin(library, sz, tmp_path / "twin.db"), sz.key, sz.second)
    await sz.add(attest("c"), attest("a"))
    await other.add(attest("c"), attest("x"))
    by_digest = Asked(Digests(sha("a")), None, None, Question(NOW))
    assert (await verifier.verify(by_digest)).word == Word.VALID
    good, forged = await sz.proof(0), await other.proof(0)
    false = forged.replace("\u2014 bank".encode(), "\u2014 xank".encode())
    for proof in (good, false):
        await verifier.verify(Asked(Digests(sha("a")), proof, None, Question(NOW)))
        assert replica.conflict is None
    await verifier.verify(Asked(Digests(sha("a")), forged, None, Question(NOW)))
    assert replica.conflict
    assert (await verifier.verify(by_digest)).word == Word.UNTRUSTED
