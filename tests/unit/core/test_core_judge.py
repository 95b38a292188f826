"""docs/verdicts.md as a table: one attestation, several, several files."""

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import pytest

from chopmark.core.judge import decide, judge
from chopmark.core.verdict import (
    DEFAULT_MAX_AGE,
    EXIT,
    WORST_FIRST,
    Facts,
    Match,
    Question,
    Word,
    worst,
)
from chopmark.core.wording import explain, format_time
from judgements import (
    ASK,
    DAY,
    ENTRY,
    GOOD,
    HK,
    HK2,
    NOW,
    ORDER,
    SZ,
    changed,
    revoked,
    word_of,
)


@pytest.mark.parametrize("word", ORDER)
def test_one_attestation_gives_each_verdict(word: Word) -> None:
    judged = judge(changed(word), ASK)
    assert judged.word == word
    assert judged.sentence.endswith(".")
    assert decide([changed(word)], ASK, None).word == word


PAIRS = [pair for pair in product(ORDER, repeat=2) if ORDER.index(pair[0]) < ORDER.index(pair[1])]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_first_verdict_that_applies_wins(first: Word, second: Word) -> None:
    assert judge(changed(first, second), ASK).word == first


def test_all_at_once_is_untrusted_and_then_each_in_turn() -> None:
    for at, word in enumerate(ORDER):
        assert judge(changed(*ORDER[at:]), ASK).word == word


UNMATCHED = [Match.DIFFERS, Match.MISSING, Match.BLINDED, Match.RESAVED]


@pytest.mark.parametrize("match", UNMATCHED)
def test_a_part_that_cannot_be_matched_is_a_mismatch(match: Match) -> None:
    assert word_of(replace(GOOD, match=match)) == Word.MISMATCH


def test_only_a_file_that_was_saved_again_has_the_same_content() -> None:
    told = [explain(Word.MISMATCH, replace(GOOD, match=match), ASK) for match in UNMATCHED]
    assert ["the same content" in sentence for sentence in told] == [False, False, False, True]


def test_an_entry_that_cannot_be_read_is_untrusted() -> None:
    unknown = replace(GOOD, entry=None)
    assert word_of(unknown) == Word.UNTRUSTED
    assert "update the software" in decide([unknown], ASK, None).sentence
    assert word_of(unknown, question=replace(ASK, expect_kind="diploma")) == Word.UNTRUSTED


@pytest.mark.parametrize(
    ("until", "word"),
    [(NOW - 1, Word.EXPIRED), (NOW, Word.VALID), (NOW + 1, Word.VALID), (0, Word.EXPIRED)],
)
def test_an_attestation_is_valid_until_its_last_millisecond(until: int, word: Word) -> None:
    assert word_of(replace(GOOD, entry=replace(ENTRY, valid_until=until))) == word


@pytest.mark.parametrize(
    ("age", "limit", "asked", "word"),
    [
        (0, DEFAULT_MAX_AGE, None, Word.VALID),
        (DAY, DEFAULT_MAX_AGE, None, Word.VALID),
        (DAY + 1, DEFAULT_MAX_AGE, None, Word.VALID_AS_OF),
        (60_001, 60, None, Word.VALID_AS_OF),
        (60_000, DEFAULT_MAX_AGE, 60, Word.VALID),
        (60_001, DEFAULT_MAX_AGE, 60, Word.VALID_AS_OF),
        (60_001, 60, DEFAULT_MAX_AGE, Word.VALID_AS_OF),
        (DAY + 1, DEFAULT_MAX_AGE, 10 * DEFAULT_MAX_AGE, Word.VALID_AS_OF),
        (0, DEFAULT_MAX_AGE, 0, Word.VALID),
        (1, DEFAULT_MAX_AGE, 0, Word.VALID_AS_OF),
        (-60_000, DEFAULT_MAX_AGE, 0, Word.VALID),
        (-60_001, DEFAULT_MAX_AGE, None, Word.VALID_AS_OF),
    ],
)
def test_max_age_only_shortens(age: int, limit: int, asked: int | None, word: Word) -> None:
    found = replace(GOOD, as_of=NOW - age, max_age=limit)
    assert word_of(found, question=replace(ASK, max_age=asked)) == word


def test_default_max_age_is_a_day() -> None:
    assert GOOD.max_age == DEFAULT_MAX_AGE == 86400


def test_quorum_none_counts_as_reached_and_is_shown() -> None:
    verdict = decide([replace(GOOD, quorum="none", existed_by=None)], ASK, None)
    assert verdict.word == Word.VALID
    assert "quorum none" in verdict.sentence
    assert "quorum none" not in decide([GOOD], ASK, None).sentence
    stale = replace(GOOD, quorum="none", as_of=None)
    assert "quorum none" in decide([stale], ASK, None).sentence


def test_nothing_found_is_unknown_as_of_the_replicas() -> None:
    verdict = decide([], ASK, NOW - DAY)
    assert (verdict.word, verdict.judgements, verdict.as_of) == (Word.UNKNOWN, (), NOW - DAY)
    assert format_time(NOW - DAY) in verdict.sentence
    assert "proof" in verdict.sentence
    assert decide([], ASK, None).as_of is None


@pytest.mark.parametrize("name", [HK.id, HK.origin, HK.institution])
def test_the_expected_issuer_is_known_by_each_of_its_names(name: str) -> None:
    question = replace(ASK, expect_issuer=name)
    assert word_of(GOOD, question=question) == Word.VALID
    assert word_of(replace(GOOD, referred=True), question=question) == Word.VALID


UNEXPECTED = [
    replace(ASK, expect_issuer="Bank SZ"),
    replace(ASK, expect_issuer="hk"),
    replace(ASK, expect_issuer="BANK HK"),
    replace(ASK, expect_kind="diploma"),
    replace(ASK, expect_issuer="Bank HK", expect_kind="diploma"),
]


@pytest.mark.parametrize("question", UNEXPECTED, ids=repr)
def test_another_issuer_or_kind_is_unknown_without_a_proof_and_a_mismatch_with_one(
    question: Question,
) -> None:
    without = decide([GOOD], question, NOW)
    assert (without.word, without.judgements) == (Word.UNKNOWN, ())
    assert [(one.word, one.facts) for one in without.others] == [(Word.VALID, GOOD)]
    told = f"But Bank HK attested this document as bank-statement ({HK.origin}#5)."
    assert told in without.sentence
    expected = question.expect_kind or question.expect_issuer
    assert expected is not None
    assert expected in without.sentence
    with_proof = decide([replace(GOOD, referred=True)], question, NOW)
    assert with_proof.word == Word.MISMATCH
    assert expected in with_proof.sentence


def test_the_expected_kind_is_found() -> None:
    assert word_of(GOOD, question=replace(ASK, expect_kind="bank-statement")) == Word.VALID


@pytest.mark.parametrize(("better", "worse"), [(b, a) for a, b in PAIRS])
def test_the_best_attestation_of_one_institution_decides(better: Word, worse: Word) -> None:
    for issuer in (HK, HK2):
        found = [changed(better), replace(changed(worse), issuer=issuer, index=6)]
        for order in permutations(found):
            verdict = decide(order, ASK, None)
            assert verdict.word == better
            assert len(verdict.judgements) == 2


def test_the_newest_of_equally_good_attestations_decides() -> None:
    newer = replace(GOOD, index=6, entry=replace(ENTRY, made_at=ENTRY.made_at + 1), as_of=NOW - 1)
    later = replace(newer, index=7, as_of=NOW - 2)
    for order in permutations([GOOD, newer, later]):
        verdict = decide(order, ASK, None)
        assert [one.facts.index for one in verdict.judgements] == [7, 6, 5]
        assert verdict.as_of == NOW - 2


def test_an_entry_that_cannot_be_read_is_listed_last() -> None:
    verdict = decide([replace(GOOD, entry=None, index=99), GOOD], ASK, None)
    assert [one.facts.index for one in verdict.judgements] == [5, 99]
    assert verdict.word == Word.VALID


ATTESTED = [word for word in ORDER if word not in (Word.UNTRUSTED, Word.MISMATCH)]


@pytest.mark.parametrize(("ours", "theirs"), list(product(ATTESTED, repeat=2)))
def test_two_institutions_are_ambiguous_until_one_is_named(ours: Word, theirs: Word) -> None:
    found = [changed(ours), replace(changed(theirs), issuer=SZ)]
    verdict = decide(found, ASK, NOW - DAY)
    assert (verdict.word, verdict.exit_code, verdict.as_of) == (Word.AMBIGUOUS, 8, NOW - DAY)
    assert "Bank HK and Bank SZ" in verdict.sentence
    assert len(verdict.judgements) == 2
    assert word_of(*found, question=replace(ASK, expect_issuer="Bank HK")) == ours
    assert word_of(*found, question=replace(ASK, expect_issuer="sz-1")) == theirs


def test_two_gateways_of_one_institution_are_not_ambiguous() -> None:
    assert word_of(GOOD, replace(GOOD, issuer=HK2)) == Word.VALID


@pytest.mark.parametrize("word", ORDER[1:])
def test_what_is_untrusted_makes_nothing_ambiguous(word: Word) -> None:
    intruder = replace(changed(Word.UNTRUSTED), issuer=SZ)
    for order in permutations([changed(word), intruder]):
        verdict = decide(order, ASK, None)
        assert verdict.word == word
        assert len(verdict.judgements) == 2


@pytest.mark.parametrize("word", ATTESTED)
def test_an_attestation_of_another_document_makes_nothing_ambiguous(word: Word) -> None:
    intruder = replace(changed(Word.MISMATCH), issuer=SZ)
    for order in permutations([changed(word), intruder]):
        assert word_of(*order) == word


def test_an_attestation_that_could_not_be_compared_in_full_is_still_ambiguous() -> None:
    assert word_of(GOOD, replace(GOOD, issuer=SZ, match=Match.MISSING)) == Word.AMBIGUOUS


@pytest.mark.parametrize("word", [Word.UNTRUSTED, Word.MISMATCH])
def test_two_institutions_of_which_none_attests_are_not_ambiguous(word: Word) -> None:
    assert word_of(changed(word), replace(changed(word), issuer=SZ)) == word


def test_the_ambiguous_sentence_leaves_out_who_does_not_attest() -> None:
    third = replace(changed(Word.UNTRUSTED), issuer=replace(SZ, institution="Bank X"))
    verdict = decide([GOOD, replace(GOOD, issuer=SZ), third], ASK, None)
    assert verdict.sentence.startswith("Bank HK and Bank SZ attested")


@pytest.mark.parametrize("word", ORDER)
def test_a_proof_or_reference_decides_over_what_else_is_found(word: Word) -> None:
    pointed = replace(changed(word), referred=True, index=6)
    assert word_of(GOOD, pointed, replace(GOOD, issuer=SZ)) == word


GRAVE = [1, 4, 5]


@pytest.mark.parametrize("reason", range(8))
def test_a_grave_revocation_wins_over_the_institutions_other_attestations(reason: int) -> None:
    expected = Word.REVOKED if reason in GRAVE else Word.VALID
    for issuer in (HK, HK2):
        for order in permutations([GOOD, revoked(reason, issuer=issuer)]):
            verdict = decide(order, ASK, None)
            assert verdict.word == expected
            assert len(verdict.judgements) == 2
            assert ("entry 10" in verdict.sentence) is (reason in GRAVE)


@pytest.mark.parametrize("reason", GRAVE)
@pytest.mark.parametrize(
    "question",
    [
        replace(ASK, expect_kind="bank-statement"),
        replace(ASK, expect_issuer="hk-1"),
        replace(ASK, expect_issuer="bank-hk.example/hk-1", expect_kind="bank-statement"),
    ],
    ids=repr,
)
def test_a_grave_revocation_wins_whatever_was_expected(reason: int, question: Question) -> None:
    other = replace(ENTRY, kind="credit-report")
    bad = revoked(reason, issuer=HK2, entry=other)
    verdict = decide([GOOD, bad], question, None)
    assert verdict.word == Word.REVOKED
    assert [one.word for one in verdict.judgements] == [Word.REVOKED, Word.VALID]
    alone = Word.REVOKED if question.expect_issuer is None else Word.UNKNOWN
    assert word_of(bad, question=question) == alone


@pytest.mark.parametrize("match", [Match.MISSING, Match.NO_DOCUMENT])
def test_a_grave_revocation_wins_though_not_all_could_be_compared(match: Match) -> None:
    assert word_of(GOOD, revoked(4, match=match)) == Word.REVOKED


def test_a_grave_revocation_wins_over_a_proof() -> None:
    assert word_of(replace(GOOD, referred=True), revoked(4)) == Word.REVOKED


@pytest.mark.parametrize(
    "bad",
    [
        revoked(4, issuer=SZ, problem="forked"),
        revoked(4, problem="forked"),
        revoked(4, match=Match.DIFFERS),
        revoked(4, entry=None),
    ],
    ids=["another institution", "untrusted", "another document", "unreadable"],
)
def test_a_grave_revocation_that_says_nothing_about_the_document_does_not_win(bad: Facts) -> None:
    assert word_of(GOOD, bad) == Word.VALID


def test_a_grave_revocation_by_another_institution_does_not_win() -> None:
    question = replace(ASK, expect_issuer="Bank HK")
    assert word_of(GOOD, revoked(4, issuer=SZ), question=question) == Word.VALID
    assert word_of(GOOD, revoked(4, issuer=SZ)) == Word.AMBIGUOUS


@pytest.mark.parametrize("word", [Word.UNTRUSTED, Word.MISMATCH])
def test_a_grave_revocation_does_not_soften_a_bad_proof(word: Word) -> None:
    assert word_of(replace(changed(word), referred=True), revoked(4)) == word


EXITS = {
    "valid": 0,
    "revoked": 1,
    "expired": 1,
    "superseded": 1,
    "unknown": 2,
    "mismatch": 3,
    "untrusted": 4,
    "valid-as-of": 5,
    "unwitnessed": 6,
    "attestation-only": 7,
    "ambiguous": 8,
}


def test_exit_codes_are_those_of_the_page() -> None:
    assert {word.value: code for word, code in EXIT.items()} == EXITS
    assert decide([GOOD], ASK, None).exit_code == 0


def test_the_worst_of_several_files_decides() -> None:
    order = [
        "untrusted mismatch revoked superseded expired unknown ambiguous unwitnessed",
        "attestation-only valid-as-of valid",
    ]
    assert [word.value for word in WORST_FIRST] == " ".join(order).split()
    assert set(WORST_FIRST) == set(Word)
    for at, word in enumerate(WORST_FIRST):
        rest = list(WORST_FIRST[at:])
        assert worst(rest) == worst(rest[::-1]) == word


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1795305600123, "2026-11-22T00:00:00.123Z"),
        (253402300799999, "9999-12-31T23:59:59.999Z"),
        (253402300800000, "9999-12-31T23:59:59.999Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999Z"),
        (2**64, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(ms: int, text: str) -> None:
    assert format_time(ms) == text


PAGE = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text("utf-8")


def test_page_gives_every_word_its_exit_code() -> None:
    rows = [row.split("|") for row in PAGE.splitlines() if row.startswith("| `")]
    told = {word.strip(" `"): int(row[3]) for row in rows for word in row[1].split(",")}
    assert told == EXITS
