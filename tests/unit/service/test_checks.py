"""Each finding of `chopmark doctor` that needs no daemon, provoked."""

import fcntl
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

import configs
from chopmark.core.errors import UsageError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.diagnosis import Line
from chopmark.ledger.store import create_store
from chopmark.service.checks import clock, disk, hsm, names, run, theft
from chopmark.service.checks.access import acting_as, check_access
from chopmark.service.checks.brokers import check_brokers
from chopmark.service.checks.clock import check_clock
from chopmark.service.checks.disk import check_disk, find_sort
from chopmark.service.checks.doors import check_doors
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.checks.folders import check_folders
from chopmark.service.checks.hsm import check_hsm
from chopmark.service.checks.ledger import check_ledger
from chopmark.service.checks.names import check_names
from chopmark.service.checks.pin import check_pin
from chopmark.service.checks.run import run_checks
from chopmark.service.checks.running import check_running
from chopmark.service.checks.syslog import check_syslog
from chopmark.service.checks.theft import check_theft
from chopmark.service.config import load_config
from chopmark.service.kernelclock import Kernel
from chopmark.service.locking import is_locked
from chopmark.service.storage import Space
from chopmark.service.token_book import open_book
from rig.authority import Authority
from rig.broker import free_port
from rig.patience import PATIENCE

NOW = 1_795_352_400_000


@pytest.fixture(autouse=True)
def _no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration beside an empty state folder."""
    (tmp_path / "state").mkdir(mode=0o750)
    return write(tmp_path)


def write(folder: Path, more: str = "", base: str = configs.BASE) -> Path:
    state = f'[gateway]\nstate = "{folder}/state"\n'
    path = folder / "gateway.toml"
    path.write_text(base.replace("[gateway]\n", state) + more)
    path.chmod(0o640)
    return path


def scene(path: Path, status: Mapping[str, Any] | None = None, now: int = NOW) -> Scene:
    locked = status is not None
    return Scene(path, load_config(path), now, status, locked, os.geteuid())


def codes(findings: Any) -> list[str]:
    found = list(findings)
    assert all(isinstance(one, Finding) and one.finding and one.remedy for one in found)
    return [one.code for one in found]


def test_good_folder_has_no_finding(path: Path) -> None:
    assert codes(check_folders(scene(path))) == []


def test_missing_state_folder(path: Path) -> None:
    (path.parent / "state").rmdir()
    assert codes(check_folders(scene(path))) == ["state-missing"]
    for check in (check_access, check_disk, check_ledger):
        assert codes(check(scene(path))) == ["not-looked-at"]


def test_folder_of_another_user(path: Path) -> None:
    seen = scene(path)
    assert codes(check_folders(replace(seen, uid=4711))) == ["state-not-ours"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_that_root_has_left(path: Path) -> None:
    left = path.parent / "state" / "replica"
    left.mkdir()
    os.chown(left, 4711, -1)
    assert codes(check_folders(scene(path))) == ["state-mixed-owners"]


def test_state_that_others_may_open(path: Path) -> None:
    state = path.parent / "state"
    (state / "log.db").touch(mode=0o644)
    state.chmod(0o755)
    assert codes(check_folders(scene(path))) == ["state-open"]
    state.chmod(0o750)
    assert codes(check_folders(scene(path))) == []


def test_configuration_that_others_may_write(path: Path) -> None:
    path.chmod(0o664)
    assert codes(check_folders(scene(path))) == ["config-writable"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with TemporaryDirectory(prefix="chopmark-", dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is shown what others are not")
def test_files_that_the_daemon_may_not_read(open_folder: Path) -> None:
    (open_folder / "state").mkdir()
    os.chown(open_folder / "state", 4711, 4711)
    key = open_folder / "pin"
    key.write_text("1234")
    key.chmod(0o400)
    base = configs.BASE.replace("[hsm]\n", f'[hsm]\npin = "file"\npin_file = "{key}"\n')
    seen = scene(write(open_folder, base=base))
    assert codes(check_access(seen)) == ["not-readable"]
    assert os.geteuid() == 0
    os.chown(key, 4711, 4711)
    assert codes(check_access(seen)) == []
    key.unlink()
    assert codes(check_access(seen)) == [], "that it is missing, others say"


def test_module_that_others_may_write(tmp_path: Path, path: Path) -> None:
    module = tmp_path / "module.so"
    module.touch()
    module.chmod(0o666)
    path.write_text(path.read_text().replace("/usr/lib/softhsm/libsofthsm2.so", str(module)))
    assert codes(check_access(scene(path))) == ["module-writable"]


@pytest.mark.usefixtures("path")
def test_receiver_of_the_audit_log_that_is_not_there(tmp_path: Path) -> None:
    ca = Authority(tmp_path).path
    own = f'[audit.syslog]\nhost = "127.0.0.1"\nport = {free_port()}\nca = "{ca}"\n'
    assert codes(check_syslog(scene(write(tmp_path, own)))) == ["syslog-away"]


def test_broker_without_tls_on_another_machine(tmp_path: Path, path: Path) -> None:
    assert codes(check_brokers(scene(path, {}))) == []
    base = configs.BASE.replace("127.0.0.1", "192.0.2.1")
    (found,) = check_brokers(scene(write(tmp_path, base=base), {}))
    assert (found.code, found.mark) == ("broker-plain", "warning")


def test_state_folder_that_may_not_be_looked_at_counts_as_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert is_locked(tmp_path)


def test_no_ledger(path: Path) -> None:
    assert codes(check_ledger(scene(path))) == ["no-ledger"]


def keys_of(origin: str) -> tuple[VerifierKey, VerifierKey]:
    return configs.ed25519(origin, "log"), configs.cosigner(f"{origin}/cosigner", "cosigner")


def test_ledger_of_another_origin(path: Path) -> None:
    create_store(path.parent / "state" / "log.db", *keys_of("bank-b.example/other-1"))
    (found,) = check_ledger(scene(path))
    assert (found.code, found.mark) == ("origin-changed", "fault")
    assert "bank-b.example/other-1" in found.finding
    assert scene(path).config.gateway.origin in found.finding


def test_ledger_of_our_origin(path: Path) -> None:
    create_store(path.parent / "state" / "log.db", *keys_of(scene(path).config.gateway.origin))
    assert codes(check_ledger(scene(path))) == []


def test_initialisation_that_broke_off(path: Path) -> None:
    (path.parent / "state" / "init.pending").touch()
    assert codes(check_ledger(scene(path))) == ["init-unfinished"]


def test_ledger_that_is_none(path: Path) -> None:
    (path.parent / "state" / "log.db").write_bytes(b"no database" * 100)
    (code,) = codes(check_ledger(scene(path)))
    assert code != "no-ledger"


@pytest.mark.parametrize(
    ("used", "expected"), [(50, []), (92, ["disk-filling"]), (98, ["disk-full"])]
)
def test_room_on_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, used: int, expected: list[str]
) -> None:
    monkeypatch.setattr(disk, "measure", lambda _: Space(used, 100 - used))
    monkeypatch.setattr(disk, "find_sort", lambda _: "ext4")
    assert codes(check_disk(scene(path))) == expected


def test_disk_without_room_for_files_that_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SimpleNamespace(f_files=5000, f_favail=3, f_flag=os.ST_RDONLY)
    monkeypatch.setattr(disk, "measure", lambda _: Space(1, 99))
    monkeypatch.setattr(disk, "find_sort", lambda _: "ext4")
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    assert codes(check_disk(scene(path))) == ["inodes-short", "disk-read-only"]


@pytest.mark.parametrize(
    ("sort", "expected"), [("tmpfs", ["disk-volatile"]), ("nfs4", ["disk-remote"]), ("xfs", [])]
)
def test_sort_of_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, sort: str, expected: list[str]
) -> None:
    monkeypatch.setattr(disk, "measure", lambda _: Space(1, 99))
    monkeypatch.setattr(disk, "find_sort", lambda _: sort)
    assert codes(check_disk(scene(path))) == expected


def test_sort_of_a_disk_is_what_the_kernel_says() -> None:
    assert find_sort(Path("/proc")) == "proc"
    assert find_sort(Path("/missing")) == ""


def test_clock_that_nobody_keeps(tmp_path: Path, path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(clock, "read_kernel", lambda: Kernel(synchronised=False, reason="nobody"))
    (demanded,) = check_clock(scene(path))
    assert (demanded.code, demanded.mark) == ("clock-unsynchronised", "fault")
    (free,) = check_clock(scene(write(tmp_path, '[clock]\nrequire = "none"\n')))
    assert (free.code, free.mark) == ("clock-unsynchronised", "warning")


def test_clock_of_another_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "read_kernel", lambda: Kernel(synchronised=True))
    assert codes(check_clock(scene(path))) == []
    assert codes(check_clock(scene(path, now=1_000))) == ["clock-absurd"]


def test_pin_file_that_is_missing_or_open(tmp_path: Path, path: Path) -> None:
    pin = tmp_path / "pin"
    config = path.read_text().replace("[hsm]\n", f'[hsm]\npin = "file"\npin_file = "{pin}"\n')
    path.write_text(config)
    assert codes(check_pin(scene(path))) == ["pin-missing"]
    pin.write_text("1234")
    pin.chmod(0o644)
    (found,) = check_pin(scene(path))
    assert found.code == "pin-exposed"
    assert "1234" not in found.finding + found.remedy
    pin.chmod(0o400)
    assert codes(check_pin(scene(path))) == []
    pin.chmod(0o600)
    pin.write_text("")
    assert codes(check_pin(scene(path))) == ["pin-malformed"]


def test_credential_that_is_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (unseen,) = check_pin(scene(path))  # systemd gives it to the daemon alone
    assert (unseen.code, unseen.mark) == ("not-looked-at", "not-looked-at")
    assert "CREDENTIALS_DIRECTORY" in unseen.finding
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    assert codes(check_pin(scene(path))) == ["pin-missing"]


def test_pin_that_the_token_has_refused(path: Path) -> None:
    open_book(path.parent / "state").refuse("the PIN is wrong")
    assert codes(check_pin(scene(path))) == ["not-looked-at", "pin-latched"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("ready", []), ("latched", ["pin-latched"]), ("away", ["not-looked-at"])],
)
def test_pin_of_a_gateway_that_runs(path: Path, state: str, expected: list[str]) -> None:
    status = {"hsm": {"state": state, "reason": "the PIN is wrong"}}
    assert codes(check_pin(scene(path, status))) == expected


def test_module_that_is_missing(tmp_path: Path, path: Path) -> None:
    text = path.read_text().replace("/usr/lib/softhsm/libsofthsm2.so", str(tmp_path / "none.so"))
    path.write_text(text)
    assert "hsm-module" in codes(check_hsm(scene(path)))


@pytest.mark.parametrize("section", ["module", "token", "mechanisms", "keys"])
def test_what_the_doctor_of_the_hsm_says_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    lines = (Line(section, "ok", "one", "well"), Line(section, "fault", "two", "wrong", "mend"))
    monkeypatch.setattr(hsm, "examine_gateway", lambda *_: (None, lines))
    (found,) = check_hsm(scene(path))
    assert (found.code, found.finding, found.remedy) == (f"hsm-{section}", "two: wrong", "mend")


def test_token_whose_objects_are_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (Line("module", "warning", "storage", "files", "a device"),)
    monkeypatch.setattr(hsm, "examine_gateway", lambda *_: (None, lines))
    (found,) = check_hsm(scene(path))
    assert (found.code, found.mark) == ("token-on-disk", "warning")


def test_socket_that_may_not_be_opened(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f'[api]\nsocket = "{tmp_path}/api.sock"\n[metrics]\nlisten = ""\n'
    (tmp_path / "api.sock").touch()
    assert path.exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert codes(check_doors(scene(write(tmp_path, own)))) == ["socket-forbidden"]


def test_address_that_is_of_another_machine(tmp_path: Path, path: Path) -> None:
    own = f"""[api]
socket = "{tmp_path}/api.sock"
[api.tls]
listen = "192.0.2.1:8443"
certificate = "{path}"
key = "{path}"
client_ca = "{path}"
[metrics]
listen = ""
"""
    (found,) = check_doors(scene(write(tmp_path, own)))
    assert found.code == "port-refused"
    assert "this machine does not have that address" in found.remedy


def test_names_that_do_not_resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_SECONDS", PATIENCE)
    base = configs.BASE.replace("127.0.0.1", "broker.invalid")
    (tmp_path / "state").mkdir()
    assert codes(check_names(scene(write(tmp_path, base=base)))) == ["name-unknown"]


def test_names_that_take_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(names, "_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: held.wait(PATIENCE))
    try:
        assert codes(check_names(scene(path))) == ["name-slow"]
    finally:
        held.set()


def test_port_that_another_program_has(tmp_path: Path, path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own = f'[api]\nlisten = "127.0.0.1:{port}"\nsocket = "{tmp_path}/api.sock"\n'
        path = write(tmp_path, own + '[metrics]\nlisten = ""\n')
        assert codes(check_doors(scene(path))) == ["port-taken"]
        assert codes(check_doors(scene(path, {}))) == []


@pytest.mark.usefixtures("path")
def test_folder_of_the_socket(tmp_path: Path) -> None:
    own = f'[api]\nsocket = "{tmp_path}/run/api.sock"\n[metrics]\nlisten = ""\n'
    assert codes(check_doors(scene(write(tmp_path, own)))) == ["socket-folder"]


def test_gateway_that_does_not_run(path: Path) -> None:
    (found,) = check_running(scene(path))
    assert (found.code, found.mark) == ("not-running", "warning")


def test_gateway_that_does_not_answer(path: Path) -> None:
    assert codes(check_running(replace(scene(path), locked=True))) == ["not-answering"]


def test_state_folder_is_locked_while_a_process_holds_it(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with (tmp_path / "lock").open("w") as held:
        assert not is_locked(tmp_path)
        fcntl.flock(held, fcntl.LOCK_EX)
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_what_the_running_gateway_says(path: Path) -> None:
    alarm = {"code": "roster-expires", "message": "soon", "hint": "sign the next one"}
    away = {"state": "away", "host": "b.example", "port": 8883, "reason": "expired"}
    status = {
        "alarms": [alarm],
        "brokers": [{"state": "connected"}, away],
        "reasons": ["the HSM is away"],
    }
    found = list(check_running(scene(path, status)))
    assert codes(found) == ["roster-expires", "broker-away", "not-ready"]
    assert [one.mark for one in found] == ["warning", "fault", "fault"]
    assert "expired" in found[1].finding
    fault = {"code": "broker-fault", "message": "broker b.example:8883: expired", "hint": "renew"}
    status["alarms"] = [fault]
    assert [one.remedy for one in check_running(scene(path, status))][:2] == ["renew", "renew"]
    assert codes(check_running(scene(path, {}))) == []


def test_configuration_that_is_wrong_ends_the_looking(tmp_path: Path, path: Path) -> None:
    path.write_text(path.read_text() + "[gatewya]\n")
    ((name, (found,)),) = run_checks(path, None)
    assert (name, found.code) == ("configuration", "config-unknown-key")
    ((_, (missing,)),) = run_checks(tmp_path / "none", None)
    assert missing.code == "config-missing"


def test_all_checks_are_run(path: Path) -> None:
    names_of = [name for name, _ in run_checks(path, {})]
    assert names_of[0] == "configuration"
    assert len(names_of) == 17


def test_only_what_is_named_is_looked_at(path: Path) -> None:
    assert [name for name, _ in run_checks(path, {}, ("disk", "clock"))][1:] == ["disk", "clock"]
    run.refuse_unknown(("disk",))
    with pytest.raises(UsageError, match="no check 'disc'") as caught:
        run.refuse_unknown(("disc",))
    assert "disk" in caught.value.hint


def test_broker_that_is_away_from_a_running_gateway_is_tried_up_to_tls(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    path = write(tmp_path, base=f"{configs.BASE}port = {port}\n")
    (broker,) = load_config(path).broker
    status = {"brokers": [{"host": broker.host, "port": broker.port, "state": "connected"}]}
    assert codes(check_brokers(scene(path, status))) == []
    status["brokers"][0]["state"] = "away"
    assert codes(check_brokers(scene(path, status))) == ["broker-unreachable"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_who_may_see_little_is_told_what_was_not_looked_at(open_folder: Path) -> None:
    state = open_folder / "state"
    (state / "hsm").mkdir(mode=0o700, parents=True)
    state.chmod(0o750)
    key = open_folder / "broker.key"
    key.touch(mode=0o400)
    tls = f'[broker.tls]\nca = "{key}"\ncertificate = "{key}"\nkey = "{key}"\n'
    file = write(open_folder, more=tls)
    file.chmod(0o644)
    with acting_as(65534):
        found = dict(run_checks(file, None))
    unseen = {name for name, some in found.items() if "not-looked-at" in codes(some)}
    assert unseen >= {"access", "ledger", "pin", "hsm", "brokers", "running"}
    faults = {one.code for some in found.values() for one in some if one.mark == "fault"}
    assert faults <= {"clock-unsynchronised"}, "what is wrong with this machine alone"
    assert any("run this as root" in one.remedy for one in found["ledger"])


def test_what_the_system_refuses_in_one_check_keeps_no_other_from_looking(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_scene: Scene) -> Iterator[Finding]:
        yield Finding("one", "was found before", "mend it")
        raise OSError(5, "Input/output error", "/dev/broken")

    monkeypatch.setattr(run, "CHECKS", {"first": refuse, "second": check_folders})
    (_, (one, unseen)), second = list(run_checks(path, None))[1:]
    assert (one.code, unseen.code) == ("one", "not-looked-at")
    assert "/dev/broken" in unseen.finding
    assert second == ("second", [])


def test_check_beside_a_gateway_that_does_not_answer_says_what_it_has_not_looked_at(
    path: Path,
) -> None:
    held = replace(scene(path), locked=True)
    for check in (check_doors, check_brokers):
        assert codes(check(held)) == ["not-looked-at"]


def test_broker_whose_name_is_unknown_has_one_fault(tmp_path: Path) -> None:
    base = configs.BASE.replace("127.0.0.1", "broker.invalid")
    (tmp_path / "state").mkdir()
    seen = scene(write(tmp_path, base=base))
    assert codes(check_brokers(seen)) == ["broker-plain", "not-looked-at"]


def test_page_names_every_code() -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs/operations/doctor.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z][a-z0-9-]+)`", page.partition("## Findings")[2]))
    sources = [
        *(root / "daemon/chopmark/service/checks").glob("*.py"),
        root / "daemon/chopmark/mesh/tls.py",
        root / "daemon/chopmark/mesh/words.py",
    ]
    made = {
        code
        for path in sources
        for code in re.findall(
            r'(?:Finding|Fault|_finding)\(\s*"([a-z0-9-]+)"', path.read_text(encoding="utf-8")
        )
    }
    assert len(made) > 40
    assert made <= told


def test_what_a_thief_would_have_is_told(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setattr(theft, "FOLDER", folder)
    assert codes(check_theft(scene(path))) == ["unlock-auto"]
    path.write_text(path.read_text().replace("[hsm]\n", '[hsm]\nunlock = "attended"\n'))
    assert codes(check_theft(scene(path))) == []
    (folder / "hsm-pin").write_text("1234")
    assert codes(check_theft(scene(path))) == ["pin-plain"]
    (folder / "hsm-pin").unlink()
    # What systemd-creds of systemd 252 writes begins so, with --with-key=host and with a TPM.
    (folder / "hsm-pin.cred").write_text("Whxqht+dQJax1aZeCGLxmiAAAAABAAAADAAAABAA")
    assert codes(check_theft(scene(path))) == ["pin-host-key"]
    (folder / "hsm-pin.cred").write_text("k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAA")
    assert codes(check_theft(scene(path))) == []
