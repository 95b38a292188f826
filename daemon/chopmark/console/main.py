"""`chopmark-console`: one serial port, served until the program is stopped."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Final, get_args

import chopmark
from chopmark.console.access.initial import run as init_access
from chopmark.console.admin import DEFAULT_SOCKET
from chopmark.console.commands import load_commands
from chopmark.console.parts import Parts, open_parts
from chopmark.console.place import find_folder
from chopmark.console.port import BAUDS, Flow, Settings, keep
from chopmark.console.seat import DEFAULT
from chopmark.console.session import House, serve
from chopmark.console.words import TABLES
from chopmark.service.config import DEFAULT_PATH, find_config
from chopmark.service.logs import set_up_logging
from chopmark.service.runtime import forbid_core_files

LOG: Final = logging.getLogger("chopmark.console")
IDENTIFIER: Final = "chopmark-console"
"""In the journal, as in its unit."""


def run() -> None:
    """Entry point of the program."""
    if sys.argv[1:2] == ["init-access"]:
        sys.exit(init_access(sys.argv[2:]))
    arguments = _parser().parse_args()
    set_up_logging(identifier=IDENTIFIER)
    forbid_core_files()  # PINs are typed here
    asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    parts = open_parts(
        find_config(arguments.config),
        find_folder(),
        arguments.admin,
        Path(arguments.port).name,
    )
    handing_over = asyncio.create_task(parts.recorder.run())
    try:
        await run_console(_settings(arguments), _house(arguments, parts))
    finally:
        handing_over.cancel()
        await asyncio.wait({handing_over})
        await parts.gateway.close()


async def run_console(settings: Settings, house: House) -> None:
    """Serve a port until SIGTERM or SIGINT; who is signed in then is signed out."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(keep(settings, lambda port: serve(port, house, port.wait_enter)))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    LOG.info("stopped by a signal")


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(arguments.port, arguments.baud, arguments.flow)


def _house(arguments: argparse.Namespace, parts: Parts) -> House:
    return House(
        *(parts.login, parts.gateway, parts.admin, parts.recorder, parts.config),
        load_commands(),
        Path(arguments.port).name,
        arguments.seat,
        language=arguments.language,
        plain=arguments.plain,
    )


def _bauds(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _parser() -> argparse.ArgumentParser:
    about = "The technicians' console on a serial port. It runs until SIGTERM or Ctrl-C."
    parser = argparse.ArgumentParser(prog="chopmark-console", description=about)
    parser.add_argument("--port", required=True, help="the device: /dev/ttyS0, or a link by udev")
    speeds = "bits a second; of several, the one at which Enter is understood (115200,9600)"
    parser.add_argument("--baud", type=_bauds, default=BAUDS, help=speeds)
    flows = get_args(Flow)
    parser.add_argument("--flow", choices=flows, default="none", help="flow control (none)")
    where = f"the gateway's configuration (default: CHOPMARK_CONFIG, then {DEFAULT_PATH})"
    parser.add_argument("--config", type=Path, help=where)
    tongues = "before anybody has signed in (en)"
    parser.add_argument("--language", choices=tuple(TABLES), default="en", help=tongues)
    parser.add_argument("--plain", action="store_true", help="send only ASCII, from the start")
    seat = f"lock file that all ports of this box share ({DEFAULT})"
    parser.add_argument("--seat", type=Path, default=DEFAULT, help=seat)
    root = f"socket of chopmark-admin ({DEFAULT_SOCKET})"
    parser.add_argument("--admin", type=Path, default=DEFAULT_SOCKET, help=root)
    parser.add_argument("--version", action="version", version=chopmark.__version__)
    return parser


if __name__ == "__main__":
    run()
