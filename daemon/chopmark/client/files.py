"""Files that people keep: read with a limit, and written whole or not at all.

Writing is: create a temporary file in the same folder, write, fsync, rename, fsync the folder.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chopmark.core.errors import (
    ChopmarkError,
    ExistsError,
    ForbiddenError,
    InternalError,
    MissingError,
)
from chopmark.core.proof import MAX_PROOF

PROOF_SUFFIX: Final = ".tlog-proof"
PUBLIC_MODE: Final = 0o666
"""Less the umask, as for any file that a person creates."""
PRIVATE_MODE: Final = 0o600
"""Of what is nobody else's business."""


def proof_path(document: Path) -> Path:
    """Where the proof of a document lies: its name plus `.tlog-proof`."""
    return document.with_name(document.name + PROOF_SUFFIX)


def read_proof(path: Path) -> bytes:
    """The bytes of a proof file, not parsed; raises as `read_bounded`."""
    return read_bounded(path, MAX_PROOF)


def read_bounded(path: Path, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a small file, for a parser that refuses what is too large.

    Raises:
        MissingError: `no-such-file`, `not-a-file`.
        ForbiddenError: `file-forbidden`.
        InternalError: `read-failed`.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise explain_read_error(path, error) from error


def check_creatable(path: Path) -> None:
    """Make sure that a file can be created here, before anything is done that cannot be undone.

    Raises:
        ExistsError: `file-exists`.
        ForbiddenError: `folder-forbidden`.
        MissingError: `no-such-folder`.
        InternalError: `write-failed`, for a name that the file system does not take.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _explain_write_error(path, error) from error
    else:
        hint = "nothing is overwritten: move it away if another is really wanted"
        raise ExistsError("file-exists", f"{path} exists already", hint=hint)
    if not path.parent.is_dir():
        raise MissingError("no-such-folder", f"no such folder: {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ForbiddenError("folder-forbidden", f"you may not create {path}")


def write_new(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Create a file, durable once this returns.

    Raises:
        ExistsError: `file-exists`.
        ForbiddenError: `folder-forbidden`.
        MissingError: `no-such-folder`.
        InternalError: `write-failed`.
    """
    check_creatable(path)
    _put(path, data, mode, new=True)


@contextlib.contextmanager
def making_new(path: Path, mode: int = PUBLIC_MODE) -> Iterator[Path]:
    """An empty file to be filled in the block; after it the file has its name, and is durable.

    If the block raises, or the process is killed, no file has the name. Raises as `write_new`.
    """
    check_creatable(path)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        _write_whole(unfinished, b"", mode, durable=False)
        yield unfinished
        _sync_file(unfinished)
        if not _link(unfinished, path):
            check_creatable(path)
            unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _explain_write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def write_soon(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Create one of very many files: whole or not at all, durable after `sync_all`.

    Raises as `write_new`, which waits for the disk: for a million files that is half an hour.
    """
    try:
        made = _put_nameless(path, data, mode)
    except OSError as error:
        raise _explain_write_error(path, error) from error
    if not made:
        _put(path, data, mode, new=True, durable=False)


def sync_all() -> None:
    """Make all durable that was written anywhere."""
    os.sync()


def replace_file(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Create a file or replace it, durable once this returns; raises as `write_new`."""
    _put(path, data, mode, new=False)


def _put(path: Path, data: bytes, mode: int, *, new: bool, durable: bool = True) -> None:
    """Write under another name first; a link, unlike a rename, takes no name that is taken."""
    temporary = path.with_name(f".chopmark-{secrets.token_hex(8)}")
    try:
        _write_whole(temporary, data, mode, durable=durable)
        if not new or not _link(temporary, path):
            temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise _explain_write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _put_nameless(path: Path, data: bytes, mode: int) -> bool:
    """As `_put`, of a file that has no name before it is whole: half the work in the folder.

    False where the file system (or /proc) does not do that; then nothing was written.
    """
    try:
        file = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except OSError:
        return False
    try:
        whole = os.write(file, data) == len(data)
        if whole:
            # Any folder makes this a linkat(2), which follows /proc's link; link(2) does not.
            os.link(f"/proc/self/fd/{file}", path, src_dir_fd=file)
    except FileExistsError:
        raise
    except OSError:
        return False
    finally:
        os.close(file)
    return whole


def _link(temporary: Path, path: Path) -> bool:
    """Give a file its name unless that is taken; false where the file system has no links."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # FAT on a memory stick, for instance
        return False
    return True


def make_folder(path: Path, mode: int) -> None:
    """Create a folder, and those above it, if it is not there.

    Args:
        path: the folder.
        mode: of a new one; of those above it the umask decides. Raises as `write_new`.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise _explain_write_error(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explain_read_error(path: Path, error: OSError) -> ChopmarkError:
    """The error to raise for a file that cannot be read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return MissingError("no-such-file", f"no such file: {path}")
    if isinstance(error, IsADirectoryError):
        return MissingError("not-a-file", f"{path} is a folder", hint="name the files in it")
    if isinstance(error, PermissionError):
        return ForbiddenError("file-forbidden", f"you may not read {path}")
    return InternalError("read-failed", f"cannot read {path}: {error.strerror or error}")


def _write_whole(path: Path, data: bytes, mode: int, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _explain_write_error(path: Path, error: OSError) -> ChopmarkError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return MissingError("no-such-folder", f"no such folder: {path.parent}")
    if isinstance(error, PermissionError):
        return ForbiddenError("folder-forbidden", f"you may not create {path}")
    if isinstance(error, FileExistsError):
        return ExistsError("file-exists", f"{path} is there already")
    return InternalError("write-failed", f"cannot write {path}: {error.strerror or error}")
