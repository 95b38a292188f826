"""Digests of documents: every algorithm that a verifier must know, in one pass over the bytes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import hashes


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests of one document, 32 bytes each, by algorithm.

    Attributes:
        canonical: digests of what it says, by name and version (docs/formats/canonical.md).
    """

    sha256: bytes
    sm3: bytes | None = None
    canonical: tuple[tuple[str, bytes], ...] = ()


def digest_stream(
    chunks: Iterable[bytes], progress: Callable[[int], None] | None = None
) -> tuple[Digests, int]:
    """Hash a document.

    Args:
        chunks: its bytes, in pieces of any size.
        progress: told the number of bytes of each piece.

    Returns:
        The digests, and the document's length in bytes.
    """
    first, second = sha256(), hashes.Hash(hashes.SM3())
    length = 0
    for chunk in chunks:
        first.update(chunk)
        second.update(chunk)
        length += len(chunk)
        if progress:
            progress(len(chunk))
    return Digests(first.digest(), second.finalize()), length
