"""`chopmark doctor` at a real broker, and beside a real gateway."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import msgspec
import pytest

import configs
from chopmark.core.roster_follow import open_roster
from chopmark.mesh.broker import Broker as Address
from chopmark.mesh.broker import Tls
from chopmark.mesh.link import Link
from chopmark.service.acl import make_acl
from chopmark.service.checks import brokers
from chopmark.service.checks.brokers import MONTH, check_brokers
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.config import parse_config
from chopmark.service.config_model import Broker, BrokerTls, Config
from integration.link_party import until
from rig.broker import Broker as PlainBroker
from rig.broker import free_port
from rig.gateway import HONG_KONG, Gateway
from rig.patience import PATIENCE
from rosters import founding, signed
from securebroker import SPOILT, Authority, SecureBroker, run, spoil, wait_until_past

ROSTER = open_roster(signed(founding()))
ACL = make_acl(ROSTER)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("pki") / "ca")
    for name in ("hk-1", "mo-1"):
        made.issue(name)
    return made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("foreign") / "ca")
    made.issue("hk-1")
    return made


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[SecureBroker]:
    with SecureBroker(tmp_path_factory.mktemp("broker"), authority, ACL) as made:
        yield made


def scene_of(config: Config, now: int, *, locked: bool) -> Scene:
    return Scene(Path("/none"), config, now, None, locked, os.geteuid())


def look(broker: SecureBroker, tls: Tls | None, port: int | None = None) -> list[Finding]:
    """What the check says where the gateway does not run."""
    config = parse_config(configs.BASE.encode())
    files = (
        None
        if tls is None
        else BrokerTls(ca=tls.ca, certificate=tls.certificate, key=tls.key, name=tls.name)
    )
    address = Broker(
        host=broker.host,
        port=port or broker.port,
        publish_port=port or broker.publish_port,
        tls=files,
    )
    now = time.time_ns() // 1_000_000
    config = msgspec.structs.replace(config, broker=(address,))
    return list(check_brokers(scene_of(config, now, locked=False)))


def test_broker_that_lets_us_in_is_no_finding(broker: SecureBroker, authority: Authority) -> None:
    assert look(broker, authority.tls("hk-1")) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("foreign-client", "tls-foreign-ca"),
        ("foreign-broker", "tls-unknown-ca"),
        ("expired", "tls-expired"),
        ("server-use", "tls-usage"),
        ("name", "tls-wrong-name"),
        ("cn", "tls-wrong-cn"),
        ("key", "tls-key-mismatch"),
        ("mode", "tls-key-exposed"),
        ("password", "tls-file"),
        ("absent", "tls-file"),
        ("plain", "broker-silent"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(
    change: str,
    code: str,
    broker: SecureBroker,
    authority: Authority,
    foreign: Authority,
    tmp_path: Path,
) -> None:
    (found,) = look(broker, spoil(change, authority, foreign, tmp_path))
    assert (found.code, found.mark) == (code, "fault")
    assert found.finding
    assert found.remedy


def test_port_without_tls(broker: SecureBroker, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        Thread(target=_answer_without_tls, args=(plain,), daemon=True).start()
        found = look(broker, authority.tls("hk-1"), plain.getsockname()[1])
    assert [one.code for one in found] == ["tls-none"]


def _answer_without_tls(plain: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = plain.accept()
            connection.sendall(b"220 hello\r\n")
            connection.close()


def test_broker_that_does_not_go_by_certificates(authority: Authority, tmp_path: Path) -> None:
    change = ("use_identity_as_username true", "use_identity_as_username false")
    with SecureBroker(tmp_path / "broker", authority, ACL, change=change) as broker:
        (found,) = look(broker, authority.tls("hk-1"))
    assert (found.code, found.mark) == ("broker-refused", "fault")


@pytest.mark.parametrize(
    ("change", "code"),
    [("revoked", "tls-revoked"), ("crl", "tls-crl-expired"), ("server", "tls-broker-expired")],
)
def test_what_a_broker_says_of_lists_and_what_we_say_of_its_certificate(
    change: str, code: str, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "ca")
    other.issue("hk-1")
    if change == "revoked":
        other.revoke("hk-1")
    elif change == "crl":
        run("openssl ca -batch -config ca.cnf -gencrl -crlsec 1 -out crl.pem", other.folder)
    else:
        other.issue_server(instead=SPOILT["expired"])
    with SecureBroker(tmp_path / "broker", other, ACL) as broker:
        if change == "crl":
            wait_until_past(other.folder)
        (found,) = look(broker, other.tls("hk-1"))
    assert (found.code, found.mark) == (code, "fault")


def test_certificate_that_ends_soon_is_a_warning(
    broker: SecureBroker, authority: Authority
) -> None:
    config = parse_config(configs.BASE.encode())
    tls = authority.tls("hk-1")
    files = BrokerTls(ca=tls.ca, certificate=tls.certificate, key=tls.key, name=tls.name)
    config = msgspec.structs.replace(config, broker=(Broker(host=broker.host, tls=files),))
    end = authority.ends("hk-1")
    scene = replace(scene_of(config, end - MONTH // 2, locked=True), status={})
    (found,) = check_brokers(scene)
    assert (found.code, found.mark) == ("tls-expiring", "warning")
    assert list(check_brokers(replace(scene, now=end - 2 * MONTH))) == []


def test_access_list_that_does_not_know_us(authority: Authority, tmp_path: Path) -> None:
    with SecureBroker(tmp_path / "broker", authority, ACL.replace("hk-1", "zz-1")) as broker:
        (found,) = look(broker, authority.tls("hk-1"))
    assert (found.code, found.mark) == ("acl-refused", "fault")


def test_access_list_that_lets_us_write_and_read_nothing(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "SECONDS", 5.0)
    only = "user hk-1\ntopic write #\n\nuser CN=hk-1\ntopic write #\n"
    with SecureBroker(tmp_path / "broker", authority, only) as broker:
        (found,) = look(broker, authority.tls("hk-1"))
    assert (found.code, found.mark) == ("acl-silent", "fault")
    assert "the user hk-1 read" in found.remedy


def test_broker_that_gives_both_connections_one_client_id(
    broker: SecureBroker, authority: Authority
) -> None:
    (found,) = look(broker, authority.tls("hk-1"), broker.port)
    assert (found.code, found.mark) == ("broker-same-id", "fault")
    assert "throw each other out" in found.finding
    assert "set `publish_port`" in found.remedy


async def test_link_whose_connections_throw_each_other_out_says_so(
    broker: SecureBroker, authority: Authority
) -> None:
    where = Address(broker.host, broker.port, None, authority.tls("hk-1"))

    async def ignore(_: object) -> None: ...

    link = Link(where, "hk-1", ["chopmark/v1/hk-1/request/+"], on_message=ignore, on_connect=ignore)
    running = asyncio.create_task(link.run())
    try:
        await until(lambda: link.fault is not None)
        assert link.fault is not None
        assert link.fault.code == "broker-same-id"
        assert "set publish_port" in link.fault.hint
    finally:
        running.cancel()
        await asyncio.wait({running})


def test_port_where_nothing_listens(broker: SecureBroker, authority: Authority) -> None:
    (found,) = look(broker, authority.tls("hk-1"), free_port())
    assert found.code == "broker-unreachable"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with PlainBroker(tmp_path_factory.mktemp("b")) as plain:
        made = Gateway(tmp_path_factory.mktemp("g") / "hk-1", HONG_KONG, plain)
        try:
            yield made
        finally:
            made.stop()


def doctor(gateway: Gateway) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the findings by their codes."""
    program = Path(sys.executable).with_name("chopmark")
    done = subprocess.run(
        [program, "--config", str(gateway.config), "--json", "doctor"],
        env=gateway.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    found = json.loads(done.stdout)["findings"]
    return done.returncode, {one["code"]: one for one in found}


def start(gateway: Gateway, program: str, *arguments: str) -> str:
    """What a program says that does not take the configuration."""
    done = subprocess.run(
        [Path(sys.executable).with_name(program), "--config", str(gateway.config), *arguments],
        env=gateway.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 78
    return done.stderr


EXPECTED = {"token-on-disk", "clock-unsynchronised", "disk-volatile"}
"""What is so on a machine for tests: SoftHSM, and perhaps no time daemon, and files in memory."""


def test_doctor_before_beside_and_after_a_gateway(gateway: Gateway) -> None:
    code, found = doctor(gateway)
    assert (code, found.keys() - EXPECTED) == (0, {"not-running"})
    gateway.start()
    gateway.wait_for(lambda: gateway.get("/v1/status")["state"] == "ready", "to be connected, too")
    code, found = doctor(gateway)
    assert (code, found.keys() - EXPECTED) == (0, set())
    gateway.stop()


def test_gateway_whose_connections_throw_each_other_out_raises_an_alarm(
    gateway: Gateway, broker: SecureBroker, authority: Authority
) -> None:
    text, tls = gateway.config.read_text(), authority.tls("hk-1")
    port = re.compile(r"(?m)^port = [0-9]+$")
    assert port.search(text)
    files = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key, "name": tls.name}
    lines = "\n".join(f'tls.{key} = "{value}"' for key, value in files.items())
    try:
        gateway.config.write_text(port.sub(f"port = {broker.port}\n{lines}", text))
        gateway.launch()
        looks: list[tuple[int, dict[str, dict[str, str]]]] = []

        def sees_it() -> bool:
            looks.append(doctor(gateway))
            return "broker-fault" in looks[-1][1]

        gateway.wait_for(sees_it, "to see the fault")
        code, found = looks[-1]
        assert code == 10 or "broker-away" not in found, "it may be connected for a moment"
        assert "another one with the same client id" in found["broker-fault"]["finding"]
        assert "set publish_port" in found["broker-fault"]["remedy"]
    finally:
        gateway.stop()
        gateway.config.write_text(text)


def test_doctor_says_what_keeps_a_gateway_from_starting(gateway: Gateway) -> None:
    text = gateway.config.read_text()
    try:
        gateway.config.write_text(text.replace(HONG_KONG.origin, "bank-hk.example/other"))
        code, found = doctor(gateway)
        assert (code, found["origin-changed"]["mark"]) == (10, "fault")
        for program in ("chopmarkd", "chopmark"):
            arguments = ["config", "check"] if program == "chopmark" else []
            said = start(gateway, program, *arguments)
            assert HONG_KONG.origin in said
            assert "`gateway.origin` says bank-hk.example/other" in said
        gateway.config.write_text(text.replace("libsofthsm2.so", "libnone.so"))
        code, found = doctor(gateway)
        assert (code, found["hsm-module"]["mark"]) == (10, "fault")
        gateway.config.write_text(re.sub('token_label = ".*"', 'token_label = "another"', text))
        code, found = doctor(gateway)
        assert (code, found["hsm-token"]["mark"]) == (10, "fault")
        gateway.config.write_text(text + "\n[wrong]\n")
        code, found = doctor(gateway)
        assert (code, list(found)) == (10, ["config-unknown-key"])
    finally:
        gateway.config.write_text(text)
