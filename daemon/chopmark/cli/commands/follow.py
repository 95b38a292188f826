"""`chopmark log follow`: entries as they come."""

import select
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from chopmark.cli.commands.log import describe_row
from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_json, styled, warn
from chopmark.client.following import follow as follow_log
from chopmark.core.errors import ChopmarkError
from chopmark.core.inert import clean


def follow(
    *,
    member: Annotated[str | None, Parameter(name=("--member", "--id"))] = None,
    after: int | None = None,
    options: Given,
) -> int:
    """Print new entries of this gateway's ledger or of a replica as they come, until Ctrl-C.

    Each signed entry is printed once, in order and without a gap, one line each, also when the
    gateway is started again meanwhile. With --json each line is a JSON object.

    Args:
        member: Member id of the peer whose replica to follow.
        after: Begin after this index, -1 for the whole log; by default with what is new.
    """
    with options.connect() as gateway:
        whose = member or str(gateway.export()["id"])
        start = int(gateway.entries(whose, -1, 1)["size"]) - 1 if after is None else max(after, -1)
        for entries in follow_log(gateway, whose, start, missed=_tell, go_on=_is_read):
            for entry in entries:
                _show(entry, options)
            sys.stdout.flush()
    return 0


def _show(entry: dict[str, Any], options: Given) -> None:
    if options.json:
        say_json(entry)
        return
    index, *rest = describe_row(entry)
    say(styled(index, "bold"), "  ", "  ".join(clean(cell) for cell in rest if cell))


def _tell(error: ChopmarkError) -> None:
    warn(styled("waiting: ", "yellow", stream=sys.stderr), clean(error.message))


def _is_read() -> bool:
    """Whether somebody still reads what we print; a closed pipe shows in no other way."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file
        return True
    watch = select.poll()
    watch.register(descriptor, 0)  # errors are always told
    if any(events & (select.POLLERR | select.POLLNVAL) for _, events in watch.poll(0)):
        raise BrokenPipeError
    return True
