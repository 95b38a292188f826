"""What requests hold, and strict readers for it.

Unknown fields are refused: a misspelt `valid_until` must not make an attestation without an end.
"""

from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chopmark.api.limits import DEFAULT_WAIT, MAX_WAIT
from chopmark.api.ports import Duplicates, Until
from chopmark.api.twice import refuse_twice
from chopmark.core.canonical import MAX_NAMES
from chopmark.core.digest import Digests
from chopmark.core.entry import KIND, REASONS
from chopmark.core.errors import MalformedError
from chopmark.core.proof import MAX_PROOF
from chopmark.core.slip import MAX_TEXT as MAX_SLIP
from chopmark.core.text import MAX_INT

T = TypeVar("T")

_HEX: Final = r"\A[0-9a-f]{64}\Z"
_KIND: Final = rf"\A{KIND.pattern}\Z"
_DATE: Final = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"
_PATTERNS: Final = {
    _DATE: "of a date such as 2026-11-22",
    _HEX: "of 64 lower-case hexadecimal digits",
    _KIND: "of 1 to 32 characters a-z, 0-9, dot and hyphen",
}
Hex = Annotated[str, Meta(pattern=_HEX)]
Kind = Annotated[str, Meta(pattern=_KIND)]
CanonicalName = Annotated[str, Meta(min_length=1, max_length=16)]
Canonical = Annotated[dict[CanonicalName, Hex], Meta(min_length=1, max_length=4)]
OneCanonical = Annotated[dict[CanonicalName, Hex], Meta(min_length=1, max_length=MAX_NAMES)]
"""As many as an entry has room for."""
Index = Annotated[int, Meta(ge=0, le=MAX_INT)]
Wait = Annotated[float, Meta(ge=0, le=MAX_WAIT)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
_SEE: Final = "see docs/api.md for the fields of this route"


class DigestsIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Digests of one document, in lower-case hexadecimal."""

    sha256: Hex
    sm3: Hex | None = None
    canonical: Canonical | None = None

    def decoded(self) -> Digests:
        """The digests as bytes."""
        sm3 = None if self.sm3 is None else bytes.fromhex(self.sm3)
        named = () if self.canonical is None else self.canonical.items()
        canonical = tuple([(name, bytes.fromhex(one)) for name, one in named])
        return Digests(bytes.fromhex(self.sha256), sm3, canonical)


class NewDigestsIn(DigestsIn, forbid_unknown_fields=True, frozen=True):
    """Those of a document to be attested."""

    canonical: OneCanonical | None = None


class AttestationIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of `POST /v1/attestations`."""

    digests: NewDigestsIn
    kind: Kind = "document"
    valid_until: str | None = None
    supersedes: Index | None = None
    blinded: bool = False
    wait: Wait = DEFAULT_WAIT
    until: Until = "witnessed"
    duplicates: Duplicates = "first"


class RevocationIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of `POST /v1/revocations`."""

    index: Index
    reason: Annotated[int, Meta(ge=0, le=len(REASONS) - 1)]
    wait: Wait = DEFAULT_WAIT


class VerificationIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Body of `POST /v1/verifications`."""

    digests: DigestsIn | None = None
    proof: Annotated[str, Meta(max_length=MAX_PROOF)] | None = None
    slip: Annotated[str, Meta(max_length=MAX_SLIP)] | None = None
    reference: Name | None = None
    expect_issuer: Name | None = None
    expect_kind: Kind | None = None
    max_age: Annotated[int, Meta(ge=0, le=2**31)] | None = None


class VerificationLine(VerificationIn, forbid_unknown_fields=True, frozen=True):
    """A line of `POST /v1/verifications:batch`: digests may lie flat, as in other batches."""

    sha256: Hex | None = None
    sm3: Hex | None = None

    def nested(self) -> VerificationIn:
        """With the digests in `digests`.

        Raises:
            MalformedError: `malformed-line` if they are given twice, or SM3 alone.
        """
        digests = self.digests
        if self.sha256 is not None or self.sm3 is not None:
            if self.sha256 is None or digests is not None:
                message = "give `sha256` and perhaps `sm3`, or `digests` with the same in it"
                raise MalformedError("malformed-line", message)
            digests = DigestsIn(self.sha256, self.sm3)
        expected = (self.expect_issuer, self.expect_kind, self.max_age)
        return VerificationIn(digests, self.proof, self.slip, self.reference, *expected)


class BatchQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `POST /v1/attestations:batch`."""

    proofs: bool = False
    wait: Wait = DEFAULT_WAIT
    until: Until = "signed"
    duplicates: Duplicates = "first"


class CompactQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `POST /v1/attestations:compact`."""

    wait: Wait = DEFAULT_WAIT
    until: Until = "signed"


class ProofQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/proofs/{id}/{index}`."""

    bare: bool = False


class EntriesQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/entries`."""

    id: Name | UnsetType = UNSET
    after: Annotated[int, Meta(ge=-1, le=MAX_INT)] = -1
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    wait: Wait = 0


class LedgerQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/ledger`."""

    id: Name | UnsetType = UNSET
    before: Index | UnsetType = UNSET
    until: Name | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=256)] = 50


class DocumentsQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/documents/{algorithm}/{digest}`."""

    after: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=256)] = 100


class EventsQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/events`."""

    seconds: Annotated[float, Meta(ge=0, le=86_400)] | UnsetType = UNSET


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/audit`."""

    day: Annotated[str, Meta(pattern=_DATE)] | UnsetType = UNSET
    after: Annotated[int, Meta(ge=-1, le=MAX_INT)] = -1
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class NoQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The query of a route that takes none."""


class PolicyQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Query of `GET /v1/policy`."""

    id: Name | UnsetType = UNSET


def read_body(body: bytes, kind: type[T]) -> T:
    """Decode a JSON body.

    Raises:
        MalformedError: `malformed-json`, or `malformed-request` naming the field, also if it is
            given twice.
    """
    try:
        value = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise MalformedError("malformed-request", reword(error), hint=_SEE) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError("malformed-json", f"the body is not JSON: {error}") from None
    refuse_twice(body, "malformed-request")
    return value


def read_query(query: bytes, kind: type[T]) -> T:
    """Decode the query of a URL; a parameter given twice or unknown is refused.

    What may be missing is unset, not None: `null` is text like any other in a URL.

    Raises:
        MalformedError: `malformed-request` naming the parameter.
    """
    try:
        return msgspec.convert(_split_query(query), type=kind, strict=False)
    except ValueError as error:
        message = f"the query of the URL is wrong: {error}"
        raise MalformedError("malformed-request", message, hint=_SEE) from None


def reword(error: msgspec.ValidationError) -> str:
    """The message, with words in place of patterns."""
    text = str(error)
    for pattern, words in _PATTERNS.items():
        text = text.replace(f"matching regex {pattern!r}", words)
    return text


def _split_query(query: bytes) -> dict[str, str]:
    text = query.decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=16, errors="strict")
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a parameter is given twice")
    return values
