"""The `.tlog-proof` file that travels with a document (C2SP tlog-proof).

Its `extra` carries deterministic CBOR: the entry, the salt of a blinded one, the length of the
document, and consent and use bodies. Nothing in `extra` is authenticated, but the entry must hash
to the leaf that is proven.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint, parse_checkpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import leaf_hash, root_from_inclusion
from chopmark.core.note import parse_note
from chopmark.core.policy import Policy
from chopmark.core.text import (
    MAX_INT,
    encode_base64,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_utf8,
)

MAX_PROOF: Final = 128 * 1024
MAX_PATH: Final = 63
"""Hashes in the longest inclusion proof: the tree of 2^63 leaves."""
HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Extra:
    """What our proofs carry besides.

    Attributes:
        entry: bytes of the entry that is proven.
        salt: 32 bytes, of a blinded attestation.
        length: length of the document in bytes, for information.
        bodies: consent and use bodies, opaque here.
    """

    entry: bytes
    salt: bytes | None = None
    length: int | None = None
    bodies: bytes | None = None

    def encode(self) -> bytes:
        """Deterministic CBOR of what is there."""
        if self.salt is None and self.length is None and self.bodies is None:
            return b"\xa1\x00" + encode_cbor(self.entry)  # a map of one, made with less ado
        values = (self.entry, self.salt, self.length, self.bodies)
        return encode_cbor({key: value for key, value in enumerate(values) if value is not None})


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed proof, not verified yet.

    Attributes:
        index: of the entry in its log.
        hashes: inclusion proof from the leaf's sibling to the root's child, 32 bytes each.
        note: the checkpoint note.
        extra: opaque bytes, none or at least one; `parse_extra` reads ours.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The proof file's bytes."""
        lines = [HEADER]
        if self.extra:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(_encode_hash, self.hashes)
        return "\n".join([*lines, "", ""]).encode() + self.note

    def checkpoint(self) -> Checkpoint:
        """What the checkpoint says, before any signature is checked."""
        return parse_checkpoint(parse_note(self.note).text)


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry that a log holds: inclusion, log signature and cosignatures were checked.

    Attributes:
        quorum: whether the policy's quorum has cosigned; true for `quorum none`.
        existed_by: seconds since the epoch by which the quorum had cosigned; None without one.
    """

    index: int
    extra: Extra
    head: SignedCheckpoint
    quorum: bool
    existed_by: int | None


def parse_proof(data: bytes) -> Proof:
    """Read a proof file.

    Raises:
        MalformedError: `malformed-proof` and the codes of its parts.
    """
    if len(data) > MAX_PROOF:
        raise MalformedError("malformed-proof", f"a proof of {len(data)} bytes is too large")
    head, blank, note = data.partition(b"\n\n")
    lines = parse_utf8(head, "a proof").split("\n")
    if lines[0] != HEADER or not blank:
        raise MalformedError("malformed-proof", f"not a proof: the first line is not {HEADER}")
    words = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    extra = parse_base64(words[2], "extra") if words[0] == "extra" else None
    rest = lines[1:] if extra is None else lines[2:]
    if not rest or not rest[0].startswith("index "):
        raise MalformedError("malformed-proof", "a proof has no index line")
    if len(rest) > MAX_PATH + 1:
        raise MalformedError("malformed-proof", "an inclusion proof is too long")
    index = parse_decimal(rest[0].removeprefix("index "), "the index of a proof")
    hashes = tuple(parse_hash(line, "a line of an inclusion proof") for line in rest[1:])
    proof = Proof(index, hashes, note, extra)
    parse_checkpoint(parse_note(note).text)
    if proof.encode() != data:
        raise MalformedError("malformed-proof", "a proof is not in its canonical form")
    return proof


@lru_cache(maxsize=4096)
def _encode_hash(value: bytes) -> str:
    """Base64, remembered: proofs under one head have most of their hashes in common."""
    return encode_base64(value)


def parse_extra(data: bytes | None) -> Extra:
    """Read what our proofs carry in `extra`.

    Raises:
        MalformedError: `malformed-proof`.
    """
    value = decode_cbor(data) if data is not None else None
    if not isinstance(value, dict) or not isinstance(value.get(0), bytes):
        raise MalformedError("malformed-proof", "the proof does not carry its entry in `extra`")
    if value.keys() - set(range(4)) or None in value.values():
        hint = "update the software"
        raise MalformedError("malformed-proof", "`extra` holds more than is known", hint=hint)
    salt, length, bodies = value.get(1), value.get(2), value.get(3)
    good = (
        (salt is None or (isinstance(salt, bytes) and len(salt) == 32))
        and (length is None or (type(length) is int and 0 <= length <= MAX_INT))
        and (bodies is None or isinstance(bodies, bytes))
    )
    if not good:
        raise MalformedError("malformed-proof", "the proof carries a salt or length that is wrong")
    return Extra(value[0], salt, length, bodies)


def verify_proof(proof: Proof, policy: Policy) -> Proven:
    """Check a proof (C2SP tlog-proof, §Verifying a tlog proof).

    A quorum that is not reached is no error: it is reported.

    Raises:
        RefusedError: `unknown-log`, `bad-signature`, `no-known-signature`, `bad-inclusion`.
        MalformedError: what `parse_extra` raises.
    """
    extra = parse_extra(proof.extra)
    head = _open_head(proof, policy)
    head = replace(head, verified=policy.counting(head.verified))
    leaf = leaf_hash(extra.entry)
    root = root_from_inclusion(leaf, proof.index, head.checkpoint.size, proof.hashes)
    if root != head.checkpoint.root:
        raise RefusedError("bad-inclusion", "the entry does not lie under the proof's checkpoint")
    quorum = policy.is_satisfied(verified.key for verified in head.verified)
    return Proven(proof.index, extra, head, quorum, policy.existed_by(head.verified))


def _open_head(proof: Proof, policy: Policy) -> SignedCheckpoint:
    note = parse_note(proof.note)
    origin = parse_checkpoint(note.text).origin
    keys = [key for key in policy.logs if key.name == origin]
    if not keys:
        message = f"the proof is from {origin}, which the policy does not name"
        raise RefusedError("unknown-log", message)
    # A log that changed its key may be named with both: one must have signed, and where both
    # have, both signatures must be good.
    signers = {(signature.name, signature.key_id) for signature in note.signatures}
    key = next((key for key in keys if (key.name, key.key_id) in signers), keys[0])
    return open_checkpoint(proof.note, key, (*keys, *policy.witnesses.values()))
