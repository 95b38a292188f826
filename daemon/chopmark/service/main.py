"""`chopmarkd`: read the configuration, build the parts, run them, stop in order."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import chopmark
from chopmark.api.app import create_app
from chopmark.api.audit import make_audit_routes
from chopmark.api.console import make_console_route
from chopmark.api.listeners import Doors
from chopmark.api.metrics import LIMITS, create_metrics_app
from chopmark.api.page import make_page_routes
from chopmark.api.page_files import load_page
from chopmark.api.refusals import quieten
from chopmark.api.server import serve
from chopmark.api.signin.page_door import PageDoor
from chopmark.api.signin.routes import make_signin_routes
from chopmark.api.signin.visits import Strangers
from chopmark.core.errors import ChopmarkError
from chopmark.service.access import TokenAccess, open_access
from chopmark.service.activation import take_listeners
from chopmark.service.audit_book import Book
from chopmark.service.callers import Entrance, open_entrance
from chopmark.service.config import DEFAULT_PATH, Config, find_config, load_config, read_fingerprint
from chopmark.service.console_records import ConsoleBook
from chopmark.service.health import SETTLE, Health
from chopmark.service.logs import set_up_logging
from chopmark.service.notify import extending_start, feed_watchdog, notify_stopping
from chopmark.service.reloading import Reloading
from chopmark.service.runtime import forbid_core_files, run_loop, settle, share_memory
from chopmark.service.scheduled import Scheduled
from chopmark.service.standing import Left
from chopmark.service.wiring import Parts, build

LOG: Final = logging.getLogger("chopmark")
_PAGE: Final = "the page is served"
_STARTING: Final = "starting: ledger, replicas and HSM are opened and looked at"


def run() -> None:
    """Entry point of the program."""
    about = "The gateway's daemon. It runs until SIGTERM or Ctrl-C, and logs to standard error."
    parser = argparse.ArgumentParser(prog="chopmarkd", description=about)
    where = f"the configuration (default: CHOPMARK_CONFIG, then {DEFAULT_PATH})"
    parser.add_argument("--config", type=Path, help=where)
    parser.add_argument("--version", action="version", version=chopmark.__version__)
    arguments = parser.parse_args()
    set_up_logging()
    forbid_core_files()
    share_memory()
    exit_code = 0
    try:
        path = find_config(arguments.config)
        run_loop(_main(path, load_config(path), read_fingerprint(path)))
    except* ChopmarkError as group:
        exit_code = _give_up(_first(group.exceptions))
    sys.exit(exit_code)


async def _main(path: Path, config: Config, fingerprint: str) -> None:
    stopped, reloading = asyncio.Event(), Reloading(path, fingerprint)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.asked.set)
    doors, access = Doors(take_listeners(config.api.socket)), open_access(config)
    entrance = await asyncio.to_thread(open_entrance, config)
    reloading.trusts = entrance.trusts
    before: Left | None = None
    try:
        while not stopped.is_set():
            before = await _run_parts(
                *(config, reloading, stopped, doors, access, entrance, before)
            )
    finally:
        doors.close()
        LOG.info("stopped")


async def _run_parts(
    config: Config,
    reloading: Reloading,
    stopped: asyncio.Event,
    doors: Doors,
    access: TokenAccess,
    entrance: Entrance,
    before: Left | None,
) -> Left | None:
    """Run until we are to stop, or the roster has other members than the parts were made with.

    Parts are made anew as at a start, after a stop in order: what is being answered is answered,
    and who connects meanwhile waits. Gives what the log was left with, so that the next parts need
    no peer's word for it.
    """
    async with AsyncExitStack() as stack:
        async with extending_start(_STARTING):
            parts = await build(config, stack, access)
        parts.auditing.fingerprint = reloading.fingerprint
        parts.standing.before = before
        scheduled = Scheduled(config, parts.clock.now_ms)
        parts.report.more_alarms = lambda: entrance.alarms() + scheduled.alarms()
        entrance.desk.audit = parts.auditing
        settle()
        stack.enter_context(quieten(parts.refusals))
        async with asyncio.TaskGroup() as tasks:
            running = _start(config, parts, tasks, doors, entrance, reloading)
            running["scheduled"] = tasks.create_task(scheduled.run(), name="scheduled")
            await _wait_any(stopped, parts.rosters.changed)
            if stopped.is_set():
                notify_stopping()
            else:
                LOG.info("the members have changed: the gateway goes on with the new ones")
            parts.gateway.stop_waiting()
            parts.live.events.stop()
            await _stop(running)
        await parts.auditing.stop()
        await parts.standing.leave()
        return parts.standing.left


async def _wait_any(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _start(
    config: Config,
    parts: Parts,
    tasks: asyncio.TaskGroup,
    doors: Doors,
    entrance: Entrance,
    reloading: Reloading,
) -> dict[str, asyncio.Task[None]]:
    listening = asyncio.Event()
    health = Health(parts, reloading, listening)
    jobs = {
        "standing": parts.standing.run(),
        "sequencer": parts.sequencer.run(),
        "disks": parts.watch_disks(),
        "mesh": parts.mesh.run(),
        "trust": parts.trust.run(),
        "api": _serve_api(config, parts, doors, entrance, listening),
        "submissions": parts.submissions.run(),
        "retention": parts.retention.run(),
        "salts": parts.salts.run(),
        "storage": parts.storage.run(),
        "hsm": parts.signer.watch(parts.clock.now_ms),
        "audit": parts.auditing.run(),
        "clock": parts.guard.run(),
        "live": parts.live.run(),
        "history": parts.history.run(),
        "rosters": parts.rosters.run(),
        "event-loop-lag": parts.lag.run(),
        "health": health.run(),
        "watchdog": feed_watchdog(lambda: health.good),
        "reload": reloading.run(parts.report.sentence),
        "sessions": entrance.desk.watch(),
    }
    if entrance.trust is not None:
        jobs["tls-files"] = entrance.trust.watch()
    if entrance.page is not None:
        jobs["page-files"] = entrance.page.watch()
    if parts.anchoring is not None:
        jobs["anchor"] = parts.anchoring.run()
    if parts.syslog is not None:
        jobs["audit-syslog"] = parts.syslog.run()
    if config.metrics.listen_address is not None:
        jobs["metrics"] = _serve_metrics(config.metrics.listen_address, parts, doors)
    return {name: tasks.create_task(job, name=name) for name, job in jobs.items()}


async def _serve_api(
    config: Config, parts: Parts, doors: Doors, entrance: Entrance, listening: asyncio.Event
) -> None:
    # Who connects meanwhile waits, and is not refused: parts before these, or systemd, listen.
    if parts.standing.before is not None or (doors.passed and parts.signer.state == "ready"):
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                await parts.standing.settled()
    more = [
        *parts.routes,
        *make_audit_routes(Book(parts.log, parts.auditing)),
        make_console_route(ConsoleBook(parts.auditing), parts.gateway),
        *make_signin_routes(entrance.desk, parts.gateway),
    ]
    if config.api.serve_page:
        more += make_page_routes(await asyncio.to_thread(load_page))
    app, api = create_app(parts.gateway, more=more), config.api
    door = partial(serve, refusals=parts.refusals, doors=doors)
    async with asyncio.TaskGroup() as servers:
        where, told = (api.socket, api.listen_address), lambda _: listening.set()
        plain = door(app, *where, callers=entrance.callers, ready=told)
        servers.create_task(plain, name="api plain")
        if api.tls is not None:
            address, known = api.tls.listen_address, entrance.callers
            secured = door(app, None, address, callers=known, trust=entrance.trust)
            servers.create_task(secured, name="api tls")
        if api.page is not None:
            page, address = PageDoor(app, entrance.visitors), api.page.listen_address
            known, trust = Strangers(), entrance.page
            people = door(page, None, address, callers=known, trust=trust, name=_PAGE)
            servers.create_task(people, name="api page")


def _serve_metrics(
    address: tuple[str, int], parts: Parts, doors: Doors
) -> Coroutine[Any, Any, None]:
    app = create_metrics_app(parts.gateway, parts.metrics.render)
    refusals, name = parts.refusals, "metrics are served"
    return serve(app, None, address, limits=LIMITS, refusals=refusals, name=name, doors=doors)


async def _stop(running: dict[str, asyncio.Task[None]]) -> None:
    """The API first: requests that are running still get their signatures and answers."""
    running["api"].cancel()
    await asyncio.wait({running["api"]})
    for task in running.values():
        task.cancel()


def _first(errors: Sequence[BaseException]) -> ChopmarkError:
    for error in errors:
        if isinstance(error, ChopmarkError):
            return error
        if isinstance(error, BaseExceptionGroup):
            return _first(error.exceptions)
    raise RuntimeError("a group of our errors without one of ours")


def _give_up(error: ChopmarkError) -> int:
    LOG.critical("%s", error, extra={"code": error.code})
    return error.exit_code


if __name__ == "__main__":
    run()
