"""The daemon under a service manager: real process, real NOTIFY_SOCKET, a socket handed over."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import httpx
import pytest

from chopmark.api.listeners import MODE
from rig.authority import Authority
from rig.gateway import HONG_KONG, Cluster, Gateway
from rig.patience import PATIENCE


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(str(path))
        self.heard: list[list[str]] = []

    def wait_for(self, wanted: str) -> list[str]:
        """The next message with a line that begins so."""
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            self._end.settimeout(left)
            try:
                message = self._end.recv(8192).decode().split("\n")
            except TimeoutError:
                break
            self.heard.append(message)
            if any(line.startswith(wanted) for line in message):
                return message
        pytest.fail(f"never heard {wanted}; heard {self.heard}")

    def forget(self) -> None:
        """What has come until now is of no interest."""
        self.heard.clear()
        self._end.settimeout(0)
        try:
            while True:
                self._end.recv(8192)
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._end.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("m"), (HONG_KONG,))
    made["hk-1"].serve_tls(Authority(tmp_path_factory.mktemp("ca")))
    yield made
    made.stop()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture
def gateway(cluster: Cluster, manager: Manager) -> Iterator[Gateway]:
    """Started by each test in its own way."""
    found = cluster["hk-1"]
    found.variables = {"NOTIFY_SOCKET": str(manager.path)}
    found.listener = None
    yield found
    found.stop()


@pytest.fixture
def listener(gateway: Gateway) -> Iterator[socket.socket]:
    """The unix socket as chopmark.socket has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(gateway.socket))
        gateway.socket.chmod(MODE)
        made.listen()
        yield made
    gateway.socket.unlink()


def status_of(message: list[str]) -> str:
    return next(line for line in message if line.startswith("STATUS=")).removeprefix("STATUS=")


def test_start_asks_for_time_and_is_ready_with_a_sentence(
    gateway: Gateway, manager: Manager
) -> None:
    gateway.launch()
    ready = manager.wait_for("READY=1")
    asked = manager.heard[0]
    assert asked[0] == "EXTEND_TIMEOUT_USEC=60000000"
    assert status_of(asked).startswith("starting: ")
    while "entries" not in status_of(ready):  # it is up before its first head on a busy machine
        ready = manager.wait_for("STATUS=")
    assert gateway.stop() == 0
    assert manager.wait_for("STOPPING=1")


def test_reload_says_when_it_began_and_keeps_what_it_had_where_files_are_wrong(
    gateway: Gateway, manager: Manager
) -> None:
    gateway.launch()
    manager.wait_for("READY=1")
    begun = _reload(gateway, manager)
    (stamp,) = (line for line in begun if line.startswith("MONOTONIC_USEC="))
    age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(stamp.partition("=")[2]) / 1_000_000
    assert 0 <= age < PATIENCE
    assert "refused" not in status_of(manager.wait_for("READY=1"))

    good = gateway.config.read_text()
    gateway.config.write_text(good + "\nnonsense = 1\n")
    _reload(gateway, manager)
    assert "reload refused: " in (told := status_of(manager.wait_for("READY=1")))
    assert "nonsense" in told
    assert "reload refused: " in status_of(manager.wait_for("STATUS=")), "forgotten at once"
    gateway.wait_for(gateway.is_ready, "to issue")

    gateway.config.write_text(good)
    certificate = next(path for path in gateway.folder.parent.parent.rglob("hk-1-api*.pem"))
    kept = certificate.read_bytes()
    certificate.write_bytes(b"no certificate")
    _reload(gateway, manager)
    assert "reload refused: " in status_of(manager.wait_for("READY=1"))
    assert "tls-files-wrong" in {one["code"] for one in gateway.get("/v1/status")["alarms"]}

    certificate.write_bytes(kept)
    _reload(gateway, manager)
    assert "refused" not in status_of(manager.wait_for("READY=1"))
    assert gateway.get("/v1/status")["alarms"] == []


def _reload(gateway: Gateway, manager: Manager) -> list[str]:
    manager.forget()
    gateway.signal_reload()
    return manager.wait_for("RELOADING=1")


def test_socket_that_was_handed_over_outlives_the_daemon_and_callers_wait(
    gateway: Gateway, manager: Manager, listener: socket.socket
) -> None:
    gateway.listener = listener
    gateway.launch()
    manager.wait_for("READY=1")
    gateway.wait_for(gateway.is_ready, "to issue")
    before = gateway.socket.stat()
    assert gateway.stop() == 0
    assert gateway.socket.stat().st_ino == before.st_ino, "the daemon removed what is not its own"
    assert S_IMODE(before.st_mode) == MODE

    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(_ask(gateway)))
    asking.start()
    gateway.launch()
    asking.join(PATIENCE)
    assert [one.status_code for one in answers] == [200], "who called during the restart"


def _ask(gateway: Gateway) -> httpx.Response:
    with gateway.client() as client:
        return client.get("/v1/status")


def test_caller_on_a_handed_socket_is_who_the_kernel_says(
    gateway: Gateway, manager: Manager, listener: socket.socket
) -> None:
    """Only the unix socket's users are known: the loopback port may not see the HSM's PIN taken."""
    gateway.listener = listener
    gateway.launch()
    manager.wait_for("READY=1")
    with gateway.client() as client:  # we are root, or the daemon's user: an operator
        assert client.post("/v1/hsm/maintenance", json={"on": True}).status_code == 200
        assert client.post("/v1/hsm/maintenance", json={"on": False}).status_code == 200


def test_daemon_without_a_handed_socket_makes_and_removes_its_own(
    gateway: Gateway, manager: Manager
) -> None:
    gateway.launch()
    manager.wait_for("READY=1")
    assert S_IMODE(gateway.socket.stat().st_mode) == MODE
    gateway.stop()
    assert not gateway.socket.exists()


@pytest.mark.parametrize("state", ["away", "maintenance"])
def test_token_that_is_no_use_is_no_failure(gateway: Gateway, manager: Manager, state: str) -> None:
    """READY is sent, and the watchdog is fed."""
    gateway.variables["WATCHDOG_USEC"] = "200000"
    tokens = gateway.folder / "hsm" / "tokens"
    hidden = tokens.with_name("hidden")
    if state == "away":
        tokens.rename(hidden)
        tokens.mkdir()
    else:
        (gateway.state / "hsm").mkdir(exist_ok=True)
        (gateway.state / "hsm" / "maintenance").touch()
    try:
        gateway.launch()
        assert state in status_of(manager.wait_for("READY=1"))
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        assert gateway.get("/v1/status")["hsm"]["state"] == state
    finally:
        gateway.stop()
        if state == "away":
            tokens.rmdir()
            hidden.rename(tokens)
        else:
            (gateway.state / "hsm" / "maintenance").unlink()


def test_box_waits_for_the_pin_once_in_each_boot(gateway: Gateway, manager: Manager) -> None:
    """`chopmark init` wrote `attended`, and noted in what boot it was given the PIN."""
    assert 'unlock = "attended"' in gateway.config.read_text()
    gateway.launch()
    assert "locked" not in status_of(manager.wait_for("READY=1"))
    gateway.stop()

    gateway.variables["CHOPMARK_BOOT"] = "the next boot"  # as the unit has it from systemd
    gateway.launch()
    assert "the box was started" in status_of(manager.wait_for("READY=1"))
    assert gateway.get("/v1/hsm")["unlock"] == "attended"
    assert gateway.get("/v1/status")["alarms"][0]["code"] == "hsm-locked"
    assert gateway.cli("hsm", "unlatch", check=False).returncode != 0, "that is no way round it"
    with gateway.client() as client:
        answer = client.post("/v1/hsm/pin", json={"pin": gateway.token.read_pin()})
    assert answer.json()["state"] == "ready"
    gateway.wait_for(gateway.is_ready, "to issue")
    gateway.stop()

    gateway.launch()
    assert "locked" not in status_of(manager.wait_for("READY=1")), "a restart asks nobody"
    gateway.stop()

    config = gateway.config.read_text()
    gateway.config.write_text(config.replace('unlock = "attended"', 'unlock = "auto"'))
    gateway.variables["CHOPMARK_BOOT"] = "yet another"
    gateway.launch()
    assert "locked" not in status_of(manager.wait_for("READY=1"))
    assert gateway.get("/v1/hsm")["unlock"] == "auto"
    gateway.config.write_text(config)


def test_daemon_starts_without_its_pin_and_verifies(gateway: Gateway, manager: Manager) -> None:
    pin = gateway.token.credentials / "hsm-pin"
    kept = pin.read_bytes()
    pin.unlink()
    try:
        gateway.launch()
        assert "locked" in status_of(manager.wait_for("READY=1"))
        digests = {"sha256": "00" * 32}
        with gateway.client() as client:
            assert client.post("/v1/verifications", json={"digests": digests}).status_code == 200
            given = client.post("/v1/hsm/pin", json={"pin": kept.decode().strip()})
        assert given.json()["state"] == "ready"
    finally:
        pin.write_bytes(kept)
        pin.chmod(0o400)


def test_health_is_good_once_the_hsm_has_signed_and_not_while_nobody_answers(
    gateway: Gateway, manager: Manager
) -> None:
    assert gateway.cli("health", "--wait", "0", check=False).returncode == 10
    gateway.launch()
    manager.wait_for("READY=1")
    done = gateway.cli("health", "--wait", "110")
    assert "is wrong" in done.stdout, "a machine without systemd has no consoles to look at"
    assert "fault" not in done.stdout
    assert gateway.cli("fsck", "--scheduled").returncode == 0
    assert gateway.get("/v1/status")["alarms"] == []
