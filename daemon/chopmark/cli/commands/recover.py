"""`chopmark recover`: take our own log back from the peers."""

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from chopmark.cli.context import Given
from chopmark.cli.pin import pin_source
from chopmark.cli.terminal import say, say_fields, say_json, say_prose, styled
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.service.recovery import Recovered

EXITS: Final = {"whole": 0, "goes-on": 0, "waiting": 75, "retired": 10}
"""Exit codes by result."""
_SAID: Final = {
    "whole": ("nothing is missing", "green"),
    "goes-on": ("recovered: the log goes on", "green"),
    "waiting": ("recovered, and not every institution has answered yet", "yellow"),
    "retired": ("recovered, but this origin must not go on", "red"),
}
_NEXT: Final = {
    "whole": "start the gateway: the ledger covers all that anybody has seen of it",
    "goes-on": "start the gateway",
    "waiting": (
        "run this again once they answer; until then the gateway may be started: it verifies, and "
        "serves the proofs of what it holds"
    ),
    "retired": (
        "send the report to the other institutions: the roster retires this origin at the "
        "recovered head. Set a successor up with another id and origin. The gateway may be "
        "started: it verifies, and serves the proofs of what it holds"
    ),
}

_FLOORS: Final = (
    "then, for each [[witness.log]]: how far it was cosigned is lost, and it is not cosigned until "
    "you say from where. Ask its operator for its newest checkpoint, and give it to `chopmark "
    "witness floor`"
)


def recover(
    *,
    patience: Annotated[
        float, Parameter(validator=Number(gt=0, lte=86_400), show_default=True)
    ] = 30.0,
    options: Given,
) -> int:
    """Take the ledger back from the peers, after its disk was lost or put back to an older copy.

    The gateway must be stopped. Keys and head mark are read from the token; the database may be
    gone altogether. Every peer is asked for the newest head of the log that it has seen, and the
    entries are fetched and verified up to the newest one that a peer holds. The old database is
    kept under another name.

    The origin goes on only if nothing can have been signed beyond that head: the head mark was
    written at an orderly stop and equals it, and every institution has answered. The exit code is
    then 0. It is 75 if only answers are missing, and 10 if the origin must be retired; a report
    for the roster is written into the state folder.

    Args:
        patience: Seconds to wait for peers that do not answer, and while nothing comes.
    """
    from chopmark.service import recovery
    from chopmark.service.recovery_report import describe, write_report

    config = options.load_config()
    with ExitStack() as stack:
        asking = stack.enter_context(options.meter("asking the peers", 1, unit="peers"))
        taking = stack.enter_context(options.meter("taking the log back", 1, unit="entries"))
        watch = recovery.Watch(asking.reach, taking.reach)
        made = recovery.recover(config, pin_source(config), patience, watch)
    result = made.judgement.fate.value
    report = None if result == "whole" else write_report(made, config.gateway.state)
    if options.json:
        say_json(describe(made) | {"report": str(report) if report else None})
        return EXITS[result]
    _show(made, result)
    if report is not None:
        say_fields([("report", report)])
    if os.geteuid() == 0:
        state = config.gateway.state
        say_prose(f"if the daemon runs as user chopmark: chown -R chopmark: {state}", indent=0)
    say_prose(f"next: {_NEXT[result]}", indent=0)
    if made.floors_lost and config.witness.log:
        say_prose(_FLOORS, indent=0)
    return EXITS[result]


def _show(made: "Recovered", result: str) -> None:
    text, colour = _SAID[result]
    say(styled(clean(made.origin), "bold"), "  ", styled(text, colour))
    mark = made.mark
    how = "none" if mark is None else f"{mark.head.size} entries, "
    if mark is not None:
        how += "at an orderly stop" if mark.clean else "while the gateway ran"
    fields: list[tuple[str, object]] = [
        ("entries", made.head.size),
        ("head mark", how),
        ("answered", ", ".join(made.answered) or "nobody"),
    ]
    if made.judgement.silent:
        fields.append(("silent", ", ".join(made.judgement.silent)))
    if made.kept is not None:
        fields.append(("old ledger", made.kept))
    say_fields(fields)
    for reason in made.judgement.reasons:
        say_prose(f"because {reason}", indent=2)
