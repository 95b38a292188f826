"""The comparison of examples with real answers finds what is not so."""

from pathlib import Path

import pytest

from pageexamples import Example, Reader, is_told, read_examples


@pytest.mark.parametrize(
    ("answer", "page", "same"),
    [
        ('{"a":1}\n', '{"a":1}', True),
        ('{"a":1}', '{"a":2}', False),
        ('{"a":1,"b":2}', '{"a":1}', False),
        ('{"a":1,"b":2}', '{"a":1,\n "b":2}', True),
        ('{"at":"2031-01-02T03:04:05.678Z"}', '{"at":"2026-11-22T13:00:00.000Z"}', True),
        ('{"at":"soon"}', '{"at":"2026-11-22T13:00:00.000Z"}', False),
        ('{"proof":"abc\\ndef"}', '{"proof":"abc…"}', True),
        ('{"proof":"xbc"}', '{"proof":"abc…"}', False),
        ("one\ntwo\nthree\n", "one\n…", True),
    ],
)
def test_answers_are_compared_but_for_times_and_what_is_left_out(
    answer: str, page: str, *, same: bool
) -> None:
    assert is_told(answer, page) is same


def test_commands_and_answers_are_told_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n```\n$ echo a |\n    cat\na\n$ echo b\nb\n```\n\n```python\nx = 1\n```\n"
    )
    assert list(read_examples(page)) == [
        Example(3, "sh", "echo a |\n    cat\n", "a\n"),
        Example(3, "sh", "echo b\n", "b\n"),
        Example(11, "python", "x = 1\n", ""),
    ]


@pytest.mark.parametrize("command", ["false\n", "echo other\n"])
def test_example_that_is_not_so_fails(tmp_path: Path, command: str) -> None:
    with pytest.raises(AssertionError, match="line 7"):
        Reader(tmp_path, {}).run(Example(7, "sh", command, "this\n"))


def test_python_goes_on_where_it_was(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {"there": "here"})
    reader.run(Example(1, "python", "place = 'there'\n", ""))
    reader.run(Example(2, "python", "assert place == 'here'\n", ""))
    with pytest.raises(AssertionError):
        reader.run(Example(3, "python", "assert place == 'else'\n", ""))
