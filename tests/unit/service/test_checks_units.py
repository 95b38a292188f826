"""Units that technicians need: which of them do not stay up, by what systemd says."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import configs
from chopmark.service.checks import units
from chopmark.service.checks.finding import Scene
from chopmark.service.config import parse_config

CONSOLE = "chopmark-console@ttyS0.service"
UNSEEN = [("not-looked-at", "not-looked-at")]
Told = Callable[..., None]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """A program in systemctl's place says what systemctl would: no systemd runs here.

    It says the first of what it is told, and the last after a minute's wait, which is over at once.
    """
    program, said = tmp_path / "systemctl", tmp_path / "said"
    program.write_text(f"#!/bin/sh\ncat {said}\n")
    program.chmod(0o755)
    monkeypatch.setattr(units.shutil, "which", lambda _: str(program))

    def tell(*looks: str) -> None:
        said.write_text(looks[0])
        monkeypatch.setattr(units.time, "sleep", lambda _: said.write_text(looks[-1]))

    return tell


def unit(name: str = CONSOLE, state: str = "active", **more: object) -> str:
    usual = {"SubState": "running", "Result": "success", "NRestarts": 0}
    usual |= {"UnitFileState": "enabled", "ExecMainStartTimestampMonotonic": 1}
    usual |= {"ActiveEnterTimestampMonotonic": since(600)}
    lines = {"Id": name, "ActiveState": state, **usual, **more}
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def since(seconds: float) -> int:
    """When one that has run for so long came up, as systemd says it."""
    return int((time.monotonic() - seconds) * 1_000_000)


def admin(listening: str = "active", enabled: str = "enabled", **more: object) -> str:
    state = str(more.pop("state", "inactive"))
    first = unit("chopmark-admin.socket", listening, UnitFileState=enabled)
    more = {"UnitFileState": enabled, "SubState": "dead", **more}
    return f"{first}\n{unit('chopmark-admin.service', state, **more)}"


def scene() -> Scene:
    config = parse_config(configs.BASE.encode())
    return Scene(Path("gateway.toml"), config, 0, None, locked=True, uid=os.geteuid())


def consoles() -> list[tuple[str, str]]:
    return [(one.code, one.mark) for one in units.check_consoles(scene())]


def what_root_does() -> list[tuple[str, str]]:
    return [(one.code, one.mark) for one in units.check_admin(scene())]


FAILED = [("console-failed", "fault")]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", []),
        (unit(), []),
        (unit(NRestarts=3), []),
        (unit() + "\n" + unit(state="failed", SubState="failed", Result="exit-code"), FAILED),
        (unit(state="activating", SubState="auto-restart"), FAILED),
    ],
)
def test_console_that_has_failed_is_found(told: Told, said: str, wanted: object) -> None:
    told(said)
    assert consoles() == wanted


def test_console_that_is_started_again_and_again_is_found(told: Told) -> None:
    """It runs whenever somebody looks: what tells is how often it was started."""
    told(unit(NRestarts=1, ActiveEnterTimestampMonotonic=since(2)))
    assert consoles() == FAILED
    again = unit(NRestarts=9, ActiveEnterTimestampMonotonic=since(1))
    told(unit(NRestarts=1, ActiveEnterTimestampMonotonic=since(2)), again)
    (finding,) = units.check_consoles(scene())
    assert finding.code == "console-failed"
    assert "started again 9 times" in finding.finding


def test_console_that_was_started_again_once_and_stays_up_is_good(told: Told) -> None:
    told(unit(NRestarts=1, ActiveEnterTimestampMonotonic=since(2)), unit(NRestarts=1))
    assert consoles() == []


@pytest.mark.parametrize("check", [consoles, what_root_does])
def test_what_systemd_does_not_say_was_not_looked_at(
    told: Told, check: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("")
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    assert check() == UNSEEN
    monkeypatch.setattr(units.shutil, "which", lambda _: None)
    assert check() == UNSEEN


LOST = [("admin-failed", "fault")]
NEVER = {"ExecMainStartTimestampMonotonic": 0}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (admin(), []),  # it ends by itself once nobody calls
        (admin(state="active", SubState="running"), []),
        (admin("inactive"), LOST),
        (admin("failed"), LOST),
        (admin(state="failed", Result="protocol"), LOST),
        (admin(state="activating", SubState="auto-restart"), LOST),
        (admin(state="activating", SubState="start", NRestarts=2), LOST),
        (admin(**NEVER), LOST),
        (admin("inactive", "disabled", **NEVER), []),  # a gateway without a console
        (admin("inactive", "", **NEVER), []),
    ],
)
def test_what_root_does_must_be_there_where_it_is_switched_on(
    told: Told, said: str, wanted: object
) -> None:
    told(said)
    assert what_root_does() == wanted


def test_what_root_does_may_be_starting(told: Told) -> None:
    told(admin(state="activating", SubState="start"), admin(state="active", SubState="running"))
    assert what_root_does() == []
