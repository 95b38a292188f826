"""Traces: what our log and the replicas know of a document's life, with proofs (docs/consent.md).

1. Attestations are found by digest, by the document's proof, and by what is shown of consents.
2. What is shown is told only where it opens the entry on the ledger. Nothing else of consents and
   uses can be found by anybody.
3. Each proof is the newest one that can be made here, under a witnessed head; the document's own
   stays if it is complete, for it tells of an earlier time.
4. Of a document that was attested ever so often a bounded number of attestations is shown, so that
   verifications on the same thread go on between traces.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from chopmark.api.dealings import TraceAsked
from chopmark.api.slots import Slots
from chopmark.core.check import compare, read_attestation
from chopmark.core.consent import Consent, Shown, seal
from chopmark.core.digest import Digests
from chopmark.core.errors import MissingError, RefusedError
from chopmark.core.proof import Extra, Proof, Proven, parse_extra, parse_proof, verify_proof
from chopmark.core.timeline import arrange
from chopmark.core.trace import HIDDEN, Party, Place, Report, Step, Teller
from chopmark.core.verdict import Match
from chopmark.core.wording import format_time
from chopmark.ledger.log import Log
from chopmark.ledger.worker import Worker
from chopmark.service.shelf import Shelf, contradicted
from chopmark.service.uses import read_shown
from chopmark.service.verifier import Verifier

MAX_SUBJECTS: Final = 32
"""Attestations of a document that are told of: each takes some milliseconds."""
MAX_TRACING: Final = 4
"""Traces that are made, or wait, at once."""


@dataclass(frozen=True, slots=True)
class Traces:
    """Traces documents.

    Attributes:
        shelves: by origin, the logs that are held here.
        reading: the readers' thread.
        now: the clock, in ms.
    """

    shelves: Mapping[str, Shelf]
    verifier: Verifier
    reading: Worker
    now: Callable[[], int]
    slots: Slots = field(default_factory=lambda: Slots(MAX_TRACING, "traces", retry_after=1))

    async def trace(self, asked: TraceAsked) -> dict[str, Any]:
        """The report, as JSON.

        Raises:
            MalformedError: a proof cannot be read.
            RefusedError: `document-differs`, `bad-commitment`, and what `verify_proof` raises.
            MissingError: `no-such-member`.
            TryAgainError: `overloaded`.
        """
        with self.slots.taken():
            report: dict[str, Any] = await self.reading.run(lambda: self._trace(asked))
        return report

    def _trace(self, asked: TraceAsked) -> dict[str, Any]:
        proof = None if asked.proof is None else parse_proof(asked.proof)
        carrier = proof if proof is not None and _is_document(proof) else None
        records = asked.records
        if carrier is None and asked.proof is not None:
            records = (asked.proof, *records)
        shown = read_shown(None if carrier is None else asked.proof, records)
        telling = _Telling(self, asked.digests, self.now())
        if carrier is not None:
            telling.add_proof(carrier)
        if asked.digests is not None:
            telling.add_found(asked.digests)
        for one in shown:
            telling.add_subject((one.body.origin, one.body.index))
        for one in sorted(shown, key=lambda one: one.made_at):
            telling.add_shown(one)
        return telling.report()

    def shelf(self, origin: str) -> Shelf:
        """The log with this origin.

        Raises:
            MissingError: `no-such-member`.
        """
        found = self.shelves.get(origin)
        if found is None:
            raise MissingError("no-such-member", f"no log {origin} is known here")
        return found


@dataclass
class _Telling:
    """One report in the making, on the readers' thread."""

    of: Traces
    digests: Digests | None
    now: int
    steps: list[Step] = field(default_factory=list)
    subjects: set[Place] = field(default_factory=set)
    left_out: set[Place] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    cut: bool = False

    def add_proof(self, proof: Proof) -> None:
        """Whose proof it is."""
        origin = proof.checkpoint().origin
        shelf = self.of.shelf(origin)
        proven = verify_proof(proof, self.of.verifier.policy(origin))
        self._is_of_document((origin, proof.index), proven)
        if (why := contradicted(shelf, proof)) is not None:
            self.warnings.append(f"{origin}#{proof.index}: {why}")
            return
        extra = parse_extra(proof.extra)
        bare = replace(proof, extra=Extra(extra.entry, extra.salt).encode())
        self._add_attestation((origin, proof.index), bare if proven.quorum else None, extra.salt)

    def add_found(self, digests: Digests) -> None:
        """All attestations of the document that are found by its digest."""
        for origin, shelf in self.of.shelves.items():
            for index, data in shelf.log.find(digests.sha256):
                entry = None if data is None else read_attestation(data)[0]
                if entry is not None and not compare(entry, digests, origin).is_other:
                    self._add_attestation((origin, index))

    def add_subject(self, place: Place) -> None:
        """What a consent or use is about, unless that is here already."""
        shelf = self.of.shelf(place[0])
        if place not in self.left_out and place[1] < shelf.log.signed_size:
            self._add_attestation(place)

    def add_shown(self, shown: Shown) -> None:
        """A consent or use, and whether the consent was withdrawn."""
        about = (shown.body.origin, shown.body.index)
        if about in self.left_out:
            return
        if about not in self.subjects:
            self.warnings.append(f"{about[0]}#{about[1]} has not come in here")
            return
        log = self.of.shelf(shown.origin).log
        index = shown.proof.index
        consent = isinstance(shown.body, Consent)
        self.steps.append(Step("consented" if consent else "used", about, self._renew(shown, log)))
        if consent and index < log.signed_size:
            revoked, _ = log.read_now(lambda r, s: r.references(index, s.head.size))
            if revoked is not None:
                self.steps.append(Step("withdrawn", about, _prove(log, revoked[0])))

    def report(self) -> dict[str, Any]:
        """The report as JSON."""
        origins = {step.proof.checkpoint().origin for step in self.steps}
        receivers = {origin for origin in self.of.shelves if origin not in origins}
        policies = {origin: self.of.verifier.policy(origin) for origin in sorted(origins)}
        teller = Teller(policies, self.digests, self._is_one)
        told = teller.tell_all(self.steps)
        named = {one.receiver for one in told} & receivers
        parties = sorted(origins | {one for one in named if one is not None})
        times = [shelf.as_of(self.now) for shelf in self.of.shelves.values()]
        known = [time for time in times if time is not None]
        report = Report(
            asked_at=format_time(self.now),
            as_of=format_time(min(known)) if known and len(known) == len(times) else None,
            digests=_hex(self.digests),
            parties={origin: _party(self.of.shelf(origin)) for origin in parties},
            policies={origin: policy.encode() for origin, policy in policies.items()},
            warnings=self.warnings + teller.remarks,
            steps=arrange(told),
        )
        values: dict[str, Any] = msgspec.to_builtins(report)
        return values

    def _add_attestation(
        self, place: Place, proof: Proof | None = None, salt: bytes | None = None
    ) -> None:
        """An attestation, who has witnessed it, and what became of it."""
        origin, index = place
        shelf = self.of.shelf(origin)
        if place in self.subjects:
            return
        if len(self.subjects) >= MAX_SUBJECTS:
            if not self.cut:
                self.warnings.append(f"more than {MAX_SUBJECTS} attestations: not all are shown")
            self.cut = True
            self.left_out.add(place)
            return
        if index >= shelf.log.signed_size and proof is None:
            self.warnings.append(f"{origin}#{index} has not come in here")
            return
        made = proof or _prove(shelf.log, index, salt)
        proven = verify_proof(made, self.of.verifier.policy(origin))
        if not self._is_of_document(place, proven):
            self.warnings.append(f"{origin}#{index}: it is {HIDDEN}")
            self.left_out.add(place)
            return
        self.subjects.add(place)
        self.steps.append(Step("attested", place, made))
        seen = shelf.log.read_now(lambda reader, _: reader.existed_by(index))
        if any(one.time for one in proven.head.verified):
            by = proven.existed_by
            seen = None if seen is None or by is None or seen > by else seen
            self.steps.append(Step("witnessed", place, made, seen))
        if index < shelf.log.signed_size:
            self._add_references(shelf, place)

    def _is_of_document(self, place: Place, proven: Proven) -> bool:
        """Whether an attestation is of the document, as far as one is given; False if nobody knows.

        Raises:
            RefusedError: `document-differs`.
        """
        entry, _ = read_attestation(proven.extra.entry)
        if entry is None:
            return True  # telling refuses it, and says why
        match = compare(entry, self.digests, place[0], proven.extra.salt)
        if match.is_other:
            message = f"{place[0]}#{place[1]} is an attestation of another document"
            hint = "give the document, and what belongs to it"
            raise RefusedError("document-differs", message, hint=hint)
        return match is not Match.BLINDED

    def _is_one(self, one: str, other: str) -> bool:
        """Whether two logs are of one institution."""
        found = [shelf.member for origin in (one, other) if (shelf := self.of.shelves.get(origin))]
        return one == other or (len(found) == 2 and found[0].institution == found[1].institution)

    def _add_references(self, shelf: Shelf, place: Place) -> None:
        log, index = shelf.log, place[1]
        revoked, newer = log.read_now(lambda r, s: r.references(index, s.head.size))
        if newer >= 0:
            self.steps.append(Step("superseded", place, _prove(log, newer)))
        if revoked is not None:
            self.steps.append(Step("revoked", place, _prove(log, revoked[0])))
        entry = log.read_now(lambda reader, _: reader.entry(index))
        facts = self.of.verifier.look(place[0], index, entry, self.digests, self.now)
        said = (facts.problem, facts.warning, shelf.warning())
        self.warnings += [f"{place[0]}#{index}: {one}" for one in said if one is not None]

    def _renew(self, shown: Shown, log: Log) -> Proof:
        """The newest proof of a consent or use; the one that was shown, if it is not here yet."""
        index, extra = shown.proof.index, parse_extra(shown.proof.extra)
        if index >= log.signed_size:
            return shown.proof
        newest = _prove(log, index)
        if parse_extra(newest.extra).entry != extra.entry or extra.salt is None:
            message = f"the ledger of {shown.origin} has another entry at {index}"
            raise RefusedError("consent-not-in-ledger", message)
        return seal(newest, extra.salt, shown.body)


def _prove(log: Log, index: int, salt: bytes | None = None) -> Proof:
    proof: Proof = log.read_now(lambda reader, state: reader.proof(index, state, bare=True))
    entry = parse_extra(proof.extra).entry
    return proof if salt is None else replace(proof, extra=Extra(entry, salt).encode())


def _is_document(proof: Proof) -> bool:
    """Whether a proof is of an attestation: it may carry consents and uses, and is none."""
    return read_attestation(parse_extra(proof.extra).entry)[0] is not None


def _hex(digests: Digests | None) -> dict[str, str] | None:
    if digests is None:
        return None
    named = {"sha256": digests.sha256, "sm3": digests.sm3}
    return {name: value.hex() for name, value in named.items() if value is not None}


def _party(shelf: Shelf) -> Party:
    member = shelf.member
    return Party(member.id, member.institution, member.jurisdiction)
