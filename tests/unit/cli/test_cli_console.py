"""`chopmark console`: what head office makes, and that a box takes it."""

import io
import stat
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from chopmark.console.access.initial import run as init_access
from chopmark.console.access.store import Store
from chopmark.core.enrolment import open_enrolment
from chopmark.core.keys import parse_vkey
from commandline import Run
from technicians import PIN

NAME = "bank-hk.example/console"


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked for a PIN gives this one, as standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PIN}\n" * 9))


def secret_of(uri: str) -> str:
    return parse_qs(urlsplit(uri).query)["secret"][0]


@pytest.mark.usefixtures("pins")
def test_head_office_makes_a_file_that_the_box_opens(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init_access(["SN-7", "--folder", "box"]) == 0
    box = capsys.readouterr().out.split()[2]
    key = run("console", "key", NAME, "console.pem", "--json").lines()[0]["vkey"]
    made = {}
    for name, role in (("chan", "service"), ("ho", "observe")):
        done = run("console", "technician", name, f"{name}.tech", "--role", role, "--json")
        made[name] = done.lines()[0]
        assert PIN not in done.out + done.err
    done = run(
        *("console", "enrol", "sn-7.enrolment", "ho.tech", "chan.tech", "--box", box),
        *("--number", 1, "--key-name", NAME, "--key-file", "console.pem"),
    )
    assert done.code == 0, done.err
    assert "dual control needs two" in done.out
    opened = open_enrolment(Path("sn-7.enrolment").read_bytes(), parse_vkey(key))
    assert [(one.id, one.duty) for one in opened.heading.people] == [
        ("chan", "service"),
        ("ho", "observe"),
    ]
    secrets = opened.unseal(Store(Path("box")).read_key()[1])
    clock, counter = made["chan"]["clock"], made["chan"]["counter"]
    assert pyotp.TOTP(secret_of(clock)).byte_secret() == secrets["chan"].totp
    assert pyotp.HOTP(secret_of(counter)).byte_secret() == secrets["chan"].hotp
    assert counter.startswith("otpauth://hotp/")
    assert "counter=0" in counter


@pytest.mark.usefixtures("pins")
def test_what_is_secret_is_for_its_owner_alone_and_nothing_is_overwritten(run: Run) -> None:
    run("console", "key", NAME, "console.pem")
    run("console", "technician", "chan", "chan.tech", "--role", "service")
    for file in ("console.pem", "chan.tech"):
        assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert PIN not in Path("chan.tech").read_text()
    assert run("console", "key", NAME, "console.pem").code == 73
    assert run("console", "technician", "chan", "chan.tech", "--role", "service").code == 73


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "12345",
        "123456",
        "098765",
        "111111",
        "121212",
        "1234567890123",
        "27182a",
        "２７１８２８",
    ],
)
def test_pin_that_is_guessed_first_is_refused_and_not_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, pin: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pin}\n"))
    done = run("console", "technician", "chan", "chan.tech", "--role", "service", "--json")
    assert done.code in (64, 65)
    assert not pin or pin not in done.err
    assert not Path("chan.tech").exists()


def test_wrong_input_says_what_is_wrong(run: Run) -> None:
    run("console", "key", NAME, "console.pem")
    Path("junk").write_text("{}")
    more = ("--number", 1, "--key-name", NAME, "--key-file", "console.pem")
    assert run("console", "enrol", "out", "junk", "--box", "x", *more).code == 65
    assert run("console", "key", "bank-hk.example/hk-1", "other.pem").code == 65
    assert run("console", "technician", "En Rol", "x.tech", "--role", "service").code == 65
    assert not Path("other.pem").exists()


def test_box_is_made_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert init_access(["SN-7", "--folder", "box"]) == 0
    code = capsys.readouterr().out.splitlines()[1].split()[-1]
    assert len(code) == 19
    assert not any(code.encode() in one.read_bytes() for one in Path("box").iterdir())
    assert init_access(["SN-7", "--folder", "box"]) == 73
    assert "exists already" in capsys.readouterr().err
