"""The sockets that the API listens on: a unix socket, a loopback port, and a port for TLS."""

import errno
import logging
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path
from stat import S_ISSOCK
from typing import Final

from chopmark.core.errors import ConfigurationError, ExistsError

_log = logging.getLogger(__name__)

MODE: Final = 0o660
_BACKLOG: Final = 128
"""Connections that may wait to be accepted: the kernel's own default bound."""
_FREEBIND: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}
"""IP_FREEBIND and IPV6_FREEBIND (linux/in.h, linux/in6.h): what Python has no names for."""


def open_listeners(
    path: Path | None, listen: tuple[str, int] | None, *, anywhere: bool = False
) -> list[socket.socket]:
    """Open what is configured; all or nothing. Clients can connect from now on.

    Args:
        path: of the unix socket.
        listen: loopback address and port; port 0 takes a free one.
        anywhere: any address of this machine will do, for what is spoken there is protected.

    Raises:
        ConfigurationError: `no-listener`, `not-loopback`, `cannot-listen`.
        ExistsError: `socket-in-use`, or `not-a-socket` where another file stands.
    """
    if path is None and listen is None:
        raise ConfigurationError("no-listener", "neither a unix socket nor a port is configured")
    with ExitStack() as opened:
        found: list[socket.socket] = []
        if listen is not None:
            found.append(opened.enter_context(_open_tcp(*listen, anywhere=anywhere)))
        if path is not None:
            found.append(opened.enter_context(_open_unix(path)))
        opened.pop_all()
    return found


class Doors:
    """Sockets that stay open while one server after the other serves them.

    Who connects in between waits until the next one accepts.

    Args:
        passed: unix sockets that listen already, and are served beside what is asked for, or in
            its place. Who made them removes them.
    """

    def __init__(self, passed: Sequence[socket.socket] = ()) -> None:
        self._opened = ExitStack()
        self.passed = tuple(self._opened.enter_context(one) for one in passed)
        self._kept: dict[object, list[socket.socket]] = {}

    def open(
        self, path: Path | None, listen: tuple[str, int] | None, *, anywhere: bool = False
    ) -> list[socket.socket]:
        """Sockets for a server, which may close them; raises as `open_listeners`."""
        kept = self._kept.get((path, listen))
        if kept is None:
            passed = [] if path is None else [*self.passed]
            missing = None if path is not None and self._is_passed(path) else path
            kept = passed
            if missing is not None or listen is not None or not passed:
                opened = open_listeners(missing, listen, anywhere=anywhere)
                kept = [*passed, *opened]
                if missing is not None:
                    self._opened.callback(remove_socket, missing, identify(missing))
                for listener in opened:
                    self._opened.callback(listener.close)
            self._kept[path, listen] = kept
        return [listener.dup() for listener in kept]

    def _is_passed(self, path: Path) -> bool:
        names = (one.getsockname() for one in self.passed)
        return any(Path(name).resolve() == path.resolve() for name in names)

    def close(self) -> None:
        """Close them, and remove the unix sockets."""
        self._opened.close()


def remove_socket(path: Path, identity: tuple[int, int]) -> None:
    """Remove our unix socket, but not one that another process has put there since."""
    with suppress(FileNotFoundError):
        if identify(path) == identity:
            path.unlink()


def identify(path: Path) -> tuple[int, int]:
    """What tells a socket file from its successor: device and inode."""
    stat = path.lstat()
    return stat.st_dev, stat.st_ino


def _open_tcp(host: str, port: int, *, anywhere: bool) -> socket.socket:
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None or not (anywhere or address.is_loopback):
        message = f"{host} is not a loopback address: this port has no other protection"
        hint = 'use "127.0.0.1" or "::1", and the unix socket for programs'
        raise ConfigurationError("not-loopback", message, hint=hint)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        return _bind_tcp(host, port, family)
    except OSError as error:
        raise _cannot(f"{host}:{port}", error) from error


def _bind_tcp(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Listen, also on an address that this machine does not have yet: its cable may be out."""
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
    _log.warning("this machine has no address %s: it is served once it has", host)
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(*_FREEBIND[family], 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        opened.pop_all()
    return listener


def _open_unix(path: Path) -> socket.socket:
    try:
        clear_socket(path)
        return _bind(path)
    except OSError as error:
        raise _cannot(str(path), error) from error


def _bind(path: Path) -> socket.socket:
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(path))
        # Nobody can connect before listen(), so no one gets in under the umask's mode.
        path.chmod(MODE)
        listener.listen(_BACKLOG)
        opened.pop_all()
    return listener


def clear_socket(path: Path) -> None:
    """Remove the socket of a process that is dead.

    Raises:
        ExistsError: `socket-in-use`, or `not-a-socket` where another file stands.
        OSError: the folder says no.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not S_ISSOCK(mode):
        raise ExistsError("not-a-socket", f"{path} exists, and is no socket: it is left alone")
    if _is_answered(path):
        hint = "stop the other process, or give this one another path"
        raise ExistsError("socket-in-use", f"another process listens on {path}", hint=hint)
    path.unlink(missing_ok=True)


def _is_answered(path: Path) -> bool:
    """Whether a process listens; in doubt, such as when it is too busy to accept, it does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True


def _cannot(where: str, error: OSError) -> ConfigurationError:
    message = f"cannot listen on {where}: {error.strerror}"
    hint = "[api] and [metrics] of the configuration say where to listen"
    if error.errno == errno.EADDRINUSE:
        hint = f"another program listens there: stop it, or choose another address; {hint}"
    return ConfigurationError("cannot-listen", message, hint=hint)
