"""`show`, `test` and `diagnose` at a real gateway: well, and with each of its parts away."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bundlevectors import OFFICE, pem
from chopmark.console import snapshot
from chopmark.console.access.initial import init_access
from chopmark.console.commands import load_commands, testing
from chopmark.console.gateway import SocketApi
from chopmark.console.wire.text import columns
from chopmark.core.errors import ChopmarkError
from consoledesk import MemoryDesk, MemoryRecorder, surroundings
from integration.link_party import until
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE

TABLE = {" ".join(one.path): one for one in load_commands()}
PLANTED = ("738164", "correct-horse7", "c2VjcmV0LXRva2VuLTEyMzQ1")


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways that run; each test leaves them so."""
    made = Cluster(tmp_path_factory.mktemp("c"), (HONG_KONG, SHENZHEN))
    try:
        made.start()
        gateway = made["hk-1"]
        gateway.wait_for(lambda: gateway.peer(made["sz-1"])["online"], "to hear its peer")
        follows = lambda: gateway.peer(made["sz-1"])["state"] == "following"  # noqa: E731
        gateway.wait_for(follows, "to follow its peer")
        yield made
    finally:
        made.stop()


@pytest.fixture
def gateway(party: Cluster, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = party["hk-1"]
    for name, value in made.token.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made.token.credentials))
    monkeypatch.setenv("CHOPMARK_LOG", str(made.log))
    for module in (snapshot, testing):  # a busy machine may take its time
        monkeypatch.setattr(module, "GATEWAY_SECONDS", PATIENCE)
    return made


async def run(
    gateway: Gateway,
    name: str,
    arguments: Mapping[str, str] | None = None,
    desk: MemoryDesk | None = None,
    **given: Any,
) -> MemoryDesk:
    """What a command says; all of it fits a screen of 80 columns."""
    desk = desk or MemoryDesk()
    async with SocketApi(gateway.socket) as api:
        around = surroundings(desk, gateway=api, config=gateway.config, **given)
        await TABLE[name].run(around, arguments or {})
    assert all(columns(line) <= 79 for line in desk.said)
    assert all(line.isprintable() for line in desk.said)
    return desk


def marks(desk: MemoryDesk) -> dict[str, str]:
    """The mark of each part that has a line."""
    known = ("ok", "FAIL", "warn", "-")
    pairs = [line.split()[:2] for line in desk.said if line[:5].strip() in known]
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}


async def test_status_of_a_gateway_that_is_well(gateway: Gateway) -> None:
    desk = await run(gateway, "show status")
    assert desk.said[0].startswith("hk-1  ready ")
    assert {"gateway", "ledger", "hsm", "broker", "peers", "disk", "network"} <= marks(desk).keys()
    parts = ("gateway", "ledger", "hsm", "broker", "peers")
    assert {marks(desk)[name] for name in parts} == {"ok"}
    assert len(desk.said) <= 22


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
async def test_status_in_chinese(gateway: Gateway, language: Any) -> None:
    desk = await run(gateway, "show status", desk=MemoryDesk(language=language))
    assert "hk-1  就" in desk.text
    assert "ready" not in desk.text


@pytest.mark.parametrize("name", sorted(name for name in TABLE if name.startswith("show ")))
async def test_whatever_is_shown_fits_the_screen(
    gateway: Gateway, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    init_access(tmp_path, "SN-0001")
    try:
        desk = await run(gateway, name)
    except ChopmarkError as error:
        assert error.code in ("not-on-this-platform", "no-systemd")  # noqa: PT017 - not all raise
    else:
        assert desk.text.strip()


async def test_keys_ledger_and_peers_are_told_in_the_words_of_the_commands(
    gateway: Gateway,
) -> None:
    printed = gateway.cli("hsm", "keys").stdout
    keys = await run(gateway, "show keys")
    fingerprints = [line for line in printed.splitlines() if "fingerprint" in line]
    assert fingerprints
    assert all(line in keys.said for line in fingerprints)
    assert "bank-hk.example/hk-1" in (await run(gateway, "show ledger")).text
    assert "sz-1  Bank of S" in (await run(gateway, "show peers")).text


async def test_whole_self_test_passes_and_asks_each_peer(gateway: Gateway) -> None:
    desk = await run(gateway, "test all", who="tech-7+tech-9")
    assert desk.said[0] == "SELF-TEST REPORT"
    assert "tech-7+tech-9" in desk.text
    assert desk.said[-1].startswith("PASSED: 0 faults")
    assert [line for line in desk.said if line.startswith("ok    peer sz-1, ")]
    assert {"fsck", "ledger", "brokers", "running"} <= marks(desk).keys()


async def test_hsm_away(gateway: Gateway) -> None:
    away = Path(f"{gateway.token.tokens}-away")  # type: ignore[attr-defined]  # of SoftHSM
    await asyncio.to_thread(gateway.stop)
    shutil.move(gateway.token.tokens, away)  # type: ignore[attr-defined]
    try:
        gateway.launch()
        await asyncio.to_thread(gateway.wait_for, gateway.is_answering, "to answer")
        status = await run(gateway, "show status")
        tested = await run(gateway, "test hsm")
    finally:
        shutil.move(away, gateway.token.tokens)  # type: ignore[attr-defined]
    await asyncio.to_thread(gateway.wait_for, gateway.is_ready, "to find its token")
    assert marks(status)["hsm"] == "FAIL"
    assert "E-1010 HSM away" in status.text
    assert "       do: check the HSM's cable" in status.text
    assert len(status.said) <= 22
    assert marks(tested)["HSM"] == "FAIL"
    assert tested.said[-1].startswith("FAILED")


async def test_broker_away(party: Cluster, gateway: Gateway) -> None:
    def state() -> str:
        return str(gateway.get("/v1/status")["broker"]["state"])

    party.broker.kill()
    try:
        await asyncio.to_thread(gateway.wait_for, lambda: state() == "away", "to notice")
        status = await run(gateway, "show status")
        tested = await run(gateway, "test broker")
    finally:
        party.broker.start()
    await asyncio.to_thread(gateway.wait_for, lambda: state() == "connected", "to be back")
    assert marks(status)["broker"] == "FAIL"
    assert "E-1101" in status.text
    found = {name: marks(tested)[name] for name in ("DNS", "TCP", "TLS", "login", "ACL", "peer")}
    assert found == {
        "DNS": "ok",
        "TCP": "FAIL",
        "TLS": "-",
        "login": "-",
        "ACL": "-",
        "peer": "FAIL",
    }
    assert "E-1102 nothing answers at 127.0.0.1:" in tested.text


async def test_daemon_stopped(gateway: Gateway) -> None:
    await asyncio.to_thread(gateway.stop)
    try:
        status = await run(gateway, "show status")
        broker = await run(gateway, "test broker")
        ledger = await run(gateway, "test ledger")
    finally:
        await asyncio.to_thread(gateway.start)
    assert status.said[0].startswith("hk-1  DOWN ")
    assert "E-1400 the daemon does not run" in status.text
    assert "INFO chopmark: stopped" in status.text
    assert len(status.said) <= 22
    assert [marks(broker)[name] for name in ("DNS", "TCP", "TLS", "login", "ACL")] == ["ok"] * 5
    assert ledger.said[-1].startswith("PASSED")
    assert "ok    fsck hk-1" in ledger.said


async def test_daemon_that_hangs(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (snapshot, testing):
        monkeypatch.setattr(module, "GATEWAY_SECONDS", 1.5)
    os.kill(gateway.pid, signal.SIGSTOP)
    try:
        status = await run(gateway, "show status")
        tested = await run(gateway, "test hsm")
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    assert "E-1400 the daemon does not answer within 1.5 s" in status.text
    assert marks(tested)["pin"] == "ok"
    assert tested.said[-1].startswith("FAILED")


async def test_broken_configuration_is_told_with_what_to_do(
    gateway: Gateway, tmp_path: Path
) -> None:
    broken = tmp_path / "gateway.toml"
    broken.write_text('[gateway]\nid = "\x1b[2J"\n')
    desk = MemoryDesk()
    async with SocketApi(gateway.socket) as api:
        around = surroundings(desk, gateway=api, config=broken)
        await TABLE["show status"].run(around, {})
        await TABLE["test disk"].run(around, {})
    assert "FAIL  config" in desk.text
    assert "FAIL  configuration" in desk.text
    assert all(line.isprintable() for line in desk.said)


async def test_test_that_is_broken_off_leaves_no_process(gateway: Gateway) -> None:
    def children() -> str:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text()

    before = children()
    running = asyncio.create_task(run(gateway, "test all"))
    await until(lambda: children() != before)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert children() == before


async def test_log_is_filtered_and_followed(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("one\ntwo \x1b[31mred\nthree\n")
    monkeypatch.setenv("CHOPMARK_LOG", str(log))
    found = await run(gateway, "show log", {"HOW": "filter", "VALUE": "RED"})
    assert found.said == [r"two \x1b[31mred"]
    assert (await run(gateway, "show log", {"HOW": "last", "VALUE": "1"})).said == ["three"]
    desk = MemoryDesk()
    following = asyncio.create_task(run(gateway, "show log", {"HOW": "follow"}, desk))
    await until(lambda: "three" in desk.said)
    with log.open("a") as file:
        file.write("four\nfive")
    await until(lambda: "four" in desk.said)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert "five" not in desk.said


async def test_bundle_has_everything_but_secrets(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = gateway.token.read_pin()
    plant(gateway, pin)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    recorder = MemoryRecorder()
    desk = await run(gateway, "diagnose bundle", recorder=recorder)
    (made,) = (tmp_path / "files").iterdir()
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.stat().st_size <= 1024 * 1024
    ((who, action, outcome, about),) = recorder.records
    assert (who, action, outcome, about["file"]) == ("tech-7", "console.bundle", "made", made.name)
    assert about["sha256"] in desk.text
    texts = opened(made, tmp_path)
    secrets = (pin, *PLANTED)
    assert not [(name, one) for name, text in texts.items() for one in secrets if one in text]
    assert not [one for one in secrets if one.encode() in made.read_bytes()]
    assert "[REDACTED]" in texts["log.txt"]
    assert json.loads(texts["status.json"])["id"] == "hk-1"
    assert 'id = "hk-1"' in texts["config.toml"]
    assert "chopmark_log_entries" in texts["metrics.txt"]
    assert "log.db" in json.loads(texts["databases.json"])
    assert {one["name"] for one in json.loads(texts["doctor.json"])} >= {"hsm", "ledger"}


async def test_bundle_with_the_daemon_down(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(gateway, gateway.token.read_pin())
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    await asyncio.to_thread(gateway.stop)
    try:
        await run(gateway, "diagnose bundle")
    finally:
        await asyncio.to_thread(gateway.start)
    (made,) = (tmp_path / "files").iterdir()
    texts = opened(made, tmp_path)
    assert json.loads(texts["status.json"])["error"]["code"] == "gateway-unreachable"
    assert "stopped" in texts["log.txt"]


async def test_bundle_without_head_offices_key_is_refused(gateway: Gateway) -> None:
    (gateway.config.parent / "support.pem").unlink(missing_ok=True)
    with pytest.raises(ChopmarkError, match="head office's key is not here") as caught:
        await run(gateway, "diagnose bundle")
    assert caught.value.code == "support-key-missing"


def plant(gateway: Gateway, pin: str) -> None:
    """Secrets where people and modules leave them; and head office's key."""
    number, password, token = PLANTED
    with gateway.log.open("a") as log:
        log.write(f"login with PIN {number} failed\nhttps://u:{password}@p/\nBearer {token}\n")
        log.write(f"module says: {pin}\n")
    with gateway.config.open("a") as config:
        config.write(f"# PIN {pin}, or {number}; {password}\n")
    key = gateway.config.parent / "support.pem"
    key.unlink(missing_ok=True)
    public = ("openssl", "pkey", "-pubout", "-out", str(key))
    subprocess.run(public, input=pem(OFFICE), text=True, check=True)


def opened(bundle: Path, folder: Path) -> dict[str, str]:
    """What head office's command makes of a bundle."""
    private = folder / "support.key"
    private.write_text(pem(OFFICE))
    command = ("chopmark.cli.main", "console", "open-bundle", bundle, "--private", private)
    place = folder / "opened"
    subprocess.run([sys.executable, "-m", *map(str, command), "-o", str(place)], check=True)
    return {path.name: path.read_text("utf-8") for path in place.iterdir()}
