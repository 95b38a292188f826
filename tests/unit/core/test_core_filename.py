"""Plain names of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.filename import PLAIN_NAME, plain_name


@pytest.mark.parametrize(
    ("given_name", "plain"),
    [
        ("report.txt", "report.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\t\\roster 7.json", "roster_7.json"),
        ("a\x1b[31mred\nb.txt", "a_31mred_b.txt"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("..", "file"),
        ("", "file"),
        ("文件", "file"),
        ("文件.pem", "pem"),
        ("x" * 300 + ".json", "x" * 59 + ".json"),
        ("x" * 300, "x" * 64),
        ("x" * 70 + "." + "y" * 40, "x" * 64),
    ],
)
def test_name_is_made_plain(given_name: str, plain: str) -> None:
    assert plain_name(given_name) == plain


@given(st.text(max_size=400))
def test_plain_name_is_always_plain_and_stays(name: str) -> None:
    plain = plain_name(name)
    assert PLAIN_NAME.fullmatch(plain)
    assert plain_name(plain) == plain
