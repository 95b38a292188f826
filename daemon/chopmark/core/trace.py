"""Traces: the life of a document as steps, each with the proof that shows it.

What a step says follows from its proof, so that a report is checked offline by saying it again
(docs/formats/trace.md). A report proves what it shows. That there is nothing else it cannot prove.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal

import msgspec
from msgspec import structs

from chopmark.core.check import compare
from chopmark.core.consent import Consent, Shown, Use, show
from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation, Revocation, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import leaf_hash
from chopmark.core.policy import NONE, Policy
from chopmark.core.proof import Proof, Proven, parse_proof, verify_proof
from chopmark.core.timeline import arrange
from chopmark.core.verdict import Match
from chopmark.core.wording import format_time

FORMAT: Final = "chopmark/trace/v1"
MAX_REPORT: Final = 16 * 1024 * 1024
MAX_STEPS: Final = 1024
HIDDEN: Final = "hidden (blinded): without its salt nobody can tell of which document it is"
Name = Literal["attested", "witnessed", "superseded", "revoked", "consented", "withdrawn", "used"]
Place = tuple[str, int]
"""Origin of a log, and index of an entry in it."""


class Cosigned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who has cosigned the head over an entry, and when."""

    name: str
    time: str


class StepOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step, as a report has it.

    Attributes:
        time: of the entry, by its gateway's clock; of `witnessed` by when the quorum had cosigned
            the head in the proof.
        about: the attestation, as `origin#index`.
        origin: of the log that has the entry, and
        index: the entry's.
        proof: `.tlog-proof` of the entry.
        seen_by: of `witnessed`, by when a quorum had cosigned by what the gateway remembers.
    """

    step: Name
    time: str
    about: str
    origin: str
    index: int
    proof: str
    kind: str | None = None
    blinded: bool = False
    valid_until: str | None = None
    quorum: Literal["none", "reached", "missing"] | None = None
    by: list[Cosigned] = []
    seen_by: str | None = None
    reason: int | None = None
    receiver: str | None = None
    purpose: str | None = None
    scenario: str | None = None
    consent: int | None = None


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose log it is."""

    id: str
    institution: str
    jurisdiction: str


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The life of a document.

    Attributes:
        asked_at: by the clock of the gateway that made it.
        as_of: up to when its replicas are whole, as far as it knows.
        digests: of the document, in hexadecimal, if it was at hand.
        parties: by origin.
        policies: by origin, the one under which the gateway has checked proofs of that log.
        warnings: what it has to say besides.
    """

    format: Literal["chopmark/trace/v1"] = FORMAT
    asked_at: str
    as_of: str | None
    digests: dict[str, str] | None
    parties: dict[str, Party]
    policies: dict[str, str]
    warnings: list[str] = []
    steps: list[StepOut]


@dataclass(frozen=True, slots=True)
class Step:
    """A step and what shows it.

    Attributes:
        about: the attestation.
        seen_by: as of `StepOut`, in seconds.
    """

    name: Name
    about: Place
    proof: Proof
    seen_by: int | None = None


class Teller:
    """Says what steps say, after checking their proofs.

    Args:
        policies: by origin.
        digests: of the document, if they are known.
        is_one: whether two origins are of one institution; where nobody knows, each is its own.

    Attributes:
        remarks: what a reader must know though every step holds: that a head has no quorum, that a
            use goes beyond the consent that it names.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        digests: Digests | None,
        is_one: Callable[[str, str], bool] = str.__eq__,
    ) -> None:
        self.remarks: list[str] = []
        self._policies = policies
        self._digests = digests
        self._is_one = is_one
        self._leaves: dict[Place, bytes] = {}
        self._consents: dict[Place, Shown] = {}

    def tell_all(self, steps: Sequence[Step]) -> list[StepOut]:
        """What the steps say, in their order.

        Raises:
            RefusedError: `bad-step`, and what `verify_proof` and `show` raise.
        """
        for wanted in ("attested", "consented"):  # what the others are about
            for step in steps:
                if step.name == wanted:
                    self._tell(step)
        self.remarks = []
        told = [self._tell(step) for step in steps]
        self.remarks = list(dict.fromkeys(self.remarks))
        return told

    def _tell(self, step: Step) -> StepOut:
        origin = step.proof.checkpoint().origin
        policy = self._policies.get(origin)
        if policy is None:
            hint = "give the policy of each log by --policy"
            raise RefusedError("unknown-log", f"there is no policy for {origin}", hint=hint)
        proven = verify_proof(step.proof, policy)
        if not proven.quorum:
            self._remark(step, "its ledger alone has signed it: no quorum has countersigned it yet")
        out = partial(
            StepOut,
            step=step.name,
            about=f"{step.about[0]}#{step.about[1]}",
            origin=origin,
            index=proven.index,
            proof=step.proof.encode().decode(),
        )
        match step.name:
            case "attested" | "witnessed":
                return self._tell_attestation(step, proven, policy, out)
            case "superseded":
                return self._tell_superseded(step, origin, proven, out)
            case "revoked" | "withdrawn":
                return self._tell_revocation(step, origin, proven, out)
            case _:
                return self._tell_shown(step, out)

    def _tell_attestation(
        self, step: Step, proven: Proven, policy: Policy, out: "partial[StepOut]"
    ) -> StepOut:
        origin = step.proof.checkpoint().origin
        entry = parse_entry(proven.extra.entry)
        if not isinstance(entry, Attestation) or step.about != (origin, proven.index):
            raise _bad(step, "it is not the attestation that it says")
        match = compare(entry, self._digests, origin, proven.extra.salt)
        _demand(not match.is_other, step, "it is an attestation of another document")
        _demand(match is not Match.BLINDED, step, f"it is {HIDDEN}")
        self._leaves[step.about] = leaf_hash(proven.extra.entry)
        if step.name == "attested":
            until = None if entry.valid_until is None else format_time(entry.valid_until)
            return out(
                time=format_time(entry.made_at),
                kind=entry.kind,
                blinded=entry.blinded,
                valid_until=until,
            )
        full = policy.for_kind(entry.kind)
        times = {one.key: one.time for one in proven.head.verified if one.time}
        _demand(bool(times), step, "nobody has cosigned it")
        reached = full.is_satisfied(times)
        state = "none" if full.quorum == NONE else "reached" if reached else "missing"
        by = full.existed_by(proven.head.verified) or max(times.values())
        if step.seen_by is not None:
            _demand(step.seen_by <= by, step, "it was witnessed earlier than it says")
        names = [Cosigned(key.name, format_time(1000 * time)) for key, time in times.items()]
        seen = None if step.seen_by is None else format_time(1000 * step.seen_by)
        return out(time=format_time(1000 * by), quorum=state, by=names, seen_by=seen)

    def _tell_superseded(
        self, step: Step, origin: str, proven: Proven, out: "partial[StepOut]"
    ) -> StepOut:
        entry = parse_entry(proven.extra.entry)
        if not isinstance(entry, Attestation) or (origin, entry.supersedes) != step.about:
            raise _bad(step, "it takes the place of another attestation, or of none")
        _demand(proven.index > step.about[1], step, "it comes before what it replaces")
        return out(time=format_time(entry.made_at), kind=entry.kind)

    def _tell_revocation(
        self, step: Step, origin: str, proven: Proven, out: "partial[StepOut]"
    ) -> StepOut:
        entry = parse_entry(proven.extra.entry)
        if not isinstance(entry, Revocation) or proven.index <= entry.target:
            raise _bad(step, "it is no revocation of an earlier entry")
        target = (origin, entry.target)
        if step.name == "revoked":
            _demand(target == step.about, step, "it revokes another entry")
            return out(time=format_time(entry.made_at), reason=entry.reason)
        consent = self._consents.get(target)
        fits = consent is not None and (consent.body.origin, consent.body.index) == step.about
        _demand(fits, step, "it withdraws another consent")
        return out(time=format_time(entry.made_at), reason=entry.reason, consent=entry.target)

    def _tell_shown(self, step: Step, out: "partial[StepOut]") -> StepOut:
        shown = show(step.proof)
        body = shown.body
        _demand((body.origin, body.index) == step.about, step, "it is about another document")
        _demand(self._leaves.get(step.about) == body.leaf, step, "it is about another document")
        told = partial(
            out,
            time=format_time(shown.made_at),
            receiver=body.receiver,
            purpose=body.purpose,
            scenario=body.scenario,
        )
        if isinstance(body, Consent):
            _demand(step.name == "consented", step, "it is a consent")
            self._consents[shown.place] = shown
            return told(valid_until=format_time(body.until))
        _demand(step.name == "used", step, "it is a use")
        self._weigh(step, body, shown.made_at)
        return told(consent=None if body.consent is None else body.consent[0])

    def _weigh(self, step: Step, use: Use, made_at: int) -> None:
        """Remark a use that goes beyond its consent: what recorded it may not have looked."""
        if use.consent is None:
            return
        index, leaf = use.consent
        shown = self._consents.get((use.origin, index))
        if shown is None:
            self._remark(step, f"the consent that it names, entry {index}, is not shown")
            return
        consent = shown.body
        if leaf_hash(shown.entry) != leaf or not isinstance(consent, Consent):
            self._remark(step, f"it names another consent than the one in entry {index}")
            return
        if (consent.index, consent.leaf) != (use.index, use.leaf):
            self._remark(step, f"the consent in entry {index} is to another document")
        if consent.purpose != use.purpose:
            self._remark(step, f"the consent in entry {index} is for {consent.purpose}")
        if not self._is_one(consent.receiver, use.receiver):
            self._remark(step, f"the consent in entry {index} was given to {consent.receiver}")
        if made_at > consent.until:
            self._remark(step, f"the consent in entry {index} had ended")

    def _remark(self, step: Step, what: str) -> None:
        place = f"{step.proof.checkpoint().origin}#{step.proof.index}"
        self.remarks.append(f"{step.name} ({place}): {what}")


def read_report(data: bytes) -> Report:
    """Read a report; nothing of it is checked yet.

    Raises:
        MalformedError: `malformed-report`.
    """
    try:
        report = msgspec.json.decode(data[: MAX_REPORT + 1], type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError("malformed-report", f"not a report of a trace: {error}") from error
    if len(data) > MAX_REPORT or len(report.steps) > MAX_STEPS:
        raise MalformedError("malformed-report", "a report of a trace is too large")
    return report


@dataclass(frozen=True, slots=True)
class Checked:
    """What a report proves.

    Attributes:
        steps: in the order of their times, with what follows from proofs alone: not `seen_by`.
        remarks: see `Teller`.
    """

    steps: list[StepOut]
    remarks: list[str]


def check_report(
    report: Report, policies: Mapping[str, Policy], digests: Digests | None = None
) -> Checked:
    """Check a report by its proofs alone: each step says what follows from its own.

    Args:
        report: as it was read.
        policies: by origin, of whom the reader trusts.
        digests: of the document at hand, if the report names none.

    Raises:
        RefusedError: `bad-step`, and what `Teller.tell_all` raises.
        MalformedError: a proof, a digest or a place cannot be read.
    """
    named = digests if report.digests is None else read_digests(report.digests)
    steps = [_read_step(one) for one in report.steps]
    teller = Teller(policies, named)
    told = teller.tell_all(steps)
    known: set[tuple[Name, Place, Place]] = set()
    for step, said, due in zip(steps, report.steps, told, strict=True):
        _demand(said == due, step, "it says something else than its proof")
        key = step.name, step.about, (due.origin, due.index)
        _demand(key not in known, step, "it is there twice")
        known.add(key)
    return Checked(arrange([structs.replace(one, seen_by=None) for one in told]), teller.remarks)


def read_digests(named: Mapping[str, str]) -> Digests:
    """Digests in hexadecimal, by name.

    Raises:
        MalformedError: `malformed-report`.
    """
    try:
        values = {name: bytes.fromhex(text) for name, text in named.items()}
    except ValueError as error:
        raise MalformedError("malformed-report", "a digest is not hexadecimal") from error
    good = "sha256" in values and not values.keys() - {"sha256", "sm3"}
    if not good or {len(value) for value in values.values()} != {32}:
        raise MalformedError("malformed-report", "the digests are not such as there are")
    return Digests(values["sha256"], values.get("sm3"))


def _read_step(step: StepOut) -> Step:
    origin, _, index = step.about.rpartition("#")
    if not index.isascii() or not index.isdigit() or str(int(index)) != index:
        raise MalformedError("malformed-report", f"not a place in a log: {step.about[:80]!r}")
    seen = None if step.seen_by is None else _seconds(step.seen_by)
    return Step(step.step, (origin, int(index)), parse_proof(step.proof.encode()), seen)


def _seconds(text: str) -> int:
    try:
        return int(msgspec.convert(text, type=datetime).timestamp())
    except msgspec.ValidationError as error:
        raise MalformedError("malformed-report", f"not a time: {text[:40]!r}") from error


def _demand(condition: bool, step: Step, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise _bad(step, otherwise)


def _bad(step: Step, why: str) -> RefusedError:
    place = f"{step.proof.checkpoint().origin}#{step.proof.index}"
    message = f"the step {step.name!r} ({place}) does not hold: {why}"
    return RefusedError("bad-step", message, hint="have the report made anew by `chopmark trace`")
