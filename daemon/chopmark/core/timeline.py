"""The order of a trace's steps, and when each is said to have been (docs/formats/trace.md).

Clocks of several gateways are in it, and times of several grains: entries say milliseconds, those
of blinded documents whole minutes, cosignatures whole seconds. Rules:
1. What a step rests on comes before it: an attestation before all that is about it, a consent
   before its use and its withdrawal. Apart from that their times say.
2. A document that was witnessed in the second in which it was attested was so after that.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chopmark.core.trace import StepOut

_RANKS: Final = ("attested", "witnessed", "consented", "used", "withdrawn", "superseded", "revoked")
"""Which comes first of steps of one time."""
_SECOND: Final = len("2026-11-22T13:00:00")


def arrange(steps: Sequence["StepOut"]) -> list["StepOut"]:
    """The steps in the order in which they are told."""
    attested = {one.about: one.time for one in steps if one.step == "attested"}
    consented = {(one.about, one.index): one.time for one in steps if one.step == "consented"}

    def key(one: "StepOut") -> tuple[str, int]:
        rests = "" if one.consent is None else consented.get((one.about, one.consent), "")
        time = max(one.seen_by or one.time, attested.get(one.about, ""), rests)
        return time, _RANKS.index(one.step)

    return sorted(steps, key=key)


def tell_time(step: "StepOut", steps: Sequence["StepOut"]) -> str:
    """When a step was, for people."""
    said = step.seen_by or step.time
    attested = _attested(step, steps)
    return max(said, attested) if said[:_SECOND] == attested[:_SECOND] else said


def is_before(step: "StepOut", steps: Sequence["StepOut"]) -> bool:
    """Whether those who countersigned say an earlier time than the one who attested."""
    said = (step.seen_by or step.time)[:_SECOND]
    return step.step == "witnessed" and said < _attested(step, steps)[:_SECOND]


def _attested(step: "StepOut", steps: Sequence["StepOut"]) -> str:
    if step.step != "witnessed":
        return ""
    found = (one.time for one in steps if (one.step, one.about) == ("attested", step.about))
    return next(found, "")
