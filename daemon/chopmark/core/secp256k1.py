"""The curve of chain accounts, as far as a signature that the HSM has made needs it.

A transaction carries no public key: whoever reads it computes the key from the signature, and must
be told which of two points is meant, the recovery id. PKCS#11 does not tell. It follows from the
point that a verifier computes, so that finding it verifies the signature too. Nothing here is
secret, so nothing needs to take the same time always; 10 ms, once for each anchor.
"""

from typing import Final

from chopmark.core.keccak import keccak_256

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_FIELD: Final = 2**256 - 2**32 - 977
Point = tuple[int, int] | None
"""None is the point at infinity."""
_BASE: Final[Point] = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def account_of(point: bytes) -> str:
    """The account of a public key: `0x` and 40 lower-case hexadecimal digits.

    Args:
        point: the key, uncompressed: 0x04, x and y.
    """
    return "0x" + keccak_256(point[1:])[-20:].hex()


def complete(point: bytes, digest: bytes, signature: bytes) -> tuple[int, int, int] | None:
    """Verify a signature; gives r, the lower s, and the recovery id: 0 or 1.

    Args:
        point: the public key, uncompressed: 65 bytes.
        digest: what was signed, 32 bytes.
        signature: r ‖ s, 64 bytes.

    Returns:
        None if it does not verify, or is one of the few that a transaction has no place for.
    """
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if len(signature) != 64 or not (0 < r < ORDER and 0 < s < ORDER):
        return None
    s = min(s, ORDER - s)
    inverse = pow(s, -1, ORDER)
    key = (int.from_bytes(point[1:33]), int.from_bytes(point[33:]))
    ours = _multiply(_BASE, int.from_bytes(digest) * inverse % ORDER)
    meant = _add(ours, _multiply(key, r * inverse % ORDER))
    # An x of ORDER or more, once in 2^128 signatures, would need a third and a fourth recovery id.
    if meant is None or meant[0] != r:
        return None
    return r, s, meant[1] & 1


def _add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % _FIELD == 0:
            return None
        slope = 3 * one[0] * one[0] * pow(2 * one[1], -1, _FIELD) % _FIELD
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _FIELD) % _FIELD
    x = (slope * slope - one[0] - other[0]) % _FIELD
    return x, (slope * (one[0] - x) - one[1]) % _FIELD


def _multiply(point: Point, by: int) -> Point:
    total: Point = None
    while by:
        if by & 1:
            total = _add(total, point)
        point = _add(point, point)
        by >>= 1
    return total
