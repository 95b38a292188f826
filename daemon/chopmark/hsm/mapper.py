"""CKA_ALLOWED_MECHANISMS, which python-pkcs11 has no handler for: an array of CK_MECHANISM_TYPE."""

import struct
from collections.abc import Iterable
from typing import Final

from pkcs11.attributes import AttributeMapper
from pkcs11.constants import Attribute

_WIDTH: Final = struct.calcsize("@L")
"""Bytes of a CK_ULONG, which is a C `unsigned long` (PKCS#11 v3.0 §2.1)."""


def make_mapper() -> AttributeMapper:
    """For `Token.open`: lists of mechanisms go in and come out as numbers."""
    mapper = AttributeMapper()
    mapper.register_handler(Attribute.ALLOWED_MECHANISMS, _pack, _unpack)
    return mapper


def _pack(mechanisms: Iterable[int]) -> bytes:
    return b"".join(struct.pack("@L", int(one)) for one in mechanisms)


def _unpack(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"@{len(data) // _WIDTH}L", data)
