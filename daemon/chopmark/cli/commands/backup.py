"""`chopmark backup`: the ledger as one file, while the gateway runs."""

from pathlib import Path

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_fields, say_json, styled
from chopmark.core.inert import clean
from chopmark.service.backup import back_up


def backup(file: Path, /, *, options: Given) -> int:
    """Copy the ledger into a new file while the gateway goes on; nothing is overwritten.

    The copy is the ledger as it stood at one moment, and one file: this gateway's own log, and what
    it has cosigned. `chopmark fsck --backup FILE` checks it. The keys are not in it: they never
    leave the token. Replicas and indices are not in it either: they fill themselves again.

    NEVER put it back by copying it over log.db. What was signed since would be signed differently
    a second time, and that is a fork. `chopmark recover` is the way.

    Args:
        file: Where it is to be; best on another disk.
    """
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
