"""`POST /v1/verifications`: the verdict about a document, from our own replicas."""

from typing import Any, Final

from chopmark.api.identity import CALLER
from chopmark.api.limits import ApiLimits
from chopmark.api.models import VerificationIn, read_body
from chopmark.api.ports import Asked, Gateway
from chopmark.api.posts import Answer
from chopmark.core.checkpoint import check_origin
from chopmark.core.errors import MalformedError
from chopmark.core.report import describe
from chopmark.core.slip import parse_slip
from chopmark.core.text import parse_decimal
from chopmark.core.verdict import Question, Verdict, Word

_GOOD: Final = (Word.VALID, Word.VALID_AS_OF)


async def verify(body: bytes, gateway: Gateway, _: ApiLimits) -> Answer:
    """Verify one document by its digests, its proof, or a reference."""
    return Answer(200, await find_verdict(read_body(body, VerificationIn), gateway))


async def find_verdict(body: VerificationIn, gateway: Gateway) -> dict[str, Any]:
    """The verdict that is asked for, as JSON."""
    asked = _asked(body, gateway)
    verdict = await gateway.verify(asked)
    content = describe(verdict, asked.digests)
    if is_unchecked(verdict, asked.question):
        content["issuer_unchecked"] = True
    return content


def is_unchecked(verdict: Verdict, question: Question) -> bool:
    """Whether a program is about to rely on whoever the issuer is: it has named none.

    A person sees the issuer's name; a program that goes by the word takes any member's document
    for that of the bank it has in mind.
    """
    return CALLER.get().machine and question.expect_issuer is None and verdict.word in _GOOD


def _asked(body: VerificationIn, gateway: Gateway) -> Asked:
    if all(one is None for one in (body.digests, body.proof, body.slip, body.reference)):
        message = "nothing to verify: `digests`, `proof`, `slip` and `reference` are all missing"
        raise MalformedError("malformed-request", message)
    return Asked(
        None if body.digests is None else body.digests.decoded(),
        _read_proof(body),
        None if body.reference is None else parse_reference(body.reference),
        Question(gateway.now_ms(), body.expect_issuer, body.expect_kind, body.max_age),
    )


def _read_proof(body: VerificationIn) -> bytes | None:
    """The proof, which may have come as a slip."""
    if body.slip is None:
        return None if body.proof is None else body.proof.encode()
    if body.proof is not None:
        message = "a slip stands for a proof: give `proof` or `slip`, not both"
        raise MalformedError("malformed-request", message)
    return parse_slip(body.slip).encode()


def parse_reference(text: str) -> tuple[str, int]:
    """Read `origin#index`.

    Raises:
        MalformedError: `malformed-reference`.
    """
    origin, mark, index = text.rpartition("#")
    try:
        check_origin(origin if mark else text)
        return origin, parse_decimal(index if mark else "", "the index")
    except MalformedError as error:
        why = error.message if mark else "there is no # in it"
        message = f"`reference` is not origin#index: {why}"
        hint = 'write it like "bank-hk.example/hk-1#42"'
        raise MalformedError("malformed-reference", message, hint=hint) from None
