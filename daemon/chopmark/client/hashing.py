"""Hashing files where they lie: the document itself goes nowhere."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from chopmark.client.files import explain_read_error
from chopmark.core.digest import Digests, digest_stream

BLOCK: Final = 1024 * 1024


def hash_file(path: Path, progress: Callable[[int], None] | None = None) -> Digests:
    """SHA-256 and SM3 of a file, in one pass and in constant memory.

    Args:
        path: the file.
        progress: told the number of bytes of each block.

    Raises:
        MissingError: `no-such-file`, `not-a-file`.
        ForbiddenError: `file-forbidden`.
        InternalError: `read-failed`.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return digest_stream(_read_blocks(file), progress)[0]
    except OSError as error:
        raise explain_read_error(path, error) from error


def _read_blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
