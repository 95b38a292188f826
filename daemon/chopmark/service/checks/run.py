"""All checks, in the order in which one would mend things."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chopmark.core.errors import ConfigurationError, UsageError
from chopmark.service.checks.access import check_access
from chopmark.service.checks.brokers import check_brokers
from chopmark.service.checks.chain import check_chain
from chopmark.service.checks.clock import check_clock
from chopmark.service.checks.disk import check_disk
from chopmark.service.checks.doors import check_doors
from chopmark.service.checks.entrance import check_entrance
from chopmark.service.checks.finding import Check, Finding, Scene
from chopmark.service.checks.folders import check_folders
from chopmark.service.checks.hsm import check_hsm
from chopmark.service.checks.ledger import check_ledger
from chopmark.service.checks.names import check_names
from chopmark.service.checks.pin import check_pin
from chopmark.service.checks.releases import check_releases
from chopmark.service.checks.running import check_running
from chopmark.service.checks.syslog import check_syslog
from chopmark.service.checks.theft import check_theft
from chopmark.service.config import load_config
from chopmark.service.locking import is_locked

CHECKS: Final[Mapping[str, Check]] = {
    "folders": check_folders,
    "access": check_access,
    "ledger": check_ledger,
    "disk": check_disk,
    "clock": check_clock,
    "pin": check_pin,
    "theft": check_theft,
    "hsm": check_hsm,
    "doors": check_doors,
    "entrance": check_entrance,
    "names": check_names,
    "brokers": check_brokers,
    "syslog": check_syslog,
    "chain": check_chain,
    "releases": check_releases,
    "running": check_running,
}
"""By the name under which each is shown."""
CONFIGURATION: Final = "configuration"


def refuse_unknown(names: Collection[str]) -> None:
    """See that there are checks of these names.

    Raises:
        UsageError: `usage`.
    """
    for name in names:
        if name not in CHECKS:
            hint = f"there are: {', '.join(CHECKS)}"
            raise UsageError("usage", f"there is no check {name!r}", hint=hint)


def run_checks(
    path: Path,
    status: Mapping[str, Any] | None,
    only: Collection[str] = (),
    checks: Mapping[str, Check] | None = None,
) -> Iterator[tuple[str, list[Finding]]]:
    """Each check's name with its findings, as soon as it is done.

    Args:
        path: of the configuration. If it cannot be used nothing else is looked at.
        status: of the gateway that runs, or None.
        only: names of those to run; all if there are none.
        checks: others than `CHECKS`.
    """
    try:
        config = load_config(path)
    except ConfigurationError as error:
        yield CONFIGURATION, [Finding.of(error, "see docs/configuration.md")]
        return
    yield CONFIGURATION, []
    locked = is_locked(config.gateway.state)
    scene = Scene(path, config, time.time_ns() // 1_000_000, status, locked, os.geteuid())
    for name, check in (CHECKS if checks is None else checks).items():
        if not only or name in only:
            yield name, _look(check, scene)


def _look(check: Check, scene: Scene) -> list[Finding]:
    """What a check finds; what the system does not let it look at keeps no other from looking."""
    found: list[Finding] = []
    try:
        for one in check(scene):
            found.append(one)  # noqa: PERF402 - what was found before an error counts
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        if isinstance(error, PermissionError) and not scene.sees_all:
            found.append(scene.barred(reason))
        else:
            found.append(Finding.unseen(reason, "see to what the system says there"))
    return found
