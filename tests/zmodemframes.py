"""A few ZMODEM frames by hand, for senders that no terminal program is: names of any bytes."""

from binascii import crc_hqx

ZRQINIT, ZFILE, ZFIN = 0, 4, 8
_ESCAPED = b"\x10\x11\x13\x18\x90\x91\x93"


def hex_header(kind: int) -> bytes:
    """A header in hexadecimal, with zero for its four bytes."""
    body = bytes((kind, 0, 0, 0, 0))
    crc = crc_hqx(body, 0).to_bytes(2, "big")
    return b"**\x18B" + (body + crc).hex().encode() + b"\r\x8a\x11"


def file_frame(name: bytes, size: int) -> bytes:
    """ZFILE with its block of name and size, ended by ZCRCW."""
    body = bytes((ZFILE, 0, 0, 0, 0))
    header = b"*\x18A" + _escape(body + crc_hqx(body, 0).to_bytes(2, "big"))
    block = name + b"\0" + f"{size} 0 0 0 1 {size}".encode() + b"\0"
    crc = crc_hqx(block + b"k", 0).to_bytes(2, "big")
    return header + _escape(block) + b"\x18k" + _escape(crc) + b"\x11"


def _escape(data: bytes) -> bytes:
    return b"".join(bytes((0x18, one ^ 0x40)) if one in _ESCAPED else bytes((one,)) for one in data)
