"""From facts to verdicts: the rules of docs/verdicts.md, in their order.

Within one attestation the first that applies wins: untrusted, mismatch, revoked, superseded,
expired, unwitnessed, attestation-only, valid-as-of, valid. Over all: the attestation that the
caller pointed at decides; without a pointer the best of the one issuer there is. What is untrusted
never makes an answer ambiguous, since anyone can attest a public digest again; and a revocation
for error, fraud or key compromise wins over the same institution's other attestations.
"""

from collections.abc import Iterable

from chopmark.core import wording
from chopmark.core.entry import GRAVE_REASONS
from chopmark.core.verdict import (
    WORST_FIRST,
    Facts,
    Issuer,
    Judgement,
    Match,
    Question,
    Verdict,
    Word,
)


def judge(facts: Facts, question: Question) -> Judgement:
    """The verdict about one attestation."""
    word = _word(facts, question)
    return Judgement(word, wording.explain(word, facts, question), facts)


def decide(found: Iterable[Facts], question: Question, as_of: int | None) -> Verdict:
    """The verdict about a document.

    Args:
        found: facts about every attestation found, in any order.
        question: what was asked.
        as_of: ms up to which all replicas that were searched are known to be complete.
    """
    asked = [facts for facts in found if facts.referred or _is_expected(facts, question)]
    judged = tuple(judge(facts, question) for facts in sorted(asked, key=_newest_first))
    chosen = _choose(judged)
    if chosen is None:
        word = Word.AMBIGUOUS if judged else Word.UNKNOWN
        sentence = wording.explain_overall(word, judged, question, as_of)
        return Verdict(word, sentence, judged, question.now, as_of)
    return Verdict(chosen.word, chosen.sentence, judged, question.now, chosen.facts.as_of)


def _word(facts: Facts, question: Question) -> Word:
    entry = facts.entry
    if facts.problem is not None or entry is None:
        return Word.UNTRUSTED
    # A proof or reference of another issuer or kind than expected is not the one asked for.
    mismatched = facts.match in (Match.DIFFERS, Match.MISSING, Match.BLINDED)
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
    return facts.as_of is not None and question.now - facts.as_of <= limit * 1000


def _is_expected(facts: Facts, question: Question) -> bool:
    issuer, kind = question.expect_issuer, question.expect_kind
    if issuer is not None and issuer not in _names(facts.issuer):
        return False
    return kind is None or facts.entry is None or facts.entry.kind == kind


def _names(issuer: Issuer) -> tuple[str, str, str]:
    return issuer.institution, issuer.id, issuer.origin


def _newest_first(facts: Facts) -> tuple[int, int]:
    return -(facts.entry.made_at if facts.entry else 0), -facts.index


def _choose(judged: tuple[Judgement, ...]) -> Judgement | None:
    """The judgement that speaks for the document; None if there is none or none can."""
    referred = [j for j in judged if j.facts.referred]
    candidates = referred or [j for j in judged if j.word != Word.UNTRUSTED] or list(judged)
    trusted = {j.facts.issuer.institution for j in candidates if j.word != Word.UNTRUSTED}
    if len(trusted) > 1 or not candidates:
        return None
    best = max(candidates, key=lambda j: WORST_FIRST.index(j.word))
    return next((j for j in judged if _overrules(j, best)), best)


def _overrules(judgement: Judgement, chosen: Judgement) -> bool:
    """Whether a grave revocation by the same institution speaks against the chosen one."""
    revoked = judgement.facts.revoked
    return (
        judgement.word == Word.REVOKED
        and revoked is not None
        and revoked.reason in GRAVE_REASONS
        and judgement.facts.issuer.institution == chosen.facts.issuer.institution
        and chosen.word not in (Word.UNTRUSTED, Word.MISMATCH)
    )
