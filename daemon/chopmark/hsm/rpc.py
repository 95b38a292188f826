"""The daemon's end of a module that runs in a process of its own (p11-kit's RPC)."""

import os
import socket
import stat
from urllib.parse import unquote

_UNIX = "unix:path="


def break_off(address: str) -> bool:
    """End the calls that wait for a module behind p11-kit-client.so: each fails (DeviceError).

    The connection is shut down from outside, as a call into a module cannot be broken off: the
    thread in it comes back at once, and the module must be started anew (C_Finalize,
    C_Initialize), which connects again. `isolation` kills the process that served it.

    May be called from any thread; takes microseconds for each file that the process has open.

    Args:
        address: what P11_KIT_SERVER_ADDRESS says: `unix:path=` and an absolute path.

    Returns:
        Whether there was a connection.
    """
    if not address.startswith(_UNIX):
        return False
    path = unquote(address.removeprefix(_UNIX))
    # Which descriptor it is, the library tells nobody.
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - names alone
    return sum(_shut(number, path) for number in numbers) > 0


def _shut(number: int, path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        # On a copy of the descriptor: its number may be another file's by the next line.
        with socket.socket(fileno=os.dup(number)) as connection:
            if connection.family != socket.AF_UNIX or connection.getpeername() != path:
                return False
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed meanwhile, or not connected
        return False
    return True
