"""The steps of a trace for people, in English."""

from chopmark.core.entry import REASONS
from chopmark.core.timeline import is_before
from chopmark.core.trace import Report, StepOut

_QUORUM = {
    "reached": "countersigned by the quorum",
    "missing": "countersigned, and the quorum is not there yet",
    "none": "countersigned; no quorum is demanded",
}


_BEHIND = "by their clocks, which were behind that of the one who attested it"


def describe_step(report: Report, step: StepOut) -> list[str]:
    """What a step says, for people, in English: a sentence, and where it stands."""
    if step.step == "witnessed":
        names = ", ".join(f"{one.name} at {_second(one.time)}" for one in step.by)
        seen = f"the gateway remembers this time; the proof shows {_second(step.time)}"
        more = [seen] if step.seen_by not in (None, step.time) else []
        late = [_BEHIND] if is_before(step, report.steps) else []
        return [_QUORUM[step.quorum or "none"], *more, names, *late]
    return [_describe(report, step), f"{step.origin}#{step.index}"]


def _describe(report: Report, step: StepOut) -> str:
    who = _name(report, step.origin)
    match step.step:
        case "attested":
            until = f", valid until {step.valid_until}" if step.valid_until else ""
            return f"{who} attested it as {step.kind}{until}"
        case "superseded":
            return f"{who} put another attestation in its place"
        case "revoked":
            return f"{who} revoked it: {_reason(step.reason)}"
        case "consented":
            purpose = f"{step.purpose} ({step.scenario})" if step.scenario else step.purpose
            receiver = _name(report, step.receiver or "")
            return f"the customer lets {receiver} use it for {purpose}, until {step.valid_until}"
        case "withdrawn":
            return f"the consent in entry {step.consent} was withdrawn"
        case _:
            rests = f"under the consent in entry {step.consent}"
            under = "without a consent" if step.consent is None else rests
            return f"{who} used it for {step.purpose} {under}"


def _name(report: Report, origin: str) -> str:
    party = report.parties.get(origin)
    return origin if party is None else f"{party.institution} ({party.jurisdiction})"


def _second(time: str) -> str:
    """A time as a cosignature says it: in whole seconds."""
    return time.replace(".000Z", "Z")


def _reason(number: int | None) -> str:
    known = number is not None and number < len(REASONS)
    return REASONS[number] if known and number is not None else f"reason {number}"
