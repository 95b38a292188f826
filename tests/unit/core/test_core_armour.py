"""Armoured files: what is lost or damaged is named; whatever else a log has is passed over."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.armour import (
    BEGIN,
    BLOCK,
    END,
    LINE,
    MAX_FILES,
    MAX_LINE,
    ArmourReader,
    armour,
    encode_numbers,
    parse_numbers,
)
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError

LIMIT = 2**20
DATA = bytes(range(256)) * 20
"""Six blocks; the last one has 560 bytes."""


def read(lines: list[str], limit: int = LIMIT) -> ArmourReader:
    reader = ArmourReader(limit)
    for line in lines:
        reader.feed(line)
    return reader


def only(reader: ArmourReader) -> bytes:
    (found,) = reader.files.values()
    return found.data()


@pytest.mark.parametrize("size", [0, 1, 2, LINE - 1, LINE, LINE + 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_armour_comes_back_at_every_edge(size: int) -> None:
    data = (DATA * 2)[:size]
    reader = read(list(armour("a.bin", data)))
    assert only(reader) == data
    assert reader.ended
    assert [one.name for one in reader.files] == ["a.bin"]


@given(st.binary(max_size=3000), st.lists(st.text(max_size=90), max_size=20), st.randoms())
def test_armour_is_read_between_any_other_lines(
    data: bytes, junk: list[str], order: object
) -> None:
    lines = list(armour("a", data))
    for one in junk:
        if one.strip() and BEGIN not in one and END not in one:
            lines.insert(order.randrange(1, len(lines)), f"% {one} ?")  # type: ignore[attr-defined]
    assert only(read(lines)) == data


@given(st.lists(st.text(max_size=120), max_size=60))
def test_reader_takes_any_lines(lines: list[str]) -> None:
    assert not read([BEGIN, *lines, END]).files


@pytest.mark.parametrize(
    "change",
    [
        lambda line: f"[2026-11-30 17:00:01.123] {line}\r\n",
        lambda line: f"  {line} \n",
        lambda line: f"{line}\r",
    ],
)
def test_armour_is_read_as_terminals_log_it(change: object) -> None:
    assert only(read([change(line) for line in armour("a", DATA)])) == DATA  # type: ignore[operator]


def test_each_single_line_that_is_lost_costs_its_block_only() -> None:
    lines = list(armour("a", DATA))
    blocks = [at for at, line in enumerate(lines) if line.startswith("block ")]
    for at in range(blocks[0], len(lines) - 1):
        (found,) = read(lines[:at] + lines[at + 1 :]).files.values()
        assert found.missing() == [sum(start <= at for start in blocks)]


def test_each_changed_line_costs_its_block_only() -> None:
    lines = list(armour("a", DATA))
    for at, line in enumerate(lines[5:-1], 5):
        last = "1" if line[-1] != "1" else "0"
        changed = [*lines[:at], line[:-1] + last, *lines[at + 1 :]]
        (found,) = read(changed).files.values()
        assert len(found.missing()) == 1


def test_changed_header_begins_no_file() -> None:
    lines = list(armour("a.txt", DATA))
    for at in range(1, 5):
        bad = lines[at][:-1] + ("0" if lines[at][-1] != "0" else "1")
        assert not read([*lines[:at], bad, *lines[at + 1 :]]).files


@pytest.mark.parametrize("name", ["../x", "a b", "", "a\x1b[31m", "x" * 65, ".hidden"])
def test_header_with_a_name_that_is_not_plain_begins_no_file(name: str) -> None:
    assert not read(list(armour(name, DATA))).files


def test_blocks_are_sent_again_by_number_into_the_same_log() -> None:
    lines = [line for line in armour("a", DATA) if not line.startswith(("block 2 ", "block 5 "))]
    reader = read(lines)
    (found,) = reader.files.values()
    with pytest.raises(MalformedError, match="are missing or damaged: 2,5") as caught:
        found.data()
    assert caught.value.code == "armour-incomplete"
    for line in armour("a", DATA, found.missing()):
        reader.feed(line)
    assert only(reader) == DATA


def test_block_of_another_file_is_not_taken() -> None:
    other = list(armour("a", DATA[::-1]))
    mixed = [*list(armour("a", DATA))[:5], *other[5:]]
    (found,) = read(mixed).files.values()
    assert len(found.missing()) == found.header.blocks


def test_blocks_before_any_header_and_beyond_the_last_are_passed_over() -> None:
    lines = list(armour("a", DATA))
    beyond = lines[5].replace("block 1 ", "block 7 ")
    reader = read([*lines[5:22], *lines[:5], beyond, *lines[6:22]])
    (found,) = reader.files.values()
    assert found.missing() == [1, 2, 3, 4, 5, 6]


def test_line_that_is_no_base64_or_endless_is_passed_over() -> None:
    lines = list(armour("a", b"x"))
    reader = read([*lines[:6], "eB==", "y" * (MAX_LINE + 9), lines[6], END])
    assert only(reader) == b"x"


def test_file_beyond_the_limit_is_refused_before_its_blocks() -> None:
    reader = read(list(armour("a", DATA)), limit=len(DATA) - 1)
    assert (reader.files, reader.current) == ({}, None)
    assert reader.refused == f"a: {len(DATA)} bytes are more than is taken"


def test_number_of_files_in_a_log_is_bounded() -> None:
    lines = [line for at in range(MAX_FILES + 1) for line in armour(f"f{at}", b"")]
    assert len(read(lines).files) == MAX_FILES


def test_file_whose_digest_does_not_fit_is_refused() -> None:
    (found,) = read(list(armour("a", DATA))).files.values()
    found.parts[1] = bytes(BLOCK)
    with pytest.raises(RefusedError) as caught:
        found.data()
    assert caught.value.code == "armour-damaged"


def test_lines_fit_a_terminal_of_80_columns() -> None:
    assert max(map(len, armour("n" * 64, DATA * 9))) == 76


@pytest.mark.parametrize("number", [0, 7])
def test_block_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(RefusedError) as caught:
        armour("a", DATA, [number])
    assert caught.value.code == "no-such-block"


@pytest.mark.parametrize(
    ("text", "numbers"), [("1", [1]), ("3,1-2", [1, 2, 3]), ("17,20-22,20", [17, 20, 21, 22])]
)
def test_numbers_are_read(text: str, numbers: list[int]) -> None:
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "1,", "3-1", "-1", "1-2-3", "x", "1 2", "9999999", "٣"])
def test_bad_numbers_are_refused(text: str) -> None:
    with pytest.raises(ChopmarkError) as caught:
        parse_numbers(text)
    assert caught.value.code == "bad-blocks"


def test_numbers_are_written_as_runs() -> None:
    assert encode_numbers([1, 2, 3, 5, 7, 8]) == "1-3,5,7-8"
    assert encode_numbers([]) == ""


def test_header_holds_the_digest_of_the_file() -> None:
    assert f"sha256 {sha256(DATA).hexdigest()}" in list(armour("a", DATA))
