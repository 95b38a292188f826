"""An enrolment that is pasted into the terminal, line by line, where no transfer is to be had yet.

What terminals do to it on the way is undone: the dash before a signature, which is not ASCII, and
spaces at the ends of lines. What is in it is judged by its signature.
"""

from typing import Final

from chopmark.console.desk import Desk
from chopmark.core.enrolment import HEADER, MAX_ENROLMENT
from chopmark.core.errors import MalformedError
from chopmark.core.note import DASH

_MOST_LINES: Final = 1024


async def paste(desk: Desk) -> bytes:
    """Ask for the lines of an enrolment, up to its signature.

    Raises:
        MalformedError: `malformed-enrolment`.
        InterruptedByUserError, HungUpError: as `Desk.ask`.
    """
    lines: list[str] = []
    while len(lines) < _MOST_LINES and sum(map(len, lines)) < MAX_ENROLMENT:
        line = (await desk.ask("")).strip()
        if not lines and line != HEADER:  # what stands before it, such as a blank line
            _refuse_other(line)
            continue
        if len(lines) > 1 and not lines[-1] and line:
            return ("\n".join(lines) + f"\n{DASH}{_end_of(line)}\n").encode()
        lines.append(line)
    raise MalformedError("malformed-enrolment", "this does not end as an enrolment does")


def _refuse_other(line: str) -> None:
    if line:
        hint = f"paste the file as it is: its first line is {HEADER}"
        raise MalformedError("malformed-enrolment", "this is not an enrolment", hint=hint)


def _end_of(line: str) -> str:
    """Name and signature, whatever came of the dash before them."""
    return " ".join(line.split()[-2:])
