"""What an operator does with the HSM of a gateway that runs, and that no PIN shows anywhere."""

import json
import logging
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from documents import attest, digests_of, some_document, verify

from rig.broker import Broker
from rig.gateway import HONG_KONG, Gateway
from rig.patience import PATIENCE
from rig.token import SoftToken

WRONG = "a-wrong-but-secret-pin-4711"


@pytest.fixture
def gateway(tmp_path: Path, broker: Broker) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "hk-1", HONG_KONG, broker)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("b")) as running:
        yield running


def hsm(gateway: Gateway) -> dict[str, object]:
    found: dict[str, object] = gateway.get("/v1/hsm")
    return found


def wait_for_state(gateway: Gateway, state: str) -> None:
    gateway.wait_for(lambda: hsm(gateway)["state"] == state, f"to be {state}")


def set_pin(gateway: Gateway, pin: str) -> None:
    (gateway.token.credentials / "hsm-pin").write_text(pin)


def configure(gateway: Gateway, old: str, new: str) -> None:
    text = gateway.config.read_text()
    assert old in text
    gateway.config.write_text(text.replace(old, new))


def unlock(gateway: Gateway, pin: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chopmark.cli.main", "hsm", "unlock"]
    return subprocess.run(
        command,
        env=gateway.environment(),
        input=f"{pin}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def refused(gateway: Gateway, path: str, body: bytes) -> dict[str, object]:
    connection = HTTPConnection("localhost")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(gateway.socket))
        connection.request("POST", path, body)
        answer: dict[str, object] = json.loads(connection.getresponse().read())
    return answer


def loses_token(gateway: Gateway) -> bool:
    """Once it is to sign something, it sees that there is no token."""
    body = {"digests": digests_of(some_document("lost")), "wait": 0}
    with gateway.client() as client:
        client.post("/v1/attestations", json=body)
    return hsm(gateway)["state"] == "away"


def test_pin_is_given_by_the_socket_and_kept_through_an_outage(gateway: Gateway) -> None:
    document = some_document("unlocked")
    configure(gateway, 'pin = "credential"', 'pin = "socket"')
    pin = gateway.token.read_pin()
    (gateway.token.credentials / "hsm-pin").unlink()
    gateway.launch()
    gateway.wait_for(gateway.is_answering, "to answer")
    wait_for_state(gateway, "locked")
    assert "hsm unlock" in gateway.cli("status").stdout
    done = unlock(gateway, pin)
    assert (done.returncode, done.stderr) == (0, "")
    gateway.wait_for(gateway.is_ready, "to be ready")
    attest(gateway, document)
    token = gateway.token
    assert isinstance(token, SoftToken)
    away = Path(f"{token.tokens}-away")
    token.tokens.rename(away)
    gateway.wait_for(lambda: loses_token(gateway), "to lose its token")
    away.rename(token.tokens)
    gateway.wait_for(gateway.is_ready, "to be back")
    attest(gateway, some_document("unlocked, lost and back"))
    assert refused(gateway, "/v1/hsm/pin", b'{"pin": "1234"}')["code"] == "hsm-ready"


def test_wrong_pin_is_latched_through_restarts_till_it_is_unlatched(gateway: Gateway) -> None:
    pin = gateway.token.read_pin()
    set_pin(gateway, WRONG)
    for _ in range(2):
        gateway.launch()
        gateway.wait_for(gateway.is_answering, "to answer")
        wait_for_state(gateway, "latched")
        gateway.stop()
    set_pin(gateway, pin)
    gateway.launch()
    gateway.wait_for(gateway.is_answering, "to answer")
    wait_for_state(gateway, "latched")
    alarms = {alarm["code"]: alarm for alarm in gateway.get("/v1/status")["alarms"]}
    assert "unlatch" in alarms["hsm-latched"]["hint"]
    assert gateway.cli("hsm", "unlatch").returncode == 0
    gateway.wait_for(gateway.is_ready, "to be ready")
    gateway.stop()
    set_pin(gateway, WRONG)
    gateway.launch()
    gateway.wait_for(gateway.is_answering, "to answer")
    wait_for_state(gateway, "latched")
    gateway.stop()
    set_pin(gateway, pin)
    assert "PIN" in gateway.cli("hsm", "unlatch", "--offline").stdout
    gateway.start()


def test_command_does_not_try_the_pin_that_was_refused_while_the_daemon_has_another(
    gateway: Gateway,
) -> None:
    right = gateway.token.read_pin()
    set_pin(gateway, WRONG)
    gateway.launch()
    gateway.wait_for(gateway.is_answering, "to answer")
    wait_for_state(gateway, "latched")
    assert unlock(gateway, right).returncode == 0
    gateway.wait_for(gateway.is_ready, "to be ready")
    done = gateway.cli("hsm", "doctor", "--sign", check=False)
    assert (done.returncode, "unlatch" in done.stderr) == (78, True)
    logs_in_again(gateway)
    set_pin(gateway, right)
    assert gateway.cli("hsm", "unlatch").returncode == 0
    made = str(gateway.folder / "hk-1.csr")
    assert gateway.cli("hsm", "csr", made, "--common-name", "hk-1", "--generate").returncode == 0
    logs_in_again(gateway)


def logs_in_again(gateway: Gateway) -> None:
    """It gets its token back only by a new login."""
    for mode in ("on", "off"):
        assert gateway.cli("hsm", "maintenance", mode).returncode == 0
    gateway.wait_for(gateway.is_ready, "to be back")


def test_maintenance_stops_issuing_and_verifying_goes_on(gateway: Gateway) -> None:
    document = some_document("maintained")
    gateway.start()
    attest(gateway, document)
    assert gateway.cli("hsm", "maintenance", "on").returncode == 0
    body = json.dumps({"digests": digests_of(some_document("late"))}).encode()
    gateway.wait_for(
        lambda: refused(gateway, "/v1/attestations", body).get("code") == "hsm-maintenance",
        "to refuse",
    )
    assert verify(gateway, document)["verdict"] in ("valid", "valid-as-of")
    assert gateway.cli("hsm", "maintenance", "off").returncode == 0
    gateway.wait_for(gateway.is_ready, "to be ready")
    attest(gateway, some_document("after"))
    actions = [record["action"] for record in gateway.get("/v1/audit?limit=100")["records"]]
    assert actions.count("hsm.maintenance") == 2


def test_gateway_is_not_operated_by_tcp(gateway: Gateway) -> None:
    gateway.start()
    address = f"127.0.0.1:{gateway.port}"
    bodies = {
        "hsm/pin": {"pin": WRONG},
        "hsm/unlatch": {},
        "hsm/maintenance": {"on": True},
        "keys/retire": {"vkey": "x"},
        "keys/generate": {"role": "log"},
        "keys/activate": {"vkey": "x"},
        "roster/pin": {"note": "", "fingerprint": ""},
        "evidence/releases": {"release": ""},
    }
    for path, body in bodies.items():
        answer = httpx.post(f"http://{address}/v1/{path}", json=body, timeout=PATIENCE)
        told = answer.json()
        assert (path, answer.status_code, told["code"]) == (path, 403, "role-missing")
        assert "unix socket" in told["hint"]
    assert httpx.get(f"http://{address}/v1/keys", timeout=PATIENCE).status_code == 403
    assert gateway.get("/v1/keys")


def test_no_pin_shows_in_anything_that_the_gateway_says_or_writes(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Every failure around the PIN is provoked, and all that came of it is searched."""
    caplog.set_level(logging.DEBUG)
    right = gateway.token.read_pin()
    said: list[str] = []
    set_pin(gateway, WRONG)
    gateway.launch()
    gateway.wait_for(gateway.is_answering, "to answer")
    wait_for_state(gateway, "latched")
    for pin in (WRONG, f"{WRONG}\r", "", WRONG * 20):
        done = unlock(gateway, pin)
        said += [done.stdout, done.stderr]
        assert done.returncode != 0
    wrong = WRONG.encode()
    bodies = (b'{"pin": 0, "%s": 1}', b'{"pin": "%s"', b"%s", b'["%s"]', b'{"pin": ["%s"]}')
    for body in (form % wrong for form in bodies):
        said.append(json.dumps(refused(gateway, "/v1/hsm/pin", body)))
    for command in (["hsm", "unlatch"], ["hsm", "status"], ["status"], ["audit", "show"]):
        done = gateway.cli(*command, check=False)
        said += [done.stdout, done.stderr]
    for command in (["hsm", "doctor", "--sign"], ["hsm", "csr", "x.csr", "--common-name", "hk-1"]):
        done = gateway.cli(*command, check=False)
        said += [done.stdout, done.stderr]
    said += [json.dumps(gateway.get("/v1/status")), gateway.log.read_text()]
    done = unlock(gateway, right)
    said += [done.stdout, done.stderr]
    gateway.wait_for(gateway.is_ready, "to be ready")
    process = Path(f"/proc/{gateway.pid}")
    said += [(process / name).read_bytes().decode() for name in ("cmdline", "environ")]
    limits = (process / "limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0", limits)
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0  # so it was the daemon that forbade it
    gateway.stop()
    said += [path.read_bytes().decode("latin-1") for path in _files(gateway)]
    text = "".join(said) + gateway.log.read_text() + caplog.text
    assert len(text) > 10_000
    assert "4711" not in text
    assert right not in text


def _files(gateway: Gateway) -> list[Path]:
    """All that it has written but its token and the PIN's own file."""
    kept = gateway.token.credentials
    return [p for p in gateway.folder.rglob("*") if p.is_file() and kept not in p.parents]


def test_environment_of_the_tests_has_no_pin(gateway: Gateway) -> None:
    assert gateway.token.read_pin() not in "".join(os.environ.values())
