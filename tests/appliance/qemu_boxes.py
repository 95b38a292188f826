"""Both boxes of the story in QEMU, and what its tests do with one again and again."""

import json
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu_commission import HeadOffice, Technician
from qemu_lab import Lab, wait_for
from qemu_line import PATIENCE
from qemu_machine import Machine
from qemu_report import Report

from rig.gateway import HONG_KONG, SHENZHEN


@dataclass
class Boxes:
    """Both boxes, who stands before them, and what came out."""

    lab: Lab
    hk: Machine
    sz: Machine
    report: Report
    technicians: dict[str, Technician] = field(default_factory=dict)

    def __post_init__(self) -> None:
        office = HeadOffice(self.lab.authority, boxes=2)
        for machine, who in ((self.hk, HONG_KONG), (self.sz, SHENZHEN)):
            self.technicians[machine.name] = Technician(machine, who, office)
        if self._notes.exists():
            for name, secrets in json.loads(self._notes.read_text()).items():
                one = self.technicians[name]
                one.token_pin, one.recovery = secrets

    @property
    def commissioned(self) -> bool:
        """In an earlier run whose folder this is."""
        return self._notes.exists()

    def note_commissioned(self) -> None:
        """For later runs with the same folder."""
        people = self.technicians.items()
        self._notes.write_text(
            json.dumps({name: (one.token_pin, one.recovery) for name, one in people})
        )

    @property
    def _notes(self) -> Path:
        return self.lab.folder / "commissioned.json"

    @property
    def both(self) -> tuple[Machine, Machine]:
        return self.hk, self.sz


def together(*calls: Callable[[], object]) -> None:
    """At once; the first failure is everybody's."""
    failures: list[BaseException] = []

    def guarded(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def unlock(boxes: Boxes, machine: Machine) -> None:
    """Give the PIN that a box waits for since it was started, and wait until it works."""
    pin = boxes.technicians[machine.name].token_pin
    unlock = f"printf '%s\\n' {pin} | /opt/chopmark/bin/chopmark hsm unlock"
    wait_for(lambda: machine.shell.ask(unlock)[0] == 0, "its PIN to be taken", PATIENCE)
    wait_ready(machine)


def each(machines: Sequence[Machine], call: Callable[[Machine], object]) -> None:
    together(*(lambda one=machine: call(one) for machine in machines))


def restart_into(
    boxes: Boxes, machine: Machine, boot: str | None, slot: str, seconds: float = PATIENCE
) -> None:
    machine.shell.run("sync")
    machine.power_off()
    if boot is not None:
        machine.add_shell(boot)
    machine.start()
    machine.shell.open(2 * seconds)
    assert f"rauc.slot={slot}" in machine.shell.run("cat /proc/cmdline")
    unlock(boxes, machine)


def until(machine: Machine, command: str, answer: str) -> None:
    ask = f"{command} || true"
    wait_for(lambda: machine.shell.run(ask) == answer, f"{command}: {answer}", PATIENCE)


def status(machine: Machine) -> dict[str, Any]:
    code, said = machine.shell.ask("/opt/chopmark/bin/chopmark --json status")
    with suppress(ValueError):
        answer: dict[str, Any] = json.loads(said[said.index("{") :])
        return answer
    return {"state": f"exit {code}"}


def wait_ready(machine: Machine) -> None:
    wait_for(lambda: status(machine)["state"] == "ready", f"{machine.name} to be ready", PATIENCE)


def slot_of(machine: Machine) -> str:
    """The slot that a machine was started from."""
    found = re.search(r"rauc\.slot=([AB])", machine.shell.run("cat /proc/cmdline"))
    assert found is not None
    return found[1]


def ledger_size(machine: Machine) -> int:
    return int(status(machine)["size"])
