"""What the kernel says about its clock: whether any time daemon keeps it right (adjtimex(2))."""

import ctypes
import os
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's opinion: whether its clock is synchronised; if not, why, in words."""

    synchronised: bool
    reason: str = ""


def read_kernel() -> Kernel:
    """Ask the kernel; a read-only call that needs no privilege."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        error = os.strerror(ctypes.get_errno())
        return Kernel(synchronised=False, reason=f"the kernel does not tell: {error}")
    if state == TIME_ERROR or timex.status & STA_UNSYNC:
        return Kernel(synchronised=False, reason="no time daemon keeps the system's clock")
    return Kernel(synchronised=True)
