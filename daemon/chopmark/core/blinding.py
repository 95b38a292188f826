"""Blinding: what stands in place of digests that could be found by trial (docs/formats/entry.md).

Each digest of a blinded attestation is an HMAC under a salt that travels in the proof only. The
salts of one run follow from its seed (docs/formats/compact.md), so that whoever made a million
attestations gets one seed for all of them, and no more than that is kept of them.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256 as HASH_NAME
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from chopmark.core.cbor import decode_cbor, encode_cbor
from chopmark.core.checkpoint import check_origin
from chopmark.core.draft import Draft, Drafts
from chopmark.core.entry import SHA256, SM3
from chopmark.core.errors import MalformedError
from chopmark.core.text import MAX_INT

SALT: Final = 32
"""Bytes of a salt."""
SEED: Final = 32
"""Bytes of a seed, of each of the two random parts that it is made of, and of a salt key."""
MINUTE: Final = 60_000
"""Ms: blinded attestations say when they were made in whole minutes."""
MAX_SALT_KEY: Final = 256
"""Bytes of the largest salt key that is read."""
NONCE: Final = 12
"""Bytes with which a box begins."""
_BLOCK: Final = 64
"""Salts of one expansion: one each would take four times as long."""
_SEED_INFO: Final = b"chopmark/seed/v1\n"
_SALT_INFO: Final = b"chopmark/salt/v1\n"
_BLIND: Final = b"chopmark/blind/v1\n"
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def blind(salt: bytes, origin: str, algorithm: int | str, digest: bytes) -> bytes:
    """The 32-byte form of a digest in a blinded attestation (docs/formats/entry.md).

    Args:
        salt: 32 bytes that travel in the proof only.
        origin: origin of the issuer's log.
        algorithm: COSE algorithm id, or the name of a canonical digest.
        digest: the digest that is hidden.
    """
    return hmac.digest(salt, _label(origin, algorithm) + digest, "sha256")


def extract_seed(hsm: bytes, system: bytes, number: int) -> bytes:
    """The seed of one run: HKDF-Extract (RFC 5869 §2.2) of two generators' randomness.

    Whoever knows what one of them gave does not know the seed.

    Args:
        hsm: 32 random bytes of the HSM; runs that wait at one time share them.
        system: 32 random bytes of the operating system, of this run alone.
        number: counts the runs that share `hsm`.
    """
    return hmac.digest(system, _SEED_INFO + number.to_bytes(8, "big") + hsm, "sha256")


def derive_salts(seed: bytes, first: int, count: int) -> list[bytes]:
    """The salts numbered [first, first + count) of a seed.

    Salt n is the (n mod 64)-th 32 bytes of HKDF-Expand (RFC 5869 §2.3) of the seed, 2048 bytes
    long, with the info `chopmark/salt/v1`, a line feed, and n div 64 in eight bytes, big-endian.
    """
    found: list[bytes] = []
    number, end = first, first + count
    while number < end:
        block, skipped = divmod(number, _BLOCK)
        last = min(_BLOCK, skipped + end - number)
        info = _SALT_INFO + block.to_bytes(8, "big")
        data = HKDFExpand(HASH_NAME(), last * SALT, info).derive(seed)
        found += [data[at : at + SALT] for at in range(skipped * SALT, last * SALT, SALT)]
        number += last - skipped
    return found


def salt_at(seed: bytes, number: int) -> bytes:
    """One salt of a seed; its neighbours, which are mostly asked for next, cost nothing then."""
    block, place = divmod(number, _BLOCK)
    return _derive_block(seed, block)[place] if place else derive_salts(seed, number, 1)[0]


def blind_drafts(drafts: Drafts, origin: str, seed: bytes, first: int) -> Drafts:
    """Drafts with the hidden forms of their digests, under the salts from number `first` on.

    Raises:
        MalformedError: `malformed-entry`: the columns do not fit.
    """
    return _blind_columns(drafts, origin, derive_salts(seed, first, drafts.check()))


def blind_all(
    drafts: Sequence[Draft | Drafts], origin: str, seed: bytes, first: int
) -> list[Draft | Drafts]:
    """The drafts of a run, those blinded that are to be; each has the salt of its place in it.

    Raises:
        MalformedError: `malformed-entry`.
    """
    salts = derive_salts(seed, first, sum(map(len, drafts)))
    made: list[Draft | Drafts] = []
    at = 0
    for draft in drafts:
        columns, end = draft.columns(), at + len(draft)
        hidden = _blind_columns(columns, origin, salts[at:end]) if draft.blinded else draft
        made.append(hidden)
        at = end
    return made


def whole_minute(ms: int) -> int:
    """A time rounded down to the minute."""
    return ms - ms % MINUTE


def is_before(made: tuple[int, bool], other: tuple[int, bool]) -> bool:
    """Whether an entry was made before another one, as far as their times tell.

    Args:
        made: time of an entry (ms), and whether it is blinded.
        other: of the other one: where either is blinded, whole minutes are compared.
    """
    if made[1] or other[1]:
        return whole_minute(made[0]) < whole_minute(other[0])
    return made[0] < other[0]


@dataclass(frozen=True, slots=True)
class SaltKey:
    """A key under which the seeds of some hours are kept; it lives in the token.

    Attributes:
        origin: of the log whose seeds they are.
        since: ms since the Unix epoch: the beginning of those hours.
        key: 32 bytes.
    """

    origin: str
    since: int
    key: bytes = field(repr=False)

    def encode(self) -> bytes:
        """As it stands in the token."""
        return encode_cbor({0: 1, 1: self.origin, 2: self.since, 3: self.key})

    def seal(self, seed: bytes, first: int, nonce: bytes) -> bytes:
        """A seed as the database keeps it: under AES-256-GCM.

        Args:
            seed: of a run.
            first: number of the salt of the run's first entry.
            nonce: 12 random bytes.
        """
        return nonce + AESGCM(self.key).encrypt(nonce, seed, self._bind(first))

    def open(self, box: bytes, first: int) -> bytes:
        """The seed in a box.

        Raises:
            MalformedError: `damaged-seed`.
        """
        nonce, sealed = box[:NONCE], box[NONCE:]
        try:
            return AESGCM(self.key).decrypt(nonce, sealed, self._bind(first))
        except (InvalidTag, ValueError) as error:
            message = "what was kept of a blinded attestation is damaged"
            raise MalformedError("damaged-seed", message) from error

    def _bind(self, first: int) -> bytes:
        """What a sealed seed is bound to."""
        return f"chopmark/sealed-seed/v1\n{self.origin}\n{self.since}\n{first}\n".encode()


def parse_salt_key(data: bytes) -> SaltKey:
    """Read a salt key.

    Raises:
        MalformedError: `malformed-salt-key`, and the codes of its parts.
    """
    value = decode_cbor(data) if len(data) <= MAX_SALT_KEY else None
    if not isinstance(value, dict) or list(value) != [0, 1, 2, 3] or value[0] is True:
        raise MalformedError("malformed-salt-key", "not a salt key: it is no map of four")
    version, origin, since, key = value.values()
    good = version == 1 and isinstance(origin, str) and isinstance(key, bytes) and len(key) == SEED
    if not good or type(since) is not int or not 0 <= since <= MAX_INT:
        raise MalformedError("malformed-salt-key", "not a salt key, or of newer software")
    check_origin(origin)
    return SaltKey(origin, since, key)


@lru_cache(maxsize=4)
def _derive_block(seed: bytes, block: int) -> list[bytes]:
    return derive_salts(seed, block * _BLOCK, _BLOCK)


def _label(origin: str, algorithm: int | str) -> bytes:
    return _BLIND + origin.encode() + b"\n" + encode_cbor(algorithm)


def _blind_columns(drafts: Drafts, origin: str, salts: Sequence[bytes]) -> Drafts:
    """Drafts of bare digests with the hidden ones."""
    sm3 = drafts.sm3
    return msgspec.structs.replace(
        drafts,
        sha256=_blind_column(salts, origin, SHA256, drafts.sha256),
        sm3=None if sm3 is None else _blind_column(salts, origin, SM3, sm3),
        canonical=tuple(
            (name, _blind_column(salts, origin, name, column)) for name, column in drafts.canonical
        ),
        blinded=True,
    )


def _blind_column(
    salts: Sequence[bytes], origin: str, algorithm: int | str, joined: bytes
) -> bytes:
    """`blind` for many: HMAC (RFC 2104) by hand, which takes half the time of a call for each."""
    label = _label(origin, algorithm)
    inner, outer = bytes([0x36]) * 32, bytes([0x5C]) * 32
    inner += label
    digests = (joined[at : at + SALT] for at in range(0, len(joined), SALT))
    return b"".join(
        [
            sha256(
                salt.translate(_OUTER)
                + outer
                + sha256(salt.translate(_INNER) + inner + digest).digest()
            ).digest()
            for salt, digest in zip(salts, digests, strict=True)
        ]
    )
