import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.console.wire.keys import LONGEST, Key, Keys, Pressed


def read(*pieces: bytes) -> list[Pressed]:
    keys = Keys()
    keys.feed(b"\x00")  # the rest of the Enter that woke it
    return [key for piece in pieces for key in keys.feed(piece)]


@pytest.mark.parametrize("pieces", [(b"\r",), (b"\n",), (b"\r\n",), (b"\r", b"\n"), (b"\r\0",)])
def test_enter_is_one_key_whatever_ends_a_line(pieces: tuple[bytes, ...]) -> None:
    assert read(*pieces) == [Key.ENTER]


def test_two_enters_are_two_of_each_kind() -> None:
    assert read(b"\r\r\n\n\r\n") == [Key.ENTER] * 4


def test_line_feed_of_the_enter_before_is_no_second_one() -> None:
    assert Keys().feed(b"\na") == ["a"]


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"\x08", Key.BACKSPACE),
        (b"\x7f", Key.BACKSPACE),
        (b"\x01", Key.HOME),
        (b"\x05", Key.END),
        (b"\x03", Key.INTERRUPT),
        (b"\x04", Key.END_OF_INPUT),
        (b"\x15", Key.KILL_LINE),
        (b"\x0b", Key.KILL_REST),
        (b"\x17", Key.KILL_WORD),
        (b"\x0c", Key.REDRAW),
        (b"\t", Key.TAB),
        (b"\x1b[A", Key.UP),
        (b"\x1bOB", Key.DOWN),
        (b"\x1b[C", Key.RIGHT),
        (b"\x1b[1;5D", Key.LEFT),
        (b"\x1b[H", Key.HOME),
        (b"\x1bOF", Key.END),
        (b"\x1b[1~", Key.HOME),
        (b"\x1b[4~", Key.END),
        (b"\x1b[3~", Key.DELETE),
    ],
)
def test_key_is_known_by_its_bytes(data: bytes, key: Key) -> None:
    assert read(data) == [key]
    assert read(*(bytes([one]) for one in data)) == [key]


@pytest.mark.parametrize("data", [b"\x1b[99~", b"\x1b[?1;2c", b"\x1b[24;80R", b"\x1bOQ", b"\x1bb"])
def test_sequence_that_nobody_knows_is_swallowed_whole(data: bytes) -> None:
    assert read(data + b"x") == ["x"]


def test_control_character_ends_a_sequence() -> None:
    assert read(b"\x1b[1\x03x") == [Key.INTERRUPT, "x"]


def test_endless_sequence_ends_and_what_follows_is_text() -> None:
    assert read(b"\x1b[" + b"1" * (LONGEST + 3)) == ["1"] * 5


def test_escape_alone_is_no_sequence_after_a_moment() -> None:
    keys = Keys()
    keys.feed(b"\x1b")
    keys.settle()
    assert keys.feed(b"[A") == ["[", "A"]


def test_utf8_comes_in_pieces() -> None:
    data = "中é𝄞".encode()
    assert read(*(bytes([one]) for one in data)) == ["中", "é", "𝄞"]


def test_broken_utf8_and_characters_that_do_not_print_are_nothing() -> None:
    assert read(b"\xff\xc3(\xe4\xb8\r\xc2\x9b31m\xe2\x80\xae") == ["(", Key.ENTER, "3", "1", "m"]


@given(st.lists(st.binary(max_size=64)))
def test_any_bytes_are_keys_and_characters_that_print(pieces: list[bytes]) -> None:
    for key in read(*pieces):
        assert isinstance(key, Key) or (len(key) == 1 and key.isprintable())


@given(st.binary(max_size=200), st.integers(1, 7))
def test_keys_do_not_depend_on_how_bytes_are_cut(data: bytes, size: int) -> None:
    pieces = [data[place : place + size] for place in range(0, len(data), size)]
    assert read(*pieces) == read(data)


@given(st.binary(min_size=1, max_size=64))
def test_what_is_kept_of_a_flood_is_small(data: bytes) -> None:
    keys = Keys()
    for _ in range(100):
        keys.feed(data)
    assert sys.getsizeof(keys._sequence) < 200
    assert len(keys._utf8.getstate()[0]) < 4
