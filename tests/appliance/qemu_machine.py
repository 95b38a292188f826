"""One box in QEMU: OVMF, a disk with the image, TPM, watchdog, serial ports. All is emulated (TCG).

The image is the product's, bit for bit, but for the kernel's command line in the boot partition of
the copy: the harness adds a log on the second serial port and a root shell on the third, by which
it looks and measures; and it leaves out defences against speculation, which an emulated processor
does not need and pays for at each system call. Whoever may write to a disk without Secure Boot can
change that line; nobody can by a port.
"""

import json
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from qemu_lab import Lab, find, wait_for
from qemu_line import PATIENCE, Line, Shell

OVMF: Final = Path("/usr/share/OVMF")
MEMORY: Final = 1024
MIB: Final = 1 << 20
_SHELL: Final = '"systemd.run=/usr/bin/systemd-run -q /sbin/agetty -n -l /bin/sh ttyS2"'
_MORE: Final = (
    "mitigations=off console=ttyS1 systemd.unit=multi-user.target "
    "systemd.wants=kernel-command-line.service "
    f"systemd.run_success_action=none systemd.run_failure_action=none {_SHELL}"
)


def partition(image: Path, name: str) -> tuple[int, int]:
    """Where a partition starts and how long it is, in bytes."""
    program = find("sfdisk") or "sfdisk"
    done = subprocess.run([program, "--json", image], capture_output=True, text=True, check=True)
    for one in json.loads(done.stdout)["partitiontable"]["partitions"]:
        if one.get("name") == name:
            return one["start"] * 512, one["size"] * 512
    raise LookupError(name)


class Machine:
    """One box; `start` is the power button, `cut` pulls the plug."""

    def __init__(
        self, lab: Lab, name: str, number: int, image: Path, *, shell: bool = True
    ) -> None:
        self.lab, self.name, self.number = lab, name, number
        self.folder = lab.folder / name
        self.disk = self.folder / "disk.img"
        self.tap = f"tap-{name}"
        self._process: subprocess.Popen[bytes] | None = None
        self._tpm: subprocess.Popen[bytes] | None = None
        if not self.folder.exists():
            self._make(image, shell=shell)
        lab.add_tap(self.tap)

    def _make(self, image: Path, *, shell: bool) -> None:
        self.folder.mkdir()
        subprocess.run(["cp", "--sparse=always", image, self.disk], check=True)
        with self.disk.open("r+b") as file:
            file.truncate(1536 * MIB)
        shutil.copy(OVMF / "OVMF_VARS_4M.fd", self.folder / "vars.fd")
        if shell:
            self.add_shell("boot-a")

    def start(self) -> None:
        """Power on; gives lines that are connected from the first byte on."""
        self._start_tpm()
        for name in ("tech", "shell", "usb", "qmp"):
            (self.folder / name).unlink(missing_ok=True)
        self.began = time.monotonic()
        self._process = self.lab.run(f"{self.name}-qemu", *self._command())
        wait_for((self.folder / "qmp").exists, "QEMU", 60)
        wait_for((self.folder / "shell").exists, "QEMU's ports", 60)
        self.tech = Line(self.folder / "tech")
        self.shell = Shell(self.folder / "shell")

    def cut(self) -> None:
        """The plug is pulled."""
        assert self._process is not None
        self.tech.close()
        self.shell.line.close()
        self.lab.forget(self._process)
        self._process = None
        if self._tpm is not None:
            with suppress(subprocess.TimeoutExpired):
                self._tpm.wait(5)

    def power_off(self) -> None:
        """As by the button of a box: systemd shuts down."""
        assert self._process is not None
        self.qmp("system_powerdown")
        self._process.wait(PATIENCE)
        self.cut()

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One command to QEMU."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.folder / "qmp"))
            file = link.makefile("rw")
            file.readline()
            for words in (
                {"execute": "qmp_capabilities"},
                {"execute": command, "arguments": arguments},
            ):
                file.write(json.dumps(words) + "\n")
                file.flush()
                answer = json.loads(file.readline())
                while "event" in answer:
                    answer = json.loads(file.readline())
        assert "return" in answer, answer
        return answer["return"]

    def plug_cable(self) -> None:
        """A USB serial adapter (FTDI), with its other end at `usb`."""
        cable = {"driver": "usb-serial", "id": "cable", "bus": "xhci.0", "chardev": "usb"}
        # Otherwise it would be there only as long as somebody is connected at the other end.
        self.qmp("device_add", **cable, **{"always-plugged": True})

    def unplug_cable(self) -> None:
        """Pull it out."""
        self.qmp("device_del", id="cable")

    def plug_stick(self, image: Path) -> None:
        """A USB stick with an image."""
        node = {"driver": "file", "filename": str(image)}
        self.qmp("blockdev-add", **{"driver": "raw", "node-name": "stick", "file": node})
        self.qmp("device_add", driver="usb-storage", id="stick", bus="xhci.0", drive="stick")

    def unplug_stick(self) -> None:
        """Pull it out."""
        self.qmp("device_del", id="stick")

        def gone() -> bool:
            with suppress(AssertionError):
                self.qmp("blockdev-del", **{"node-name": "stick"})
                return True
            return False

        wait_for(gone, "the stick to be out", PATIENCE)

    @property
    def log(self) -> str:
        """What the kernel and systemd wrote on the second serial port."""
        return (self.folder / "kernel.log").read_text(errors="replace")

    def add_shell(self, name: str) -> None:
        """Have the slot of this boot partition give the harness its log and its shell."""
        start, _ = partition(self.disk, name)
        image, text = f"{self.disk}@@{start}", self.folder / "slot.cfg"
        subprocess.run(["mcopy", "-n", "-i", image, "::/slot.cfg", text], check=True)
        lines = text.read_text().splitlines()
        for quiet, told in (("quiet loglevel=4", "loglevel=6"), ("show_status=0", "show_status=1")):
            lines[0] = lines[0].replace(quiet, told)
        lines[0] += f" {_MORE}"
        text.write_text("\n".join(lines) + "\n")
        subprocess.run(["mcopy", "-o", "-i", image, text, "::/slot.cfg"], check=True)

    def _start_tpm(self) -> None:
        state = self.folder / "tpm"
        if not state.exists():
            state.mkdir()
            setup = find("swtpm_setup") or "swtpm_setup"
            words = (setup, "--tpm2", "--tpmstate", state, "--overwrite")
            subprocess.run(words, check=True, capture_output=True)
        self._tpm = self.lab.run(
            *(f"{self.name}-swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}"),
            *(
                "--ctrl",
                f"type=unixio,path={state}/sock",
                "--terminate",
                "--flags",
                "startup-clear",
            ),
        )
        wait_for((state / "sock").exists, "swtpm", 60)

    def _command(self) -> list[str]:
        folder = self.folder
        code, variables = OVMF / "OVMF_CODE_4M.fd", folder / "vars.fd"
        serials = (("tech", "socket"), ("kernel", "file"), ("shell", "socket"))
        ports: list[str] = []
        for name, kind in serials:
            place = (
                f"path={folder}/{name}.log,append=on"
                if kind == "file"
                else (f"path={folder}/{name},server=on,wait=off")
            )
            ports += ["-chardev", f"{kind},id={name},{place}", "-serial", f"chardev:{name}"]
        return [
            *("qemu-system-x86_64", "-nodefaults", "-display", "none", "-machine", "q35"),
            *("-accel", "tcg,thread=multi", "-cpu", "Westmere", "-smp", "1", "-m", str(MEMORY)),
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
            *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
            *("-drive", f"if=virtio,format=raw,file={self.disk},cache=writeback"),
            *("-device", "virtio-rng-pci", "-device", "i6300esb", "-action", "watchdog=reset"),
            *("-chardev", f"socket,id=tpm,path={folder}/tpm/sock"),
            *("-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0"),
            *("-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac=52:54:00:77:00:{self.number:02x}"),
            *("-smbios", f"type=1,manufacturer=chopmark,product=test,serial=SN-{self.number:04}"),
            *("-device", "qemu-xhci,id=xhci"),
            *("-chardev", f"socket,id=usb,path={folder}/usb,server=on,wait=off"),
            *("-qmp", f"unix:{folder}/qmp,server=on,wait=off"),
            *ports,
        ]


def stop(machine: Machine) -> None:
    """Whatever state it is in."""
    process = machine._process
    if process is None:
        return
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    machine.tech.close()
    machine.shell.line.close()
