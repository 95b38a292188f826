"""Consents, uses and traces: what the API needs of them; `service` provides it."""

from dataclasses import dataclass
from typing import Any, Protocol

from chopmark.core.consent import Body
from chopmark.core.digest import Digests
from chopmark.core.draft import Asking, Earlier


@dataclass(frozen=True, slots=True)
class ConsentAsked:
    """A consent that is to be recorded.

    Attributes:
        index: of the attestation in our log.
        receiver: member id, origin or institution.
        purpose: for which the receiver may use the document.
        until: last ms at which it holds.
        scenario: of the roster; where none is named, the one that fits.
    """

    index: int
    receiver: str
    purpose: str
    until: int
    scenario: str | None = None


@dataclass(frozen=True, slots=True)
class UseAsked:
    """A use that is to be recorded.

    Attributes:
        digests: of the document.
        purpose: of the use.
        proof: of its attestation, with consents in it, if there is one.
        reference: `origin#index` of its attestation, likewise.
        expect_issuer: that the caller expects.
        consents: proofs of consents besides.
        scenario: as of a consent.
    """

    digests: Digests
    purpose: str
    proof: bytes | None = None
    reference: tuple[str, int] | None = None
    expect_issuer: str | None = None
    consents: tuple[bytes, ...] = ()
    scenario: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A consent or use that is recorded, with what opens it: for its parties alone."""

    entry: Earlier
    body: Body
    salt: bytes


@dataclass(frozen=True, slots=True)
class TraceAsked:
    """Whose life is asked for.

    Attributes:
        digests: of the document, or part of them.
        proof: of its attestation, with consents and uses in it.
        records: proofs of consents and uses besides.
    """

    digests: Digests | None
    proof: bytes | None = None
    records: tuple[bytes, ...] = ()


class Dealings(Protocol):
    """What institutions do with a document, with the customer's consent."""

    async def consent(self, asked: ConsentAsked, seconds: float, asking: Asking) -> Made:
        """Record a consent in our log (docs/api.md)."""
        ...

    async def use(self, asked: UseAsked, seconds: float, asking: Asking) -> Made:
        """Verify a document and record its use in our log, or say why not (docs/api.md)."""
        ...

    async def trace(self, asked: TraceAsked) -> dict[str, Any]:
        """The life of a document over all logs, as a report (docs/formats/trace.md)."""
        ...
