"""The commands of key ceremonies: on a terminal, in a rehearsal, and beside a gateway that runs."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chopmark.cli.main import main
from chopmark.core.ceremony_rules import GATES, check_file
from chopmark.core.ceremony_text import parse_file
from commandline import Ended, Run
from integration.ceremony_scene import NAMES, ORIGIN, PASSWORD, Scene, write_script
from rig.gateway import HONG_KONG, Cluster
from rig.gateway import Gateway as RunningGateway
from rig.patience import PATIENCE
from rig.token import MODULE

OPTIONS = (
    *("--id", "hk-1", "--origin", ORIGIN, "--institution", "Bank of Hong Kong (example)"),
    *("--jurisdiction", "HK", "--module", MODULE, "--token-label", "hk-1", "--clock", "none"),
)


WITH_INTERRUPTS = """\
import signal
from chopmark.cli.main import run
signal.signal(signal.SIGINT, signal.default_int_handler)
run()
"""
"""The command, also where the tests themselves run in a shell's background, without SIGINT."""


class Terminal:
    """The command on a terminal of 80 columns; answers are typed when their question is there."""

    def __init__(self, arguments: Sequence[object], environment: dict[str, str]) -> None:
        self.shown = ""
        command = [sys.executable, "-c", WITH_INTERRUPTS, *map(str, arguments)]
        self.side, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        self.process = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def answer(self, question: str, text: str) -> None:
        self.wait_for(question)
        self.shown = ""
        os.write(self.side, text.encode() + b"\n")

    def wait_for(self, text: str) -> str:
        whole = self.shown
        while text not in " ".join(self.shown.split()):
            assert select.select([self.side], [], [], PATIENCE)[0], self.shown
            try:
                more = os.read(self.side, 4096).decode()
            except OSError:
                break
            self.shown += more
            whole += more
        assert text in " ".join(self.shown.split()), self.shown
        return whole

    def end(self) -> int:
        with contextlib.suppress(OSError):
            while data := os.read(self.side, 4096).decode():
                self.shown += data
        os.close(self.side)
        return self.process.wait(PATIENCE)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """Opens terminals; what still runs in them after the test is killed."""
    opened: list[Terminal] = []

    def make(arguments: Sequence[object], environment: dict[str, str]) -> Terminal:
        opened.append(Terminal(arguments, environment))
        return opened[-1]

    yield make
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def environ(scene: Scene, **more: str) -> dict[str, str]:
    left_out = ("CREDENTIALS_DIRECTORY", "CHOPMARK_CONFIG")
    there = {name: value for name, value in os.environ.items() if name not in left_out}
    config = str(scene.folder / "gateway.toml")
    return there | {"TERM": "dumb", "CHOPMARK_CONFIG": config, "COLUMNS": "80"} | more


def test_officers_are_led_through_it_on_a_terminal(
    scene: Scene, open_terminal: Callable[..., Terminal]
) -> None:
    """Nothing that is typed in secret is shown, and no line is wider than the terminal."""
    pin = scene.token.read_pin()
    state = ("--state", scene.folder / "state", "--protocol", scene.protocol, "--need", 2)
    officers = ("--officers", *scene.certificates())
    terminal = open_terminal(
        ("hsm", "ceremony", "init", *OPTIONS, *state, *officers), environ(scene)
    )
    shown = []
    for question, answer in _typed(scene, pin):
        shown.append(terminal.wait_for(question))
        text = answer() if callable(answer) else answer
        terminal.answer(question, text)
    assert terminal.end() == 0
    whole = "".join(shown) + terminal.shown
    assert pin not in whole
    assert PASSWORD not in whole
    assert "the ceremony is completed" in whole
    wide = [line for line in whole.replace("\r", "").split("\n") if len(line) > 80]
    assert [line for line in wide if "/" not in line] == [], "a path or a key is copied, and whole"
    assert scene.read().find("close")


def _typed(scene: Scene, pin: str) -> list[tuple[str, str | Callable[[], str]]]:
    def approve() -> list[tuple[str, str | Callable[[], str]]]:
        return [
            ("Chan Tai Man: file of your key", scene.sign_elsewhere),
            ("Lee Siu Ming: file of your key", str(scene.officers / "lee.key")),
            ("PIN of Lee Siu Ming's key", PASSWORD),
        ]

    names = [(f"officer {n} [{name}]", "") for n, name in enumerate(NAMES.values(), 1)]
    institutions = [(f"Institution of {name}", "") for name in NAMES.values()]
    both = [one for pair in zip(names, institutions, strict=True) for one in pair]
    here = [(f"{name} is present?", "yes") for name in NAMES.values()]
    read = [(f"{name} confirms", "yes") for name in NAMES.values()]
    return [
        ("Where is the ceremony held", "Data centre 2"),
        *both,
        *here,
        ("Anybody else", ""),
        ("the right token?", "yes"),
        *approve(),
        ("Ho Ka Yan: file of your key", ""),
        ("PIN of the token hk-1", pin),
        *read,
        *approve(),
        ("Ho Ka Yan: file of your key", ""),
        ("PIN of the token hk-1", pin),
        ("backed up", "no"),
        ("Why is there no backup?", "it comes next week"),
        ("PIN of the token hk-1", pin),
        ("backup token presented", "no"),
        ("Why not?", "it comes next week"),
        ("Remarks", ""),
        *approve(),
        ("Ho Ka Yan: file of your key", ""),
    ]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ceremony_goes_on_after_its_process_ended(
    scene: Scene, how: signal.Signals, open_terminal: Callable[..., Terminal]
) -> None:
    where = ("--state", scene.folder / "state", "--protocol", scene.protocol, "--place", "here")
    officers = ("--officers", *scene.certificates())
    terminal = open_terminal(
        ("hsm", "ceremony", "init", *OPTIONS, *where, *officers), environ(scene)
    )
    typed = _typed(scene, "")[1:]
    for question, answer in typed[: typed.index(("the right token?", "yes"))]:
        assert isinstance(answer, str)
        terminal.answer(question, answer)
    terminal.wait_for("the right token?")
    terminal.process.send_signal(how)
    code = terminal.end()
    told = "--resume goes on with it" in " ".join(terminal.shown.split())
    assert (code, told) == {signal.SIGINT: (130, True), signal.SIGKILL: (-9, False)}[how]
    scene.hold(resumed=True)
    assert [one.name for one in scene.read().steps][:3] == ["presence", "resumed", "token"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `chopmark` in this process."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return call


def run_rehearsal(scene: Scene, *more: object) -> subprocess.CompletedProcess[str]:
    """A rehearsal with prepared answers, and nobody at hand."""
    script = write_script(scene.officers, scene.folder / "answers.toml")
    command = [sys.executable, "-m", "chopmark.cli.main", "hsm", "ceremony", "init", *OPTIONS]
    where = ("--protocol", scene.protocol, "--script", script, "--rehearse", "--officers")
    credentials = str(scene.token.credentials)  # the PIN of the daemon: not for a rehearsal
    return subprocess.run(
        [*map(str, (*command, *where, *scene.certificates(), *more))],
        env=environ(scene, TMPDIR=str(_temporary(scene)), CREDENTIALS_DIRECTORY=credentials),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def _temporary(scene: Scene) -> Path:
    folder = scene.folder / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


def test_rehearsal_leaves_its_protocol_and_nothing_else(scene: Scene, run: Run) -> None:
    done = run_rehearsal(scene, "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"protocol", "sha256", "log_vkey", "cosigner_vkey"}
    assert scene.read().notice.startswith("REHEARSAL")
    assert (scene.keys(), scene.is_set_up()) == (0, False)
    assert not list(_temporary(scene).iterdir())
    checked = run("hsm", "ceremony", "check", scene.protocol, "--json").lines()[0]
    assert (checked["outcome"], checked["need"]) == ("completed", 2)
    assert checked["notice"].startswith("REHEARSAL")
    assert [one["name"] for one in checked["steps"] if one["approved_by"]] == sorted(
        GATES, key=["go-ahead", "read-aloud", "close"].index
    )


def test_unfinished_rehearsal_leaves_nothing(scene: Scene) -> None:
    done = run_rehearsal(scene, "--need", "3")
    assert done.returncode == 78, done.stderr
    assert "nobody is here to answer" in done.stderr
    assert not scene.unfinished.exists()
    assert not list(_temporary(scene).iterdir())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that runs, alone."""
    made = Cluster(tmp_path_factory.mktemp("g"), (HONG_KONG,))
    try:
        yield made.start()["hk-1"]
    finally:
        made.stop()


def rotate(
    gateway: RunningGateway, officers: Path, role: str, protocol: Path, **answers: str
) -> subprocess.CompletedProcess[str]:
    script = write_script(officers, protocol.with_suffix(".toml"), **answers)
    crts = [str(officers / f"{name}.crt") for name in NAMES]
    where = ("--protocol", str(protocol), "--script", str(script), "--officers", *crts)
    return gateway.cli("hsm", "ceremony", "rotate", role, *where, "--json", check=False)


@pytest.mark.parametrize("role", ["log", "cosigner"])
def test_key_that_follows_is_made_before_officers_while_the_gateway_runs(
    gateway: RunningGateway, officers: Path, tmp_path: Path, role: str
) -> None:
    used = {one["role"]: one["vkey"] for one in listed(gateway) if one["in_use"]}
    before = [one["vkey"] for one in listed(gateway)]
    done = rotate(gateway, officers, role, tmp_path / "protocol")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    (new,) = [one for one in listed(gateway) if one["vkey"] not in before]
    assert (new["role"], new["in_use"]) == (role, False)
    other = "cosigner" if role == "log" else "log"
    assert answer[f"{role}_vkey"] == new["vkey"]
    assert answer[f"{other}_vkey"] == used[other]
    file = parse_file((tmp_path / "protocol").read_bytes())
    assert [one.encode() for one in check_file(file)] == [
        answer["log_vkey"],
        answer["cosigner_vkey"],
    ]
    assert file.ceremony.kind == f"rotate-{role}"
    assert answer["sha256"] in gateway.cli("audit", "show", "--json").stdout


def test_key_of_an_aborted_rotation_is_destroyed(
    gateway: RunningGateway, officers: Path, tmp_path: Path
) -> None:
    before = listed(gateway)
    answers = {"confirmed_3": "!abort", "destroy": "yes"}
    done = rotate(gateway, officers, "log", tmp_path / "protocol", **answers)
    assert json.loads(done.stderr.splitlines()[-1])["code"] == "ceremony-aborted"
    assert listed(gateway) == before
    noted = json.loads(gateway.cli("audit", "show", "--json").stdout)
    assert "ceremony-aborted" in json.dumps(noted)
    end = parse_file((tmp_path / "protocol").read_bytes()).ceremony.end
    assert end is not None
    assert end.reason.endswith("was destroyed")


def test_rotation_that_broke_off_goes_on_with_the_key_that_was_made(
    gateway: RunningGateway, officers: Path, tmp_path: Path
) -> None:
    before = len(listed(gateway))
    protocol = tmp_path / "protocol"
    done = rotate(gateway, officers, "log", protocol, confirmed_3="neither")
    assert done.returncode == 78, "nobody is here to say what was meant"
    working = tmp_path / "protocol.unfinished"
    script = write_script(officers, tmp_path / "s", resumed_by="Chan Tai Man")
    crts = [str(officers / f"{name}.crt") for name in NAMES]
    where = ("--resume", str(working), "--script", str(script), "--officers", *crts)
    assert gateway.cli("hsm", "ceremony", "rotate", "log", *where).returncode == 0
    assert len(listed(gateway)) == before + 1
    assert not working.exists()
    assert check_file(parse_file(protocol.read_bytes()))


def test_rotation_takes_no_key_that_was_made_beside_it(
    gateway: RunningGateway, officers: Path, tmp_path: Path
) -> None:
    """It breaks off while the go-ahead is approved, and somebody makes a key meanwhile."""
    protocol = tmp_path / "protocol"
    passing = {f"approve_go-ahead_{number}": "-" for number in (1, 2, 3)}
    done = rotate(gateway, officers, "log", protocol, ask_again="neither", **passing)
    assert done.returncode == 78, "nobody is here to say what was meant"
    stray = json.loads(gateway.cli("hsm", "generate", "log", "--json").stdout)["vkey"]
    before = listed(gateway)
    more = {"resumed_by": "Chan Tai Man", "try_again": "no", "destroy": "yes"}
    script = write_script(officers, tmp_path / "s", **more)
    crts = [str(officers / f"{name}.crt") for name in NAMES]
    where = ("--resume", f"{protocol}.unfinished", "--script", str(script), "--officers", *crts)
    done = gateway.cli("hsm", "ceremony", "rotate", "log", *where, check=False)
    assert done.returncode == 65, done.stderr
    assert listed(gateway) == before, "it made none, and destroyed none"
    end = parse_file(protocol.read_bytes()).ceremony.end
    assert end is not None
    assert stray.split("+")[1] in end.reason
    gateway.cli("hsm", "retire", stray, check=False)


def listed(gateway: RunningGateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway.cli("hsm", "keys", "--json").stdout)
    return found
