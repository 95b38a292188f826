"""The sentence of each verdict: what was checked, and what the reader may rely on."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from chopmark.core.entry import REASONS
from chopmark.core.verdict import Facts, Match, Pruned, Question, Revoked, Standing, Word

_NO_QUORUM = (
    " No independent institution has to countersign here (quorum none): the date is the issuer's."
)

_RELIED_ON: Final = (Word.VALID, Word.VALID_AS_OF, Word.REVOKED, Word.EXPIRED, Word.SUPERSEDED)
"""Of these it matters since when the attestation cannot have been changed."""


def format_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds; years beyond 9999 are shown as that year's end."""
    try:
        return f"{_format_second(ms // 1000)}.{ms % 1000:03d}Z"
    except OverflowError:
        return "9999-12-31T23:59:59.999Z"


@lru_cache(maxsize=1024)
def _format_second(seconds: int) -> str:
    """Remembered: what is asked in one second says the same times again and again."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.isoformat().removesuffix("+00:00")


def explain(word: Word, facts: Facts, question: Question) -> str:
    """The sentence for one attestation."""
    sentence = _SENTENCES[word](facts, question)
    if facts.issuer.successor is not None:
        sentence += f" This ledger has ended; {facts.issuer.successor} is its successor."
    if (anchored := facts.anchored) is not None and word in _RELIED_ON:
        sentence += f" Anchored in block {anchored.block} of chain {anchored.chain_id}."
    return sentence if facts.warning is None else f"{sentence} Warning: {facts.warning}."


def explain_ambiguous(institutions: Iterable[str]) -> str:
    """The sentence where several institutions attested the document."""
    names = " and ".join(sorted(institutions))
    return f"{names} attested this document: name the issuer you expect."


def explain_unknown(
    question: Question,
    as_of: int | None,
    blinded: Collection[str] = (),
    others: Sequence[Facts] = (),
) -> str:
    """The sentence where nothing that was asked for was found.

    Args:
        question: what was asked.
        as_of: ms up to which it is known.
        blinded: kinds that are blinded by rule.
        others: attestations of this document by another issuer or of another kind than expected.
    """
    by = f" by {question.expect_issuer}" if question.expect_issuer else ""
    of = f" as {question.expect_kind}" if question.expect_kind else ""
    when = f", as of {format_time(as_of)}" if as_of is not None else ""
    known = f"No attestation of this document{by}{of} is known here{when}."
    known += "".join(_tell_of(facts) for facts in others)
    if question.expect_kind in blinded:
        return (
            f"{known} Attestations of the kind {question.expect_kind} are blinded: they are found "
            "by their proof only, so give the proof file that came with the document."
        )
    always = f" (those of the kind {' and '.join(sorted(blinded))} always are)" if blinded else ""
    return (
        f"{known} If its proof file came with it, give that too: blinded attestations{always} are "
        "found by their proof only."
    )


def _tell_of(other: Facts) -> str:
    """That somebody attests the document, who was not expected to or not as that."""
    kind = other.entry.kind if other.entry else ""
    place = f"{other.issuer.origin}#{other.index}"
    told = f"But {other.issuer.institution} attested this document as {kind} ({place})"
    if other.revoked is None:
        return f" {told}."
    at, index = format_time(other.revoked.at), other.revoked.index
    reason = _name_reason(other.revoked)
    return f" Warning: {told[4:]} and revoked that on {at} (entry {index}, {reason})."


def _name_reason(revoked: Revoked) -> str:
    return REASONS[revoked.reason] if revoked.reason < len(REASONS) else str(revoked.reason)


def explain_no_entry(origin: str, index: int, size: int | None, known: Sequence[str]) -> str:
    """The sentence where a reference leads nowhere.

    Args:
        origin: of the log that it names.
        index: of the entry that it names.
        size: signed entries of that log that are held here; None if it is not known.
        known: origins of the logs that are.
    """
    if size is None:
        return (
            f"No ledger {origin} is known here, and so no entry {index} of it: check the "
            f"reference. Known here: {', '.join(known)}."
        )
    return (
        f"The ledger {origin} has no entry {index} that is known here: its size is {size}, counted "
        "from 0. Check the reference, or ask again later if it is brand-new."
    )


def explain_pruned(pruned: Sequence[Pruned]) -> str:
    """What is added where attestations may be of the document whose bodies were removed."""
    places = ", ".join(f"{one.issuer.origin}#{one.index}" for one in pruned)
    names = " and ".join(sorted({one.issuer.institution for one in pruned}))
    return (
        f"An earlier attestation by {names} ({places}) is most likely of this document, but its "
        "validity had ended and its body was removed here: it is being fetched again, so ask once "
        "more if it matters to you."
    )


def _untrusted(facts: Facts, _: Question) -> str:
    problem = facts.problem or "the entry is of a format that is not known: update the software"
    return f"Do not rely on this attestation from {facts.issuer.origin}: {problem}."


def _mismatch(facts: Facts, question: Question) -> str:
    where = f"The attestation {facts.issuer.origin}#{facts.index}"
    if facts.match == Match.MISSING:
        return f"{where} also names an SM3 digest, which was not given: send both digests."
    if facts.match == Match.BLINDED:
        return f"{where} is blinded: it can be compared with the salt in its proof only."
    if facts.match == Match.RESAVED:
        return (
            f"{where} is for a file with the same content, and this is not that file: it was saved "
            "again, and its bytes are not those that were attested. Ask the customer for the file "
            f"as {facts.issuer.institution} handed it out, not opened and saved by any program."
        )
    if facts.match == Match.DIFFERS:
        return (
            f"{where} is for another document: the digests differ. The usual cause is a file "
            "that was saved or printed again, or changed."
        )
    kind = facts.entry.kind if facts.entry else ""
    expected = [name for name in (question.expect_issuer, question.expect_kind) if name]
    return (
        f"{where} is by {facts.issuer.institution} of kind {kind}, "
        f"not what was expected ({', '.join(expected)})."
    )


def _revoked(facts: Facts, _: Question) -> str:
    if facts.revoked is None:
        raise RuntimeError("a revoked attestation without its revocation")
    revoked = facts.revoked
    return (
        f"{facts.issuer.institution} attested this document, and revoked that on "
        f"{format_time(revoked.at)} (entry {revoked.index}, {_name_reason(revoked)})."
    )


def _superseded(facts: Facts, _: Question) -> str:
    return (
        f"{facts.issuer.institution} attested this document, and has replaced it by a newer one "
        f"(entry {facts.superseded_by}).{_chain(facts)}"
    )


def _chain(facts: Facts) -> str:
    """What has become of the newer one, where there is more to say than that."""
    if not facts.chain:
        return ""
    last = facts.chain[-1]
    if facts.chain_cut:
        return f" That was replaced as well, {len(facts.chain)} times and more."
    if last.standing is Standing.LIVE:
        return f" What counts now is entry {last.index}." if len(facts.chain) > 1 else ""
    how = "was revoked" if last.standing is Standing.REVOKED else "has expired"
    return f" Nothing has taken its place: entry {last.index} {how}."


def _expired(facts: Facts, _: Question) -> str:
    until = facts.entry.valid_until if facts.entry else None
    return (
        f"{facts.issuer.institution} attested this document, valid until {format_time(until or 0)}."
    )


def _unwitnessed(facts: Facts, _: Question) -> str:
    if facts.notaries is not None and facts.entry is not None:
        return (
            f"{facts.issuer.institution} has signed this attestation and the quorum has "
            f"countersigned it, but not the notaries that the kind {facts.entry.kind} needs "
            f"({facts.notaries}): try again later."
        )
    return (
        f"{facts.issuer.institution} has signed this attestation, but not enough institutions "
        "have countersigned it yet: try again later."
    )


def _attestation_only(facts: Facts, _: Question) -> str:
    return (
        f"The attestation is good: {facts.issuer.institution} attested a document of this kind. "
        "The document itself was not given and was not checked, and neither was any paper that "
        "this came on, whatever it says: the file is needed."
    )


def _valid_as_of(facts: Facts, _: Question) -> str:
    if facts.as_of is None:
        checked = "Revocation could not be checked without a replica of the issuer's ledger."
    else:
        checked = f"Revocation after {format_time(facts.as_of)} was not checked."
    return f"{_attested(facts)} {checked}{_quorum(facts)}"


def _valid(facts: Facts, _: Question) -> str:
    if facts.as_of is None:
        holds = "It is not revoked, replaced or expired."
    elif facts.existed_by is not None and facts.existed_by > facts.as_of:
        # So new that its issuer has not been heard of since: times of cosignatures are seconds.
        holds = (
            "By all that is known here it is not revoked, replaced or expired; what the issuer "
            f"recorded after {format_time(facts.as_of)} may not have come in yet."
        )
    else:
        holds = f"It is not revoked, replaced or expired as of {format_time(facts.as_of)}."
    return f"{_attested(facts)} {holds}{_quorum(facts)}"


def _attested(facts: Facts) -> str:
    by = f", existed by {format_time(facts.existed_by)}" if facts.existed_by is not None else ""
    return f"{facts.issuer.institution} attested exactly this document{by}."


def _quorum(facts: Facts) -> str:
    """Who stands behind the date, and who could not: nobody must take it for more than it is."""
    if facts.quorum != "reached":
        return _NO_QUORUM if facts.quorum == "none" else ""
    names = " and ".join(sorted(name.removesuffix("/cosigner") for name, _ in facts.witnesses))
    by = f" Countersigned by {names}." if names else ""
    if not facts.dropped:
        return by
    places = " and ".join(facts.dropped)
    return f"{by} No other institution of {places} than the issuer's could countersign."


_SENTENCES: Final = {
    Word.UNTRUSTED: _untrusted,
    Word.MISMATCH: _mismatch,
    Word.REVOKED: _revoked,
    Word.SUPERSEDED: _superseded,
    Word.EXPIRED: _expired,
    Word.UNWITNESSED: _unwitnessed,
    Word.ATTESTATION_ONLY: _attestation_only,
    Word.VALID_AS_OF: _valid_as_of,
    Word.VALID: _valid,
}
