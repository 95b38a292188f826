"""`chopmark health`: whether this version works, for whoever must decide on an update."""

import time
from functools import partial
from typing import Any, Final

from chopmark.cli.commands.doctor import show_findings
from chopmark.cli.commands.fsck import FINDINGS
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt
from chopmark.core.errors import ChopmarkError

_PAUSE: Final = 1.0


def health(*, wait: int = 60, options: Given) -> int:
    """Say whether this version of the software works here as the one before it did.

    For an updater with two systems: the new one counts as good only if this ends with 0. It looks
    at the gateway that runs, has the HSM's last self-test, the newest entries and heads of all
    ledgers, the disk, the consoles and chopmark-admin; never at a network, whose failure no older
    version mends. An HSM that did not work before either, or that waits for its PIN, is no reason
    to go back.

    The exit code is 0 if all that was looked at is well, 10 with a fault, and 78 if the
    configuration cannot be used.

    Args:
        wait: Seconds in which the gateway must have started, and the HSM must have signed.
    """
    from chopmark.service.checks.gate import is_hsm_good, run_gate
    from chopmark.service.scheduled import note_ended, read_ended

    config = options.load_config()
    status = _await(options, wait)
    results = list(run_gate(options.config_path(), status))
    bad = show_findings(results, options)
    state, before = config.gateway.state, read_ended(config.gateway.state, "health")
    works = is_hsm_good(status) or (before is not None and before.hsm)
    if not bad:
        now = time.time_ns() // 1_000_000
        note_ended(state, "health", now, "all is well", good=True, hsm=works)
    return FINDINGS if bad else 0


def _await(options: Options, seconds: int) -> dict[str, Any] | None:
    """The status, as soon as there is no more to wait for; or whatever it is by then."""
    deadline = time.monotonic() + seconds
    while True:
        found = attempt(partial(_read_status, options))
        status = None if isinstance(found, ChopmarkError) else found
        if (status is not None and _is_settled(status)) or time.monotonic() >= deadline:
            return status
        time.sleep(_PAUSE)


def _is_settled(status: dict[str, Any]) -> bool:
    hsm = status.get("hsm") or {}
    if hsm.get("state") == "ready":
        return hsm.get("last_good_seconds") is not None
    return hsm.get("state") in ("locked", "latched", "maintenance")


def _read_status(options: Options) -> dict[str, Any]:
    with options.connect_own() as gateway:
        return gateway.status()
