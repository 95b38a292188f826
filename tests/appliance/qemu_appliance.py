"""`make appliance`: two boxes, from new to working by their serial ports; then what befalls them.

One story in the order of its tests, on two machines in QEMU: run it with `-x`. Its name keeps it
out of `make test`. STAND-IN: processor, board, TPM, watchdog, disk and lines are QEMU's and
swtpm's; the HSM is SoftHSM. What is measured of time is of an emulated processor.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from qemu_boxes import (
    Boxes,
    each,
    ledger_size,
    restart_into,
    slot_of,
    together,
    unlock,
    until,
    wait_ready,
)
from qemu_commission import Answer, Technician
from qemu_lab import HOST, NEEDS, RELEASES, STRANGER, Lab, find, wait_for
from qemu_line import PATIENCE, Line, Shell
from qemu_machine import Machine, stop
from qemu_report import Report
from qemu_updates import NEWER, Stick

from leftout import leave_out
from rig.gateway import SHENZHEN

IMAGE = Path(os.environ.get("IMAGE", "build/image/chopmark-0.1.0-x86-64.img")).absolute()
KEYS = Path(os.environ.get("KEYS", "build/keys")).absolute()
CUTS = int(os.environ.get("CUTS", "10"))
BRIEF = bool(os.environ.get("BRIEF"))
TEXT = "A deposit certificate, printed twice."

pytestmark = pytest.mark.timeout(3600)
long = pytest.mark.skipif(BRIEF, reason="not with BRIEF=1, but in `make appliance`")


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boxes]:
    if os.geteuid() != 0:
        leave_out("a network namespace and TAP devices need root")
    if missing := [program for program in NEEDS if find(program) is None]:
        leave_out(f"not installed: {missing} (./setup.sh appliance)")
    assert IMAGE.exists(), f"{IMAGE} is not there: make image"
    folder = Path(os.environ.get("WORK") or tmp_path_factory.mktemp("q"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lab = Lab(folder)
    lab.start()
    try:
        made = [Machine(lab, name, number, IMAGE) for number, name in enumerate(("hk", "sz"), 1)]
        yield Boxes(lab, *made, Report(Path(os.environ.get("REPORT") or folder / "report")))
    finally:
        for machine in made:
            stop(machine)
        lab.stop()


def test_both_boxes_start_from_their_image(boxes: Boxes) -> None:
    each(boxes.both, lambda one: one.start())
    each(boxes.both, lambda one: one.shell.open(2 * PATIENCE))
    for machine in boxes.both:
        assert "verity" in machine.shell.run("dmsetup table root")
        assert machine.shell.run("findmnt -no FSTYPE,OPTIONS /").startswith("squashfs ro")
        assert machine.shell.run("findmnt -no FSTYPE /var") == "ext4"
        assert " crypt aes-xts-" in machine.shell.run("dmsetup table data")
        assert "rauc.slot=A" in machine.shell.run("cat /proc/cmdline")


def test_nobody_but_the_technicians_console_has_a_port(boxes: Boxes) -> None:
    shell = boxes.hk.shell
    assert (
        shell.run("systemctl list-units --type=service --no-legend '*getty*' || true", check=False)
        == ""
    )
    assert shell.ask("passwd -S root")[1].split()[1] == "L"
    assert shell.run("cat /proc/sys/kernel/sysrq") == "0"


def test_new_boxes_are_staged_and_commissioned_by_their_serial_ports(boxes: Boxes) -> None:
    if boxes.commissioned:
        each(boxes.both, lambda one: unlock(boxes, one))
        return

    def go(technician: Technician) -> None:
        technician.stage()
        technician.enrol()
        technician.commission()

    try:
        together(*(lambda one=one: go(one) for one in boxes.technicians.values()))
    finally:
        for machine in boxes.both:
            boxes.report.keep_screen(machine.name, machine.tech.screen.text)
    boxes.note_commissioned()


def test_all_units_of_a_working_box_are_well(boxes: Boxes) -> None:
    for machine in boxes.both:
        assert machine.shell.run("systemctl --failed --no-legend", check=False) == ""
        assert machine.shell.run("systemctl is-active chopmark chopmark-console@ttyS0").split() == [
            *("active", "active")
        ]


def test_time_and_memory_are_measured(boxes: Boxes) -> None:
    for machine in boxes.both:
        # nobody is signed in, and what runs once, or when it is asked, has ended
        boxes.technicians[machine.name].leave()
        until(machine, "systemctl is-active chopmark-admin", "inactive")
        until(machine, "systemctl list-jobs --no-legend | grep -c .", "0")
        busy = "systemctl list-units --no-legend --state=activating 'chopmark-*.service'"
        until(machine, f"{busy} | grep -c .", "0")
        look = "free -m; ps -eo rss,args --sort -rss | head -n 12"
        boxes.report.note(f"{machine.name}: memory", machine.shell.run(look))
    used = int(boxes.hk.shell.run("free -m | awk '/^Mem/{print $3}'"))
    boxes.report.row("memory of the idle box", used, "MB", 350)
    assert used <= 350


def test_document_of_a_box_that_is_off_is_valid_at_the_other(boxes: Boxes) -> None:
    write = f"printf %s '{TEXT}' >/tmp/doc.txt"
    hk, sz = boxes.hk.shell, boxes.sz.shell
    hk.run(write)
    boxes.report.note(
        "hk-1: chopmark attest", hk.run("/opt/chopmark/bin/chopmark attest /tmp/doc.txt")
    )
    boxes.hk.cut()
    sz.run(write)
    code, said = sz.ask("/opt/chopmark/bin/chopmark verify /tmp/doc.txt")
    boxes.report.note("sz-1: chopmark verify, with hk-1 off", said)
    assert code == 0, said
    assert "VALID" in said
    sz.run("printf x >>/tmp/doc.txt")
    assert sz.ask("/opt/chopmark/bin/chopmark verify /tmp/doc.txt")[0] == 2


def test_box_whose_plug_was_pulled_comes_back_by_itself(boxes: Boxes) -> None:
    boxes.hk.start()
    boxes.hk.shell.open(2 * PATIENCE)
    boxes.technicians["hk"].unlock()
    wait_ready(boxes.hk)
    _measure_start(boxes, boxes.hk)


def _measure_start(boxes: Boxes, machine: Machine) -> None:
    """Where the time from power to work went; systemd tells once the health gate is done."""
    until(machine, "systemctl list-jobs --no-legend | grep -c .", "0")
    show = "systemctl show --value -p ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic"
    began, ready = map(int, machine.shell.run(f"{show} chopmark").split())
    said = machine.shell.run("systemd-analyze time")
    found = re.search(r"([0-9.]+)(ms|s) \(kernel\)", said)
    assert found is not None, said
    kernel = float(found[1]) / (1000 if found[2] == "ms" else 1)
    firmware = machine.shell.opened - machine.began - float(machine.shell.uptime)
    rows = {
        "firmware and boot loader": firmware,
        "kernel and initial root": kernel,
        "userspace, up to the gateway's start": began / 1e6 - kernel,
        "gateway, up to READY": (ready - began) / 1e6,
    }
    for name, seconds in rows.items():
        boxes.report.row(f"from power: {name}", round(seconds, 1), "s")
    chain = machine.shell.run("systemd-analyze critical-chain chopmark.service --no-pager")
    boxes.report.note(f"{machine.name}: systemd-analyze", f"{said}\n{chain}")


@long
def test_console_shows_the_network_and_changes_it_for_a_time(boxes: Boxes) -> None:
    """A change that nobody confirmed is gone when the plug was pulled; one that was stays."""
    machine, technician = boxes.sz, boxes.technicians["sz"]
    technician.arrive()
    said = technician.command("show network")
    boxes.report.note("sz-1: show network", said)
    assert "10.77.0." in said
    assert "FAIL network" not in technician.command("show status")
    technician.talk(f"configure network ntp {HOST}", {})
    technician.talk("configure network confirm", {})
    technician.talk(f"configure network static {FIXED}/24 {HOST}", {})
    until(machine, f"ip -4 -brief address | grep -c {FIXED}", "1")
    machine.cut()
    machine.start()
    machine.shell.open(2 * PATIENCE)
    until(machine, "cat /etc/systemd/network/10-chopmark.network | grep -c DHCP=yes", "1")
    until(machine, "ls /var/lib/chopmark-admin/network.before 2>/dev/null | wc -l", "0")
    until(machine, f"ip -4 -brief address | grep -c {FIXED}", "0")
    assert f"NTP={HOST}" in machine.shell.run("cat /etc/systemd/network/10-chopmark.network")
    technician.unlock()
    wait_ready(machine)


FIXED = "10.77.0.40"
RUN = "/var/lib/chopmark/t"
REFUSED = {
    "network beyond the brokers": (
        f"import socket; socket.create_connection(('{HOST}', {STRANGER}), 5)",
        "No route to host|not permitted|unreachable",
    ),
    "a device": ("open('/dev/vda', 'rb')", "Error"),
    "the file system": ("open('/etc/x', 'w')", "Read-only|Permission"),
    "its own program": ("open('/opt/chopmark/x', 'w')", "Read-only|Permission"),
    "more memory than its share": ("bytearray(800 << 20)", "oom|MemoryError"),
    "a program in its own folder": (
        f"import os, shutil; shutil.copy('/bin/true', '{RUN}'); os.execv('{RUN}', ['t'])",
        "Permission",
    ),
    "a raw socket": (
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "not supported|Permission|not permitted",
    ),
}
"""What a program in the daemon's place tries, and what it must hear."""


@pytest.mark.parametrize("what", REFUSED)
def test_daemons_unit_refuses(boxes: Boxes, what: str) -> None:
    """The daemon's unit as it is, with another program in it."""
    command, refused = REFUSED[what]
    shell = boxes.sz.shell
    # On a line of its own: a traceback shows the one that was refused.
    lines = f'"{command}" "print(\'not refused\')"'
    shell.run(f"printf '%s\\n' {lines} >/run/probe.py; chmod 644 /run/probe.py")
    program = "ExecStart=/opt/chopmark/bin/python /run/probe.py"
    change = (f"s#^ExecStart=.*#{program}#", "s/^Type=.*/Type=oneshot/")
    drop = ("Restart", "WatchdogSec", "RuntimeDirectory", "NotifyAccess", "Sockets")
    edits = [*change, *(f"/^{key}/d" for key in drop)]
    script = " ".join(f"-e '{edit}'" for edit in edits)
    name = f"probe-{list(REFUSED).index(what)}"
    unit = f"/run/systemd/system/{name}.service"
    shell.run(f"systemctl cat chopmark.service | sed {script} >{unit} && systemctl daemon-reload")
    code, _ = shell.ask(f"systemctl start {name}")
    journal = f"journalctl -q --no-pager -o cat -u {name} -n 30"
    said = shell.run(f"{journal}; systemctl show -p Result {name}")
    boxes.report.note(f"the daemon's unit refuses {what}", said)
    shell.run(f"systemctl reset-failed {name}; rm -f {RUN}", check=False)
    assert code != 0, said
    assert "not refused" not in said
    assert any(word in said for word in refused.split("|")), said


@long
def test_unplugged_usb_console_is_a_sign_out(boxes: Boxes) -> None:
    machine, office = boxes.sz, boxes.technicians["sz"].office
    boxes.technicians["sz"].leave()
    unit = "chopmark-console@ttyUSB0.service"
    for number in (8, 9):
        machine.plug_cable()
        until(machine, f"systemctl is-active {unit}", "active")
        far = Technician(machine, SHENZHEN, office, next_person=number)
        far.plugged = Line(machine.folder / "usb")
        far.wake()
        far.sign_in()
        assert far.command("show version")
        machine.unplug_cable()
        until(machine, f"systemctl is-active {unit}", "inactive")
        far.plugged.close()
    said = machine.shell.run(f"journalctl -q --no-pager -o cat -u {unit} -n 20")
    boxes.report.note("sz-1: the adapter is unplugged while somebody is signed in", said)


@pytest.mark.parametrize("number", range(1, CUTS + 1))
def test_power_is_cut_under_load_and_nothing_is_lost(boxes: Boxes, number: int) -> None:
    machine, shell = boxes.hk, boxes.hk.shell
    attest = "echo $i-$$ >/run/d; /opt/chopmark/bin/chopmark attest /run/d && echo ok"
    shell.run(f"( i=0; while :; do i=$((i+1)); {attest}; done ) >/run/load.log & true")
    wait_for(lambda: shell.run("grep -c ok /run/load.log || true") != "0", "load", PATIENCE)
    before = ledger_size(machine)
    machine.cut()
    machine.start()
    machine.shell.open(2 * PATIENCE)
    said = machine.shell.run("cat /run/chopmark-fsck")
    boxes.report.note(f"cut {number}: e2fsck at the start", said)
    assert said.splitlines()[-1] in {"exit 0", "exit 1"}
    unlock(boxes, machine)
    assert ledger_size(machine) >= before


def test_ledger_is_whole_after_all_of_that(boxes: Boxes) -> None:
    shell = boxes.hk.shell
    shell.run("systemctl stop chopmark")
    said = shell.run("runuser -u chopmark -- /opt/chopmark/bin/chopmark fsck")
    shell.run("systemctl start chopmark")
    boxes.report.note(f"hk-1: chopmark fsck after {CUTS} cuts", said)


@long
def test_disk_in_another_box_opens_by_the_recovery_key_and_is_bound_to_that_one(
    boxes: Boxes,
) -> None:
    machine, technician = boxes.hk, boxes.technicians["hk"]
    machine.cut()
    machine.replace_tpm()
    machine.start()
    line = machine.tech
    for typed, answer in (("dnbkvikr-" * 7 + "dnbkvikr", "That is not the key"), ("", "is not")):
        line.expect("Recovery key: ", seconds=4 * PATIENCE)
        line.type(typed)
        line.expect(answer)
    line.expect("Recovery key: ")
    machine.shell.open(2 * PATIENCE)  # of this start; another one comes
    line.type(technician.recovery)
    line.expect("The box starts again.")
    machine.shell.open(4 * PATIENCE)
    unlock(boxes, machine)
    machine.cut()
    machine.start()
    machine.shell.open(2 * PATIENCE)
    unlock(boxes, machine)
    boxes.report.note("hk-1: the recovery key is asked for", line.raw[-3000:])


UPDATE = "/opt/chopmark/bin/python /usr/lib/chopmark/update /run/stick"


@pytest.fixture(scope="module")
def stick(boxes: Boxes) -> Shell:
    """The shell of a box with updates on a stick in /run/stick."""
    made = Stick(boxes.lab.folder / "updates", IMAGE, KEYS).make()
    machine = boxes.sz
    machine.plug_stick(made)
    until(machine, "test -b /dev/sda && echo there", "there")
    machine.shell.run("mkdir -p /run/stick; mount -o ro /dev/sda /run/stick")
    return machine.shell


@long
@pytest.mark.parametrize(
    ("bundle", "note", "why"),
    [
        ("foreign", "foreign", "no-known-signature|bad-signature|not signed|signature"),
        ("half", "half", "signature"),
        ("good", "foreign", "signature"),
        ("bad", "good", "not the one"),
        ("good", "old", "ledgers up to format 1"),
    ],
)
def test_update_is_refused(boxes: Boxes, stick: Shell, bundle: str, note: str, why: str) -> None:
    code, said = stick.ask(f"{UPDATE}/{bundle}.raucb /run/stick/{note}.note")
    boxes.report.note(f"update {bundle} with the note of {note}", said)
    assert code != 0
    assert any(word in said for word in why.split("|")), said
    assert "A" in stick.run("rauc status | grep -i 'booted from'")


@long
def test_good_update_is_installed_at_the_console_and_stays(boxes: Boxes, stick: Shell) -> None:
    machine, technician = boxes.sz, boxes.technicians["sz"]
    before = ledger_size(machine)
    stick.run("umount /run/stick")
    machine.unplug_stick()
    until(machine, "test -b /dev/sda || echo gone", "gone")
    machine.plug_stick(boxes.lab.folder / "updates/good.img")
    until(machine, "test -b /dev/sda && echo there", "there")
    technician.arrive()
    said = technician.talk("firmware install", {"Type yes: ": "yes"}, 6 * PATIENCE)
    boxes.report.note("sz-1: firmware install", said)
    assert "is in slot B" in said
    boxes.report.note("sz-1: show firmware", technician.command("show firmware"))
    restart_into(boxes, machine, "boot-b", "B")
    assert ledger_size(machine) >= before
    until(machine, "systemctl is-active chopmark-health.service", "active")
    assert "B_TRY=0" in machine.shell.run("grub-editenv /esp/grub/grubenv list")


@long
def test_release_is_fetched_by_the_network_and_installed(boxes: Boxes) -> None:
    """From the server that the configuration names; the packet filter lets the box out to it."""
    machine, technician = boxes.sz, boxes.technicians["sz"]
    boxes.lab.serve_releases(boxes.lab.folder / "updates/newer")
    technician.arrive()
    technician.pasted.append(("ca.pem", boxes.lab.authority.path.read_bytes()))
    paste: dict[str, Answer] = {"Way (zmodem/armour)": "armour", "Paste what": technician.paste}
    said = technician.talk("configure firmware ca", paste)
    said += technician.command(f"configure firmware source https://{RELEASES}/chopmark/")
    said += technician.talk("configure commit", {})
    said += technician.talk("configure confirm", {})
    said += technician.talk("firmware fetch", {}, 6 * PATIENCE)
    boxes.report.note("sz-1: firmware fetch", said)
    assert f"Release {NEWER}" in said
    assert "is here" in said
    other = "B" if slot_of(machine) == "A" else "A"
    said = technician.talk("firmware install", {"Type yes: ": "yes"}, 6 * PATIENCE)
    boxes.report.note("sz-1: firmware install of what was fetched", said)
    assert f"is in slot {other}" in said
    restart_into(boxes, machine, f"boot-{other.lower()}", other)
    until(machine, "systemctl is-active chopmark-health.service", "active")


@long
def test_release_comes_over_the_consoles_line_and_is_checked_as_any(boxes: Boxes) -> None:
    """Both files arrive whole, so its note holds; RAUC does not know who has signed the bundle."""
    technician = boxes.technicians["sz"]
    technician.arrive()
    said = technician.send("firmware receive", *(boxes.lab.folder / "updates/line").iterdir())
    assert "Note and bundle are here" in said
    said += technician.talk("firmware install", {"Type yes: ": "yes"}, 2 * PATIENCE)
    boxes.report.note("sz-1: firmware receive, and install of what was received", said)
    assert "E-1910" in said
    assert "RAUC: " in said


@long
def test_update_that_cannot_start_is_rolled_back_by_itself(boxes: Boxes) -> None:
    said = _roll_back(boxes, "stick", "bad")
    boxes.report.note("sz-1: after an update that cannot start", said)


@long
def test_update_whose_gateway_is_not_well_is_rolled_back_by_itself(boxes: Boxes) -> None:
    """It starts, and its health gate has the box start again until the slot before it is due."""
    before = ledger_size(boxes.sz)
    said = _roll_back(boxes, "unwell", "unwell")
    assert ledger_size(boxes.sz) >= before
    boxes.report.note("sz-1: after an update whose gateway does not start", said)


def _roll_back(boxes: Boxes, stick: str, bundle: str) -> str:
    """Install what does not work, and wait for the slot from before; gives what RAUC says then."""
    machine = boxes.sz
    machine.plug_stick(boxes.lab.folder / f"updates/{stick}.img")
    until(machine, "test -b /dev/sda && echo there", "there")
    machine.shell.run("mkdir -p /run/stick; mount -o ro /dev/sda /run/stick")
    machine.shell.run(f"{UPDATE}/{bundle}.raucb /run/stick/{bundle}.note")
    before = slot_of(machine)
    restart_into(boxes, machine, None, before, 6 * PATIENCE)
    other = "B" if before == "A" else "A"
    until(machine, "systemctl is-active chopmark-health.service", "active")
    assert f"{other}_OK=0" in machine.shell.run("grub-editenv /esp/grub/grubenv list")
    return machine.shell.run("rauc status")


@long
def test_console_does_not_switch_to_a_slot_that_did_not_come_up(boxes: Boxes) -> None:
    technician = boxes.technicians["sz"]
    technician.arrive()
    other = "b" if slot_of(boxes.sz) == "A" else "a"
    said = technician.command("show firmware") + technician.command(f"firmware switch slot {other}")
    boxes.report.note("sz-1: after the bad update", said)
    assert "E-1910" in said
    assert "has not come up 3 times" in said


@long
def test_factory_reset_ends_in_a_box_that_can_be_commissioned_again(boxes: Boxes) -> None:
    machine, technician = boxes.sz, boxes.technicians["sz"]
    serial = machine.shell.run("cat /etc/chopmark/serial")
    technician.arrive()
    answers: dict[str, Answer] = {
        **technician.second(),
        "Serial number": serial,
        "Type RESET": "RESET",
        "Type IMPOSSIBLE": "IMPOSSIBLE",
    }
    said = technician.talk("factory reset", answers, 4 * PATIENCE)
    boxes.report.note("sz-1: factory reset", said)
    shell = machine.shell
    assert shell.run("test -e /etc/chopmark/gateway.toml || echo gone") == "gone"
    assert shell.run("ls /var/lib/chopmark/log.db 2>/dev/null || echo gone") == "gone"
    assert shell.run("ls /etc/chopmark/credentials") == ""
    said = technician.command("show commissioning")
    assert "[1/12] name: open" in said
    assert "[12/12] first attestation: open" in said


@long
def test_erased_box_starts_as_a_new_one(boxes: Boxes) -> None:
    """What a copy of its disk has is worth nothing, with the TPM and with the recovery key."""
    machine, technician = boxes.sz, boxes.technicians["sz"]
    serial = machine.shell.run("cat /etc/chopmark/serial")
    before = machine.shell.run("cryptsetup luksUUID /dev/disk/by-partlabel/data")
    technician.arrive()
    answers: dict[str, Answer] = {
        **technician.second(),
        "Serial number": serial,
        "Type ERASE": "ERASE",
    }
    new = "This box is new: it is staged here, once."
    said = technician.talk("factory erase", answers, 2 * PATIENCE, end=("Erased.", new))
    boxes.report.note("sz-1: factory erase", said)
    technician.line.shown = False  # firmware and GRUB come next
    if new not in technician.line.raw:
        technician.line.expect(new, seconds=4 * PATIENCE)
    machine.shell.open(2 * PATIENCE)
    assert machine.shell.run("cryptsetup luksUUID /dev/disk/by-partlabel/data") != before
    assert machine.shell.run("ls /var/lib/chopmark-console") == ""
