"""Who gives verdicts to a command: the gateway, or nothing but a policy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chopmark.cli.failures import attempt
from chopmark.client.files import read_bounded
from chopmark.client.verdicts import VerdictReport, read_verdict
from chopmark.core.digest import Digests
from chopmark.core.errors import ChopmarkError, MalformedError, MissingError
from chopmark.core.policy import MAX_POLICY, Policy, parse_policy
from chopmark.core.report import describe
from chopmark.core.verdict import Question

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient

Judge = Callable[[Digests | None, bytes | None], VerdictReport]
"""Gives the verdict about digests, a proof, or both."""
NO_PROOF: Final = "no-proof"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of all documents alike; `max_age` in seconds."""

    issuer: str | None = None
    kind: str | None = None
    max_age: int | None = None
    reference: str | None = None


def read_policy(path: Path) -> tuple[bytes, Policy]:
    """A policy file.

    Raises:
        MalformedError: `malformed-policy` and the codes of its parts, naming the file.
        MissingError: what `read_bounded` raises, as with other errors of it.
    """
    data = read_bounded(path, MAX_POLICY)
    read = attempt(partial(parse_policy, data))
    if isinstance(read, ChopmarkError):
        hint = "`chopmark peers policy ID` at a gateway that knows the issuer prints one"
        raise MalformedError(read.code, f"{path}: {read.message}", hint=hint)
    return data, read


def judge_offline(path: Path, terms: Terms) -> Judge:
    """By a policy file; raises as `read_policy`."""
    from chopmark.client.offline import verify_offline

    policy, _ = read_policy(path)
    now = time.time_ns() // 1_000_000
    question = Question(now, terms.issuer, terms.kind, terms.max_age)

    def judge(digests: Digests | None, proof: bytes | None) -> VerdictReport:
        if proof is None:
            message = "offline, with --policy, a document needs its proof, and there is none"
            raise MissingError(NO_PROOF, message, hint="give it by --proof")
        verdict = verify_offline(digests, proof, policy, question)
        return read_verdict(describe(verdict, digests))

    return judge


def judge_by_gateway(gateway: "GatewayClient", terms: Terms) -> Judge:
    """By a gateway, from its own log and its replicas."""
    from chopmark.client.messages import Query

    def judge(digests: Digests | None, proof: bytes | None) -> VerdictReport:
        return gateway.verify(
            Query(digests, proof, terms.reference, terms.issuer, terms.kind, terms.max_age)
        )

    return judge
