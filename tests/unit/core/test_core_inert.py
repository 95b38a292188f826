"""Text from elsewhere, made harmless for one line of a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.inert import clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bank of Hong Kong", "Bank of Hong Kong"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("abc\u202ecba", r"abc\u202ecba"),
        ("\u9999\u6e2f\u9280\u884c", "\u9999\u6e2f\u9280\u884c"),
        (7, "7"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape_sequence(text: object, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_any_text_prints_on_one_line(text: str) -> None:
    assert clean(text).isprintable()
