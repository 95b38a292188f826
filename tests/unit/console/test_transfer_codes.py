"""QR codes of characters."""

import subprocess
from pathlib import Path

import pytest
import segno

from chopmark.console.transfer.codes import BORDER, Code, make_code
from chopmark.core.errors import RefusedError

TEXT = b"bank-hk.example/hk-1+f605b07b+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABE1SlQ33"
HALVES = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}


def modules(text: bytes) -> list[list[int]]:
    made = segno.make_qr(text.decode(), error="l", boost_error=False)
    return [list(map(int, row)) for row in made.matrix_iter(border=BORDER)]


def from_halves(code: Code) -> list[list[int]]:
    rows = []
    for line in code.lines:
        rows += [[HALVES[one][half] for one in line] for half in (0, 1)]
    return rows


def test_half_blocks_are_the_modules_of_the_code() -> None:
    code = make_code("vkey", TEXT, 80, plain=False)
    expected = modules(TEXT)
    assert from_halves(code)[: len(expected)] == expected
    assert len(code.lines) <= 23


def test_code_can_be_read_from_a_dark_screen(tmp_path: Path) -> None:
    rows = from_halves(make_code("vkey", TEXT, 80, plain=False))
    dark = [1] * (len(rows[0]) + 8)
    screen = [*[dark] * 4, *([1] * 4 + row + [1] * 4 for row in rows), *[dark] * 4]
    image = b"".join(bytes(255 * (1 - one) for one in row for _ in range(6)) * 6 for row in screen)
    picture = tmp_path / "screen.pgm"
    picture.write_bytes(b"P5 %d %d 255\n" % (6 * len(dark), 6 * len(screen)) + image)
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", str(picture)], capture_output=True, check=True
    )
    assert read.stdout.rstrip(b"\n") == TEXT


def test_plain_code_is_ascii_with_two_characters_for_a_module() -> None:
    code = make_code("vkey", TEXT, 80, plain=True)
    pairs = [[line[at : at + 2] for at in range(0, len(line), 2)] for line in code.lines]
    assert [[int(pair == "  ") for pair in row] for row in pairs] == modules(TEXT)
    assert {one for line in code.lines for one in line} == {"#", " "}


@pytest.mark.parametrize(("plain", "most"), [(False, 520), (True, 106)])
def test_what_is_too_large_is_told_with_what_fits(plain: bool, most: int) -> None:  # noqa: FBT001
    assert max(map(len, make_code("a", b"~" * most, 80, plain=plain).lines)) <= 80
    with pytest.raises(RefusedError, match=f"has {most + 1} bytes.* room for {most}") as caught:
        make_code("a", b"~" * (most + 1), 80, plain=plain)
    assert "armour" in caught.value.hint


def test_no_code_fits_a_very_narrow_terminal() -> None:
    with pytest.raises(RefusedError, match="room for 0"):
        make_code("a", b"x", 20, plain=False)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x00", b"a\x1b[31m", "a\u202eb".encode()])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        make_code("a", data, 80, plain=False)
    assert caught.value.code == "not-text"
