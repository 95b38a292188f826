"""Answer lines of a batch: one for each line that came in, in its order.

What is kept of a settled group is its run of entries and its faults; the text is made when the
client is ready to read it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from chopmark.api.lines import Fault, fault_of
from chopmark.core.blinding import whole_minute
from chopmark.core.draft import Earlier, Recorded
from chopmark.core.errors import ChopmarkError
from chopmark.core.wording import format_time

Outcome = int | Earlier | Fault
"""Index in the log of a line's new entry, the one that was there before, or what was wrong."""


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
        earlier: by offset, the lines whose entries were there before.
    """

    first: int
    count: int
    faults: Mapping[int, Fault] = field(default_factory=dict)
    recorded: Recorded | None = None
    state: str = "recorded"
    provisional: bool = False
    failure: Fault | None = None
    minutes: frozenset[int] = frozenset()
    earlier: Mapping[int, Earlier] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Lines for which something of their own is kept."""
        return len(self.faults) + len(self.earlier)


def settle(group: Settled, recorded: Recorded) -> Settled:
    """A group whose good lines were recorded as a run."""
    if not recorded.known:
        return replace(group, recorded=recorded)
    faults, earlier = dict(group.faults), {}
    good = [offset for offset in range(group.count) if offset not in group.faults]
    for place, known in recorded.known.items():
        if isinstance(known, ChopmarkError):
            faults[good[place]] = fault_of(known)
        else:
            earlier[good[place]] = known
    recorded = replace(recorded, known={})  # it is in the group now
    return replace(group, faults=faults, earlier=earlier, recorded=recorded)


def render(settled: Settled) -> bytes:
    """All answer lines of a group, without proofs."""
    recorded = settled.recorded
    if recorded is None or settled.weight or settled.minutes:
        return b"".join(render_some(settled, outcomes(settled)))
    end = _end(recorded.made_at, settled.state)
    indexes = range(recorded.start, recorded.start + recorded.count)
    return (('{"index":' + (end + '{"index":').join(map(str, indexes))) + end).encode()


def outcomes(settled: Settled) -> Iterator[tuple[int, Outcome]]:
    """Each line's number, and what became of it."""
    index = settled.recorded.start if settled.recorded else 0
    missing = settled.failure or Fault("not-recorded", "the line was not recorded")
    for offset in range(settled.count):
        known = settled.faults.get(offset) or settled.earlier.get(offset)
        if known is None and settled.recorded is None:
            known = missing
        yield settled.first + offset, index if known is None else known
        index += known is None


def place_of(outcome: Outcome) -> int | None:
    """Index of the entry, if there is one."""
    if isinstance(outcome, Fault):
        return None
    return outcome.index if isinstance(outcome, Earlier) else outcome


def render_some(
    settled: Settled,
    some: Iterable[tuple[int, Outcome]],
    proofs: Mapping[int, bytes] | None = None,
) -> Iterator[bytes]:
    """Answer lines for some outcomes of a group, with the proofs that are there."""
    made_at = settled.recorded.made_at if settled.recorded else 0
    start = settled.recorded.start if settled.recorded else 0
    exact = _end(made_at, settled.state)
    minute = _end(whole_minute(made_at), settled.state)
    mark = ',"provisional":true' if settled.provisional else ""
    for number, outcome in some:
        if isinstance(outcome, Fault):
            yield _render_fault(number, outcome)
            continue
        if isinstance(outcome, Earlier):
            index, rest = outcome.index, _end(outcome.made_at, settled.state, outcome)
        else:
            index, rest = outcome, minute if outcome - start in settled.minutes else exact
        if proofs and index in proofs:
            proof = msgspec.json.encode(proofs[index].decode()).decode()
            yield f'{{"index":{index}{rest[:-2]},"proof":{proof}{mark}}}\n'.encode()
        else:
            yield f'{{"index":{index}{rest}'.encode()


def _end(made_at: int, state: str, earlier: Earlier | None = None) -> str:
    mark = ',"duplicate":true' if earlier and earlier.duplicate else ""
    return f',"made_at":"{format_time(made_at)}","state":"{state}"{mark}}}\n'


def _render_fault(number: int, fault: Fault) -> bytes:
    error: dict[str, object] = {"code": fault.code, "message": fault.message, "line": number}
    if fault.hint:
        error["hint"] = fault.hint
    return msgspec.json.encode({"error": error}) + b"\n"
