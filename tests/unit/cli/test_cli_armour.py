"""`chopmark console armour` and `unarmour`."""

from pathlib import Path

import pytest

from chopmark.cli.commands import armour as commands
from commandline import Run

DATA = bytes(range(256)) * 20


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "laptop"
    folder.mkdir()
    path = folder / "ro ster.note"
    path.write_bytes(DATA)
    return path


def armoured(run: Run, source: Path, *options: str) -> str:
    done = run("console", "armour", source, *options)
    assert (done.code, done.err) == (0, "")
    return str(done.out)


def test_file_comes_back_from_a_log_under_its_plain_name(run: Run, source: Path) -> None:
    Path("log").write_text("login: x\r\n" + armoured(run, source) + "gw-1> exit\r\n")
    done = run("console", "unarmour", "log")
    assert done.code == 0
    assert done.out.startswith("ro_ster.note  5,120 bytes, SHA-256 ")
    assert Path("ro_ster.note").read_bytes() == DATA


def test_missing_blocks_are_named_and_come_from_a_second_log(run: Run, source: Path) -> None:
    text = armoured(run, source)
    lines = [line for line in text.splitlines() if not line.startswith(("block 2 ", "block 3 "))]
    Path("log").write_text("\n".join(lines))
    done = run("console", "unarmour", "log", "-o", "out")
    assert done.code == 65
    assert "of 6 blocks of ro_ster.note are missing or damaged: 2-3" in done.err
    assert "transfer send ro_ster.note armour 2-3" in done.err
    assert not Path("out").exists()
    Path("more").write_text(armoured(run, source, "--blocks", "2-3"))
    assert run("console", "unarmour", "log", "more", "-o", "out").code == 0
    assert Path("out").read_bytes() == DATA


def test_nothing_is_overwritten(run: Run, source: Path) -> None:
    Path("log").write_text(armoured(run, source))
    Path("ro_ster.note").write_text("mine")
    assert run("console", "unarmour", "log").code == 73
    assert Path("ro_ster.note").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "\0\xff" * 9999])
def test_log_without_armour_is_refused(run: Run, source: Path, text: str) -> None:
    (source.parent / "log").write_text(text)
    done = run("console", "unarmour", source.parent / "log")
    assert done.code == 65
    assert "no armoured file is in there" in done.err


def test_two_files_in_one_log_are_refused(run: Run, source: Path) -> None:
    other = source.with_name("b")
    other.write_bytes(b"")
    Path("log").write_text(armoured(run, source) + armoured(run, other))
    done = run("console", "unarmour", "log")
    assert done.code == 65
    assert "ro_ster.note, b" in done.err


def test_size_that_a_log_claims_is_bounded(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("log").write_text(armoured(run, source))
    monkeypatch.setattr(commands, "LARGEST", len(DATA) - 1)
    assert "5120 bytes are more than is taken" in run("console", "unarmour", "log").err
    assert "has more than 5119 bytes" in run("console", "armour", source).err


def test_missing_log_is_told(run: Run, source: Path) -> None:
    assert run("console", "unarmour", source.with_name("none")).code == 66
    assert run("console", "unarmour").code == 65


def test_armour_as_json(run: Run, source: Path) -> None:
    (shown,) = run("console", "armour", source, "--json").lines()
    Path("log").write_text("\n".join(shown["lines"]))
    (made,) = run("console", "unarmour", "log", "--json").lines()
    assert (made["file"], made["size"]) == ("ro_ster.note", len(DATA))
