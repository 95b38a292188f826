"""`chopmark-admin`: what root does for the console. Started by its socket, ends when it is idle."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from systemd.daemon import listen_fds

import chopmark
from chopmark.admin.box import Box
from chopmark.admin.programs import Programs
from chopmark.admin.server import MAX_LINE, Server
from chopmark.admin.settings import DEFAULT_PATH, Settings, find_person, load_settings
from chopmark.api.listeners import clear_socket
from chopmark.client.files import make_folder
from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.service.logs import set_up_logging
from chopmark.service.notify import notify_ready, notify_stopping
from chopmark.service.runtime import forbid_core_files

IDENTIFIER: Final = "chopmark-admin"
BACKLOG: Final = 16


def run() -> None:
    """Entry point of the program."""
    parser = argparse.ArgumentParser(
        prog=IDENTIFIER, description="What root does for the technician's console."
    )
    parser.add_argument("--socket", type=Path, help="listen here (without systemd)")
    parser.add_argument("--settings", type=Path, help=f"its settings (default: {DEFAULT_PATH})")
    parser.add_argument("--version", action="version", version=chopmark.__version__)
    arguments = parser.parse_args()
    set_up_logging(identifier=IDENTIFIER)
    forbid_core_files()
    try:
        path: Path | None = arguments.settings
        settings = load_settings(path or DEFAULT_PATH, needed=path is not None)
        listener, forever = _open(arguments.socket)
        asyncio.run(_main(settings, listener, forever=forever))
    except ChopmarkError as error:
        sys.stderr.write(f"{IDENTIFIER}: {error}\n")
        sys.exit(error.exit_code)


async def _main(settings: Settings, listener: socket.socket, *, forever: bool) -> None:
    os.umask(0o022)  # each file has a mode of its own, and the daemon must read its configuration
    make_folder(settings.folder, 0o711)
    make_folder(settings.runtime, 0o711)
    programs = Programs(settings)
    programs.forget_pins()
    box = Box(programs)
    server = Server(box, find_person(settings.console).uid)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await box.start()
    listening = await asyncio.start_unix_server(
        server.meet, sock=listener, limit=MAX_LINE, backlog=BACKLOG
    )
    async with listening:
        notify_ready("waiting for the console")
        await box.go_on()
        await _wait_idle(server, stopped, None if forever else settings.idle)
        notify_stopping()
    await server.finish()
    await box.close()


async def _wait_idle(server: Server, stopped: asyncio.Event, idle: float | None) -> None:
    """Return when it is to stop, or nobody has called and nothing waits for that long."""
    while not stopped.is_set():
        before = server.served
        with suppress(TimeoutError):
            async with asyncio.timeout(idle):
                await stopped.wait()
        if server.served == before and not server.open and not server.box.busy:
            return


def _open(path: Path | None) -> tuple[socket.socket, bool]:
    """The socket that systemd has opened, or our own; and whether to wait for callers for ever."""
    given = listen_fds()
    if path is None:
        if len(given) != 1:
            hint = "its unit is chopmark-admin.socket; without systemd, give --socket"
            raise ConfigurationError("no-socket", "no socket was handed over", hint=hint)
        return socket.socket(fileno=given[0]), False
    made, mask = socket.socket(socket.AF_UNIX), os.umask(0o111)
    try:  # whoever connects is told by the kernel, and refused by us
        clear_socket(path)
        made.bind(str(path))
    except OSError as error:
        hint = "give --socket another path, in a folder that is there"
        message = f"cannot listen on {path}: {error.strerror}"
        raise ConfigurationError("cannot-listen", message, hint=hint) from error
    finally:
        os.umask(mask)
    return made, True


if __name__ == "__main__":
    run()
