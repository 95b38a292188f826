"""What is kept about the token from one start to the next."""

import os
from pathlib import Path

import pytest

from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.service import token_book
from chopmark.service.token_book import FileBook, open_book


@pytest.fixture
def book(tmp_path: Path) -> FileBook:
    return open_book(tmp_path)


def test_new_book_says_nothing(book: FileBook) -> None:
    assert (book.refused, book.unfinished, book.maintenance) == (None, 0, False)
    assert book.reserved("key") == 0


def test_refused_pin_is_kept_with_its_reason_till_it_is_allowed(book: FileBook) -> None:
    book.begin_login()
    book.refuse("the PIN is wrong")
    again = FileBook(book.folder)
    assert (again.refused, again.unfinished) == ("the PIN is wrong", 0)
    again.allow()
    assert FileBook(book.folder).refused is None


@pytest.mark.parametrize("data", [b"{", b"\xff" * 512, b" " * 512])
def test_note_that_cannot_be_read_refuses(book: FileBook, data: bytes) -> None:
    book.folder.mkdir()
    (book.folder / "pin").write_bytes(data)
    assert book.refused


def test_logins_without_an_end_are_counted_one_after_the_other(book: FileBook) -> None:
    for count in (1, 2):
        FileBook(book.folder).begin_login()
        assert FileBook(book.folder).unfinished == count
    FileBook(book.folder).end_login()
    assert FileBook(book.folder).unfinished == 0


def test_pin_that_was_given_stays_known_through_logins_till_the_daemon_has_none(
    book: FileBook,
) -> None:
    book.refuse("x")
    book.allow(given=True)
    book.begin_login()
    book.end_login()
    assert (FileBook(book.folder).given, book.refused, book.unfinished) == (True, None, 0)
    book.forget_given()
    assert not FileBook(book.folder).given


@pytest.mark.parametrize("end", ["allow", "refuse"])
def test_pin_in_place_counts_again_once_it_is_allowed_or_the_given_one_refused(
    book: FileBook, end: str
) -> None:
    book.allow(given=True)
    if end == "allow":
        book.allow()
    else:
        book.refuse("x")
    assert not book.given


def test_forgetting_a_pin_that_was_given_forgets_no_refusal(book: FileBook) -> None:
    book.forget_given()
    assert not book.folder.exists()
    book.folder.mkdir()
    (book.folder / "pin").write_text('{"refused": "x", "unfinished": 1, "given": true}')
    book.forget_given()
    assert (book.refused, book.unfinished, book.given) == ("x", 1, False)


def test_refusal_survives_an_end_of_a_login(book: FileBook) -> None:
    book.refuse("x")
    FileBook(book.folder).end_login()
    assert FileBook(book.folder).refused == "x"


def test_note_is_written_in_place_and_keeps_its_size(book: FileBook) -> None:
    book.begin_login()
    path = book.folder / "pin"
    before = path.stat()
    book.refuse("密" * 600)
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    assert (FileBook(book.folder).refused or "").startswith("密密")


def test_files_are_for_their_owner_alone(book: FileBook) -> None:
    book.refuse("x")
    book.maintain(on=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in book.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert book.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_that_root_writes_belong_to_the_owner_of_the_state(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4712)
    book = open_book(tmp_path)
    book.refuse("x")
    for path in (book.folder, book.folder / "pin"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_reserved_signatures_are_kept_for_each_key(book: FileBook) -> None:
    book.reserve("one", 4096)
    book.reserve("two", 8192)
    again = FileBook(book.folder)
    assert (again.reserved("one"), again.reserved("two"), again.reserved("three")) == (
        4096,
        8192,
        0,
    )


def test_count_that_is_damaged_lets_nothing_be_signed(book: FileBook) -> None:
    book.reserve("one", 4096)
    (book.folder / "usage.json").write_text("{")
    with pytest.raises(TryAgainError) as caught:
        book.reserved("one")
    assert caught.value.code == "not-counted"


def test_disk_that_takes_nothing_keeps_nobody_from_logging_in_and_forgets_no_refusal(
    book: FileBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_book.os, "pwrite", full)
    monkeypatch.setattr(token_book, "replace_file", full)
    book.begin_login()
    book.refuse("x")
    assert book.refused == "x"
    with pytest.raises(ChopmarkError):
        book.allow()
    assert book.refused == "x"
    with pytest.raises(ChopmarkError):
        book.maintain(on=True)
    with pytest.raises(TryAgainError, match="No space left"):
        book.reserve("one", 1)
