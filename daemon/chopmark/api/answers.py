"""Answer lines of a batch: one for each line that came in, in its order.

What is kept of a settled group is its run of entries and its faults; the text is made when the
client is ready to read it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from chopmark.api.lines import Fault
from chopmark.core.blinding import whole_minute
from chopmark.core.draft import Recorded
from chopmark.core.wording import format_time


@dataclass(frozen=True, slots=True)
class Settled:
    """A group of lines whose fate is known.

    Attributes:
        first: number of its first line, counted from 1.
        count: how many lines it has.
        faults: by offset in the group, the lines that were not recorded.
        recorded: the run of the others; None if there are none, or they failed.
        state: how far the run has come: `recorded`, `signed` or `witnessed`.
        provisional: whether its proofs lack a quorum that is demanded.
        failure: why the others were not recorded.
        minutes: which entries of the run say the minute only, where some do and some do not.
    """

    first: int
    count: int
    faults: Mapping[int, Fault] = field(default_factory=dict)
    recorded: Recorded | None = None
    state: str = "recorded"
    provisional: bool = False
    failure: Fault | None = None
    minutes: frozenset[int] = frozenset()


def render(settled: Settled) -> bytes:
    """All answer lines of a group, without proofs."""
    recorded = settled.recorded
    if recorded is None or settled.faults or settled.minutes:
        return b"".join(render_some(settled, outcomes(settled)))
    end = _end(recorded, settled.state)
    indexes = range(recorded.start, recorded.start + recorded.count)
    return (('{"index":' + (end + '{"index":').join(map(str, indexes))) + end).encode()


def outcomes(settled: Settled) -> Iterator[tuple[int, int | Fault]]:
    """Each line's number, and its index in the log or its fault."""
    index = settled.recorded.start if settled.recorded else 0
    missing = settled.failure or Fault("not-recorded", "the line was not recorded")
    for offset in range(settled.count):
        fault = settled.faults.get(offset)
        if fault is None and settled.recorded is None:
            fault = missing
        yield settled.first + offset, index if fault is None else fault
        index += fault is None


def render_some(
    settled: Settled,
    some: Iterator[tuple[int, int | Fault]] | Sequence[tuple[int, int | Fault]],
    proofs: Mapping[int, bytes] | None = None,
) -> Iterator[bytes]:
    """Answer lines for some outcomes of a group, with the proofs that are there."""
    exact = _end(settled.recorded, settled.state) if settled.recorded else ""
    minute = _end(settled.recorded, settled.state, minute=True) if settled.minutes else ""
    start = settled.recorded.start if settled.recorded else 0
    mark = ',"provisional":true' if settled.provisional else ""
    for number, outcome in some:
        if isinstance(outcome, Fault):
            yield _render_fault(number, outcome)
            continue
        end = minute if outcome - start in settled.minutes else exact
        if proofs and outcome in proofs:
            proof = msgspec.json.encode(proofs[outcome].decode()).decode()
            yield f'{{"index":{outcome}{end[:-2]},"proof":{proof}{mark}}}\n'.encode()
        else:
            yield f'{{"index":{outcome}{end}'.encode()


def _end(recorded: Recorded | None, state: str, *, minute: bool = False) -> str:
    made_at = recorded.made_at if recorded else 0
    at = format_time(whole_minute(made_at) if minute else made_at)
    return f',"made_at":"{at}","state":"{state}"}}\n'


def _render_fault(number: int, fault: Fault) -> bytes:
    error: dict[str, object] = {"code": fault.code, "message": fault.message, "line": number}
    if fault.hint:
        error["hint"] = fault.hint
    return msgspec.json.encode({"error": error}) + b"\n"
