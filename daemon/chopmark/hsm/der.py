"""ECDSA signatures as PKCS#11 gives them, r ‖ s, and as signed notes carry them, DER."""

_WIDTH = 32


def encode_ecdsa(raw: bytes) -> bytes:
    """Minimal DER `SEQUENCE { INTEGER r, INTEGER s }` of a raw P-256 signature.

    Source: PKCS#11 v3.0 §2.3.1 (fixed width, big-endian halves); SEC 1 §C.8; X.690 §8.3.2.

    Args:
        raw: 64 bytes, r ‖ s.

    Raises:
        ValueError: it is not 64 bytes.
    """
    if len(raw) != 2 * _WIDTH:
        raise ValueError(f"a raw P-256 signature has 64 bytes, not {len(raw)}")
    body = _encode_integer(raw[:_WIDTH]) + _encode_integer(raw[_WIDTH:])
    return b"\x30" + bytes([len(body)]) + body  # at most 70 bytes: the short form of the length


def _encode_integer(value: bytes) -> bytes:
    digits = value.lstrip(b"\0")
    if not digits or digits[0] & 0x80:  # zero is one byte, and the top bit would mean a minus
        digits = b"\0" + digits
    return b"\x02" + bytes([len(digits)]) + digits
