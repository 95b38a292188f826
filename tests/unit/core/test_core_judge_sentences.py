"""What verdicts say in words, and what they name beside the one that decides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.entry import REASONS
from chopmark.core.judge import decide, judge, lacked_digests, with_pruned
from chopmark.core.verdict import (
    Anchored,
    Facts,
    Link,
    Match,
    Pruned,
    Question,
    Revoked,
    Standing,
    Word,
)
from chopmark.core.wording import explain, explain_no_entry, format_time
from judgements import (
    ASK,
    DAY,
    GOOD,
    HK,
    HK2,
    NOW,
    SZ,
    changed,
    revoked,
)


def test_document_that_is_newer_than_the_issuers_last_word_is_told_without_contradiction() -> None:
    """Times of cosignatures are whole seconds: a quorum may have come after the as-of time."""
    newer = replace(GOOD, existed_by=NOW + 1000)
    sentence = judge(newer, ASK).sentence
    assert f"existed by {format_time(NOW + 1000)}" in sentence
    assert f" as of {format_time(NOW)}" not in sentence
    assert f"after {format_time(NOW)} may not have come in yet." in sentence
    for existed_by in (NOW, NOW - 1):
        sentence = judge(replace(GOOD, existed_by=existed_by), ASK).sentence
        assert f"expired as of {format_time(NOW)}." in sentence


SENTENCES = {
    Word.UNTRUSTED: "the signature is not good",
    Word.MISMATCH: "saved or printed again",
    Word.REVOKED: "entry 9, document replaced",
    Word.SUPERSEDED: "entry 8",
    Word.EXPIRED: format_time(NOW - 1),
    Word.UNWITNESSED: "not enough institutions",
    Word.ATTESTATION_ONLY: "was not checked",
    Word.VALID_AS_OF: "could not be checked",
    Word.VALID: f"existed by {format_time(NOW - 8 * DAY)}",
}


@pytest.mark.parametrize(("word", "part"), SENTENCES.items())
def test_each_sentence_says_what_to_rely_on(word: Word, part: str) -> None:
    assert part in judge(changed(word), ASK).sentence


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        (replace(GOOD, match=Match.MISSING), "SM3"),
        (replace(GOOD, match=Match.BLINDED), "blinded"),
        (replace(GOOD, as_of=NOW - 2 * DAY), f"after {format_time(NOW - 2 * DAY)}"),
        (revoked(77), "77"),
    ],
)
def test_sentences_name_the_special_case(facts: Facts, part: str) -> None:
    assert part in judge(facts, ASK).sentence


def test_a_revoked_sentence_without_its_revocation_is_our_fault() -> None:
    with pytest.raises(RuntimeError):
        explain(Word.REVOKED, GOOD, ASK)


def test_warning_is_said_whatever_the_word() -> None:
    warned = replace(GOOD, warning="its log was forked later")
    assert judge(warned, ASK).word is Word.VALID
    assert judge(warned, ASK).sentence.endswith(" Warning: its log was forked later.")
    untrusted = judge(replace(warned, problem="a signature is bad"), ASK)
    assert untrusted.sentence.endswith(" Warning: its log was forked later.")
    assert "Warning" not in judge(GOOD, ASK).sentence


def test_pruned_match_is_told_of_and_leaves_the_word() -> None:
    valid = decide([GOOD], ASK, NOW)
    told = with_pruned(valid, [Pruned(HK2, 7)], ASK)
    assert (told.word, told.pruned) == (valid.word, (Pruned(HK2, 7),))
    assert f"{HK2.origin}#7" in told.sentence
    assert with_pruned(valid, [], ASK) == valid


@pytest.mark.parametrize(("expected", "told"), [("hk-2", 1), ("Bank HK", 1), ("hk-1", 0)])
def test_pruned_match_of_another_issuer_is_not_told_of(expected: str, told: int) -> None:
    asked = Question(NOW, expect_issuer=expected)
    verdict = with_pruned(decide([], asked, NOW), [Pruned(HK2, 7)], asked)
    assert len(verdict.pruned) == told


def test_successor_of_a_ledger_that_has_ended_is_named() -> None:
    ended = replace(GOOD, issuer=replace(HK, successor="bank-hk.example/hk-9"))
    assert judge(ended, ASK).word is Word.VALID
    assert "bank-hk.example/hk-9 is its successor" in judge(ended, ASK).sentence
    assert "successor" not in judge(GOOD, ASK).sentence


def test_notaries_that_are_missing_are_named() -> None:
    lacking = replace(GOOD, quorum="missing", existed_by=None, notaries="Bank MO")
    assert judge(lacking, ASK).word is Word.UNWITNESSED
    assert "(Bank MO)" in judge(lacking, ASK).sentence
    assert "notaries" not in judge(replace(lacking, notaries=None), ASK).sentence


PAGE = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text("utf-8")


def test_page_begins_with_a_sentence_as_it_is_said() -> None:
    by, of = 1795352402000, 1795357800000
    issuer = replace(HK, institution="Bank of Hong Kong (example)")
    witnesses = tuple((f"bank-{one}.example/{one}-1/cosigner", by) for one in ("sz", "mo"))
    facts = replace(GOOD, issuer=issuer, existed_by=by, as_of=of)
    facts = replace(facts, witnesses=witnesses, dropped=("HK",))
    said = judge(facts, Question(of))
    assert f"{said.word}: {said.sentence}" == " ".join(PAGE.split("```")[1].split())


OF_ONE = (Link(9, NOW, Standing.LIVE),)
SUPERSEDED = Link(9, NOW, Standing.SUPERSEDED)


@pytest.mark.parametrize(
    ("chain", "cut", "ending"),
    [
        ((), False, "(entry 9)."),
        (OF_ONE, False, "(entry 9)."),
        ((SUPERSEDED, Link(12, NOW, Standing.LIVE)), False, "What counts now is entry 12."),
        ((Link(9, NOW, Standing.REVOKED),), False, "its place: entry 9 was revoked."),
        ((SUPERSEDED, Link(12, None, Standing.EXPIRED)), False, "place: entry 12 has expired."),
        ((SUPERSEDED, SUPERSEDED), True, "That was replaced as well, 2 times and more."),
    ],
)
def test_superseded_says_what_has_become_of_the_newer_one(
    chain: tuple[Link, ...], ending: str, *, cut: bool
) -> None:
    facts = replace(GOOD, superseded_by=9, chain=chain, chain_cut=cut)
    judgement = judge(facts, Question(NOW))
    assert judgement.word == Word.SUPERSEDED
    assert judgement.sentence.endswith(ending)


@pytest.mark.parametrize(
    ("kind", "blinded", "words"),
    [
        (None, (), "blinded attestations are found by their proof only."),
        ("kyc", (), "blinded attestations are found by their proof only."),
        (None, ("kyc", "file"), "(those of the kind file and kyc always are) are found by"),
        ("letter", ("kyc",), "(those of the kind kyc always are) are found by"),
        ("kyc", ("kyc",), "so give the proof file that came with the document."),
    ],
)
def test_unknown_says_that_blinded_attestations_need_their_proof(
    kind: str | None, blinded: tuple[str, ...], words: str
) -> None:
    verdict = decide([], Question(NOW, expect_kind=kind), NOW, blinded)
    assert verdict.word == Word.UNKNOWN
    assert words in verdict.sentence


UNGIVEN = replace(GOOD, match=Match.MISSING)
FRAUD = replace(GOOD, index=4, revoked=Revoked(9, 4, NOW - DAY))
ASKED_FOR = replace(GOOD, index=4, revoked=Revoked(9, 3, NOW - DAY))


@pytest.mark.parametrize(
    ("found", "lacked"),
    [
        ([UNGIVEN], ("sm3",)),
        ([UNGIVEN, ASKED_FOR], ("sm3",)),
        ([UNGIVEN, replace(GOOD, index=4)], ()),
        ([UNGIVEN, FRAUD], ()),
        ([replace(GOOD, match=Match.DIFFERS)], ()),
        ([replace(GOOD, match=Match.RESAVED)], ()),
        ([], ()),
    ],
)
def test_digests_are_lacked_only_where_they_could_make_it_better(
    found: list[Facts], lacked: tuple[str, ...]
) -> None:
    assert lacked_digests(decide(found, ASK, NOW), ASK) == lacked


def test_digests_of_another_issuer_than_expected_are_not_lacked() -> None:
    asked = replace(ASK, expect_issuer="sz-1")
    assert lacked_digests(decide([UNGIVEN], asked, NOW), asked) == ()


def test_reference_that_leads_nowhere_says_what_there_is() -> None:
    told = explain_no_entry(HK.origin, 9, 5, [HK.origin])
    assert (HK.origin in told, "its size is 5" in told) == (True, True)
    told = explain_no_entry("elsewhere/1", 9, None, [HK.origin, SZ.origin])
    assert f"Known here: {HK.origin}, {SZ.origin}." in told


def test_attestation_that_is_newer_than_its_issuers_last_word_does_not_contradict_itself() -> None:
    newest = replace(GOOD, existed_by=NOW, as_of=NOW - 1000)
    told = explain(Word.VALID, newest, ASK)
    assert "may not have come in yet" in told
    assert f"expired as of {format_time(NOW - 1000)}" not in told
    assert f"as of {format_time(NOW)}" in explain(Word.VALID, replace(newest, as_of=NOW), ASK)
    assert " as of " not in explain(Word.VALID, replace(newest, as_of=None), ASK)


@pytest.mark.parametrize("issuer", [None, "hk-1"])
def test_fraud_is_told_to_whoever_expects_another_kind(issuer: str | None) -> None:
    asked = replace(ASK, expect_kind="diploma", expect_issuer=issuer)
    verdict = decide([FRAUD], asked, NOW)
    assert (verdict.word, verdict.judgements[0].facts) == (Word.REVOKED, FRAUD)


def test_what_is_revoked_mildly_or_by_another_than_expected_stays_unknown_as_another_kind() -> None:
    asked = replace(ASK, expect_kind="diploma")
    assert decide([ASKED_FOR], asked, NOW).word == Word.UNKNOWN
    assert decide([FRAUD], replace(asked, expect_issuer="sz-1"), NOW).word == Word.UNKNOWN
    other = replace(FRAUD, match=Match.DIFFERS)
    assert decide([other], asked, NOW).word == Word.UNKNOWN


@pytest.mark.parametrize("reason", [1, 3, 4, 5])
def test_revocation_by_another_than_expected_is_told_of_an_unknown_document(reason: int) -> None:
    revoked = replace(GOOD, revoked=Revoked(9, reason, NOW - DAY))
    verdict = decide([revoked], replace(ASK, expect_issuer="sz-1"), NOW)
    assert (verdict.word, verdict.judgements) == (Word.UNKNOWN, ())
    assert [one.word for one in verdict.others] == [Word.REVOKED]
    when = f"revoked that on {format_time(NOW - DAY)} (entry 9, {REASONS[reason]})."
    told = f"Warning: Bank HK attested this document as bank-statement ({HK.origin}#5)"
    assert f"{told} and {when}" in verdict.sentence


def test_fraud_that_another_told_of_is_said_though_not_all_could_be_compared() -> None:
    partly = replace(FRAUD, match=Match.MISSING)
    verdict = decide([partly], replace(ASK, expect_issuer="sz-1"), NOW)
    assert [one.word for one in verdict.others] == [Word.REVOKED]


@pytest.mark.parametrize("nothing", [{"problem": "no"}, {"entry": None}, {"match": Match.DIFFERS}])
def test_what_attests_nothing_is_not_told_of_an_unknown_document(nothing: dict[str, Any]) -> None:
    verdict = decide([replace(FRAUD, **nothing)], replace(ASK, expect_issuer="sz-1"), NOW)
    assert (verdict.word, verdict.others) == (Word.UNKNOWN, ())
    assert "Bank HK" not in verdict.sentence


def test_others_are_told_of_only_where_nothing_expected_was_found() -> None:
    here = replace(GOOD, issuer=SZ)
    verdict = decide([FRAUD, here], replace(ASK, expect_issuer="sz-1"), NOW)
    assert (verdict.word, verdict.others) == (Word.VALID, ())


@pytest.mark.parametrize("word", [Word.VALID, Word.REVOKED, Word.UNTRUSTED, Word.MISMATCH])
def test_anchor_is_told_where_the_attestation_counts(word: Word) -> None:
    facts = replace(changed(word), anchored=Anchored(20_200, 9, 123, "0x12"))
    told = "Anchored in block 123 of chain 20200." in judge(facts, ASK).sentence
    assert told == (word in (Word.VALID, Word.REVOKED))
