"""Verifying with nothing but the document, its proof and a policy: no gateway, no network.

A replica knows of revocations and of who may issue what; a proof and a policy do not. So the best
answer here is `valid-as-of`, and an institution is known by its origin only.
"""

from chopmark.core.check import facts_from_proof
from chopmark.core.digest import Digests
from chopmark.core.errors import UsageError
from chopmark.core.judge import decide
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.proof import parse_proof
from chopmark.core.verdict import Issuer, Question, Verdict


def verify_offline(
    digests: Digests | None, proof: bytes, policy: bytes, question: Question
) -> Verdict:
    """The verdict about a document, or about a proof without one.

    Args:
        digests: of the document; None if there is only the proof.
        proof: bytes of the proof file.
        policy: bytes of the policy file (C2SP tlog-policy).
        question: the issuer that is expected is named by origin.

    Raises:
        MalformedError: `malformed-proof`, `malformed-policy` and the codes of their parts.
        UsageError: `unknown-issuer` if the policy does not name the expected one.
    """
    trusted = parse_policy(policy)
    parsed = parse_proof(proof)
    _check_expected(trusted, question)
    origin = parsed.checkpoint().origin
    issuer = Issuer(id=origin, origin=origin, institution=origin, jurisdiction="")
    facts = facts_from_proof(parsed, trusted, digests, issuer, lambda _: True)
    return decide([facts], question, None)


def _check_expected(policy: Policy, question: Question) -> None:
    """A policy knows origins only: another name would look like a mismatch."""
    origins = sorted({key.name for key in policy.logs})
    if question.expect_issuer is not None and question.expect_issuer not in origins:
        message = f"the policy has no log of the issuer {question.expect_issuer}"
        hint = f"without a gateway an issuer is named by its origin: {', '.join(origins)}"
        raise UsageError("unknown-issuer", message, hint=hint)
