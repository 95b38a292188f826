"""What the box tells: from files like the kernel's, and from STAND-INS of systemd's programs.

There is no systemd where tests run; what its programs print is written out here, after systemd 252.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

import configs
from chopmark.console import device
from chopmark.console.box import journal, units
from chopmark.console.box.certificates import Held, read_certificates
from chopmark.console.box.journal import Wanted, follow_log, read_log
from chopmark.console.box.network import parse_networkd, read_network
from chopmark.console.box.sensors import read_space, read_temperatures, read_wear
from chopmark.console.box.units import read_units
from chopmark.console.programs import run, started
from chopmark.core.errors import MissingError, RefusedError, TryAgainError
from chopmark.service.config import parse_config
from chopmark.service.config_model_api import ApiTls
from rig.patience import PATIENCE

SHOWN = """\
Id=chopmark.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
NRestarts=5
ExecMainStatus=78
StatusText=

Id=mosquitto.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
NRestarts=0
ExecMainStatus=0
StatusText=all is well

Id=pcscd.socket
LoadState=not-found
ActiveState=inactive
"""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs; systemd seems to be there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(units, "_BOOTED", tmp_path)
    monkeypatch.setattr(units, "SECONDS", PATIENCE)
    monkeypatch.setattr(journal, "_JOURNALS", (tmp_path,))
    return programs


def stand_in(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


async def test_units_of_systemd(systemd: Path) -> None:
    stand_in(systemd, "systemctl", f"cat <<'END'\n{SHOWN}END")
    failed, well = await read_units()
    assert (failed.name, failed.state, failed.restarts) == (
        *("chopmark.service", "failed (failed)"),
        5,
    )
    assert (failed.said, failed.works) == ("exit-code, exit status 78", False)
    assert (well.said, well.works) == ("all is well", True)


async def test_systemd_that_hangs_costs_its_deadline(
    systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "SECONDS", 0.2)
    stand_in(systemd, "systemctl", "sleep 600")
    with pytest.raises(TryAgainError, match="systemctl has not ended"):
        await read_units()


async def test_box_without_systemd_and_without_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "_BOOTED", tmp_path / "none")
    monkeypatch.delenv("CHOPMARK_LOG", raising=False)
    for ask in (read_units(), read_log(Wanted())):
        with pytest.raises(MissingError):
            await ask


async def test_journal_is_asked_for_one_unit_and_a_time(systemd: Path) -> None:
    stand_in(systemd, "journalctl", 'for one in "$@"; do echo "arg $one"; done')
    lines = await read_log(Wanted(lines=20, since="10 min ago", text="ARG --"))
    assert "arg --unit=chopmark.service" in lines
    assert "arg --since=10 min ago" in lines
    assert len(lines) <= 20


async def test_lines_of_the_journal_are_cut(systemd: Path) -> None:
    stand_in(systemd, "journalctl", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo last")
    long, last = await read_log(Wanted())
    assert (len(long), last) == (journal.MAX_LINE, "last")


async def test_time_that_is_none_is_told(systemd: Path) -> None:
    stand_in(systemd, "journalctl", "echo 'Failed to parse timestamp: soon' >&2; exit 1")
    with pytest.raises(RefusedError, match="not a time: 'soon'"):
        await read_log(Wanted(since="soon"))


async def test_journal_is_followed_and_let_go(systemd: Path, tmp_path: Path) -> None:
    place = tmp_path / "pid"
    stand_in(systemd, "journalctl", f"echo $$ > {place}; echo one; echo two; exec sleep 600")
    lines = follow_log(Wanted(text="tw"))
    assert await anext(lines) == "two"
    await lines.aclose()
    assert not _lives(int(place.read_text()))


async def test_log_file_is_not_searched_by_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_text("x\n")
    monkeypatch.setenv("CHOPMARK_LOG", str(log))
    with pytest.raises(RefusedError, match="not searched by time"):
        await read_log(Wanted(since="today"))


async def test_log_file_that_is_begun_anew_is_read_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_text("an old line that is long\n")
    monkeypatch.setenv("CHOPMARK_LOG", str(log))
    lines = follow_log(Wanted())
    assert await anext(lines) == "an old line that is long"
    log.write_text("new\n")
    assert await anext(lines) == "new"
    await lines.aclose()


async def test_program_whose_children_hold_on_is_ended_with_them() -> None:
    async with started(("sh", "-c", "sleep 600 & echo $!; wait")) as process:
        assert process.stdout is not None
        child = int(await process.stdout.readline())
        assert _lives(child)
    async with asyncio.timeout(PATIENCE):
        while _lives(child):  # noqa: ASYNC110 - whoever adopts it reaps it
            await asyncio.sleep(0.01)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_program_that_says_too_much_is_cut_and_one_that_is_not_there_told() -> None:
    said = await run(("sh", "-c", "yes | head -c 1000000; echo end"), PATIENCE, limit=1000)
    assert said.output.endswith("end\n")
    assert len(said.output) == 1000
    with pytest.raises(MissingError, match="cannot run nothing-like-it"):
        await run(("nothing-like-it",), PATIENCE)


async def test_network_of_this_machine() -> None:
    seen = await read_network(PATIENCE)
    assert "lo" in {link.name for link in seen.links}
    assert "lo" not in {link.name for link in seen.outward}
    assert not seen.problem


async def test_network_without_ip_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = await read_network(PATIENCE)
    assert "cannot run ip" in seen.problem
    assert seen.links


async def test_network_that_only_networkd_may_see_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the console's unit, where `ip` may open no netlink socket."""
    told = {"Index": 2, "Name": "enp1s0"}
    address = {"Family": 2, "Address": [10, 77, 0, 50], "PrefixLength": 24}
    routes = [
        {"Destination": [0, 0, 0, 0], "DestinationPrefixLength": 0, "Gateway": [10, 77, 0, 1]},
        {"Destination": [10, 77, 0, 0], "DestinationPrefixLength": 24},
        {"Destination": [10, 77, 0, 50], "DestinationPrefixLength": 32, "TypeString": "local"},
    ]
    answer = {"Interfaces": [{"Name": "lo"}, {**told, "Addresses": [address], "Routes": routes}]}
    said = {"type": "s", "data": [json.dumps(answer)]}
    for name, text in (("ip", "exit 1"), ("busctl", f"echo '{json.dumps(said)}'")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = await read_network(PATIENCE)
    assert (seen.problem, seen.routes) == (
        "",
        ("default via 10.77.0.1 dev enp1s0", "10.77.0.0/24 dev enp1s0"),
    )
    assert parse_networkd(answer)[0]["enp1s0"] == ["10.77.0.50/24"]


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_sensors(tmp_path: Path) -> None:
    put(tmp_path / "class/thermal/thermal_zone0", type="cpu\n", temp="45123\n")
    put(tmp_path / "class/thermal/thermal_zone1", type="broken\n", temp="??\n")
    chip = {"name": "nvme\n", "temp1_input": "-5000", "temp1_label": "disk", "temp1_crit": "85000"}
    put(tmp_path / "class/hwmon/hwmon0", **chip)
    cpu, disk = read_temperatures(tmp_path)
    assert (cpu.name, cpu.celsius, cpu.limit) == ("cpu", 45.123, None)
    assert (disk.name, disk.celsius, disk.limit) == ("nvme disk", -5.0, 85.0)
    assert read_temperatures(tmp_path / "none") == []


def test_wear_of_flash(tmp_path: Path) -> None:
    put(
        tmp_path / "class/block",
        mmcblk0__device__life_time="0x01 0x0b\n",
        mmcblk0__device__pre_eol_info="0x01\n",
        sda__device__life_time="0xzz",
    )
    (one,) = read_wear(tmp_path)
    assert (one.device, one.tenths) == ("mmcblk0", (1, 11))
    assert read_wear(tmp_path / "none") == []


def test_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    space = read_space(tmp_path / "not" / "yet")
    assert space.path == tmp_path
    assert 0 < space.free <= space.total
    assert 0 <= space.used <= 1


def test_slot_is_known_where_the_unit_hides_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, hidden = tmp_path / "chopmark-cmdline", tmp_path / "hidden"
    monkeypatch.setattr(device, "CMDLINES", (copy, hidden))
    assert device.read_device(tmp_path / "none").slot == ""
    copy.write_text("root=/dev/dm-0 ro rauc.slot=B quiet\n")
    assert device.read_device(tmp_path / "none").slot == "B"


def test_first_place_where_the_slot_is_looked_for_is_made_at_each_start() -> None:
    made = (Path(__file__).parents[3] / "systemd/tmpfiles.d/chopmark-console.conf").read_text()
    assert f"C {device.CMDLINES[0]} 0444 root root - /proc/cmdline" in made.splitlines()


def test_space_of_a_folder_that_is_closed_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may open everything
    with pytest.raises(PermissionError):
        read_space(tmp_path)


def test_certificates_that_end_first_come_first(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    tls = ApiTls(
        listen="127.0.0.1:1",
        certificate=bad,
        key=bad,
        client_ca=tmp_path / "none.pem",
    )
    base = parse_config(configs.BASE.encode())
    config = msgspec.structs.replace(base, api=msgspec.structs.replace(base.api, tls=tls))
    found = read_certificates(config)
    problems = {one.use: one.problem for one in found}
    assert problems["api.tls.certificate"].endswith("no certificate in PEM")
    assert problems["api.tls.client_ca"].endswith("No such file or directory")
    assert Held("x", ends=now + timedelta(days=5, hours=1)).days_left(now) == 5
    assert Held("x", ends=now - timedelta(hours=1)).days_left(now) == -1
    assert found[0].days_left(now) is None
