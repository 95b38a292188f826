"""The parts that a console is made of, brought together once."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from chopmark.console.access.judging import Access
from chopmark.console.access.login import TechnicianLogin
from chopmark.console.access.store import Store
from chopmark.console.admin import AdminClient
from chopmark.console.gateway import FoundApi
from chopmark.console.recording import ConsoleRecorder, open_recorder
from chopmark.core.errors import ChopmarkError
from chopmark.service.config import load_config

_SOCKET: Final = Path("/run/chopmark/api.sock")


@dataclass(frozen=True, slots=True)
class Parts:
    """What sessions use; see `session.House`."""

    login: TechnicianLogin
    gateway: FoundApi
    admin: AdminClient
    recorder: ConsoleRecorder
    config: Path


def open_parts(config: Path, folder: Path, admin: Path, port: str) -> Parts:
    """The parts of this box's console.

    Args:
        config: the gateway's configuration; it need not be there yet.
        folder: of the console's own state.
        admin: the socket of `chopmark-admin`.
        port: name of the port, whose records wait by themselves.
    """
    gateway = FoundApi(partial(_find_socket, config), _SOCKET)
    recorder = open_recorder(folder, port, gateway)
    login = TechnicianLogin(Access(Store(folder)), recorder)
    return Parts(login, gateway, AdminClient(admin), recorder, config)


def _find_socket(config: Path) -> Path | None:
    """Where the daemon listens, once there is a configuration to say so."""
    try:
        return load_config(config).api.socket
    except ChopmarkError:
        return None
