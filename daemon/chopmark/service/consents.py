"""Consents: recorded by the issuer, at the customer's request (docs/consent.md).

Rules, in this order:
1. What an idempotency key stands for is given again.
2. The attestation is of our own log, of a kind that the caller may attest, and counts still: it is
   neither revoked nor superseded nor expired.
3. The receiver is an active member. The consent ends in the future.
4. The roster has a scenario that fits, if it has any, and the consent ends as early as that
   demands.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chopmark.api.dealings import ConsentAsked, Made
from chopmark.api.roles import check_kind
from chopmark.core.consent import Consent
from chopmark.core.draft import Asking
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.member import Member
from chopmark.core.merkle import leaf_hash
from chopmark.core.scenarios import Dealing, Scenarios
from chopmark.core.wording import format_time
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import LogState
from chopmark.service.commitments import Commitments, Grounded
from chopmark.service.parties import Parties

_Found = tuple[bytes, Attestation, bool]
"""Leaf hash, attestation, and whether it was revoked or superseded."""


@dataclass(frozen=True, slots=True)
class Consents:
    """Records consents in our log.

    Attributes:
        now: the clock, in ms.
    """

    own: Member
    log: Log
    commitments: Commitments
    parties: Parties
    scenarios: Scenarios
    now: Callable[[], int]

    async def give(self, asked: ConsentAsked, seconds: float, asking: Asking) -> Made:
        """Record one.

        Raises:
            RefusedError: `no-such-attestation`, `attestation-over`, `already-expired`,
                `consent-too-long`, `receiver-not-active`, and what `Scenarios.find` raises.
            MissingError: `no-such-member`, `no-such-scenario`.
            ForbiddenError: `kind-not-granted`.
            ChopmarkError: what `Commitments.record` raises.
        """
        leaf, entry, _ = await self.log.read(lambda r, s: _read(r, s, asked.index))
        check_kind(entry.kind)
        receiver = self.parties.find(asked.receiver)
        dealing = Dealing(entry.kind, self.own, receiver, asked.purpose)
        scenario = self.scenarios.find(dealing, asked.scenario)
        body = Consent(
            *(self.own.origin, asked.index, leaf, receiver.origin, asked.purpose, asked.until),
            scenario=None if scenario is None else scenario.name,
        )
        earlier = await self.commitments.find(asking, [body])
        if earlier is not None:
            return earlier
        bound = None if scenario is None else scenario.validity

        async def judge() -> Grounded:
            _, entry, over = await self.log.read(lambda r, s: _read(r, s, asked.index))
            _check_attestation(entry, asked.index, self.now(), over=over)
            _check_end(asked.until, self.now(), bound)
            return Grounded(body)

        await judge()  # before there is a salt: that is not to be made for nothing
        return await self.commitments.record(judge, seconds, asking)


def _read(reader: Reader, state: LogState, index: int) -> _Found:
    if not 0 <= index < state.size:
        raise _no_attestation(index)
    data = reader.entry(index)
    try:
        entry = parse_entry(data)
    except MalformedError as error:
        raise _no_attestation(index) from error
    if not isinstance(entry, Attestation):
        raise _no_attestation(index)
    revoked, newer = reader.references(index, state.size)
    return leaf_hash(data), entry, revoked is not None or newer >= 0


def _check_attestation(entry: Attestation, index: int, now: int, *, over: bool) -> None:
    if over or (entry.valid_until is not None and entry.valid_until < now):
        message = f"entry {index} is revoked, superseded or expired: there is nothing to consent to"
        hint = "attest the document again, or name the attestation that has taken its place"
        raise RefusedError("attestation-over", message, hint=hint)


def _check_end(until: int, now: int, validity: int | None) -> None:
    if until <= now:
        raise RefusedError("already-expired", "the consent ends in the past")
    latest = None if validity is None else now + 1000 * validity
    if latest is not None and until > latest:
        message = f"the scenario lets a consent hold until {format_time(latest)} at most"
        raise RefusedError("consent-too-long", message, hint="give an earlier end")


def _no_attestation(index: int) -> RefusedError:
    hint = "only entries of this gateway's own log can be named"
    return RefusedError("no-such-attestation", f"entry {index} is no attestation", hint=hint)
