"""`chopmark backup`: the ledger as one file, while the gateway runs."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, styled
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean
from chopmark.service.backup import back_up, back_up_scheduled


def backup(
    file: Path | None = None,
    /,
    *,
    scheduled: Annotated[bool, Parameter(negative="")] = False,
    options: Given,
) -> int:
    """Copy the ledger into a new file while the gateway goes on; nothing is overwritten.

    The copy is the ledger as it stood at one moment, and one file: this gateway's own log, and what
    it has cosigned. `chopmark fsck --backup FILE` checks it. The keys are not in it: they never
    leave the token. Replicas and indices are not in it either: they fill themselves again.

    NEVER put it back by copying it over log.db. What was signed since would be signed differently
    a second time, and that is a fork. `chopmark recover` is the way.

    Args:
        file: Where it is to be; best on another disk.
        scheduled: Where [backup] of the configuration says, and remove the oldest copies there; for
            chopmark-backup.timer. The gateway has an alarm if it fails.
    """
    if (file is None) != scheduled:
        raise UsageError("usage", "name a file, or give --scheduled, one of the two")
    if file is None:
        return _back_up_scheduled(options)
    target = file.absolute()
    with options.meter("copying the ledger", 1, unit="pages") as meter:
        made = back_up(options.load_config(), target, meter.reach)
    state = made.state
    if options.json:
        fields = {"size": state.size, "head_size": state.head.size, "bytes": made.size}
        say_json({"path": str(target), "origin": state.head.origin, **fields})
        return 0
    say(styled(clean(target), "bold"), " is a copy of the ledger")
    say_fields(
        [
            ("log", state.head.origin),
            ("entries", state.size),
            ("signed", state.head.size),
            ("bytes", made.size),
        ]
    )
    return 0


def _back_up_scheduled(options: Options) -> int:
    made = back_up_scheduled(options.load_config(), time.time_ns() // 1_000_000)
    if options.json:
        say_json({"path": made and str(made)})
    elif made is None:
        say("the configuration has no [backup]: nothing was copied")
    else:
        say(styled(clean(made), "bold"), " is a copy of the ledger")
    return 0
