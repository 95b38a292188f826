"""The policies of older versions of the roster: a proof that was complete in its time stays so.

Rules:
1. The versions are those that are held here, the newest first. One whose rule cannot be kept, or
   demands nobody, says nothing of a proof.
2. Under a version cosignatures count that are dated before the next one came in force here, or
   within the minute in which a version spreads. Later ones are judged under the next.
3. A key that any version calls compromised counts under none, and neither does one of a member
   that is suspended now: their times may be lies.
4. The keys of the log itself are those of now.
5. They are asked only about heads that are held here (`Verifier`): whoever has keys of long ago can
   date back, but shows nobody another history.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Final

from chopmark.core.entitlement import SPREAD
from chopmark.core.errors import RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.quorum import Generated, generate
from chopmark.core.roster import ListedMember
from chopmark.service.membership import Membership

_SPREAD: Final = SPREAD // 1000


class PastPolicies:
    """The policies of each log by the versions before the one in force; made once each."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._barred = _barred(membership)
        self._made = lru_cache(maxsize=256)(self._make)

    def of(self, issuer: Member) -> Iterator[Generated]:
        """Those of a member's log, the newest first."""
        for number in reversed(range(len(self._membership.chain) - 1)):
            made = self._made(number, issuer.origin)
            if made is not None:
                yield replace(made, policy=replace(made.policy, logs=issuer.log_keys))

    def _make(self, number: int, origin: str) -> Generated | None:
        roster = self._membership.chain[number].roster
        members = roster.members()
        issuer = next((one for one in members if one.origin == origin), None)
        if issuer is None:
            return None
        try:
            made = generate(issuer, [one for one in members if one.is_active], roster.rule())
        except RefusedError:
            return None
        old = made.policy
        until = self._membership.times[number + 1] + _SPREAD
        known = {name: key for name, key in old.witnesses.items() if key not in self._barred}
        ended = {key: min(until, old.ended.get(key, until)) for key in known.values()}
        if not known:
            return None
        return replace(made, policy=replace(old, witnesses=known, ended=ended))


def _barred(membership: Membership) -> frozenset[VerifierKey]:
    """The cosigner keys that count in no version."""
    now = (membership.own, *membership.peers)
    suspended = {one.origin for one in now if one.state == "suspended"}

    def keys(listed: ListedMember) -> Iterator[VerifierKey]:
        for one in listed.cosigner_key:
            if listed.origin in suspended or one.state == "compromised":
                yield one.key

    rosters = (one.roster for one in membership.chain)
    return frozenset(key for roster in rosters for one in roster.member for key in keys(one))
