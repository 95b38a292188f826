"""The JSON of a verdict, typed; `core.report` makes it, docs/api.md explains it."""

from typing import NotRequired, TypedDict, cast

from chopmark.client.problem import bad_answer
from chopmark.core.canonical import KNOWN
from chopmark.core.verdict import Word


class RevokedReport(TypedDict):
    """The revocation in effect; `reason_text` is null for a reason that is not known here."""

    index: int
    reason: int
    reason_text: str | None
    at: str


class WitnessReport(TypedDict):
    """A cosignature: key name of the witness, signed time."""

    name: str
    time: str


class LinkReport(TypedDict):
    """An attestation in a chain of those that replaced each other; see `core.verdict.Link`."""

    index: int
    made_at: str | None
    standing: str


class AnchoredReport(TypedDict):
    """The first anchor on a chain over an attestation."""

    chain_id: int
    block: int
    size: int
    transaction: str


class AttestationReport(TypedDict):
    """The verdict about one attestation; see `core.verdict.Facts` for what the fields mean."""

    verdict: str
    sentence: str
    issuer: str
    jurisdiction: str
    id: str
    origin: str
    index: int
    kind: str | None
    made_at: str | None
    existed_by: str | None
    valid_until: str | None
    superseded_by: int | None
    supersession: NotRequired[list[LinkReport]]
    supersession_cut: NotRequired[bool]
    revoked: RevokedReport | None
    as_of: str | None
    witnesses: list[WitnessReport]
    quorum: str
    source: str
    problem: str | None
    warning: str | None
    successor: str | None
    digests_checked: list[str]
    canonical: list[str]
    same_content: bool | None
    anchored: NotRequired[AnchoredReport]


class VerdictReport(TypedDict):
    """The verdict about a document, with its exit code and every attestation found.

    `others`: of an unknown one, attestations that are not as was expected; older gateways do not
    tell of them.
    """

    verdict: str
    sentence: str
    exit_code: int
    asked_at: str
    as_of: str | None
    attestations: list[AttestationReport]
    others: NotRequired[list[AttestationReport]]


def read_verdict(answer: object) -> VerdictReport:
    """A verdict that has all its fields.

    Raises:
        UnreachableError: `bad-answer`, also for a word that this version does not know.
    """
    if not isinstance(answer, dict) or not answer.keys() >= VerdictReport.__required_keys__:
        raise bad_answer()
    found, others = answer["attestations"], answer.get("others", [])
    words = frozenset(word.value for word in Word)
    lists = isinstance(found, list) and isinstance(others, list)
    if not lists or answer["verdict"] not in words:
        raise bad_answer()
    for one in (*found, *others):
        complete = isinstance(one, dict) and one.keys() >= AttestationReport.__required_keys__
        if not complete or one["verdict"] not in words:
            raise bad_answer()
    return cast("VerdictReport", answer)


def wanted_canonical(report: VerdictReport) -> list[str]:
    """Names of canonical digests that would tell more about a mismatch, and are known here."""
    named = {
        name
        for one in report["attestations"]
        if one["verdict"] == "mismatch" and one["same_content"] is None
        for name in one["canonical"]
    }
    return [name for name in KNOWN if name in named]
