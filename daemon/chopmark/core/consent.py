"""Consents and uses: bodies, commitments, and the proofs that show them (docs/formats/consent.md).

On the ledger a consent or a use is a commitment: HMAC-SHA-256(salt, body). Body and salt are with
the customer and the two parties. Who has them has them in a proof of that entry, and carries these
in the document's own proof.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import check_origin
from chopmark.core.entry import KIND, Commitment, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.proof import MAX_PROOF, Extra, Proof, parse_extra, parse_proof
from chopmark.core.text import MAX_INT

CONSENT: Final = 3
USE: Final = 4
"""Types of entries."""
MAX_BODY: Final = 1024
MAX_RECORDS: Final = 48
"""Proofs of consents and uses in a document's proof."""
PURPOSE: Final = re.compile(KIND.pattern, re.ASCII)
_HASH: Final = 32
_KEYS: Final = {
    CONSENT: ({0, 1, 2, 3, 4, 5, 6, 8}, {7}),
    USE: ({0, 1, 2, 3, 4, 5, 6}, {7, 9, 10}),
}
"""Per type the keys that must and that may be there."""


@dataclass(frozen=True, slots=True)
class Consent:
    """The customer lets a receiver use a document.

    Attributes:
        origin: of the log that has the attestation, and the consent.
        index: of the attestation.
        leaf: leaf hash of the attestation.
        receiver: origin of a gateway of the receiving institution, whose gateways are all meant.
        purpose: 1 to 32 of `[a-z0-9.-]`.
        until: the last ms (since the Unix epoch) at which it holds.
        scenario: of the roster, if it has some.
    """

    origin: str
    index: int
    leaf: bytes
    receiver: str
    purpose: str
    until: int
    scenario: str | None = None

    def encode(self) -> bytes:
        """The body's bytes."""
        return encode_cbor({0: 1, 1: CONSENT} | _common(self) | {8: self.until})


@dataclass(frozen=True, slots=True)
class Use:
    """A receiver has verified a document for a purpose, in whose log this stands.

    Attributes:
        origin: of the log that has the attestation.
        index: of the attestation.
        leaf: leaf hash of the attestation.
        receiver: origin of the log that has this entry.
        purpose: as of a consent.
        scenario: of the roster, if it has some.
        consent: index and leaf hash of the consent's entry, if it rests on one.
    """

    origin: str
    index: int
    leaf: bytes
    receiver: str
    purpose: str
    scenario: str | None = None
    consent: tuple[int, bytes] | None = None

    def encode(self) -> bytes:
        """The body's bytes."""
        rests = {} if self.consent is None else {9: self.consent[0], 10: self.consent[1]}
        return encode_cbor({0: 1, 1: USE} | _common(self) | rests)


Body = Consent | Use


@dataclass(frozen=True, slots=True)
class Shown:
    """A consent or use that somebody can show.

    Attributes:
        body: what was said.
        made_at: when (ms), by the clock of the log's gateway.
        proof: of the entry, with salt and body; its signatures are not checked by reading it.
    """

    body: Body
    made_at: int
    proof: Proof

    @property
    def origin(self) -> str:
        """Origin of the log that has the entry."""
        return self.proof.checkpoint().origin

    @property
    def place(self) -> tuple[str, int]:
        """Origin and index of the entry."""
        return self.origin, self.proof.index

    @property
    def entry(self) -> bytes:
        """Bytes of the entry."""
        return parse_extra(self.proof.extra).entry


def commit(salt: bytes, body: bytes) -> bytes:
    """What stands on the ledger for a body."""
    return hmac.digest(salt, body, "sha256")


def parse_body(data: bytes) -> Body:
    """Read the body of a consent or a use.

    Raises:
        MalformedError: `malformed-body`, and the codes of its parts.
    """
    value = decode_cbor(data) if len(data) <= MAX_BODY else None
    if not isinstance(value, dict) or value.get(0) is True or value.get(0) != 1:
        raise _malformed("of another version, or too large")
    kind = value.get(1)
    if type(kind) is not int or kind not in _KEYS:
        raise _malformed("neither of a consent nor of a use")
    must, may = _KEYS[kind]
    if must - value.keys() or value.keys() - must - may:
        raise _malformed("with other fields than it has")
    return _read(value)  # which has one spelling: CBOR of another is refused


def seal(proof: Proof, salt: bytes, body: Body) -> Proof:
    """The proof of a consent's or use's entry, with what opens it.

    Raises:
        RefusedError: `bad-commitment`.
    """
    entry = parse_extra(proof.extra).entry
    made = replace(proof, extra=Extra(entry, salt, bodies=body.encode()).encode())
    show(made)
    return made


def show(proof: Proof) -> Shown:
    """Open the commitment that a proof is of; neither inclusion nor signatures are checked.

    Raises:
        MalformedError: `malformed-body`, `malformed-proof`: it shows neither.
        RefusedError: `bad-commitment`: salt and body are not of this entry, or this log.
    """
    extra = parse_extra(proof.extra)
    entry = parse_entry(extra.entry)
    if not isinstance(entry, Commitment) or entry.type not in (CONSENT, USE):
        raise _malformed("of an entry that is neither consent nor use")
    if extra.salt is None or extra.bodies is None:
        raise _malformed("not there: the proof shows a consent or use without salt and body")
    body = parse_body(extra.bodies)
    fits = entry.type == (CONSENT if isinstance(body, Consent) else USE)
    if not fits or not hmac.compare_digest(commit(extra.salt, extra.bodies), entry.value):
        raise _bad("the salt and the body are not those of the entry on the ledger")
    shown = Shown(body, entry.made_at, proof)
    if shown.origin != (body.origin if isinstance(body, Consent) else body.receiver):
        raise _bad("it stands in another log than it says")
    if isinstance(body, Consent) and body.index >= proof.index:
        raise _bad("it comes before the attestation that it is about")
    return shown


def read_records(bodies: bytes | None) -> tuple[Shown, ...]:
    """The consents and uses that a document's proof carries.

    Raises:
        MalformedError: `malformed-body`, and what `parse_proof` raises.
        RefusedError: `bad-commitment`.
    """
    if bodies is None:
        return ()
    value = decode_cbor(bodies)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_RECORDS:
        raise _malformed(f"no list of 1 to {MAX_RECORDS} proofs")
    return tuple(show(parse_proof(one)) for one in value if _is_bytes(one))


def add_records(proof: Proof, shown: Iterable[Shown]) -> Proof:
    """A document's proof with more consents and uses; a newer proof of one replaces the older.

    Raises:
        RefusedError: `too-many-records`; `other-document`: one is about another attestation.
        MalformedError: what `read_records` raises.
    """
    extra = parse_extra(proof.extra)
    kept = {one.place: one for one in read_records(extra.bodies)}
    origin = proof.checkpoint().origin
    for one in shown:
        if (one.body.origin, one.body.index) != (origin, proof.index):
            message = f"it is about {one.body.origin}#{one.body.index}, another attestation"
            raise RefusedError("other-document", message)
        kept[one.place] = one
    bodies = encode_cbor([one.proof.encode() for one in kept.values()]) if kept else None
    made = replace(proof, extra=replace(extra, bodies=bodies).encode())
    if len(kept) > MAX_RECORDS or len(made.encode()) > MAX_PROOF:
        message = f"a proof has room for {MAX_RECORDS} consents and uses, or for fewer large ones"
        raise RefusedError("too-many-records", message, hint="keep the others in their own files")
    return made


def check_purpose(text: str) -> None:
    """Refuse what is no purpose: 1 to 32 of `[a-z0-9.-]`.

    Raises:
        MalformedError: `malformed-purpose`.
    """
    if not PURPOSE.fullmatch(text):
        hint = "1 to 32 of a-z, 0-9, . and -, such as sme-loan"
        raise MalformedError("malformed-purpose", f"not a purpose: {text[:40]!r}", hint=hint)


def _common(body: Body) -> dict[object, object]:
    named: dict[object, object] = {} if body.scenario is None else {7: body.scenario}
    return named | {
        2: body.origin,
        3: body.index,
        4: body.leaf,
        5: body.receiver,
        6: body.purpose,
    }


def _read(value: dict[int, object]) -> Body:
    origin, receiver = _text(value[2]), _text(value[5])
    check_origin(origin)
    check_origin(receiver)
    purpose = _text(value[6])
    check_purpose(purpose)
    scenario = _text(value[7]) if 7 in value else None
    if scenario is not None:
        check_purpose(scenario)
    index, leaf = _uint(value[3]), _hash(value[4])
    if value[1] == CONSENT:
        until = _uint(value[8])
        return Consent(origin, index, leaf, receiver, purpose, until, scenario)
    if (9 in value) != (10 in value):
        raise _malformed("with half of a consent")
    consent = (_uint(value[9]), _hash(value[10])) if 9 in value else None
    return Use(origin, index, leaf, receiver, purpose, scenario, consent)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _malformed("with a number where a text is due")
    return value


def _uint(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INT:
        raise _malformed("with a number that is none")
    return value


def _hash(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != _HASH:
        raise _malformed("with a hash that does not have 32 bytes")
    return value


def _is_bytes(value: object) -> bool:
    if not isinstance(value, bytes):
        raise _malformed("no list of proofs")
    return True


def _malformed(what: str) -> MalformedError:
    return MalformedError("malformed-body", f"the body of a consent or use is {what}")


def _bad(why: str) -> RefusedError:
    hint = "ask the customer for the proof file as it was handed out"
    return RefusedError("bad-commitment", f"a consent or use cannot be opened: {why}", hint=hint)
