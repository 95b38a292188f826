"""`chopmark hsm ceremony`: what it refuses to begin, and `check`."""

from dataclasses import replace
from pathlib import Path

import pytest

from ceremonies import COSIGNER, LOG, TIME, ended, held, signed
from chopmark.cli.ceremony_desk import TerminalDesk, read_script
from chopmark.core.ceremony import End
from chopmark.core.errors import ConfigurationError, MalformedError, RefusedError
from chopmark.service.ceremony_desk import AbortedError
from commandline import Ended, Run
from officers import CHAN, HO, LEE

INIT = (
    *("hsm", "ceremony", "init", "--id", "hk-1", "--origin", "bank-hk.example/hk-1"),
    *("--institution", "Bank", "--jurisdiction", "HK", "--module", "/no/module.so"),
    *("--token-label", "hk-1"),
)


@pytest.fixture
def certificates() -> list[str]:
    for person in (CHAN, LEE, HO):
        Path(f"{person.seed}.crt").write_bytes(person.certificate)
    return ["1.crt", "2.crt", "3.crt"]


def check(run: Run, data: bytes, *more: str) -> Ended:
    Path("p").write_bytes(data)
    return run("hsm", "ceremony", "check", "p", *more)


def test_check_tells_the_keys_and_who_approved(run: Run, certificates: list[str]) -> None:
    done = check(run, signed(ended()), "--officers", *certificates, "--key", LOG.vkey.encode())
    assert done.code == 0
    assert COSIGNER.vkey.encode() in done.out
    assert "go-ahead, read-aloud, close" in done.out
    assert "compare them" not in done.out
    assert "compare them" in check(run, signed(ended())).out


def test_check_tells_how_many_had_to_approve_and_warns_of_one_alone(run: Run) -> None:
    done = check(run, signed(ended()))
    assert "2 of 3 officers" in done.out
    assert "WARNING" not in done.out
    one = ended(held(by=[1], need=1))
    done = check(run, signed(one))
    assert done.code == 0
    assert "1 of 3 officers" in done.out
    assert "WARNING: one officer alone" in done.out
    assert "one officer alone" in check(run, signed(one), "--json").lines()[0]["warning"]


def test_check_gives_all_of_it_as_json(run: Run) -> None:
    (found,) = check(run, signed(ended()), "--json").lines()
    assert (found["outcome"], found["need"], found["notice"]) == ("completed", 2, None)
    assert found["warning"] is None
    assert found["keys"] == [LOG.vkey.encode(), COSIGNER.vkey.encode()]
    assert [one["name"] for one in found["officers"]] == [CHAN.name, LEE.name, HO.name]
    assert found["steps"][3]["approved_by"] == [CHAN.name, LEE.name]


def test_check_shows_an_aborted_ceremony_as_such(run: Run) -> None:
    made = replace(held("keys"), end=End("aborted", TIME + 900, "a key was misread"))
    done = check(run, made.encode().encode())
    assert done.code == 0
    assert "ABORTED" in done.out
    assert "a key was misread" in done.out


def test_check_refuses_a_tampered_protocol(run: Run, certificates: list[str]) -> None:
    good = signed(ended())
    assert check(run, good.replace(b"cage 14", b"cage 15")).code == 65
    assert check(run, good, "--officers", *certificates[:2]).code == 65
    assert check(run, good, "--key", "x+1+y").code == 65
    assert check(run, held().encode().encode()).code == 65


def test_ceremony_does_not_begin_without_what_it_needs(run: Run, certificates: list[str]) -> None:
    assert run(*INIT, "--officers", *certificates).code == 64
    assert run(*INIT, "--protocol", "p").code == 64
    both = ("--protocol", "p", "--resume", "p.unfinished")
    assert run(*INIT, *both, "--officers", *certificates).code == 64
    officers = ("--officers", *certificates)
    assert run(*INIT, *officers, "--resume", "p.unfinished", "--rehearse").code == 64
    assert run(*INIT, *officers, "--protocol", "p", "--need", "4").code == 64
    assert run(*INIT, *officers, "--protocol", "p").code == 78, "nobody is here to answer"
    assert run(*INIT, *officers, "--resume", "none.unfinished").code == 66
    assert run(*INIT, *officers, "--resume", "p").code == 65
    assert run(*INIT, "--officers", "none.crt", "--protocol", "p").code == 66
    assert not Path("p").exists()
    assert not Path("p.unfinished").exists()


def test_script_takes_no_pins() -> None:
    script = Path("s")
    for text, error in (
        ('token-pin = "1234"', RefusedError),
        ("place = 7", MalformedError),
        ("place", MalformedError),
        ("\xff", MalformedError),
    ):
        script.write_bytes(text.encode("latin-1"))
        with pytest.raises(error):
            read_script(script)
    script.write_text('place = "here"')
    assert read_script(script) == {"place": "here"}


def test_prepared_answer_is_taken_once(capsys: pytest.CaptureFixture[str]) -> None:
    desk = TerminalDesk({"place": "here", "end": "!abort", "sure": "YES"})
    assert desk.ask("place", "Where") == "here"
    assert desk.confirm("sure", "Sure?")
    assert "Where: here" in capsys.readouterr().out
    with pytest.raises(ConfigurationError):
        desk.ask("place", "Where")
    with pytest.raises(AbortedError):
        desk.ask("end", "More?")
    with pytest.raises(ConfigurationError):
        desk.secret("PIN: ")
