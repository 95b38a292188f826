"""A verdict as JSON (docs/api.md): the same from the API and from an offline check."""

from typing import Any

from chopmark.core.digest import Digests
from chopmark.core.entry import REASONS
from chopmark.core.verdict import Anchored, Facts, Judgement, Match, Revoked, Verdict
from chopmark.core.wording import format_time


def describe(verdict: Verdict, digests: Digests | None) -> dict[str, Any]:
    """The verdict as values that any JSON encoder takes.

    Args:
        verdict: the answer.
        digests: of the document that was asked about, if it was given.
    """
    return {
        "verdict": str(verdict.word),
        "sentence": verdict.sentence,
        "exit_code": verdict.exit_code,
        "asked_at": format_time(verdict.asked_at),
        "as_of": _time(verdict.as_of),
        "attestations": [_judgement(one, digests) for one in verdict.judgements],
        "pruned": [
            {"id": one.issuer.id, "origin": one.issuer.origin, "index": one.index}
            for one in verdict.pruned
        ],
        "others": [_judgement(one, digests) for one in verdict.others],
    }


def _judgement(judgement: Judgement, digests: Digests | None) -> dict[str, Any]:
    facts = judgement.facts
    entry, issuer = facts.entry, facts.issuer
    return {
        "verdict": str(judgement.word),
        "sentence": judgement.sentence,
        "issuer": issuer.institution,
        "jurisdiction": issuer.jurisdiction,
        "id": issuer.id,
        "origin": issuer.origin,
        "index": facts.index,
        "kind": entry.kind if entry else None,
        "made_at": _time(entry.made_at if entry else None),
        "existed_by": _time(facts.existed_by),
        "valid_until": _time(entry.valid_until if entry else None),
        "superseded_by": facts.superseded_by,
        "supersession": [
            {"index": one.index, "made_at": _time(one.made_at), "standing": str(one.standing)}
            for one in facts.chain
        ],
        "supersession_cut": facts.chain_cut,
        "revoked": _revoked(facts.revoked),
        "as_of": _time(facts.as_of),
        "witnesses": [{"name": name, "time": _time(at)} for name, at in facts.witnesses],
        "quorum": facts.quorum,
        "source": str(facts.source),
        "problem": facts.problem,
        "warning": facts.warning,
        "successor": issuer.successor,
        "digests_checked": _checked(facts, digests),
        "canonical": [name for name, _ in entry.canonical] if entry else [],
        "same_content": _same_content(facts, digests),
        **_anchored(facts.anchored),
    }


def _anchored(anchored: Anchored | None) -> dict[str, Any]:
    """Said only where chains are followed."""
    if anchored is None:
        return {}
    said = {name: getattr(anchored, name) for name in ("chain_id", "block", "size", "transaction")}
    return {"anchored": said}


def _checked(facts: Facts, digests: Digests | None) -> list[str]:
    """The algorithms whose digests were compared, whether they agreed or not."""
    compared = facts.match.is_other or facts.match in (Match.ALL, Match.MISSING)
    if facts.entry is None or digests is None or not compared:
        return []
    both = facts.entry.sm3 is not None and digests.sm3 is not None
    return ["sha256", "sm3"] if both else ["sha256"]


def _same_content(facts: Facts, digests: Digests | None) -> bool | None:
    """Whether a document of other bytes says the same; None where that was not compared."""
    if facts.entry is None or digests is None or not facts.match.is_other:
        return None
    common = {name for name, _ in facts.entry.canonical} & {name for name, _ in digests.canonical}
    return facts.match is Match.RESAVED if common else None


def _revoked(revoked: Revoked | None) -> dict[str, Any] | None:
    if revoked is None:
        return None
    known = revoked.reason < len(REASONS)
    return {
        "index": revoked.index,
        "reason": revoked.reason,
        "reason_text": REASONS[revoked.reason] if known else None,
        "at": format_time(revoked.at),
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else format_time(ms)
