"""The verification slip: a proof small enough for a QR code (docs/formats/slip.md).

A slip stands for a proof that is the same to every verifier as the one that it was made of: the
entry, the inclusion proof, one signature of the log, and a minimal quorum of cosignatures. What
nobody checks is left out (the document's length, bodies, further cosignatures), and what follows
from the rest: the root, which is where the entry and its inclusion proof lead.

Rules:
1. The text is `CHOPMARK1:` and base45 of deterministic CBOR; at most what a QR code holds.
2. A check of four bytes over the proof tells a code that was misread from one that lies. It proves
   nothing: signatures do.
3. What was read encodes to the same text again, or it is refused.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from chopmark.core.base45 import decode_base45, encode_base45
from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import Checkpoint, parse_checkpoint
from chopmark.core.entry import MAX_ENTRY
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import check_key_name
from chopmark.core.merkle import leaf_hash, root_from_inclusion
from chopmark.core.note import Note, Signature, parse_note
from chopmark.core.proof import MAX_PATH, Extra, Proof, parse_extra
from chopmark.core.text import MAX_INT

PREFIX: Final = "CHOPMARK1:"
_FAMILY: Final = "CHOPMARK"
MAX_TEXT: Final = 4296
"""Characters of the largest QR code in alphanumeric mode (ISO/IEC 18004, 40-L)."""
MAX_SIGNATURES: Final = 15
_SUFFIX: Final = "cosigner"
"""What the names of members' cosigner keys end in, after a slash; left out on a slip."""
_CHECK: Final = 4
_MUST: Final = frozenset(range(7))
_SALT: Final = 7


def parse_slip(text: str) -> Proof:
    """Read the text of a slip; no signature is checked yet.

    Raises:
        MalformedError: `malformed-slip`, `malformed-base45` and the codes of the parts of proofs.
    """
    if len(text) > MAX_TEXT or not text.startswith(PREFIX):
        raise _explain_start(text)
    value = decode_cbor(decode_base45(text.removeprefix(PREFIX)))
    if not isinstance(value, dict) or not _MUST <= value.keys() <= _MUST | {_SALT}:
        raise MalformedError("malformed-slip", "a slip does not hold what a slip holds")
    proof = _read_proof(value)
    if value[6] != _check(proof):
        hint = "scan the code again, in good light and from straight above"
        raise MalformedError("malformed-slip", "the code was not read as printed", hint=hint)
    if encode_slip(proof) != text:
        raise MalformedError("malformed-slip", "a slip is not in its canonical form")
    return proof


def encode_slip(proof: Proof) -> str:
    """The text of a slip, of a proof that has nothing else in it: `slip_making` sees to that.

    Raises:
        MalformedError: `malformed-slip` for a proof that no slip can stand for.
        RefusedError: `slip-too-large`.
    """
    note, extra, head = parse_note(proof.note), parse_extra(proof.extra), proof.checkpoint()
    first, *others = note.signatures
    if first.name != head.origin or len(note.signatures) > MAX_SIGNATURES:
        raise MalformedError(
            "malformed-slip", "a slip has the log's signature first, and 15 at most"
        )
    value: dict[object, object] = {
        0: proof.index,
        1: head.size,
        2: b"".join(proof.hashes),
        3: head.origin,
        4: extra.entry,
        5: [first.key_id + first.payload, *_list(others)],
        6: _check(proof),
    }
    text = PREFIX + encode_base45(encode_cbor(value | ({_SALT: extra.salt} if extra.salt else {})))
    if len(text) > MAX_TEXT:
        message = f"the slip would have {len(text)} characters, and no QR code has room for them"
        hint = "hand out the proof file itself, beside the document"
        raise RefusedError("slip-too-large", message, hint=hint)
    return text


def _list(signatures: Iterable[Signature]) -> list[str | bytes]:
    items: list[str | bytes] = []
    for one in signatures:
        short = one.name.removesuffix(_SUFFIX) if one.name.endswith(f"/{_SUFFIX}") else one.name
        if short == one.name and short.endswith("/"):
            raise MalformedError("malformed-slip", f"no slip can name the key {one.name!r}")
        items += [short, one.key_id + one.payload]
    return items


def _read_proof(value: dict[int, object]) -> Proof:
    index, size, origin = _natural(value[0]), _natural(value[1]), value[3]
    path, entry = _bytes(value[2], 32 * MAX_PATH), _bytes(value[4], MAX_ENTRY)
    salt = _bytes(value[_SALT], 32) if _SALT in value else None
    if not isinstance(origin, str):
        raise MalformedError("malformed-slip", "the origin of a slip is not text")
    if len(path) % 32 or (salt is not None and len(salt) != 32):
        raise MalformedError("malformed-slip", "a hash or salt on a slip does not have 32 bytes")
    hashes = tuple(path[at : at + 32] for at in range(0, len(path), 32))
    root = _find_root(entry, index, size, hashes)
    text = Checkpoint(origin, size, root).encode()
    parse_checkpoint(text)
    note = Note(text, _read_signatures(origin, value[5])).encode()
    return Proof(index, hashes, note, Extra(entry, salt).encode())


def _find_root(entry: bytes, index: int, size: int, hashes: tuple[bytes, ...]) -> bytes:
    try:
        return root_from_inclusion(leaf_hash(entry), index, size, hashes)
    except RefusedError as error:
        raise MalformedError("malformed-slip", f"a slip does not fit: {error.message}") from error


def _read_signatures(origin: str, items: object) -> tuple[Signature, ...]:
    if not isinstance(items, list) or len(items) % 2 == 0:
        raise MalformedError("malformed-slip", "a slip has no signature, or one without a name")
    named = [origin, *items]
    pairs = zip(named[::2], named[1::2], strict=True)
    return tuple(_read_signature(name, blob) for name, blob in pairs)


def _read_signature(name: object, blob: object) -> Signature:
    data = _bytes(blob, MAX_TEXT)
    if not isinstance(name, str) or len(data) < 5:
        raise MalformedError("malformed-slip", "a signature on a slip has no name, or is too short")
    check_key_name(name)
    return Signature(name + _SUFFIX if name.endswith("/") else name, data[:4], data[4:])


def _check(proof: Proof) -> bytes:
    return hashlib.sha256(proof.encode()).digest()[:_CHECK]


def _bytes(value: object, most: int) -> bytes:
    if not isinstance(value, bytes) or len(value) > most:
        raise MalformedError("malformed-slip", "a slip has something else where bytes are due")
    return value


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INT:
        raise MalformedError("malformed-slip", "index or size of a slip is not a natural number")
    return value


def _explain_start(text: str) -> MalformedError:
    if text.startswith(_FAMILY) and not text.startswith(PREFIX):
        message = f"a slip of a version that is not known here: {text.partition(':')[0][:16]!r}"
        return MalformedError("malformed-slip", message, hint="update the software")
    message = f"not the code of a slip: it has {len(text)} characters, or begins otherwise"
    return MalformedError("malformed-slip", message, hint=f"its text begins with {PREFIX}")
