"""Sockets that systemd has opened for us (sd_listen_fds(3), chopmark.socket).

They go on listening while the daemon restarts: who calls meanwhile waits, and is not refused. The
kernel tells of each connection who has opened it, as with a socket of our own.
"""

import logging
import socket
from pathlib import Path
from typing import Final

from systemd.daemon import is_socket_unix, listen_fds

LOG: Final = logging.getLogger("chopmark")


def take_listeners(path: Path) -> list[socket.socket]:
    """The unix sockets that were passed; what else was passed is left alone, and told.

    Nothing but a unix socket is taken: who may open one is settled by its mode, and a port would be
    everybody's.

    Args:
        path: where the configuration has the API's socket.
    """
    found = []
    for number in listen_fds():
        if not is_socket_unix(number, socket.SOCK_STREAM, listening=1):
            LOG.warning("descriptor %d from systemd is no unix socket that listens: unused", number)
            continue
        one = socket.socket(fileno=number)
        if (name := one.getsockname()) != str(path):
            told = "systemd listens on %s, and [api] socket is %s: both are served"
            LOG.warning(told, name, path)
        found.append(one)
    return found
