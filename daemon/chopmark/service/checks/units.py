"""Whether what technicians need stays up: their consoles, and what root does for them.

systemd is asked, and nobody else: who connected to `chopmark-admin` would be refused, and the
journal would have it. It says that it is ready once it listens: if it has run since the box was
started, and has not failed, it works. Codes: `console-failed`, `admin-failed`.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Final

from chopmark.service.checks.finding import Finding, Scene

SECONDS: Final = 10.0
SETTLED: Final = 60.0
"""Seconds after which one that was started again counts as up."""
_CONSOLES: Final = "chopmark-console@*.service"
_SOCKET: Final = "chopmark-admin.socket"
_SERVICE: Final = "chopmark-admin.service"
_ASKED: Final = (
    *("Id", "UnitFileState", "ActiveState", "SubState", "Result", "NRestarts"),
    *("ActiveEnterTimestampMonotonic", "ExecMainStartTimestampMonotonic"),
)
Unit = dict[str, str]


def check_consoles(_scene: Scene) -> Iterator[Finding]:
    """No console has failed, or is started again and again; a port not plugged in has none."""
    try:
        units = _watch(_CONSOLES)
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding.unseen(f"the consoles: {error}", "look at them by hand")
        return
    yield from (_finding("console-failed", unit) for unit in units if not _stays_up(unit))


def check_admin(_scene: Scene) -> Iterator[Finding]:
    """What root does for the console can be started, where it is switched on."""
    try:
        units = {unit.get("Id"): unit for unit in _watch(_SOCKET, _SERVICE)}
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding.unseen(f"chopmark-admin: {error}", "look at it by hand")
        return
    listening, service = units.get(_SOCKET, {}), units.get(_SERVICE, {})
    if _is_on(listening) and listening.get("ActiveState") != "active":
        yield _finding("admin-failed", listening)
    elif not _stays_up(service) or (_is_on(service) and not _has_run(service)):
        yield _finding("admin-failed", service)


def _watch(*names: str) -> list[Unit]:
    """The units, once those that are being started, or were again, had time to stay up.

    Raises:
        OSError, subprocess.SubprocessError: systemd is not there, or does not say.
    """
    units = _show(names)
    if any(_is_fresh(unit) for unit in units):
        time.sleep(SETTLED)
        units = _show(names)
    return units


def _show(names: Sequence[str]) -> list[Unit]:
    program = shutil.which("systemctl")
    if program is None:
        raise FileNotFoundError("there is no systemctl")
    done = subprocess.run(  # noqa: S603 - fixed words
        (program, "show", "--no-pager", f"--property={','.join(_ASKED)}", *names),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    blocks = (block.splitlines() for block in done.stdout.split("\n\n") if block.strip())
    return [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks]


def _stays_up(unit: Unit) -> bool:
    lost = unit.get("ActiveState") == "failed" or unit.get("SubState") == "auto-restart"
    return not lost and not _is_fresh(unit)


def _is_fresh(unit: Unit) -> bool:
    """Whether it is starting, or ended badly and was started again just now."""
    up = time.monotonic() - _number(unit, "ActiveEnterTimestampMonotonic") / 1_000_000
    again = unit.get("ActiveState") == "active" and _number(unit, "NRestarts") > 0
    return unit.get("ActiveState") == "activating" or (again and up < SETTLED)


def _is_on(unit: Unit) -> bool:
    return unit.get("UnitFileState") in ("enabled", "enabled-runtime")


def _has_run(unit: Unit) -> bool:
    return _number(unit, "ExecMainStartTimestampMonotonic") > 0


def _number(unit: Unit, name: str) -> int:
    text = unit.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _finding(code: str, unit: Unit) -> Finding:
    name, again = unit.get("Id"), _number(unit, "NRestarts")
    reason = f"{unit.get('ActiveState')}, {unit.get('Result')}"
    more = f"; it was started again {again} times" if again else ""
    return Finding(code, f"{name} does not stay up ({reason}{more})", f"journalctl -u {name}")
