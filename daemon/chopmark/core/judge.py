"""From facts to verdicts: the rules of docs/verdicts.md, in their order.

Within one attestation the first that applies wins: untrusted, mismatch, revoked, superseded,
expired, unwitnessed, attestation-only, valid-as-of, valid. Over all: the attestation that the
caller pointed at decides; without a pointer the best of the one issuer there is. What is untrusted
or about another document never makes an answer ambiguous, since anyone can attest a public digest
again. A revocation for error, fraud or key compromise wins over the same institution's other
attestations of the document, under whatever member id or kind it was attested.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from chopmark.core import wording
from chopmark.core.entry import GRAVE_REASONS
from chopmark.core.verdict import (
    WORST_FIRST,
    Facts,
    Issuer,
    Judgement,
    Match,
    Pruned,
    Question,
    Verdict,
    Word,
)

_SKEW: Final = 60_000
"""Milliseconds by which an issuer's clock may be ahead of ours, as for heartbeats."""


def judge(facts: Facts, question: Question) -> Judgement:
    """The verdict about one attestation."""
    word = _word(facts, question)
    return Judgement(word, wording.explain(word, facts, question), facts)


def decide(
    found: Iterable[Facts], question: Question, as_of: int | None, blinded: Collection[str] = ()
) -> Verdict:
    """The verdict about a document.

    Args:
        found: facts about every attestation found, in any order.
        question: what was asked.
        as_of: ms up to which all replicas that were searched are known to be complete.
        blinded: kinds whose attestations are blinded by rule, and found by their proof only.
    """
    everything = sorted(found, key=_newest_first)
    judged = tuple(judge(facts, question) for facts in everything if _is_asked(facts, question))
    candidates = _candidates(judged)
    if not candidates:
        # Whoever expects another kind must hear of a fraud all the same.
        of_any_kind = replace(question, expect_kind=None)
        if graves := _judge_graves((f for f in everything if _is_asked(f, of_any_kind)), question):
            newest = graves[0]
            return Verdict(
                newest.word, newest.sentence, tuple(graves), question.now, newest.facts.as_of
            )
        others = _find_others(everything, question)
        sentence = wording.explain_unknown(question, as_of, blinded, [o.facts for o in others])
        return Verdict(Word.UNKNOWN, sentence, judged, question.now, as_of, others=others)
    attesters = {j.facts.issuer.institution for j in candidates if _attests(j)}
    if len(attesters) > 1:
        sentence = wording.explain_ambiguous(attesters)
        return Verdict(Word.AMBIGUOUS, sentence, judged, question.now, as_of)
    best = max(candidates, key=lambda j: WORST_FIRST.index(j.word))
    graves = _find_graves(everything, question, best)
    chosen = graves[0] if graves else best
    rest = [j for j in judged if all(j.facts != grave.facts for grave in graves)]
    shown = tuple(sorted((*rest, *graves), key=lambda j: _newest_first(j.facts)))
    return Verdict(chosen.word, chosen.sentence, shown, question.now, chosen.facts.as_of)


def lacked_digests(verdict: Verdict, question: Question) -> tuple[str, ...]:
    """The digests without which the answer may be worse than it has to be, by name.

    What decides names them, nothing that was given differs from it, and it counts as a mismatch
    for want of them alone. A good answer, and that a document was revoked for error, fraud or key
    compromise, hold without them.
    """
    judged = verdict.judgements
    holds = verdict.word in (Word.VALID, Word.AMBIGUOUS)
    if holds or (verdict.word == Word.REVOKED and any(_is_grave(one.facts) for one in judged)):
        return ()
    missing = any(
        one.word == Word.MISMATCH
        and one.facts.match == Match.MISSING
        and _is_expected(one.facts, question)
        for one in _candidates(judged)
    )
    return ("sm3",) if missing else ()


def with_pruned(verdict: Verdict, pruned: Iterable[Pruned], question: Question) -> Verdict:
    """The verdict, with what may be of the document too, and cannot be told any more here.

    The word stays: what was pruned is over, by expiry, revocation or a newer one, and was not
    revoked for error, fraud or key compromise.
    """
    expected = question.expect_issuer
    asked = tuple(p for p in pruned if expected is None or expected in _names(p.issuer))
    if not asked:
        return verdict
    sentence = f"{verdict.sentence} {wording.explain_pruned(asked)}"
    return replace(verdict, sentence=sentence, pruned=asked)


def _word(facts: Facts, question: Question) -> Word:
    entry = facts.entry
    if facts.problem is not None or entry is None:
        return Word.UNTRUSTED
    # A proof or reference of another issuer or kind than expected is not the one asked for.
    mismatched = facts.match in (Match.DIFFERS, Match.RESAVED, Match.MISSING, Match.BLINDED)
    if mismatched or not _is_expected(facts, question):
        return Word.MISMATCH
    expired = entry.valid_until is not None and entry.valid_until < question.now
    rules = (
        (facts.revoked is not None, Word.REVOKED),
        (facts.superseded_by is not None, Word.SUPERSEDED),
        (expired, Word.EXPIRED),
        (facts.quorum == "missing", Word.UNWITNESSED),
        (facts.match == Match.NO_DOCUMENT, Word.ATTESTATION_ONLY),
        (not _is_fresh(facts, question), Word.VALID_AS_OF),
    )
    return next((word for applies, word in rules if applies), Word.VALID)


def _is_fresh(facts: Facts, question: Question) -> bool:
    limit = facts.max_age
    if question.max_age is not None:
        limit = min(limit, question.max_age)
    # A time well ahead of ours means that our clock is behind: then nobody knows how old it is.
    return facts.as_of is not None and -_SKEW <= question.now - facts.as_of <= limit * 1000


def _is_asked(facts: Facts, question: Question) -> bool:
    return facts.referred or _is_expected(facts, question)


def _is_expected(facts: Facts, question: Question) -> bool:
    issuer, kind = question.expect_issuer, question.expect_kind
    if issuer is not None and issuer not in _names(facts.issuer):
        return False
    return kind is None or facts.entry is None or facts.entry.kind == kind


def _names(issuer: Issuer) -> tuple[str, str, str]:
    return issuer.institution, issuer.id, issuer.origin


def _newest_first(facts: Facts) -> tuple[int, int]:
    return -(facts.entry.made_at if facts.entry else 0), -facts.index


def _candidates(judged: Sequence[Judgement]) -> Sequence[Judgement]:
    """Those that may speak for the document: the first sort of which there is any."""
    referred = [j for j in judged if j.facts.referred]
    attesting = [j for j in judged if _attests(j)]
    trusted = [j for j in judged if j.word != Word.UNTRUSTED]
    return referred or attesting or trusted or judged


def _attests(judgement: Judgement) -> bool:
    """Whether an institution stands behind this very document, as far as it could be compared."""
    return judgement.word != Word.UNTRUSTED and not judgement.facts.match.is_other


def _find_graves(
    everything: Iterable[Facts], question: Question, best: Judgement
) -> list[Judgement]:
    """Grave revocations by the same institution, which speak against its best attestation.

    What the caller expects does not hide them, nor that he gave no SM3 digest: that an
    attestation of these bytes was revoked for fraud is a warning whatever else it said.
    """
    if best.word in (Word.UNTRUSTED, Word.MISMATCH):
        return []
    institution = best.facts.issuer.institution
    theirs = (facts for facts in everything if facts.issuer.institution == institution)
    return _judge_graves(theirs, question)


def _find_others(everything: Iterable[Facts], question: Question) -> tuple[Judgement, ...]:
    """Who attests the document, though not the issuer or not as the kind that is expected.

    They change no verdict. But nobody must be told that nothing is known of these bytes where
    another institution has revoked them for fraud.
    """
    anybody = replace(question, expect_issuer=None, expect_kind=None)
    judged = (
        next(iter(_judge_graves([facts], anybody)), None) or judge(facts, anybody)
        for facts in everything
    )
    return tuple(one for one in judged if _attests(one))


def _judge_graves(found: Iterable[Facts], question: Question) -> list[Judgement]:
    return [
        Judgement(Word.REVOKED, wording.explain(Word.REVOKED, facts, question), facts)
        for facts in found
        if _is_grave(facts)
    ]


def _is_grave(facts: Facts) -> bool:
    trusted = facts.problem is None and facts.entry is not None and not facts.match.is_other
    return trusted and facts.revoked is not None and facts.revoked.reason in GRAVE_REASONS
