"""`chopmark hsm`: how keys are shown, exported, and destroyed after two answers."""

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chopmark.cli.confirm import Doomed, confirm
from chopmark.core.errors import UsageError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.attributes import TokenKey
from chopmark.service.keylist import KnownKey, describe_keys
from commandline import Run
from configs import cosigner, p256
from rig.patience import PATIENCE
from socketgateway import SocketGateway

ORIGIN = "bank-hk.example/hk-1"
USED, OLD = p256(ORIGIN, 3), p256(ORIGIN, 4)
COSIGNER = cosigner(f"{ORIGIN}/cosigner", "hk")
FLAGS = {
    "SENSITIVE": True,
    "ALWAYS_SENSITIVE": True,
    "EXTRACTABLE": False,
    "NEVER_EXTRACTABLE": True,
    "LOCAL": True,
    "SIGN": True,
    "UNWRAP": None,
}


def pair(label: str, key: VerifierKey | None, **flags: bool) -> TokenKey:
    return TokenKey(label, key, 1, FLAGS | flags, ("ECDSA",))


@pytest.fixture
def keys(gateway: SocketGateway) -> SocketGateway:
    known = [
        KnownKey(USED, "log", "chopmark-log-2", in_use=True),
        KnownKey(COSIGNER, "cosigner", "chopmark-cosigner", in_use=True),
        KnownKey(OLD, "log", None, in_use=False),
    ]
    token = [
        pair("chopmark-log-2", USED),
        pair("chopmark-cosigner", COSIGNER, EXTRACTABLE=True),
        pair("chopmark-log", OLD),
        pair("left", p256("", 9)),
        pair("half", None),
    ]
    states = {USED.encode(): "active", OLD.encode(): "retired"}
    gateway.keys = describe_keys(known, token, states.get)
    return gateway


def row(keys: SocketGateway, label: str) -> dict[str, Any]:
    return next(one for one in keys.keys if one["label"] == label)


def test_keys_are_shown_as_blocks_with_what_is_wrong(run: Run, keys: SocketGateway) -> None:
    done = run("hsm", "keys")
    assert done.code == 0
    blocks = done.out.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "log key  in use",
        "cosigner key  in use",
        "log key  not in use",
        "other key  not of this gateway's log",
        "other key  not of this gateway's log",
    ]
    assert "  wrong        EXTRACTABLE" in blocks[1].splitlines()
    assert row(keys, "chopmark-log")["words"] in blocks[2]
    assert "not told" in blocks[0]


def test_keys_of_a_token_that_is_away_say_so(run: Run, gateway: SocketGateway) -> None:
    known = [KnownKey(USED, "log", "chopmark-log", in_use=True)]
    gateway.keys = describe_keys(known, None, lambda _: None)
    assert "the token does not answer" in run("hsm", "keys").out


def test_keys_read_without_a_login_say_so(run: Run, gateway: SocketGateway) -> None:
    known = [KnownKey(USED, "log", "chopmark-log", in_use=True)]
    token = [TokenKey("chopmark-log", USED, None, {})]
    gateway.keys = describe_keys(known, token, lambda _: None)
    assert "no login was made" in run("hsm", "keys").out


@pytest.mark.parametrize("name", ["log", "chopmark-log-2", USED.encode()])
def test_export_finds_a_key_by_role_label_and_vkey(
    run: Run, keys: SocketGateway, name: str
) -> None:
    assert run("hsm", "export", name).out == f"{USED.encode()}\n"
    assert keys.requests == ["GET /v1/keys"]


@pytest.mark.usefixtures("keys")
def test_export_as_pem_is_what_openssl_reads(run: Run) -> None:
    assert run("hsm", "export", "left", "--pem", "-o", "left.pem").code == 0
    subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", "left.pem", "-noout"], check=True, timeout=PATIENCE
    )
    assert run("hsm", "export", "left", "--pem", "-o", "left.pem").code == 73
    assert run("hsm", "export", "left").code == 66
    assert run("hsm", "export", "half", "--pem").code == 66
    assert run("hsm", "export", "witness").code == 66
    assert run("hsm", "export", "log", "--pem", "--vkey").code == 64


def test_retire_needs_fingerprint_and_label(run: Run, keys: SocketGateway) -> None:
    words = row(keys, "chopmark-log")["words"]
    retire = ("hsm", "retire", OLD.encode())
    for wrong in (
        (),
        ("--yes-destroy", words),
        ("--yes-destroy", words, "--label", "chopmark-log-2"),
        ("--yes-destroy", "lusab-babad", "--label", "chopmark-log"),
    ):
        done = run(*retire, *wrong)
        assert (done.code, "not destroyed" in done.err) == (64, True)
    assert keys.requests.count("POST /v1/keys/retire") == 0
    assert run(*retire, "--yes-destroy", words, "--label", "chopmark-log").code == 0
    assert run(*retire).code == 66


def test_key_in_use_is_refused_before_anything_is_asked(run: Run, keys: SocketGateway) -> None:
    done = run("hsm", "retire", USED.encode(), "--json")
    assert (done.code, '"key-in-use"' in done.err) == (65, True)
    assert run("hsm", "destroy", "chopmark-log-2").code == 65
    assert run("hsm", "destroy", "half").code == 65
    assert keys.requests == ["GET /v1/keys"] * 3


def test_leftover_is_destroyed_by_label_and_words(run: Run, keys: SocketGateway) -> None:
    words = row(keys, "left")["words"]
    assert run("hsm", "destroy", "left").code == 64
    assert run("hsm", "destroy", "left", "--yes-destroy", words.replace("-", " ")).code == 0
    assert "left" not in {one["label"] for one in keys.keys}


def test_person_at_the_terminal_is_asked_twice(
    run: Run, keys: SocketGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("chopmark-log\nyes\n"))
    done = run("hsm", "retire", OLD.encode())
    assert (done.code, "second answer" in done.err) == (64, True)
    assert "It cannot be undone" in done.out
    monkeypatch.setattr(sys, "stdin", Terminal("chopmark-log\ndestroy\n"))
    assert run("hsm", "retire", OLD.encode()).code == 0
    assert "chopmark-log" not in {one["label"] for one in keys.keys}


def answers(*said: str) -> Callable[[str], str]:
    left = iter(said)
    return lambda _: next(left)


DOOMED = Doomed("a key", "left", "ab" * 32, "lusab-babad", "All is lost.")


def test_first_answer_is_the_words_where_the_label_is_known_already() -> None:
    confirm(DOOMED, None, "left", answers("LUSAB babad", "destroy"))


@pytest.mark.parametrize("said", [("left",), ("",), ("lusab-babad", "Destroy"), ("x", "destroy")])
def test_wrong_answers_destroy_nothing(said: Sequence[str]) -> None:
    with pytest.raises(UsageError) as error:
        confirm(DOOMED, None, "left", answers(*said))
    assert error.value.code == "not-confirmed"


def test_keys_without_gateway_and_configuration_are_a_matter_of_configuration(
    run: Run, tmp_path: Path
) -> None:
    assert run("hsm", "keys").code == 78
    assert run("hsm", "keys", "--gateway", f"unix:{tmp_path}/none").code == 69
