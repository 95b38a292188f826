"""Tells a question that was put wrongly from one whose answer is bad.

Who misspells an issuer or a kind, or leaves a digest out, would hear of an unknown or an altered
document, and tell the customer so. What is refused here is the caller's to mend
(docs/decisions/0020-questions-put-wrongly.md). It is looked at once there is a verdict that speaks
against the document: answers that are valid cost nothing, and what is of a kind that the catalogue
has no longer is found all the same.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from chopmark.core.errors import RefusedError
from chopmark.core.judge import lacked_digests
from chopmark.core.verdict import Issuer, Question, Verdict, Word

_SHOWN: Final = 64
"""As many members as a roster is likely to have."""


def check_question(
    verdict: Verdict, question: Question, issuers: Iterable[Issuer], kinds: Collection[str]
) -> None:
    """Refuse a question whose answer would be misunderstood.

    Args:
        verdict: the answer.
        question: what was asked.
        issuers: all that are known here.
        kinds: all that there are; empty if any will do.

    Raises:
        RefusedError: `unknown-issuer`, `unknown-kind`, `digest-missing`.
    """
    if verdict.word in (Word.UNKNOWN, Word.MISMATCH):
        if question.expect_issuer is not None:
            _check_issuer(question.expect_issuer, list(issuers))
        if question.expect_kind is not None and kinds:
            _check_kind(question.expect_kind, kinds)
    if missing := lacked_digests(verdict, question):
        _refuse_missing(missing)


def _check_issuer(name: str, issuers: list[Issuer]) -> None:
    names = [name for one in issuers for name in (one.institution, one.id, one.origin)]
    if name in names:
        return
    message = f"no issuer {name!r} is known here: neither an institution, nor a member, nor a log"
    shown = [f"{one.id} ({one.institution})" for one in issuers]
    near = get_close_matches(name, names, n=1)
    raise RefusedError("unknown-issuer", message, hint=_list(name, shown, near))


def _check_kind(name: str, kinds: Collection[str]) -> None:
    if name not in kinds:
        message = f"there is no kind of document {name!r}"
        raise RefusedError("unknown-kind", message, hint=_list(name, sorted(kinds)))


def _list(name: str, known: list[str], near: list[str] | None = None) -> str:
    close = get_close_matches(name, known, n=1) if near is None else near
    more = f", and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    start = f"did you mean {close[0]!r}? " if close else ""
    return f"{start}known here: {', '.join(known[:_SHOWN])}{more}"


def _refuse_missing(missing: tuple[str, ...]) -> None:
    names = " and ".join(missing)
    message = (
        f"the attestation names the digest {names} too, which was not given: nothing differs, "
        "but not everything could be compared"
    )
    hint = (
        f"give `{names}` besides `sha256` (`openssl dgst -sm3 FILE`); `chopmark verify` and the "
        "SDK do so by themselves"
    )
    raise RefusedError("digest-missing", message, hint=hint)
