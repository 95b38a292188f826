"""`chopmark hsm doctor`: what module and token offer, refuse, and how fast they sign."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from chopmark.cli.commands.fsck import FINDINGS
from chopmark.cli.context import Given, Options
from chopmark.cli.pin import pin_source, typed_pin
from chopmark.cli.terminal import say, say_hanging, say_json, styled
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.hsm.diagnosis import Line
    from chopmark.hsm.facts import Facts

_COLOURS: Final = {"ok": "green", "warning": "yellow", "fault": "red"}
_TITLES: Final = {
    "module": "the module",
    "token": "the token",
    "mechanisms": "what we need",
    "keys": "keys",
    "refuses": "what it refuses",
    "speed": "how fast it signs",
}
_MARK: Final = 9
"""Columns of the mark."""
_NAME: Final = 25
"""Columns of the name: the longest that we give; a longer label pushes its line to the right."""


def doctor(
    *,
    sign: Annotated[bool, Parameter(negative="")] = False,
    module: Path | None = None,
    token_label: str | None = None,
    init_string: str | None = None,
    options: Given,
) -> int:
    """Look at PKCS#11 module and token: what they offer, what we need, and what is wrong.

    May run beside the gateway, and needs none: --module looks at a token before `chopmark init`.
    Without --sign no PIN is asked for, and nothing is written. The exit code is 0 without a fault,
    warnings or not, and 10 with one.

    Args:
        sign: Log in, read the keys' attributes, try what the token refuses on a key that is thrown
            away, and measure how fast it signs. The log key signs nothing but self-tests. The PIN
            is read from $CREDENTIALS_DIRECTORY/hsm-pin, or asked for on the terminal; with
            --module it is always asked for.
        module: PKCS#11 module to look at; that of the configuration by default.
        token_label: Which token of --module; the only one there is by default.
        init_string: What --module wants to be told at its start, as NSS does.
    """
    from chopmark.hsm.diagnosis import has_faults
    from chopmark.service.doctor import examine_gateway, examine_module

    if module is None and (token_label is not None or init_string is not None):
        raise UsageError("usage", "--token-label and --init-string go with --module")
    if module is None:
        config = options.load_config()
        facts, lines = examine_gateway(config, pin_source(config) if sign else None)
    else:
        pin = typed_pin(token_label or str(module)) if sign else None
        facts, lines = examine_module(module, token_label, init_string, pin)
    _show(facts, lines, options)
    return FINDINGS if has_faults(lines) else 0


def _show(facts: "Facts", lines: "Iterable[Line]", options: Options) -> None:
    found = list(lines)
    if options.json:
        say_json({"lines": [asdict(line) for line in found], "speed": _describe_speed(facts)})
        return
    section = ""
    for line in found:
        if line.section != section:
            if section:
                say()
            section = line.section
            say(styled(_TITLES[section], "bold"))
        _show_line(line)
    say()
    say(*_summary(found))


def _show_line(line: "Line") -> None:
    mark = styled(line.mark, _COLOURS[line.mark]) + " " * (_MARK - len(line.mark))
    name = clean(line.name)
    head, width = f"  {mark}{name:<{_NAME}}", 2 + _MARK + max(_NAME, len(name))
    say_hanging(f"{head} ", width + 1, line.text)
    if line.hint:
        say_hanging(" " * (2 + _MARK) + styled("next: ", "dim"), 2 + _MARK + 6, line.hint)


def _summary(lines: "list[Line]") -> tuple[str, ...]:
    counts = {mark: sum(line.mark == mark for line in lines) for mark in _COLOURS}
    worst = next((mark for mark in ("fault", "warning") if counts[mark]), "ok")
    said = [f"{_count(counts[mark], mark)}" for mark in ("fault", "warning") if counts[mark]]
    return (styled(", ".join(said) or "all is well", _COLOURS[worst]),)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _describe_speed(facts: "Facts") -> Mapping[str, Any] | None:
    speed = facts.speed
    return None if speed is None else asdict(speed) | {"rate": speed.rate}
