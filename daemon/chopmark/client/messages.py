"""What goes to the gateway and comes back, typed; docs/api.md has the JSON."""

from dataclasses import dataclass
from typing import Any, Final

from chopmark.client.problem import bad_answer
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.wording import format_time

Json = dict[str, Any]
_STATES: Final = ("witnessed", "signed", "recorded")


@dataclass(frozen=True, slots=True)
class Attested:
    """An attestation that is durable in the gateway's log.

    Attributes:
        made_at: RFC 3339, UTC.
        signed: whether a signed head covers it already; if not, one will.
        proof: the proof file's bytes, when signed and asked for.
        witnessed: whether the quorum that its log needs has countersigned.
        provisional: whether the proof lacks that quorum.
        duplicate: whether it was there before.
    """

    origin: str
    index: int
    made_at: str
    signed: bool
    proof: bytes | None = None
    witnessed: bool = False
    provisional: bool = False
    duplicate: bool = False

    @property
    def state(self) -> str:
        """`witnessed`, `signed` or `recorded`."""
        return "witnessed" if self.witnessed else "signed" if self.signed else "recorded"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one of many: attested, or refused for a reason; exactly one is there."""

    attested: Attested | None = None
    error: ChopmarkError | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What documents have in common.

    Attributes:
        kind: of all of them.
        valid_until: ms since the Unix epoch, if they end.
        name: of the job; the same documents under the same name are attested once. A new one is
            made if there is none.
        blinded: whether their digests are hidden from the other members.
    """

    kind: str = "document"
    valid_until: int | None = None
    name: str = ""
    blinded: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One verification; at least one of digests, proof and reference is due.

    Attributes:
        proof: bytes of the proof file.
        reference: `origin#index`.
        expect_issuer: institution, member id or origin.
        max_age: seconds.
    """

    digests: Digests | None = None
    proof: bytes | None = None
    reference: str | None = None
    expect_issuer: str | None = None
    expect_kind: str | None = None
    max_age: int | None = None

    def encode(self) -> Json:
        """The request's JSON, without what was not given."""
        values = {
            "digests": self.digests and encode_digests(self.digests),
            # What is not UTF-8 is no proof, and the gateway says so.
            "proof": self.proof.decode("utf-8", "replace") if self.proof is not None else None,
            "reference": self.reference,
            "expect_issuer": self.expect_issuer,
            "expect_kind": self.expect_kind,
            "max_age": self.max_age,
        }
        return {key: value for key, value in values.items() if value is not None}


def encode_digests(digests: Digests) -> Json:
    """Digests in lower-case hexadecimal, by algorithm."""
    sm3 = {"sm3": digests.sm3.hex()} if digests.sm3 is not None else {}
    named = {name: digest.hex() for name, digest in digests.canonical}
    return {"sha256": digests.sha256.hex(), **sm3} | ({"canonical": named} if named else {})


def encode_draft(draft: Draft) -> Json:
    """All of an attestation's JSON but its digests."""
    until = format_time(draft.valid_until) if draft.valid_until is not None else None
    values = {
        "kind": draft.kind,
        "valid_until": until,
        "supersedes": draft.supersedes,
        "blinded": draft.blinded or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def read_attested(answer: object, origin: str | None = None) -> Attested:
    """Read an answer about one attestation; lines of a stream leave out the origin.

    Raises:
        UnreachableError: `bad-answer`.
    """
    values: Json = {"origin": origin, "proof": None} | read_object(answer, "made_at", "state")
    index, proof = values.get("index"), values["proof"]
    if not isinstance(index, int) or values["state"] not in _STATES:
        raise bad_answer()
    if not isinstance(values["origin"], str) or not isinstance(proof, str | None):
        raise bad_answer()
    encoded = None if proof is None else proof.encode("utf-8", "replace")
    signed, witnessed = values["state"] != "recorded", values["state"] == "witnessed"
    marks = (values.get(name) is True for name in ("provisional", "duplicate"))
    made_at, origin = values["made_at"], values["origin"]
    return Attested(origin, index, made_at, signed, encoded, witnessed, *marks)


def read_object(answer: object, *texts: str) -> Json:
    """An object in which these keys hold texts.

    Raises:
        UnreachableError: `bad-answer`.
    """
    if not isinstance(answer, dict) or any(not isinstance(answer.get(key), str) for key in texts):
        raise bad_answer()
    return answer


def read_objects(answer: object) -> list[Json]:
    """A list of objects.

    Raises:
        UnreachableError: `bad-answer`.
    """
    if not isinstance(answer, list) or any(not isinstance(item, dict) for item in answer):
        raise bad_answer()
    return answer


def read_log_key(exported: object) -> VerifierKey:
    """The key that signs the heads of the gateway's own log, of what it exports.

    Raises:
        UnreachableError: `bad-answer`.
    """
    try:
        return parse_vkey(str(read_object(exported, "log_vkey")["log_vkey"]))
    except MalformedError as error:
        raise bad_answer() from error
