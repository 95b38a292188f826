"""File systems that tests make for themselves and always take away again."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest


def needs(*programs: str, paths: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Skip where root, a program or a kernel's feature is missing, and say which."""
    missing = [program for program in programs if shutil.which(program) is None]
    missing += [path for path in paths if not Path(path).exists()]
    root = ["root, to mount file systems"] if os.geteuid() != 0 else []
    reason = f"needs {', '.join(root + missing)}"
    return pytest.mark.skipif(bool(root or missing), reason=reason)


def exists(path: str) -> pytest.MarkDecorator:
    """Skip where a file is missing that a Debian package brings."""
    return pytest.mark.skipif(not Path(path).exists(), reason=f"needs {path}")


@contextmanager
def tmpfs(size: str, folder: Path | None = None) -> Iterator[Path]:
    """A file system in memory of so many bytes (`16m`), in a new folder or in one that is there."""
    place = folder or Path(mkdtemp(prefix="chopmark-"))
    try:
        with mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place):
            yield place
    finally:
        if folder is None:
            place.rmdir()


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[Path]:
    """What `mount` mounts with these arguments, the last of which is the folder."""
    _run("mount", *arguments)
    place = Path(arguments[-1])
    try:
        yield place
    finally:
        unmount(place)


@contextmanager
def loop_device(file: Path) -> Iterator[Path]:
    """A block device whose blocks are those of a file."""
    device = _run("losetup", "--show", "--find", file).strip()
    try:
        yield Path(device)
    finally:
        _run("losetup", "--detach", device)


def unmount(place: Path) -> None:
    """Unmount in order, so that all is written; where something still holds it, lazily."""
    done = subprocess.run(["umount", place], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _run("umount", "--lazy", place)


def make_ext4(image: Path, size: int) -> None:
    """An image of so many bytes with an empty ext4 on it, of which nothing is initialised later."""
    with image.open("wb") as file:
        file.truncate(size)
    options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", options, image)


def fill_up(path: Path, keep: int = 0) -> None:
    """Write a file until its disk is full, and give `keep` bytes back."""
    with path.open("ab", buffering=0) as file:
        _until_full(lambda: file.write(bytes(1 << 16)))
        _until_full(lambda: file.write(bytes(1 << 10)))
        file.truncate(max(0, file.tell() - keep))


def _until_full(write: Callable[[], object]) -> None:
    try:
        while True:
            write()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout
