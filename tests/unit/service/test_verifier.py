"""Verification over real log files: our own log and two replicas, signed by keys in software."""

from collections.abc import Awaitable, Sequence
from dataclasses import replace

import pytest

from bookshelves import BANKS, DAY, Book, Library, attest, revoke, sha, words
from chopmark.core.blinding import blind
from chopmark.core.columns import frame_entries
from chopmark.core.entitlement import Entitlement, Term
from chopmark.core.entry import SHA256, Attestation, encode_entry
from chopmark.core.errors import MissingError, RefusedError, TryAgainError
from chopmark.core.proof import Extra, parse_proof
from chopmark.core.roster import CatalogueKind
from chopmark.core.verdict import Link, Source, Standing, Verdict, Word
from chopmark.ledger.chains import MAX_CHAIN
from chopmark.ledger.forks import Stop
from chopmark.ledger.index import MAX_FOUND
from chopmark.ledger.log import Log
from chopmark.ledger.witness import open_cosigner
from chopmark.service.heartbeat import make_heartbeat
from chopmark.service.verifier import Verifier
from ledgers import NOW, Clock, SoftSigner
from softkeys import sign_head

# By digest


async def test_attested_document_is_valid(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), attest("b"))
    verdict = await library.ask("b")
    assert verdict.word == Word.VALID
    (one,) = verdict.judgements
    assert (one.facts.index, one.facts.source, one.facts.issuer.id) == (1, Source.REPLICA, "sz-1")
    assert one.facts.as_of == NOW - 60_000


async def test_unattested_document_is_unknown_as_of_the_oldest_replica(
    library: Library, sz: Book, hk: Book
) -> None:
    await sz.add(attest("a"), seen=NOW - 30_000)
    await hk.add(attest("b"), seen=NOW - 10_000)
    verdict = await library.ask("c")
    assert (verdict.word, verdict.as_of) == (Word.UNKNOWN, NOW - 30_000)
    assert verdict.judgements == ()


async def test_unknown_has_no_time_while_a_replica_never_heard_from_its_origin(
    library: Library, sz: Book
) -> None:
    await sz.add(attest("a"), seen=None)
    assert (await library.ask("c")).as_of is None
    assert (await library.ask("c", expect_issuer="hk-1")).as_of == NOW - 60_000


async def test_entry_that_no_head_covers_is_unknown(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    await sz.add(attest("b"), signed=False)
    assert (await library.ask("b")).word == Word.UNKNOWN


@pytest.mark.parametrize("reason", range(6))
async def test_revoked_document(library: Library, sz: Book, reason: int) -> None:
    await sz.add(attest("a"), revoke(0, reason))
    verdict = await library.ask("a")
    assert verdict.word == Word.REVOKED
    revoked = verdict.judgements[0].facts.revoked
    assert revoked is not None
    assert (revoked.index, revoked.reason, revoked.at) == (1, reason, NOW - DAY)


async def test_superseded_document(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), attest("a, corrected", supersedes=0))
    verdict = await library.ask("a")
    assert verdict.word == Word.SUPERSEDED
    assert verdict.judgements[0].facts.superseded_by == 1
    assert (await library.ask("a, corrected")).word == Word.VALID


async def test_chain_of_supersession_is_followed_to_what_counts_now(
    library: Library, sz: Book
) -> None:
    await sz.add(
        attest("a"),
        attest("b", supersedes=0),
        attest("c", supersedes=1, made_at=NOW - 5),
        attest("d", supersedes=9),  # of what comes later: it has no effect
    )
    facts = (await library.ask("a")).judgements[0].facts
    assert (facts.superseded_by, facts.chain_cut) == (1, False)
    assert facts.chain == (
        Link(1, NOW - DAY, Standing.SUPERSEDED),
        Link(2, NOW - 5, Standing.LIVE),
    )
    assert "What counts now is entry 2." in (await library.ask("a")).sentence
    assert (await library.ask("c")).judgements[0].facts.chain == ()


@pytest.mark.parametrize(
    ("last", "standing", "words"),
    [
        ({"valid_until": NOW - 1}, Standing.EXPIRED, "entry 1 has expired"),
        ({}, Standing.REVOKED, "entry 1 was revoked"),
    ],
)
async def test_chain_that_ends_in_nothing_says_so(
    library: Library, sz: Book, last: dict[str, int], standing: Standing, words: str
) -> None:
    entries = [attest("a"), attest("b", supersedes=0, **last)]
    await sz.add(*entries, *([] if last else [revoke(1)]))
    verdict = await library.ask("a")
    assert verdict.judgements[0].facts.chain[-1].standing is standing
    assert words in verdict.sentence


async def test_long_chain_is_cut(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), *(attest(f"a{n}", supersedes=n) for n in range(MAX_CHAIN + 1)))
    verdict = await library.ask("a")
    facts = verdict.judgements[0].facts
    assert (len(facts.chain), facts.chain_cut) == (MAX_CHAIN, True)
    assert "replaced as well, 16 times and more" in verdict.sentence


async def test_expired_document(library: Library, sz: Book) -> None:
    await sz.add(attest("a", valid_until=NOW - 1), attest("b", valid_until=NOW))
    assert (await library.ask("a")).word == Word.EXPIRED
    assert (await library.ask("b")).word == Word.VALID


async def test_digest_that_differs_in_sm3_is_a_mismatch(library: Library, sz: Book) -> None:
    await sz.add(attest("a", sm3=b"\1" * 32))
    assert (await library.ask("a", sm3=b"\1" * 32)).word == Word.VALID
    assert (await library.ask("a", sm3=b"\2" * 32)).word == Word.MISMATCH


async def refusal(asking: Awaitable[Verdict]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await asking
    return caught.value


@pytest.mark.parametrize("expected", [{}, {"expect_issuer": "sz-1"}, {"reference": 0}])
async def test_unaltered_document_of_which_sm3_was_not_given_is_no_mismatch(
    library: Library, sz: Book, expected: dict[str, object]
) -> None:
    await sz.add(attest("a", sm3=b"\1" * 32))
    if expected.pop("reference", None) is not None:
        expected["reference"] = (sz.key.name, 0)
    error = await refusal(library.ask("a", **expected))  # type: ignore[arg-type]
    assert (error.code, error.status) == ("digest-missing", 422)
    assert "sm3" in error.message
    assert "openssl dgst -sm3" in error.hint


async def test_document_that_sm3_alone_could_save_is_not_called_expired(
    library: Library, sz: Book
) -> None:
    await sz.add(attest("a", sm3=b"\1" * 32), attest("a", valid_until=NOW - 1))
    assert (await refusal(library.ask("a"))).code == "digest-missing"
    assert (await library.ask("a", sm3=b"\1" * 32)).word == Word.VALID


async def test_good_answer_and_fraud_need_no_sm3(library: Library, sz: Book, hk: Book) -> None:
    await sz.add(attest("a", sm3=b"\1" * 32), attest("a"))
    await hk.add(attest("b", sm3=b"\1" * 32), attest("b"), revoke(2, 4))
    assert (await library.ask("a")).word == Word.VALID
    assert (await library.ask("b")).word == Word.REVOKED


async def test_other_document_than_the_proofs_is_a_mismatch_though_sm3_is_missing(
    library: Library, sz: Book
) -> None:
    await sz.add(attest("a", sm3=b"\1" * 32), attest("b", sm3=b"\1" * 32))
    assert (await library.ask("b", proof=await sz.proof(0))).word == Word.MISMATCH


@pytest.mark.parametrize("name", ["sz1", "Bank of Shenzen", "bank-sz.example/sz-9"])
async def test_issuer_that_nobody_knows_is_no_unknown_document(
    library: Library, sz: Book, name: str
) -> None:
    await sz.add(attest("a"))
    error = await refusal(library.ask("a", expect_issuer=name))
    assert (error.code, error.status) == ("unknown-issuer", 422)
    assert repr(name) in error.message
    assert "did you mean" in error.hint
    assert "sz-1 (Bank of Shenzhen)" in error.hint
    proof = await sz.proof(0)
    assert (await refusal(library.ask("a", proof, expect_issuer=name))).code == "unknown-issuer"


async def test_kind_that_there_is_not_is_no_unknown_document(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), attest("b", kind="of-old"))
    library.kinds = frozenset({"bank-statement", "diploma"})
    error = await refusal(library.ask("a", expect_kind="bank-statment"))
    assert (error.code, error.status) == ("unknown-kind", 422)
    assert "did you mean 'bank-statement'?" in error.hint
    assert (await library.ask("a", expect_kind="diploma")).word == Word.UNKNOWN
    assert (await library.ask("b", expect_kind="of-old")).word == Word.VALID
    library.kinds = frozenset()
    assert (await library.ask("a", expect_kind="bank-statment")).word == Word.UNKNOWN


@pytest.mark.parametrize("name", [None, "a"])
async def test_reference_that_leads_nowhere_is_told_as_such(
    library: Library, sz: Book, name: str | None
) -> None:
    await sz.add(attest("b"))
    verdict = await library.ask(name, reference=(sz.key.name, 99))
    assert verdict.word == Word.UNKNOWN
    assert "has no entry 99 that is known here: its size is 1" in verdict.sentence
    assert ("this document" in verdict.sentence) is (name is not None)
    verdict = await library.ask(name, reference=("bank-xx.example/xx-1", 0))
    assert verdict.word == Word.UNKNOWN
    assert "No ledger bank-xx.example/xx-1 is known here" in verdict.sentence
    assert "Known here: bank-hk.example/hk-1, bank-ow" in verdict.sentence


async def test_kind_that_the_issuer_may_not_attest_is_untrusted(library: Library, sz: Book) -> None:
    sz.kinds = frozenset({"kyc-report"})
    await sz.add(attest("a"))
    assert (await library.ask("a")).word == Word.UNTRUSTED


async def test_replica_in_conflict_is_untrusted(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    sz.stopped = Stop("two histories were shown", 1)
    verdict = await library.ask("a")
    assert verdict.word == Word.UNTRUSTED
    assert verdict.judgements[0].facts.problem == "two histories were shown"


async def test_two_institutions_are_ambiguous_until_one_is_expected(
    library: Library, sz: Book, hk: Book
) -> None:
    await sz.add(attest("a"))
    await hk.add(attest("a"))
    assert (await library.ask("a")).word == Word.AMBIGUOUS
    for name in ("sz-1", sz.key.name, BANKS["sz-1"]):
        verdict = await library.ask("a", expect_issuer=name)
        assert verdict.word == Word.VALID
        assert [one.facts.issuer.id for one in verdict.judgements] == ["sz-1"]


async def test_untrusted_attestation_makes_nothing_ambiguous(
    library: Library, sz: Book, hk: Book
) -> None:
    await sz.add(attest("a"))
    hk.kinds = frozenset({"diploma"})
    await hk.add(attest("a"))
    assert (await library.ask("a")).word == Word.VALID


async def test_two_gateways_of_one_institution_are_not_ambiguous(
    library: Library, sz: Book
) -> None:
    second = await library.add("sz-2", 9)
    await sz.add(attest("a"))
    await second.add(attest("a"))
    assert (await library.ask("a")).word == Word.VALID


async def test_grave_revocation_by_the_institution_wins(library: Library, sz: Book) -> None:
    second = await library.add("sz-2", 9)
    await sz.add(attest("a"), revoke(0, 4))
    await second.add(attest("a", NOW))
    assert (await library.ask("a")).word == Word.REVOKED


async def test_grave_revocation_is_not_hidden_by_however_many_newer_attestations(
    library: Library, sz: Book
) -> None:
    newer = [attest("a", NOW - DAY + number) for number in range(2 * MAX_FOUND)]
    await sz.add(attest("a"), revoke(0, 4), *newer)
    assert (await library.ask("a")).word == Word.REVOKED


async def test_digests_that_begin_alike_hide_nothing(library: Library, sz: Book) -> None:
    alike = [
        encode_entry(Attestation(NOW - DAY, sha("a")[:8] + bytes(22) + n.to_bytes(2, "big"), "kyc"))
        for n in range(2 * MAX_FOUND)
    ]
    await sz.add(attest("a"), *alike)
    assert (await library.ask("a")).word == Word.VALID


async def test_mild_revocation_says_nothing_about_newer_attestations(
    library: Library, sz: Book
) -> None:
    await sz.add(attest("a"), revoke(0, 2), attest("a", NOW - DAY))
    assert (await library.ask("a")).word == Word.VALID


async def test_newest_attestation_comes_first(library: Library, sz: Book) -> None:
    await sz.add(attest("a", NOW - 2 * DAY), attest("a", NOW - DAY), revoke(0))
    verdict = await library.ask("a")
    assert words(verdict) == [Word.VALID, Word.REVOKED]
    assert verdict.word == Word.VALID


async def test_other_issuer_or_kind_than_expected_is_unknown(library: Library, sz: Book) -> None:
    await sz.add(attest("a"))
    assert (await library.ask("a", expect_issuer="hk-1")).word == Word.UNKNOWN
    assert (await library.ask("a", expect_kind="diploma")).word == Word.UNKNOWN


# Freshness


async def test_own_revocation_counts_before_it_is_signed(library: Library, own: Book) -> None:
    await own.add(attest("a"))
    await own.add(revoke(0), signed=False)
    assert (await library.ask("a")).word == Word.REVOKED


async def test_own_log_is_always_fresh(library: Library, own: Book) -> None:
    await own.add(attest("a"), seen=None)
    verdict = await library.ask("a")
    assert (verdict.word, verdict.as_of) == (Word.VALID, NOW)
    assert verdict.judgements[0].facts.source == Source.OWN


async def test_replica_without_heartbeat_is_valid_as_of_nothing(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), seen=None)
    verdict = await library.ask("a")
    assert (verdict.word, verdict.as_of) == (Word.VALID_AS_OF, None)


@pytest.mark.parametrize(("age", "word"), [(DAY, Word.VALID), (DAY + 1000, Word.VALID_AS_OF)])
async def test_answer_older_than_the_maximum_is_valid_as_of(
    library: Library, sz: Book, age: int, word: Word
) -> None:
    await sz.add(attest("a", NOW - 3 * DAY), seen=NOW - age)
    assert (await library.ask("a")).word == word


async def test_kind_and_caller_shorten_the_maximum_age(library: Library, sz: Book) -> None:
    await sz.add(attest("a", kind="short-lived"), attest("b"), seen=NOW - 2 * 3_600_000)
    assert (await library.ask("a")).word == Word.VALID_AS_OF
    assert (await library.ask("a", max_age=10 * DAY)).word == Word.VALID_AS_OF
    assert (await library.ask("b")).word == Word.VALID
    assert (await library.ask("b", max_age=3600)).word == Word.VALID_AS_OF


async def test_replica_that_grows_during_the_look_does_not_vouch_for_it(
    library: Library, sz: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time must not be newer than what was looked at."""
    await sz.add(attest("a"), seen=NOW - 60_000)
    find = Log.find

    def find_and_grow(log: Log, digest: bytes) -> Sequence[tuple[int, bytes]]:
        found = find(log, digest)
        if log is sz.log:
            entries = [attest("late"), revoke(0)]
            log._store.append([frame_entries(entries)])
            sz._sign(log._store, NOW)
        return found

    monkeypatch.setattr(Log, "find", find_and_grow)
    verdict = await library.ask("late", expect_issuer="sz-1")
    assert (verdict.word, verdict.as_of) == (Word.UNKNOWN, NOW - 60_000)


# Blinded, and by the rules of the catalogue


SALT = bytes(range(32))


def blinded(name: str, origin: str, **changes: object) -> bytes:
    hidden = blind(SALT, origin, SHA256, sha(name))
    return attest(name, sha256=hidden, blinded=True, **changes)  # type: ignore[arg-type]


async def test_blinded_document_is_found_by_its_proof_only(library: Library, sz: Book) -> None:
    entry = blinded("a", sz.key.name)
    await sz.add(entry)
    parsed = parse_proof(
        await sz.log.read(lambda reader, state: reader.proof(0, state, bare=True).encode())
    )
    assert (await library.ask("a")).word == Word.UNKNOWN
    for salt, word in ((SALT, Word.VALID), (bytes(32), Word.MISMATCH), (None, Word.MISMATCH)):
        proof = replace(parsed, extra=Extra(entry, salt).encode()).encode()
        assert (await library.ask("a", proof=proof)).word == word
        assert (await library.ask("b", proof=proof)).word == Word.MISMATCH
        assert (await library.ask(None, proof=proof)).word == Word.ATTESTATION_ONLY
    reference = (sz.key.name, 0)
    assert (await library.ask("a", reference=reference)).word == Word.MISMATCH
    assert "salt in its proof" in (await library.ask("a", reference=reference)).sentence


async def test_unknown_says_which_kinds_are_found_by_their_proof_only(library: Library) -> None:
    library.blinded = frozenset({"kyc-report"})
    assert "those of the kind kyc-report always are" in (await library.ask("a")).sentence
    asked = await library.ask("a", expect_kind="kyc-report")
    assert "so give the proof file" in asked.sentence
    assert "always" not in (await library.ask("a", expect_kind="kyc-report")).sentence


async def test_attestation_that_breaks_the_catalogue_is_valid_with_a_warning(
    library: Library, sz: Book
) -> None:
    kind = CatalogueKind(name="bank-statement", blinded=True)
    sz.entitlement = Entitlement([Term(1, 0, frozenset({"*"}), {"bank-statement": kind})])
    entry = blinded("b", sz.key.name)
    await sz.add(attest("a"), entry)
    verdict = await library.ask("a")
    assert verdict.word == Word.VALID
    assert "Warning: the roster demands that attestations of the kind bank-statement are blind" in (
        verdict.sentence
    )
    proof = await sz.proof(0)
    assert (await library.ask("a", proof=proof)).judgements[0].facts.warning
    good = await library.ask(None, reference=(sz.key.name, 1))
    assert good.judgements[0].facts.warning is None


# By reference


async def test_reference_compares_the_document(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), attest("b"))
    assert (await library.ask("a", reference=(sz.key.name, 0))).word == Word.VALID
    assert (await library.ask("a", reference=(sz.key.name, 1))).word == Word.MISMATCH
    assert (await library.ask(None, reference=(sz.key.name, 1))).word == Word.ATTESTATION_ONLY


@pytest.mark.parametrize("index", [2, -1, 2**63 - 1])
async def test_reference_to_nothing_is_unknown(library: Library, sz: Book, index: int) -> None:
    await sz.add(attest("a"))
    await sz.add(attest("b"), signed=False)
    assert (await library.ask(None, reference=(sz.key.name, index))).word == Word.UNKNOWN


async def test_reference_into_an_unknown_log_is_unknown(library: Library) -> None:
    assert (await library.ask("a", reference=("bank-x.example/x-1", 0))).word == Word.UNKNOWN


async def test_reference_to_a_revocation_is_untrusted(library: Library, sz: Book) -> None:
    await sz.add(attest("a"), revoke(0), b"not an entry")
    for index in (1, 2):
        assert (await library.ask(None, reference=(sz.key.name, index))).word == Word.UNTRUSTED


# Policies


async def test_policy_names_the_log_and_demands_no_witness(library: Library, sz: Book) -> None:
    verifier = Verifier([sz.shelf], library.reading, library.max_age)
    assert verifier.policy(sz.key.name).encode() == f"log {sz.key.vkey.encode()}\nquorum none\n"
    with pytest.raises(MissingError):
        verifier.policy("bank-x.example/x-1")


async def test_heartbeat_needs_a_signed_head(own: Book) -> None:
    signer = await open_cosigner(own.log, SoftSigner(own.key, own.second))
    with pytest.raises(TryAgainError):
        await make_heartbeat(own.log, signer, Clock())
    assert own.log.state.seen_note is None
    await own.add(attest("a"), seen=None)
    note = await make_heartbeat(own.log, signer, Clock())
    assert note == sign_head(own.log.state.head, own.key, {own.second: NOW // 1000})
    assert own.log.state.seen_note == note


async def test_no_verdict_rests_on_an_index_that_is_behind(
    library: Library, sz: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would miss may be a revocation; what does not need it is answered."""
    await sz.add(attest("a"))
    monkeypatch.setattr(sz.log.index, "on_behind", lambda: None)
    sz.log.index.put_many(1000, [None])
    with pytest.raises(TryAgainError) as caught:
        await library.ask("a")
    assert caught.value.code == "index-rebuilding"
    verdict = await library.ask(reference=(sz.log.origin, 0))
    assert verdict.judgements[0].facts.index == 0


@pytest.mark.parametrize("now", [999, 0, -3_600_000])
async def test_heartbeat_waits_for_a_clock_that_was_never_set(own: Book, now: int) -> None:
    await own.add(attest("a"), seen=None)
    cosigner = await open_cosigner(own.log, SoftSigner(own.key, own.second))
    with pytest.raises(TryAgainError) as caught:
        await make_heartbeat(own.log, cosigner, Clock(now))
    assert caught.value.code == "clock-wrong"
    assert own.log.state.seen_note is None
