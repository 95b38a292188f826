"""What a use may rest on: whether a consent that was shown holds here and now.

Rules, in this order; of several consents that one is explained which came furthest:
1. It is about the attestation that is to be used.
2. It names our institution.
3. It names the purpose, and the same scenario, if it names one.
4. It has not ended, and was not given for longer than the scenario lets it.
5. Our replica of the issuer's log has its entry, under a head that the policy's quorum has
   cosigned; the log is not forked.
6. It was not withdrawn, as far as that replica knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chopmark.core.consent import Consent, Shown, Use
from chopmark.core.entry import REASONS
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError
from chopmark.core.member import Member
from chopmark.core.policy import NONE, Policy
from chopmark.core.verdict import Source
from chopmark.core.wording import format_time
from chopmark.service.commitments import consent_expired
from chopmark.service.parties import Parties
from chopmark.service.shelf import Shelf

_SLACK = 120_000
"""Ms between the check of a consent by its issuer and its entry's time."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """Judges the consents to one issuer's documents.

    Attributes:
        shelf: the issuer's log.
        policy: of it.
        own: this gateway, the receiver.
        now: ms since the Unix epoch.
    """

    shelf: Shelf
    policy: Policy
    parties: Parties
    own: Member
    now: int

    def find(
        self, shown: Sequence[Shown], use: Use, validity: int | None, *, needed: bool
    ) -> Shown | None:
        """A consent that holds for a use; None if there is none, and none is needed.

        Args:
            shown: consents.
            use: what it is for, without the consent.
            validity: seconds for which the scenario lets a consent hold, if it is bounded.
            needed: whether the scenario demands one.

        Raises:
            RefusedError: `consent-missing`, or why the best of them does not hold:
                `consent-other-document`, `consent-other-receiver`, `consent-other-purpose`,
                `consent-other-scenario`, `consent-expired`, `consent-too-long`,
                `consent-not-in-ledger`, `consent-untrusted`, `consent-withdrawn`.
            TryAgainError: `consent-not-here`, `consent-unwitnessed`.
        """
        best: tuple[int, ChopmarkError] = (-1, _missing(use))
        for one in shown:
            refused = self._refuse(one, use, validity)
            if refused is None:
                return one
            best = max(best, refused, key=lambda found: found[0])
        if needed:
            raise best[1]
        return None

    def _refuse(
        self, shown: Shown, use: Use, validity: int | None
    ) -> tuple[int, ChopmarkError] | None:
        """How far a consent came, and what is wrong with it; None if it holds."""
        body = shown.body
        if not isinstance(body, Consent):
            return 0, _missing(use)
        if (refused := self._refuse_terms(body, use)) is not None:
            return refused
        if (error := self._refuse_time(shown, body, validity)) is not None:
            return 4, error
        if (error := self._refuse_entry(shown)) is not None:
            return 5, error
        withdrawn = self._refuse_withdrawn(shown)
        return None if withdrawn is None else (6, withdrawn)

    def _refuse_terms(self, body: Consent, use: Use) -> tuple[int, ChopmarkError] | None:
        if (body.origin, body.index, body.leaf) != (use.origin, use.index, use.leaf):
            message = f"the consent is to another document, {body.origin}#{body.index}"
            return 1, _refused("other-document", message, _ASK)
        if not self.parties.same_institution(body.receiver, self.own):
            message = f"the consent is for another receiver, {body.receiver}"
            return 2, _refused("other-receiver", message, _ASK)
        if body.purpose != use.purpose:
            message = f"the consent is for the purpose {body.purpose}, not for {use.purpose}"
            return 3, _refused("other-purpose", message, _ASK)
        if body.scenario not in (None, use.scenario):
            message = f"the consent is for the scenario {body.scenario}, not for {use.scenario}"
            return 3, _refused("other-scenario", message, "name the scenario of the consent")
        return None

    def _refuse_time(
        self, shown: Shown, body: Consent, validity: int | None
    ) -> ChopmarkError | None:
        if body.until < self.now:
            return consent_expired(body.until)
        if validity is not None and body.until > shown.made_at + 1000 * validity + _SLACK:
            message = "the consent was given for longer than its scenario lets it hold"
            return _refused("too-long", message, _ASK)
        return None

    def _refuse_entry(self, shown: Shown) -> ChopmarkError | None:
        index, log = shown.proof.index, self.shelf.log
        state = log.state
        if (stop := self.shelf.stopped()) is not None:
            return _refused("untrusted", f"{stop.reason}", "`chopmark evidence show` tells more")
        if index >= log.signed_size:
            message = f"the consent, {shown.origin}#{index}, has not come in here yet"
            return _wait("consent-not-here", message)
        held: bytes = log.read_now(lambda reader, _: reader.entry(index))
        if held != shown.entry:
            message = f"the ledger of {shown.origin} has another entry at {index}"
            return _refused("not-in-ledger", message, _ASK)
        if self.policy.quorum != NONE and index >= state.witnessed_size:
            message = "not enough institutions have countersigned the consent yet"
            return _wait("consent-unwitnessed", message)
        return None

    def _refuse_withdrawn(self, shown: Shown) -> ChopmarkError | None:
        log = self.shelf.log
        own = self.shelf.source is Source.OWN
        size = log.state.size if own else log.state.head.size
        revoked, _ = log.read_now(lambda reader, _: reader.references(shown.proof.index, size))
        if revoked is None:
            return None
        index, reason, at = revoked
        why = REASONS[reason] if reason < len(REASONS) else f"reason {reason}"
        message = f"the consent was withdrawn at {format_time(at)} (entry {index}, {why})"
        return _refused("withdrawn", message, "the customer must give another one at the issuer")


_ASK = "ask the customer for a consent to this use: the issuer records it"


def _missing(use: Use) -> RefusedError:
    message = f"no consent to use {use.origin}#{use.index} for {use.purpose} was shown"
    hint = "the customer asks the issuer for it; it travels in the document's proof file"
    return RefusedError("consent-missing", message, hint=hint)


def _refused(code: str, message: str, hint: str) -> RefusedError:
    return RefusedError(f"consent-{code}", message, hint=hint)


def _wait(code: str, message: str) -> TryAgainError:
    return TryAgainError(code, message, hint="send it again in a moment", retry_after=2)
