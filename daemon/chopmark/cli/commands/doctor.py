"""`chopmark doctor`: what is wrong with this gateway, and what to do about it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from chopmark.cli.commands.fsck import FINDINGS
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt
from chopmark.cli.progress import write_line
from chopmark.cli.terminal import say, say_hanging, say_json, styled
from chopmark.core.errors import ChopmarkError

if TYPE_CHECKING:
    from chopmark.service.checks.finding import Finding

_UNSEEN: Final = "not-looked-at"
_COLOURS: Final = {"fault": "red", "warning": "yellow", _UNSEEN: "yellow"}
"""By mark, the gravest first."""


def doctor(
    *,
    check: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    offline: Annotated[bool, Parameter(negative="")] = False,
    options: Given,
) -> int:
    """Look for everything that a set-up gets wrong, at disk, clock, HSM, API and brokers.

    Run it on the gateway's machine, as root or as the daemon's user, whether the daemon runs or
    not. It changes nothing and tries no PIN. Each finding has a code and says what to do; what
    could not be looked at is named, with the reason. The exit code is 0 if nothing that was looked
    at is wrong, warnings or not, and 10 with a fault.

    Args:
        check: Look only at this, such as hsm; it may be given several times.
        offline: Do not ask the gateway how it is, as when it hangs.
    """
    from chopmark.service.checks.run import refuse_unknown, run_checks

    refuse_unknown(check)
    results = run_checks(options.config_path(), None if offline else _ask(options), check)
    if options.tells_programs:
        results = map(_tell, results)
    return FINDINGS if show_findings(results, options) else 0


def show_findings(results: "Iterable[tuple[str, list[Finding]]]", options: Options) -> bool:
    """Show what checks have found; whether a fault is among it."""
    return (_show_json if options.json else _show)(results)


def _tell(result: "tuple[str, list[Finding]]") -> "tuple[str, list[Finding]]":
    """Write what a check has found at once; the next may take long."""
    name, findings = result
    found = [asdict(one) for one in findings]
    write_line({"check": name, "result": _judge(findings), "findings": found})
    return result


def _ask(options: Options) -> dict[str, Any] | None:
    """The status of the gateway that runs, if one does."""
    found = attempt(partial(_read_status, options))
    return None if isinstance(found, ChopmarkError) else found


def _read_status(options: Options) -> dict[str, Any]:
    with options.connect_own() as gateway:
        return gateway.status()


def _show_json(results: "Iterable[tuple[str, list[Finding]]]") -> bool:
    seen = list(results)
    checks = [{"check": name, "result": _judge(findings)} for name, findings in seen]
    found = [{"check": name} | asdict(one) for name, findings in seen for one in findings]
    say_json({"checks": checks, "findings": found})
    return any(one["mark"] == "fault" for one in found)


def _judge(findings: "list[Finding]") -> str:
    """The gravest mark among the findings of a check, or `ok`."""
    marks = {one.mark for one in findings}
    return next((mark for mark in _COLOURS if mark in marks), "ok")


def _show(results: "Iterable[tuple[str, list[Finding]]]") -> bool:
    counts: Counter[str] = Counter()
    for name, findings in results:
        say(styled(name, "bold"), "  ", styled("ok", "green") if not findings else "")
        for one in findings:
            counts[one.mark] += 1
            _show_finding(one)
    say()
    said = [_count(counts[mark], mark) for mark in ("fault", "warning") if counts[mark]]
    said = said or ["nothing that was looked at is wrong" if counts else "nothing is wrong"]
    said += [f"{counts[_UNSEEN]} not looked at"] * (_UNSEEN in counts)
    colour = next((colour for mark, colour in _COLOURS.items() if mark in counts), "green")
    say(styled(", ".join(said), colour))
    return "fault" in counts


def _show_finding(one: "Finding") -> None:
    mark = styled(one.mark.replace("-", " "), _COLOURS[one.mark])
    code = "" if one.mark == _UNSEEN else f"{styled(one.code, 'bold')}  "
    say_hanging(f"  {mark}  {code}", 4, one.finding)
    if one.remedy:
        say_hanging(f"    {styled('next: ', 'dim')}", 10, one.remedy)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
