"""Hashing what the command line names, with progress."""

from collections.abc import Sequence
from pathlib import Path

from chopmark.cli.context import Options
from chopmark.cli.progress import BYTES
from chopmark.client.files import explain_read_error
from chopmark.client.hashing import hash_file
from chopmark.core.digest import Digests
from chopmark.core.errors import MissingError


def hash_files(files: Sequence[Path], options: Options) -> list[Digests]:
    """Digests of all files, in their order; all are looked at before the first is read.

    Raises:
        MissingError: `no-such-file`, `not-a-file`.
        ForbiddenError: `file-forbidden`.
    """
    total = sum(_size(file) for file in files)
    with options.meter("hashing", total, unit=BYTES) as meter:
        return [hash_file(file, meter.advance) for file in files]


def _size(file: Path) -> int:
    try:
        size = file.stat().st_size
        is_folder = file.is_dir()
    except OSError as error:
        raise explain_read_error(file, error) from error
    if is_folder:
        raise MissingError("not-a-file", f"{file} is a folder", hint="name the files in it")
    return size
