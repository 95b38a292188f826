"""Whether this version of the software works here as the one before it did, for an updater.

What needs no network: the gateway that runs, its HSM if there was one before, the ledgers, the
disk, the console, what root does for it. The checks are those of `chopmark doctor` where it has
them; a warning of theirs is none here, nor what this user may not see. Codes of its own:
`not-answering`, `other-version`, `hsm-lost`, `head-wrong`, and those of `units`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import chopmark
from chopmark.core.errors import ChopmarkError
from chopmark.service.checks.disk import check_disk
from chopmark.service.checks.finding import Check, Finding, Scene
from chopmark.service.checks.hsm import check_hsm
from chopmark.service.checks.ledger import check_ledger
from chopmark.service.checks.run import run_checks
from chopmark.service.checks.units import check_admin, check_consoles
from chopmark.service.fsck import plan_checks
from chopmark.service.scheduled import read_ended

TAIL: Final = 1024
"""Newest entries of each log that are proven to lie under its signed head."""
FRESH: Final = 90.0
"""Seconds: the daemon has the HSM sign a self-test each minute where nothing else is signed."""
_NEXT: Final = "the version before this one goes on; `chopmark doctor` says more"


def check_answers(scene: Scene) -> Iterator[Finding]:
    """The gateway answers on its socket, and is of this version."""
    if scene.status is None:
        finding = f"no gateway answers on {scene.config.api.socket}"
        yield Finding("not-answering", finding, "journalctl -u chopmark says why")
    elif scene.status.get("version") != chopmark.__version__:
        found, wanted = scene.status.get("version"), chopmark.__version__
        finding = f"version {found} of the gateway runs, and {wanted} is installed"
        yield Finding("other-version", finding, "systemctl restart chopmark")


def check_signing(scene: Scene) -> Iterator[Finding]:
    """The HSM signs, if it did before; one that waits for an operator is there, with its keys."""
    hsm = (scene.status or {}).get("hsm") or {}
    state, good = hsm.get("state"), hsm.get("last_good_seconds")
    if state == "ready" and good is not None and good <= FRESH:
        return
    if state in ("locked", "maintenance"):  # no update has done that, and no other version ends it
        yield from (one for one in check_hsm(scene) if one.mark == "fault")
        return
    before = read_ended(scene.config.gateway.state, "health")
    reason = f"the HSM is {state or 'not described'}: {hsm.get('reason') or 'it has not signed'}"
    if before is not None and before.hsm:
        yield Finding("hsm-lost", f"{reason}; before, it worked", _NEXT)
    else:
        yield Finding.unseen(f"{reason}; nor did it work before", "chopmark hsm doctor says more")


def check_heads(scene: Scene) -> Iterator[Finding]:
    """Each log's newest entries lie under its signed head, by what stands on the disk now."""
    try:
        planned = plan_checks(scene.config)
    except ChopmarkError as error:
        yield scene.judge(error, _NEXT)
        return
    for one in planned:
        for found in one.run_tail(TAIL):
            message = f"the log of {one.member}: {found.message}"
            yield Finding("head-wrong", message, found.hint or _NEXT)


CHECKS: Final[Mapping[str, Check]] = {
    "running": check_answers,
    "hsm": check_signing,
    "ledger": check_ledger,
    "heads": check_heads,
    "disk": check_disk,
    "console": check_consoles,
    "admin": check_admin,
}
"""By the name under which each is shown."""


def is_hsm_good(status: Mapping[str, Any] | None) -> bool:
    """Whether the HSM of a gateway works."""
    hsm = (status or {}).get("hsm") or {}
    return bool(hsm.get("state") == "ready")


def run_gate(path: Path, status: Mapping[str, Any] | None) -> Iterator[tuple[str, list[Finding]]]:
    """Each check's name with its findings, as soon as it is done; as `run_checks`."""
    return run_checks(path, status, checks=CHECKS)
