"""How the interpreter runs the daemon: its event loop, its garbage collector, its threads."""

import asyncio
import ctypes
import gc
import logging
import resource
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

_log = logging.getLogger(__name__)

_PR_SET_DUMPABLE: Final = 4
_M_ARENA_MAX: Final = -8
"""mallopt(3)."""
YOUNG: Final = 50_000
"""Objects made before the collector looks at the young ones: see `settle`."""


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run the daemon on uvloop; on asyncio's own loop where uvloop cannot be loaded.

    What it must do is the same on both, and tests run on asyncio's.
    """
    try:
        import uvloop  # noqa: PLC0415 - it has no wheel for every machine
    except ImportError as error:
        _log.warning("uvloop cannot be loaded, and asyncio's own loop is used: %s", error)
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def forbid_core_files() -> None:
    """Write no memory of ours to a file, whatever happens: the PIN passes through it.

    PR_SET_DUMPABLE (prctl(2)) holds for core files that go to a program too, as systemd's do, which
    RLIMIT_CORE does not; and no other process of our user may look into ours.
    """
    with suppress(OSError, ValueError):  # a unit's filter of system calls may forbid this one
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def share_memory() -> None:
    """Let all threads allocate from one place; call it before there are any.

    The C library would give each thread one of its own, and what one of them frees there no other
    uses again: a tenth of what a filled gateway holds. Threads that hold the interpreter's lock
    hardly ever allocate at once.
    """
    with suppress(AttributeError):  # there is no mallopt but in glibc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """Tell the collector what is here to stay; call it once all is built.

    Modules and parts, some 56,000 objects, are looked through in each full collection: 35 ms in
    which nobody is answered. Frozen, they are passed over. And requests leave hardly any cycles,
    which reference counting cannot see: the young are looked through more seldom than by default.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
