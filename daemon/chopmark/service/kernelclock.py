"""What the kernel says about its clock: whether any time daemon keeps it right (adjtimex(2)).

The call that asks is the one that sets, so that confined units may not make it. `run` asks for
them, as chopmark-clock.service, and tells in a file what it heard.
"""

import ctypes
import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import msgspec

STA_UNSYNC: Final = 0x0040
"""Flag of `status`; the kernel sets it itself when nobody has corrected the clock for long, and
its estimated error is above 16 s (linux/timex.h)."""
TIME_ERROR: Final = 5
"""What adjtimex returns for a clock that is not synchronised."""
_ROOM: Final = 512
"""Bytes for `struct timex`, which has 208 on 64-bit systems."""


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; `modes` 0 changes nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * _ROOM),
    )


TOLD: Final = Path("/run/chopmark-clock/state")
"""What `run` was told last."""
_FRESH: Final = 10.0
"""Seconds for which that counts."""
_PAUSE: Final = 1.0
_FORBIDDEN: Final = "whoever should ask the kernel may not either"
_AWAY: Final = "asking is not permitted, and nobody tells: is chopmark-clock.service running?"


class _Told(msgspec.Struct, frozen=True):
    """The file: what the kernel said, and when, by the clock that counts since the last boot."""

    synchronised: bool
    reason: str
    at: float


_DECODER: Final = msgspec.json.Decoder(_Told)
"""Made here, as msgspec learns a type without a lock, and the console asks on several threads."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's opinion: whether its clock is synchronised; if not, why, in words."""

    synchronised: bool
    reason: str = ""


def read_kernel() -> Kernel:
    """What the kernel says, or said to whoever may ask."""
    said = _ask()
    return _read_told() if said is None else said


def _ask() -> Kernel | None:
    """Ask the kernel: a read-only call that needs no privilege. None where it is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0 and ctypes.get_errno() in (errno.EPERM, errno.EACCES):
        return None
    if state < 0:
        error = os.strerror(ctypes.get_errno())
        return Kernel(synchronised=False, reason=f"the kernel does not tell: {error}")
    if state == TIME_ERROR or timex.status & STA_UNSYNC:
        return Kernel(synchronised=False, reason="no time daemon keeps the system's clock")
    return Kernel(synchronised=True)


def run() -> None:
    """Tell for ever what the kernel says, in `TOLD`, until SIGTERM."""
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while not stopped.is_set():
        tell(TOLD)
        stopped.wait(_PAUSE)


def tell(path: Path) -> None:
    """Ask once, and write it down for all to read."""
    kernel = _ask() or Kernel(synchronised=False, reason=_FORBIDDEN)
    told = _Told(kernel.synchronised, kernel.reason, _boottime())
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(told))
    new.chmod(0o644)
    new.replace(path)


def _read_told() -> Kernel:
    try:
        told = _DECODER.decode(TOLD.read_bytes())
    except (OSError, msgspec.DecodeError):
        return Kernel(synchronised=False, reason=_AWAY)
    if not 0 <= _boottime() - told.at <= _FRESH:
        return Kernel(synchronised=False, reason=_AWAY)
    return Kernel(told.synchronised, told.reason)


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    run()
