"""Hashing, and files that are written whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chopmark.client import files, hashing
from chopmark.client.files import check_creatable, proof_path, read_bounded, replace_file, write_new
from chopmark.client.hashing import hash_file
from chopmark.core.errors import ExistsError, ForbiddenError, InternalError, MissingError

ROOT = os.geteuid() == 0
NOBODY = 65534


def test_hash_file_gives_both_digests_and_progress(tmp_path: Path) -> None:
    path = tmp_path / "big"
    data = os.urandom(2 * hashing.BLOCK + 17)
    path.write_bytes(data)
    steps: list[int] = []
    digests = hash_file(path, steps.append)
    assert digests.sha256 == hashlib.sha256(data).digest()
    assert digests.sm3 is not None
    assert steps == [hashing.BLOCK, hashing.BLOCK, 17]


def test_hash_file_of_nothing_is_the_empty_hash(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert hash_file(tmp_path / "empty").sha256 == hashlib.sha256(b"").digest()


def test_hash_file_missing_or_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        hash_file(tmp_path / "missing")
    with pytest.raises(MissingError):
        hash_file(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MissingError):
        hash_file(tmp_path / "file" / "below")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: be somebody else for a moment."""
    if ROOT:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if ROOT:
            os.seteuid(0)


def test_hash_file_forbidden(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0)
    with as_nobody(), pytest.raises(ForbiddenError):
        hash_file(tmp_path / "secret")


def test_read_bounded_stops_behind_the_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)
    assert len(read_bounded(tmp_path / "f", 10)) == 11
    with pytest.raises(MissingError):
        read_bounded(tmp_path / "g", 10)


def test_proof_path_keeps_the_whole_name() -> None:
    assert proof_path(Path("a/b.tar.gz")) == Path("a/b.tar.gz.tlog-proof")


def test_write_new_creates_with_umask_and_leaves_nothing_else(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_new(tmp_path / "f", b"data")
    finally:
        os.umask(mask)
    assert (tmp_path / "f").read_bytes() == b"data"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_write_new_overwrites_nothing_not_even_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExistsError):
        write_new(tmp_path / "link", b"data")
    assert not (tmp_path / "nowhere").exists()


def test_write_new_explains_the_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        write_new(tmp_path / "no" / "f", b"")
    with pytest.raises(InternalError):
        check_creatable(tmp_path / ("x" * 300))


def test_replace_file_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(InternalError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_replace_file_syncs_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        seen.append("new" if (tmp_path / "f").exists() else "not yet")
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", watch)
    replace_file(tmp_path / "f", b"data")
    assert seen == ["not yet", "new"]


def test_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "proof"
    monkeypatch.setattr(files, "check_creatable", lambda wanted: wanted.write_bytes(b"theirs"))
    with pytest.raises(ExistsError) as caught:
        files.write_new(path, b"ours")
    assert caught.value.code == "file-exists"
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_file_system_without_links_takes_new_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    files.write_new(tmp_path / "proof", b"ours")
    assert (tmp_path / "proof").read_bytes() == b"ours"


@pytest.mark.parametrize("nameless", [True, False])
def test_write_soon_writes_whole_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool
) -> None:
    if not nameless:  # a file system that has no nameless files
        monkeypatch.setattr(files.os, "O_TMPFILE", files.os.O_DIRECTORY | files.os.O_CREAT)
    path = tmp_path / "proof"
    files.write_soon(path, b"whole")
    with pytest.raises(ExistsError):
        files.write_soon(path, b"other")
    assert path.read_bytes() == b"whole"
    assert path.stat().st_nlink == 1
    with pytest.raises(MissingError):
        files.write_soon(tmp_path / "none" / "proof", b"")
    files.sync_all()
    assert [one.name for one in tmp_path.iterdir()] == ["proof"]
