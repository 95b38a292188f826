"""`chopmark fsck`: whether everything on disk is what was signed."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_json, say_prose, styled
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean
from chopmark.ledger.fsck import Finding
from chopmark.service.backup import check_backup
from chopmark.service.fsck import Check, plan_checks
from chopmark.service.scheduled import note_ended

FINDINGS: Final = 10
"""Exit code when something is wrong."""


def fsck(
    *,
    member: str | None = None,
    backup: Path | None = None,
    scheduled: Annotated[bool, Parameter(negative="")] = False,
    options: Given,
) -> int:
    """Check everything on disk: entries, trees, signatures and indices. Changes nothing.

    May run beside the gateway. The exit code is 0 if all is well, and 10 with findings.

    Args:
        member: Check only the log of this member id: this gateway's own, or a replica.
        backup: Check this file that `chopmark backup` has made, and nothing else; it needs no
            configuration.
        scheduled: Note the result where the gateway looks, which has an alarm if something is
            wrong; for chopmark-fsck.timer.
    """
    if backup is not None:
        if member is not None:
            raise UsageError("usage", "--member and --backup exclude each other")
        return FINDINGS if _check_backup(backup, options) else 0
    if scheduled and member is not None:
        raise UsageError("usage", "--scheduled checks everything: it goes without --member")
    config = options.load_config()
    found = {check.member: _run(check, options) for check in plan_checks(config, member)}
    if scheduled:
        _note(config.gateway.state, {member: count for member, count in found.items() if count})
    return FINDINGS if any(found.values()) else 0


def _note(state: Path, found: Mapping[str, int]) -> None:
    logs = ", ".join(f"{member} ({count})" for member, count in found.items())
    message = f"the check of the ledgers has findings: {logs}" if found else "all is well"
    note_ended(state, "fsck", time.time_ns() // 1_000_000, message, good=not found)


def _run(check: Check, options: Given) -> int:
    with options.meter(f"checking {check.member}", 1, unit="entries") as meter:
        findings = check.run(meter.reach)
    return _show(check.member, check.path, findings, options, check.pruned)


def _check_backup(path: Path, options: Given) -> int:
    with options.meter("checking the backup", 1, unit="entries") as meter:
        whose, findings = check_backup(path, meter.reach)
    return _show(whose, path, findings, options)


def _show(
    whose: str,
    path: Path,
    findings: Sequence[Finding],
    options: Given,
    pruned: Sequence[tuple[int, int]] = (),
) -> int:
    if options.json:
        described = [_describe(one) for one in findings]
        say_json({"id": whose, "path": str(path), "findings": described, "pruned": pruned})
        return len(findings)
    result = styled(_count(findings), "red" if findings else "green")
    say(styled(whose, "bold"), "  ", clean(path), "  ", result)
    for start, end in pruned:
        say("  ", styled(f"pruned by rule: entries {start} to {end - 1}", "dim"))
    for one in findings:
        say("  ", styled(one.code, "red"), "  ", clean(one.message))
        if one.hint:
            say_prose(f"hint: {one.hint}", indent=4)
    return len(findings)


def _describe(finding: Finding) -> dict[str, str]:
    described = {"code": finding.code, "message": finding.message}
    return described | ({"hint": finding.hint} if finding.hint else {})


def _count(findings: Sequence[object]) -> str:
    if not findings:
        return "ok"
    return "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
