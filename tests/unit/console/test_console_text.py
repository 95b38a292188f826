import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chopmark.console.wire.keys import Key
from chopmark.console.wire.pager import Pager
from chopmark.console.wire.text import inert, wrap


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\nc\x00", "a\\rb\\nc\\x00"),
        ("right\u202eleft", "right\\u202eleft"),
        ("\ud800", "\\ud800"),
        ("a\tb", "a       b"),
        ("香港銀行 é", "香港銀行 é"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert inert(text, plain=False) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café — “ok” → 5 × 3", 'cafe - "ok" -> 5 x 3'),
        ("香", "\\u9999"),
        ("：", ":"),
        ("½", "\\xbd"),
    ],
)
def test_plain_text_is_ascii(text: str, shown: str) -> None:
    assert inert(text, plain=True) == shown


@given(st.text())
def test_any_text_is_inert(text: str) -> None:
    assert inert(text, plain=False).isprintable()
    plain = inert(text, plain=True)
    assert plain.isascii()
    assert plain.isprintable()


def test_line_is_broken_between_words_and_keeps_its_indent() -> None:
    assert wrap("  one two three", 9) == ["  one two", "  three"]


def test_line_that_fits_is_left_as_it_is() -> None:
    assert wrap("  a   b", 7) == ["  a   b"]


def test_wide_characters_are_broken_anywhere() -> None:
    assert wrap("香港銀行", 5) == ["香港", "銀行"]


def test_word_longer_than_a_line_is_cut() -> None:
    assert wrap("abcdefgh", 3) == ["abc", "def", "gh"]


@given(st.text(st.characters(categories=["L", "N", "Zs"])), st.integers(10, 100))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(text: str, width: int) -> None:
    text = inert(text, plain=False)
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_pager_stops_where_one_row_is_left() -> None:
    pager = Pager(5)
    shown = 0
    while not pager.is_full():
        pager.count()
        shown += 1
    assert shown == 4
    assert pager.press(Key.ENTER)
    assert not pager.is_full()
    pager.count()
    assert pager.is_full()
    assert pager.press(" ")
    assert not pager.is_full()


@pytest.mark.parametrize("key", ["q", "Q", Key.INTERRUPT])
def test_pager_is_left_by_key(key: "Key | str") -> None:
    assert Pager().press(key) is False


def test_pager_waits_for_a_key_that_means_something() -> None:
    assert Pager().press("x") is None


def test_pager_of_length_zero_never_stops() -> None:
    pager = Pager(0)
    for _ in range(1000):
        pager.count()
    assert not pager.is_full()


def test_mark_that_combines_is_never_the_first_of_a_line() -> None:
    assert wrap("\u0301a", 10) == [" \u0301a"]
    assert wrap("needs \u0301 here", 5) == ["needs", " \u0301", "here"]
