"""`chopmark-admin` on a real box: `chopmark init`, SoftHSM, the daemon; what it does to them."""

import os
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest

from adminbox import AdminBox
from chopmark.api.identity import ROLES
from chopmark.service.config import load_config
from rig.patience import PATIENCE


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminBox]:
    """A box that is set up, with its daemon running; each test leaves it so."""
    made = AdminBox(tmp_path_factory.mktemp("b")).start()
    try:
        made.init()
        made.do("unit-start", unit="gateway")
        made.wait_for(made.is_up, "the daemon to answer")
        yield made
    finally:
        made.close()


def ask_daemon(box: AdminBox, path: str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(box.api)), timeout=PATIENCE) as client:
        return client.get(f"http://localhost{path}")


def test_gateway_that_was_initialised_answers_under_its_origin(box: AdminBox) -> None:
    assert ask_daemon(box, "/v1/status").json()["origin"] == "bank-hk.example/hk-1"
    assert (box.pins / "hsm-pin").stat().st_mode & 0o777 == 0o400
    assert not list((box.folder / "run").iterdir()), "a copy of the PIN was left"
    assert not (box.own / "init").exists()


def test_console_of_a_gateway_that_was_set_up_here_attests_and_revokes_nothing(
    box: AdminBox,
) -> None:
    own, others = load_config(box.config).api.user
    assert (own.user, own.roles) == (box.console, ("operator", "auditor"))
    assert (others.group, set(others.roles)) == (str(os.getegid()), ROLES)


def test_first_attestation_is_made_with_a_text_that_is_fixed(box: AdminBox) -> None:
    box.wait_for(lambda: bool(ask_daemon(box, "/v1/status").json()["ready"]), "it to be ready")
    index = box.do("attest-first", kind="document")["index"]
    page = ask_daemon(box, f"/v1/entries?after={index - 1}").json()
    assert page["entries"][0]["type"] == "attestation"
    text = b"first attestation of bank-hk.example/hk-1, made at its commissioning\n"
    assert page["entries"][0]["digests"]["sha256"] == sha256(text).hexdigest()


def test_gateway_is_not_initialised_twice(box: AdminBox) -> None:
    before = box.config.read_bytes()
    assert box.refused("gateway-init", **box.who()) == "file-exists"
    assert box.config.read_bytes() == before


def test_unit_is_stopped_started_and_restarted(box: AdminBox) -> None:
    box.do("unit-stop", unit="gateway")
    assert not box.is_up()
    box.do("unit-restart", unit="gateway")
    box.wait_for(box.is_up, "the daemon to answer")


def test_change_is_applied_to_the_running_gateway_and_confirmed(box: AdminBox) -> None:
    comment = "# nobody's business but the operator's\n"
    box.config.write_text(comment + box.config.read_text())
    shown = box.do("config-change", institution='The "new" Bank', add_broker=broker(1899))
    assert '+institution = "The \\"new\\" Bank"' in shown["differences"]
    assert "+port = 1899" in shown["differences"]
    assert load_config(box.config).gateway.institution == "Bank of Hong Kong (example)"
    box.do("config-commit", seconds=600)
    assert 500 < box.do("config-state")["seconds_left"] <= 600
    box.wait_for(box.is_up, "the daemon to answer")
    assert ask_daemon(box, "/v1/status").json()["institution"] == 'The "new" Bank'
    box.do("config-confirm")
    assert box.do("config-state") == {"differences": "", "seconds_left": None, "stuck": None}
    assert box.config.read_text().startswith(comment)
    assert [one.port for one in load_config(box.config).broker][1:] == [1899]


def test_change_that_is_not_confirmed_is_taken_back_in_time(box: AdminBox) -> None:
    before = box.config.read_bytes()
    box.do("config-change", jurisdiction="MO")
    box.do("config-commit", seconds=1)
    box.wait_for(lambda: box.config.read_bytes() == before, "the change to be taken back")
    box.wait_for(lambda: not (box.own / "commit.json").exists(), "it to be over")
    box.wait_for(box.is_up, "the daemon to answer")
    assert ask_daemon(box, "/v1/status").json()["jurisdiction"] == "HK"
    assert box.refused("config-confirm") == "nothing-to-confirm"
    box.do("config-discard")


def test_change_with_which_the_gateway_does_not_start_is_taken_back_at_once(box: AdminBox) -> None:
    before = box.config.read_bytes()
    box.do("config-change", jurisdiction="MO")
    (box.folder / "refuse").touch()
    assert box.refused("config-commit", seconds=600) == "unit-failed"
    (box.folder / "refuse").unlink()
    assert box.config.read_bytes() == before
    assert box.do("config-state")["seconds_left"] is None
    box.do("config-discard")


def test_recovery_says_why_it_ended(box: AdminBox) -> None:
    assert box.do("recover-state")["state"] == "none"
    box.do("recover-start")
    assert not box.is_up()
    box.wait_for(lambda: box.do("recover-state")["state"] == "ended", "the recovery to end")
    assert box.do("recover-state")["report"]["code"] == "no-peers"
    box.do("unit-start", unit="gateway")
    box.wait_for(box.is_up, "the daemon to answer")


def test_journal_has_every_call_and_no_pin(box: AdminBox) -> None:
    box.do("config-state", who="chan+lee")
    box.refused("unit-stop", unit="sshd")
    log = (box.folder / "admin.log").read_text()
    assert "with_who=chan+lee" in log
    assert "refused: malformed-request" in log
    assert "pin-put: done" in log
    assert box.token.read_pin() not in log


def broker(port: int) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port, "tls": False}
