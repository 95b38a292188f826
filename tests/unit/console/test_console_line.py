import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chopmark.console.wire.keys import Key, Pressed
from chopmark.console.wire.line import GIVEN_UP, LONGEST, Line
from consolescreen import Screen

PROMPT = "gw-a1(service)> "
EDITING = [
    *(Key.BACKSPACE, Key.DELETE, Key.LEFT, Key.RIGHT, Key.UP, Key.DOWN, Key.HOME, Key.END),
    *(Key.KILL_LINE, Key.KILL_REST, Key.KILL_WORD, Key.REDRAW),
]
Presses = st.lists(st.one_of(st.sampled_from(EDITING), st.sampled_from("abc 中文é")))


def typed(*keys: Pressed, width: int = 80, **given: object) -> tuple[Line, Screen]:
    line, screen = Line(PROMPT, width, **given), Screen(width)  # type: ignore[arg-type]
    screen.feed(line.paint())
    for key in keys:
        screen.feed(line.press(key))
    return line, screen


def test_character_is_put_in_where_the_cursor_is() -> None:
    line, screen = typed(*"shw", Key.LEFT, "o")
    assert line.text == "show"
    assert screen.row == f"{PROMPT}show"
    assert screen.column == len(PROMPT) + 3


def test_appending_sends_the_character_alone() -> None:
    line, _ = typed(*"sho")
    assert line.press("w") == "w"


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        ((*"ab", Key.BACKSPACE), "a", 1),
        ((*"ab", Key.HOME, Key.BACKSPACE), "ab", 0),
        ((*"ab", Key.HOME, Key.DELETE), "b", 0),
        ((*"ab", Key.LEFT, Key.END_OF_INPUT), "a", 1),
        ((*"ab", Key.DELETE), "ab", 2),
        ((*"ab", Key.KILL_LINE), "", 0),
        ((*"abc", Key.LEFT, Key.KILL_REST), "ab", 2),
        ((*"show log  ", Key.KILL_WORD), "show ", 5),
        ((*"show", Key.KILL_WORD), "", 0),
        ((*"ab", Key.LEFT, Key.LEFT, Key.LEFT, "x"), "xab", 1),
        ((*"ab", Key.HOME, Key.END, "x"), "abx", 3),
    ],
)
def test_editing_key_does_what_its_name_says(
    keys: tuple[Pressed, ...], text: str, cursor: int
) -> None:
    line, screen = typed(*keys)
    assert (line.text, line.cursor) == (text, cursor)
    assert screen.row == (PROMPT + text).rstrip()
    assert screen.column == len(PROMPT) + cursor


def test_wide_characters_take_two_columns_each() -> None:
    _, screen = typed(*"a中文b", Key.LEFT, Key.LEFT, Key.BACKSPACE)
    assert screen.row == f"{PROMPT}a文b"
    assert screen.column == len(PROMPT) + 1


def test_line_longer_than_its_row_is_shown_around_the_cursor() -> None:
    line, screen = typed(*("0123456789" * 12))
    assert line.text == "0123456789" * 12
    assert screen.row.startswith(f"{PROMPT}<")
    assert screen.row.endswith("89")
    for _ in line.text:
        screen.feed(line.press(Key.LEFT))
    assert screen.row.startswith(f"{PROMPT}0123")
    assert screen.column == len(PROMPT)


def test_secret_shows_nothing_and_recalls_nothing() -> None:
    line = Line("PIN: ", 80, secret=True, history=["show hsm"])
    sent = [line.press(key) for key in (*"4711", Key.UP, Key.BACKSPACE)]
    assert line.text == "471"
    assert sent == [""] * 6
    assert line.finish() == "\r\n"


def test_history_goes_back_and_comes_again() -> None:
    line, screen = typed(*"dra", history=["one", "two"])
    shown = []
    for key in (Key.UP, Key.UP, Key.UP, Key.DOWN, Key.DOWN, Key.DOWN):
        screen.feed(line.press(key))
        shown.append(screen.row.removeprefix(PROMPT))
    assert shown == ["two", "one", "one", "two", "dra", "dra"]


def test_line_that_is_too_long_rings_once_and_is_marked() -> None:
    line, screen = typed(*("x" * (LONGEST + 50)))
    assert len(line.text) == LONGEST
    assert line.overfull
    assert screen.bells == 1
    line.press(Key.KILL_LINE)
    assert not line.overfull


def test_plain_terminal_is_sent_ascii() -> None:
    line, screen = typed(*"é中", plain=True)
    assert line.text == "é中"
    assert screen.row == f"{PROMPT}e\\u4e2d"


@given(keys=Presses, width=st.integers(40, 100), plain=st.booleans())
def test_row_always_shows_the_line_and_its_cursor(
    *, keys: list[Pressed], width: int, plain: bool
) -> None:
    line, screen = typed(*keys, width=width, plain=plain, history=["show hsm", "中" * 30])
    again = Screen(width)
    column = screen.column
    again.feed(line.paint())
    assert again.row == screen.row
    assert again.column == column
    if cell_len(line.text) < width - len(PROMPT) - 1 and not plain:
        assert "".join(screen.rows[-1]).rstrip() == (PROMPT + line.text).rstrip()
        assert column == len(PROMPT) + cell_len(line.text[: line.cursor])


@pytest.mark.parametrize("text", ["x" * 100, "\U0001f600" * 50, "a" + "中" * 50])
def test_line_that_is_longer_than_its_row_leaves_room_for_the_mark_that_gives_it_up(
    text: str,
) -> None:
    line, screen = typed(*text)
    screen.feed(line.finish(GIVEN_UP))
    assert screen.text.endswith("^C\n")
