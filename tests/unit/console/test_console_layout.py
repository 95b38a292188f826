"""Lines for 79 columns: what is broken, cut and padded, and that nothing in them is alive."""

from hypothesis import given
from hypothesis import strategies as st

from chopmark.console.layout import cut, fields, hang, table, wrap
from chopmark.console.wire.text import columns

TEXTS = st.text(max_size=400)


@given(TEXTS, st.integers(20, 120))
def test_wrapped_lines_fit_and_lose_nothing(text: str, room: int) -> None:
    lines = wrap(text, room)
    assert all(columns(line) <= room for line in lines)
    assert all(line.isprintable() for line in lines)


@given(st.lists(st.text("abc", min_size=1, max_size=30), max_size=40))
def test_words_stay_in_order(words: list[str]) -> None:
    assert "".join(wrap(" ".join(words), 30)).replace(" ", "") == "".join(words)


@given(TEXTS, st.integers(10, 100))
def test_cut_fits(text: str, room: int) -> None:
    assert columns(cut(text, room)) <= room


def test_chinese_takes_two_columns() -> None:
    assert columns("網路 ok") == 7
    assert cut("一二三四五六", 9) == "一二三..."
    assert wrap("一二三四五六七八九十一二", 20) == ["一二三四五六七八九十", "一二"]


def test_escape_sequences_and_overrides_are_shown() -> None:
    lines = fields([("name", "\x1b[2J\u202eevil\r\n"), ("none", None)])
    assert lines == [r"  name  \x1b[2J\u202eevil\r\n"]


def test_broken_text_goes_on_under_its_beginning() -> None:
    assert hang("head ", "one two three four", width=25) == ["head one two three four"]
    assert hang("head ", "one two three four five", width=25)[1] == "     five"


@given(st.lists(st.lists(TEXTS, min_size=4, max_size=4), max_size=5))
def test_table_fits_whatever_is_in_it(rows: list[list[str]]) -> None:
    lines = table(("a", "b", "c", "d"), rows, whole=(0,))
    assert len(lines) == len(rows) + 1
    assert all(columns(line) <= 79 for line in lines)


def test_column_that_is_to_stay_whole_does() -> None:
    time, name = "2026-11-30T17:25:19Z", "Bank of Somewhere " * 5
    line = table(("as of", "name"), [(time, name)], whole=(0,))[1]
    assert line.startswith(time)
    assert line.endswith("...")
    assert columns(line) <= 79
