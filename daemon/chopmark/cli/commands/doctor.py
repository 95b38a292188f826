"""`chopmark doctor`: what is wrong with this gateway, and what to do about it."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from chopmark.cli.commands.fsck import FINDINGS
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt
from chopmark.cli.terminal import say, say_hanging, say_json, styled
from chopmark.core.errors import ChopmarkError

if TYPE_CHECKING:
    from chopmark.service.checks.finding import Finding


def doctor(*, options: Given) -> int:
    """Look for everything that a set-up gets wrong, at disk, clock, HSM, API and brokers.

    Run it on the gateway's machine, as root or as the daemon's user, whether the daemon runs or
    not. It changes nothing and tries no PIN. Each finding has a code and says what to do. The exit
    code is 0 if nothing is wrong, warnings or not, and 10 with a fault.
    """
    from chopmark.service.checks.run import run_checks

    results = run_checks(options.config_path(), _ask(options))
    return FINDINGS if (_show_json if options.json else _show)(results) else 0


def _ask(options: Options) -> dict[str, Any] | None:
    """The status of the gateway that runs, if one does."""
    found = attempt(partial(_read_status, options))
    return None if isinstance(found, ChopmarkError) else found


def _read_status(options: Options) -> dict[str, Any]:
    with options.connect_own() as gateway:
        return gateway.status()


def _show_json(results: "Iterable[tuple[str, list[Finding]]]") -> bool:
    found = [(name, one) for name, findings in results for one in findings]
    say_json({"findings": [{"check": name} | asdict(one) for name, one in found]})
    return any(one.mark == "fault" for _, one in found)


def _show(results: "Iterable[tuple[str, list[Finding]]]") -> bool:
    faults = warnings = 0
    for name, findings in results:
        say(styled(name, "bold"), "  ", styled("ok", "green") if not findings else "")
        for one in findings:
            faults += one.mark == "fault"
            warnings += one.mark == "warning"
            _show_finding(one)
    say()
    said = [_count(faults, "fault")] * bool(faults) + [_count(warnings, "warning")] * bool(warnings)
    colour = "red" if faults else "yellow" if warnings else "green"
    say(styled(", ".join(said) or "nothing is wrong", colour))
    return bool(faults)


def _show_finding(one: "Finding") -> None:
    mark = styled(one.mark, "red" if one.mark == "fault" else "yellow")
    say_hanging(f"  {mark}  {styled(one.code, 'bold')}  ", 4, one.finding)
    if one.remedy:
        say_hanging(f"    {styled('next: ', 'dim')}", 10, one.remedy)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
