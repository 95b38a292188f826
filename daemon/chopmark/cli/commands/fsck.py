"""`chopmark fsck`: whether everything on disk is what was signed."""

from collections.abc import Sequence
from typing import Final

from chopmark.cli.context import Given
from chopmark.cli.terminal import clean, say, say_json, styled
from chopmark.service.fsck import Check, plan_checks

FINDINGS: Final = 10
"""Exit code when something is wrong."""


def fsck(*, member: str | None = None, options: Given) -> int:
    """Check everything on disk: entries, trees, signatures and indices. Changes nothing.

    May run beside the gateway. The exit code is 0 if all is well, and 10 with findings.

    Args:
        member: Check only the log of this member id: this gateway's own, or a replica.
    """
    checks = plan_checks(options.load_config(), member)
    counts = [_run(check, options) for check in checks]
    return FINDINGS if any(counts) else 0


def _run(check: Check, options: Given) -> int:
    with options.meter(f"checking {check.member}", 1, unit="entries") as meter:
        findings = check.run(meter.reach)
    if options.json:
        described = [{"code": one.code, "message": one.message} for one in findings]
        say_json({"id": check.member, "path": str(check.path), "findings": described})
        return len(findings)
    result = styled(_count(findings), "red" if findings else "green")
    say(styled(check.member, "bold"), "  ", clean(check.path), "  ", result)
    for one in findings:
        say("  ", styled(one.code, "red"), "  ", clean(one.message))
    return len(findings)


def _count(findings: Sequence[object]) -> str:
    if not findings:
        return "ok"
    return "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
