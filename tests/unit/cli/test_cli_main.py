"""The frame around the commands: exit codes, errors, help, progress."""

import ast
import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

import chopmark
from chopmark.cli import main as main_module
from chopmark.cli.arguments import parse_duration, parse_reason, parse_time
from chopmark.cli.main import main
from chopmark.cli.progress import LineMeter, Meter
from chopmark.cli.terminal import _STYLES, encode_json
from chopmark.cli.tree import COMMANDS, GROUPS, names_in
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean
from commandline import Run
from configs import BASE
from socketgateway import SocketGateway

ROOT = Path(__file__).parents[3]
CLI = ROOT / "daemon/chopmark/cli"
PAGE = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
ALL_COMMANDS = [
    *(name for name in COMMANDS),
    *(f"{group} {name}" for group, (_, names) in GROUPS.items() for name in names),
]


def test_exactly_one_place_catches_our_errors() -> None:
    found = []
    for path in (ROOT / "daemon/chopmark/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            caught = node.type if isinstance(node, ast.ExceptHandler) else None
            if caught is not None and "ChopmarkError" in ast.unparse(caught):
                found.append(path.name)
    assert found == ["failures.py"]


@cache
def help_of(command: str) -> str:
    """What `--help` prints; several tests look at it, and it takes 50 ms."""
    with redirect_stdout(io.StringIO()) as out:
        assert main([*command.split(), "--help"]) == 0
    return out.getvalue()


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_help_of_every_command_explains_every_parameter(command: str) -> None:
    out = help_of(command)
    assert out.startswith(f"Usage: chopmark {command}")
    rows = re.findall(r"^│ [* ]? *(--?[\w-]+|[A-Z]+)(?: [^│]*?)??  +(\S[^│]*)│", out, re.MULTILINE)
    assert len(rows) >= 4, out


def test_help_lists_every_command_with_a_line() -> None:
    for name in (*COMMANDS, *GROUPS):
        *above, last = name.split()
        out = help_of(" ".join(above))
        assert re.search(rf"^│ {last} +[A-Z]", out, re.MULTILINE), name


def test_version(run: Run) -> None:
    assert run("--version").out.strip() == chopmark.__version__


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_page_describes_every_command_with_an_example(command: str) -> None:
    section = PAGE.partition(f"\n### `chopmark {command}`\n")[2].partition("\n##")[0]
    assert f"chopmark {command}" in section.partition("```")[2], command


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_page_names_every_option(command: str) -> None:
    options = set(re.findall(r"(--[a-z][a-z-]+)", help_of(command)))
    missing = {option for option in options if f"`{option}" not in PAGE}
    assert not missing - {"--policy"}, missing


def test_progress_for_programs_is_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with LineMeter("checking", 10, unit="entries", shown=True, clock=lambda: now[0]) as meter:
        meter.advance(2)
        now[0] = 0.6
        meter.advance(2)
        meter.advance(2)
    written = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["done"] for line in written] == [4, 6]


def test_doctor_tells_programs_what_each_check_has_found(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    ended = run("--config", str(path), "--json", "--progress", "doctor", "--check", "hsm")
    assert ended.code == 10
    (told,) = map(json.loads, ended.err.splitlines())
    assert (told["check"], told["result"]) == ("configuration", "fault")
    assert told["findings"][0]["code"] == "config-missing"


@pytest.mark.parametrize("command", ["evidence check", "evidence sign", "hsm ceremony check"])
def test_command_with_a_key_of_its_own_gets_it(run: Run, command: str) -> None:
    words = command.split()
    places = [(*words, "file", "--key", "nothing"), ("--key", "nothing", *words, "file")]
    first, second = (run(*place) for place in places)
    assert "--key" not in first.err.partition("hint")[0]
    assert (first.code, first.err) == (second.code, second.err)


def test_key_of_other_commands_is_for_https(run: Run) -> None:
    ended = run("status", "--gateway", "https://127.0.0.1:9", "--key", "none.key")
    assert ended.code == 64
    assert "without its certificate" in ended.err


def test_page_has_the_exit_codes() -> None:
    from chopmark.core import errors
    from chopmark.core.verdict import EXIT

    rows = dict(re.findall(r"^\| (\d+) \| ([^|]*) \|", PAGE, re.MULTILINE))
    for word, code in EXIT.items():
        assert word.value in rows[str(code)]
    codes = {
        e.exit_code
        for e in vars(errors).values()
        if isinstance(e, type) and issubclass(e, errors.ChopmarkError)
    }
    assert {str(code) for code in codes | {10, 130}} <= rows.keys()


def test_unknown_command_is_64(run: Run) -> None:
    done = run("atest")
    assert done.code == 64
    assert "did you mean `attest`?" in done.err
    assert all(f" {name}" in done.err for name in names_in()), "the list is whole"
    assert "`chopmark --help`" in done.err


@pytest.mark.parametrize(
    "words", ["blah --help", "hsm stauts -h", "peers blah --help", "--gateway x blah --help"]
)
def test_unknown_command_with_help_is_an_error_too(run: Run, words: str) -> None:
    done = run(*words.split())
    assert (done.code, done.out) == (64, "")
    assert "not a command" in done.err


def test_group_alone_explains_each_of_its_commands() -> None:
    program = Path(sys.executable).with_name("chopmark")
    done = subprocess.run([program, "witness"], capture_output=True, text=True, check=True)
    assert re.search(r"^│ floor +[A-Z]", done.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where bash finds its script."""
    with redirect_stdout(io.StringIO()) as out:
        assert main(["completion", "bash"]) == 0
    path = tmp_path_factory.mktemp("completion") / "chopmark"
    path.write_text(out.getvalue())
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("chopmark ver", {"verify"}),
        ("chopmark hsm ceremony r", {"rotate"}),
        ("chopmark verify --gat", {"--gateway"}),
        ("chopmark attest --until w", {"witnessed"}),
        ("chopmark completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes_commands_options_and_values(
    script: Path, words: str, expected: set[str]
) -> None:
    line = words.split(" ")
    quoted = " ".join(f"'{word}'" for word in line)
    code = f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}; _chopmark"
    command = ["bash", "-c", f"{code}; printf '%s\\n' \"${{COMPREPLY[@]}}\""]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {one.strip() for one in done.stdout.split()} == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_for_other_shells_name_every_command(run: Run, shell: str) -> None:
    out = run("completion", shell).out
    assert all(name.split()[-1] in out for name in ALL_COMMANDS)
    assert "--gateway" in out or "-l gateway" in out


def test_unknown_command_of_a_group_is_64(run: Run) -> None:
    done = run("peers", "lst")
    assert done.code == 64
    assert done.err.startswith("chopmark: not a command: 'peers lst'\n")


def test_usage_error_is_a_problem_with_json(run: Run) -> None:
    done = run("verify", "--json", "--max-age")
    assert done.code == 64
    assert json.loads(done.err)["code"] == "usage"


def test_no_command_prints_help(run: Run) -> None:
    assert run().out.startswith("Usage: chopmark COMMAND")


@pytest.mark.parametrize(
    "address", ["tcp:1", "unix:", "http://bank.example", "http://127.0.0.1/x", "unix:/" + "x" * 107]
)
def test_bad_gateway_address_is_64(run: Run, address: str) -> None:
    assert run("status", "--gateway", address).code == 64


def test_option_gateway_wins(
    run: Run, gateway: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHOPMARK_GATEWAY", "unix:/nowhere")
    assert run("--gateway", gateway.address, "status").code == 0
    assert run("status", "--gateway", gateway.address).code == 0


def test_unexpected_exception_is_70_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("a \x1b bug")

    monkeypatch.setattr(main_module, "build_app", fail)
    done = run("status")
    assert done.code == 70
    assert done.err.splitlines()[0] == "chopmark: internal error: ValueError: a \\x1b bug"
    assert done.err.count("\n") == 2
    assert "Traceback" not in done.err
    monkeypatch.setenv("CHOPMARK_DEBUG", "1")
    assert "Traceback" in run("status").err


def test_interrupt_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "build_app", interrupt)
    assert run("status").code == 130


def test_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(BASE)
    command = [sys.executable, "-m", "chopmark.cli.main", "config", "check", "--config", config]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "daemon")}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


def test_offline_verification_loads_little() -> None:
    code = """
import sys
from chopmark.cli.main import main
main(["verify", "--proof", "missing", "--policy", "missing"])
heavy = {"httpx", "rich", "asyncio", "litestar", "msgspec", "sqlite3", "pkcs11", "aiomqtt"}
print(sorted(heavy & sys.modules.keys()))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "daemon")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment, check=False
    )
    assert done.stdout == b"[]\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800)]
)
def test_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1.5h", "-1", "1_0", "١", "1 h", "1w", "9" * 10])
def test_duration_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-22", 1_795_391_999_999),
        ("2026-11-22T13:00:00Z", 1_795_352_400_000),
        ("2026-11-22T21:00:00.250+08:00", 1_795_352_400_250),
    ],
)
def test_time(text: str, ms: int) -> None:
    assert parse_time(text) == ms


@pytest.mark.parametrize(
    "text", ["", "2026-13-01", "9999-12-31", "2026-11-22T13:00:00", "1969-01-01T00:00:00Z", "now"]
)
def test_time_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        parse_time(text)


def test_reason_by_word_and_number() -> None:
    assert [parse_reason(word) for word in ("unspecified", "fraud", "key-compromise", "3")] == [
        0,
        4,
        5,
        3,
    ]
    with pytest.raises(UsageError):
        parse_reason("6")


def test_clean_shows_what_does_not_print() -> None:
    assert clean("中國銀行 é") == "中國銀行 é"
    assert clean("a\x1b[0m\r\n\t\u2066\u200b\udcff\U000e0001") == (
        r"a\x1b[0m\r\n\t\u2066\u200b\udcff\U000e0001"
    )


def test_json_escapes_what_does_not_print_and_reads_back() -> None:
    value = {"a\u202e": "中\x9b\x7f\u2028\U000e0001\udcff"}
    text = encode_json(value)
    assert all(character.isprintable() for character in text)
    assert "中" in text
    assert json.loads(text) == value


def test_meter_shows_nothing_in_the_first_second(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Meter("hashing", 100, unit="bytes", shown=True, clock=lambda: now[0]) as meter:
        now[0] = 0.9
        meter.advance(10)
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("unit", ["bytes", "files"])
def test_meter_shows_long_work_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    now = [0.0]
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Meter("hashing", 100, unit=unit, shown=True, clock=lambda: now[0]) as meter:
        now[0] = 1.5
        meter.advance(40)
        meter.advance(60)
    assert "hashing" in stream.getvalue()


def test_meter_is_for_terminals_unless_forced(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Meter("hashing", 100, unit="bytes", shown=False, clock=lambda: now[0]) as meter:
        now[0] = 5.0
        meter.advance(10)
    assert capsys.readouterr().err == ""


def test_what_follows_two_dashes_is_a_file() -> None:
    assert main(["verify", "--", "--json"]) == 66


@pytest.mark.parametrize("file", sorted(CLI.rglob("*.py")), ids=lambda file: file.name)
def test_every_style_that_a_screen_names_is_there(file: Path) -> None:
    """On a terminal only it would show, as an error: tests have none."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    named = {
        call.args[1].value
        for call in calls
        if getattr(call.func, "id", "") == "styled"
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    }
    assert named <= {"", *_STYLES}
