"""`chopmarkd`: read the configuration, build the parts, run them, stop in order."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import chopmark
from chopmark.api.app import create_app
from chopmark.api.audit import make_audit_routes
from chopmark.api.metrics import LIMITS, create_metrics_app
from chopmark.api.refusals import quieten
from chopmark.api.server import serve
from chopmark.core.errors import ChopmarkError
from chopmark.service.audit_book import Book
from chopmark.service.config import DEFAULT_PATH, Config, find_config, load_config, read_fingerprint
from chopmark.service.logs import set_up_logging
from chopmark.service.notify import feed_watchdog, notify_ready, notify_status, notify_stopping
from chopmark.service.runtime import run_loop, settle
from chopmark.service.wiring import Parts, build

LOG: Final = logging.getLogger("chopmark")
SETTLE: Final = 5.0
"""Seconds to wait at start until attesting works, before we say that we are up without it."""
STATUS_PAUSE: Final = 5.0
"""Seconds between two looks at how we are, for systemd's status line and watchdog."""
ANSWER: Final = 20.0
"""Seconds in which the ledger's writer must answer, or the watchdog is left to bite."""


def run() -> None:
    """Entry point of the program."""
    about = "The gateway's daemon. It runs until SIGTERM or Ctrl-C, and logs to standard error."
    parser = argparse.ArgumentParser(prog="chopmarkd", description=about)
    where = f"the configuration (default: CHOPMARK_CONFIG, then {DEFAULT_PATH})"
    parser.add_argument("--config", type=Path, help=where)
    parser.add_argument("--version", action="version", version=chopmark.__version__)
    arguments = parser.parse_args()
    set_up_logging()
    exit_code = 0
    try:
        path = find_config(arguments.config)
        run_loop(_main(load_config(path), read_fingerprint(path)))
    except* ChopmarkError as group:
        exit_code = _give_up(_first(group.exceptions))
    sys.exit(exit_code)


async def _main(config: Config, fingerprint: str = "") -> None:
    async with AsyncExitStack() as stack:
        parts = await build(config, stack)
        parts.auditing.fingerprint = fingerprint
        settle()
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        stack.enter_context(quieten(parts.refusals))
        try:
            async with asyncio.TaskGroup() as tasks:
                running = _start(config, parts, tasks)
                await stopped.wait()
                notify_stopping()
                parts.gateway.stop_waiting()
                await _stop(running)
            await parts.auditing.stop()
            await parts.standing.leave()
        finally:
            LOG.info("stopped")


def _start(config: Config, parts: Parts, tasks: asyncio.TaskGroup) -> dict[str, asyncio.Task[None]]:
    health = _Health(parts)
    jobs = {
        "standing": parts.standing.run(),
        "sequencer": parts.sequencer.run(),
        "mesh": parts.mesh.run(),
        "trust": parts.trust.run(),
        "api": _serve_api(config, parts),
        "submissions": parts.submissions.run(),
        "retention": parts.retention.run(),
        "storage": parts.storage.run(),
        "audit": parts.auditing.run(),
        "clock": parts.guard.run(),
        "event-loop-lag": parts.lag.run(),
        "health": health.run(),
        "watchdog": feed_watchdog(lambda: health.good),
    }
    if config.metrics.listen_address is not None:
        jobs["metrics"] = _serve_metrics(config.metrics.listen_address, parts)
    return {name: tasks.create_task(job, name=name) for name, job in jobs.items()}


def _serve_api(config: Config, parts: Parts) -> Coroutine[Any, Any, None]:
    more = [*parts.routes, *make_audit_routes(Book(parts.log, parts.auditing))]
    app, api = create_app(parts.gateway, more=more), config.api
    return serve(app, api.socket, api.listen_address, refusals=parts.refusals)


def _serve_metrics(address: tuple[str, int], parts: Parts) -> Coroutine[Any, Any, None]:
    app = create_metrics_app(parts.gateway, parts.metrics.render)
    refusals, name = parts.refusals, "metrics are served"
    return serve(app, None, address, limits=LIMITS, refusals=refusals, name=name)


async def _stop(running: dict[str, asyncio.Task[None]]) -> None:
    """The API first: requests that are running still get their signatures and answers."""
    running["api"].cancel()
    await asyncio.wait({running["api"]})
    for task in running.values():
        task.cancel()


class _Health:
    """Looks after the status line, and whether the writer still answers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.good = True

    async def run(self) -> None:
        """Look for ever."""
        # A token that is away does not keep us down: verifying works without it.
        await self._parts.sequencer.wait_first_head(SETTLE)
        notify_ready(self._parts.report.sentence())
        LOG.info("%s", self._parts.report.sentence())
        while True:
            try:
                async with asyncio.timeout(ANSWER):  # `wait_for` may swallow a cancellation
                    await self._parts.log.write(lambda _: None)
                self.good = True
            except TimeoutError:
                self.good = False
            notify_status(self._parts.report.sentence())
            await asyncio.sleep(STATUS_PAUSE)


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
