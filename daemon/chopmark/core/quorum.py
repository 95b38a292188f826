"""Which witnesses a log needs: its policy, generated from the members and the witness rule.

Rules (docs/formats/policy.md):
1. An institution votes once, by whichever of its gateways has cosigned; the issuer's own
   institution is left out.
2. The quorum is all mandatory groups. A group that leaving out the issuer empties is dropped.
3. Quorums intersect: at least one mandatory group needs more than half of its institutions, or an
   issuer could show two histories to two quorums that have nobody in common.
4. A quorum has at most 14 cosignatures, so that with the log's it fits a note that we publish.
5. Whoever stands in no group is a witness all the same, whom the quorum does not need.
6. Without another institution there is no quorum to demand: `quorum none`.
7. A kind may demand notaries besides: so many of some institutions, the issuer's left out. They
   may vote in the quorum too. Where too few are left, nothing of this kind is ever witnessed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chopmark.core.errors import RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.policy import Policy

MAJORITY: Final = "majority"
"""As a threshold: more than half of the group's institutions."""
MAX_QUORUM: Final = 14
"""Cosignatures in the largest minimal quorum: of the 15 signatures in a note one is the log's."""
QUORUM: Final = "quorum"
"""Name of the group of all mandatory groups."""
FOREIGN: Final = "/witness"
"""How the names of keys end by which members cosign logs that are no member's."""
_CUT: Final = "name fewer jurisdictions in mandatory groups, or a smaller number as threshold"


@dataclass(frozen=True, slots=True)
class WitnessGroup:
    """Institutions of some jurisdictions, so many of which must have cosigned.

    Attributes:
        jurisdictions: whose institutions these are.
        threshold: a number of institutions, or `majority`.
    """

    jurisdictions: tuple[str, ...]
    threshold: int | str = MAJORITY

    @property
    def name(self) -> str:
        """Its name in a policy."""
        return "+".join(sorted(self.jurisdictions))


@dataclass(frozen=True, slots=True)
class Notaries:
    """Institutions, so many of which must have cosigned what is attested of a kind.

    Attributes:
        kind: of documents.
        institutions: by name.
        threshold: how many.
    """

    kind: str
    institutions: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class WitnessRule:
    """The mandatory groups; without any, each jurisdiction is one that needs a majority."""

    groups: tuple[WitnessGroup, ...] = ()
    notaries: tuple[Notaries, ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """A log's policy, and the groups that leaving out its issuer has emptied, by name."""

    policy: Policy
    dropped: tuple[str, ...] = ()


@dataclass(slots=True)
class _Ballot:
    """One mandatory group: what each institution's vote is called, and how many are needed."""

    group: WitnessGroup
    votes: list[str] = field(default_factory=list)

    @property
    def needed(self) -> int:
        if isinstance(self.group.threshold, int):
            return self.group.threshold
        return len(self.votes) // 2 + 1

    @property
    def is_majority(self) -> bool:
        return 2 * self.needed > len(self.votes)


def generate_policy(issuer: Member, members: Iterable[Member], rule: WitnessRule | None) -> Policy:
    """The policy of the issuer's log; see `generate`."""
    return generate(issuer, members, rule).policy


def generate(issuer: Member, members: Iterable[Member], rule: WitnessRule | None) -> Generated:
    """The policy of the issuer's log, and which groups were dropped.

    Args:
        issuer: whose log it is.
        members: all members; whether the issuer is among them makes no difference, nor does
            their order.
        rule: the mandatory groups; None demands no quorum.

    Raises:
        RefusedError: `no-common-quorum`, `quorum-too-large`, `quorum-unreachable`,
            `ambiguous-group`, `witness-key`: the rule cannot be kept for this log, and what to
            change.
    """
    others = {m.id: m for m in members if m.institution != issuer.institution}
    voters = [others[name] for name in sorted(others)]
    # Which of its keys a gateway has cosigned by makes no difference: some follow others.
    witnesses = {key.name: key for member in voters for key in member.all_cosigner_keys}
    _check_names(witnesses)
    ended = {key: since for member in voters for key, since in member.past_cosigner_keys}
    log = issuer.log_keys
    if rule is None:
        return Generated(Policy(log))
    if not voters:
        nobody: tuple[str, ...] = ()
        return Generated(
            Policy(log, notaries={one.kind: (one.threshold, nobody) for one in rule.notaries})
        )
    groups = check_rule(rule).groups or _each_jurisdiction([issuer, *voters])
    ballots = {jurisdiction: _Ballot(g) for g in groups for jurisdiction in g.jurisdictions}
    mandatory = [ballots[group.jurisdictions[0]] for group in groups]
    for ballot in mandatory:  # one ballot for all jurisdictions of its group
        ballots |= dict.fromkeys(ballot.group.jurisdictions, ballot)
    inner = _cast(voters, ballots)
    kept = [ballot for ballot in mandatory if ballot.votes]
    notaries = {one.kind: (one.threshold, _call(one, voters, inner)) for one in rule.notaries}
    _check_kept(issuer, kept, sum(needed for needed, _ in set(notaries.values())))
    return Generated(
        Policy(log, witnesses, inner | _outer(kept), QUORUM, notaries, ended),
        tuple(ballot.group.name for ballot in mandatory if not ballot.votes),
    )


def _check_names(witnesses: Iterable[str]) -> None:
    """A key that cosigns logs of others has seen heads, not entries: it is no member's vote."""
    for name in witnesses:
        if name.endswith(FOREIGN):
            raise RefusedError("witness-key", f"{name} cosigns logs of others: no policy has it")


def check_rule(rule: WitnessRule) -> WitnessRule:
    """Refuse a rule that no policy can be made by, whoever the members are.

    Raises:
        RefusedError: `ambiguous-group`, `quorum-unreachable`.
    """
    named = [one for group in rule.groups for one in group.jurisdictions]
    for group in rule.groups:
        threshold = group.threshold
        if not group.jurisdictions or (threshold != MAJORITY and not isinstance(threshold, int)):
            message = "a witness group needs jurisdictions, and `majority` or a number"
            raise RefusedError("ambiguous-group", message)
        if isinstance(threshold, int) and threshold < 1:
            message = f"the group {group.name} needs {threshold} institutions"
            raise RefusedError("quorum-unreachable", message, hint="name 1 or more")
    if len(set(named)) < len(named):
        twice = next(one for one in named if named.count(one) > 1)
        message = f"{twice} stands in two witness groups, and an institution votes once"
        raise RefusedError("ambiguous-group", message, hint="name it in one group only")
    return rule


def minimal_quorum(policy: Policy, cosigners: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """The fewest of these cosigners that satisfy a policy; of equals those named first.

    Returns:
        None of them if they do not satisfy it, or if it demands none.
    """
    present = list(dict.fromkeys(cosigners))
    met: dict[str, tuple[VerifierKey, ...]] = {
        name: (key,) for name, key in policy.witnesses.items() if key in present
    }
    rank = {key: number for number, key in enumerate(present)}
    for name, (threshold, members) in policy.groups.items():
        found = sorted(
            (met[one] for one in members if one in met),
            key=lambda keys: (len(keys), [rank[key] for key in keys]),
        )
        if len(found) >= threshold:
            met[name] = tuple(key for keys in found[:threshold] for key in keys)
    return met.get(policy.quorum, ())


def _each_jurisdiction(members: Iterable[Member]) -> tuple[WitnessGroup, ...]:
    return tuple(WitnessGroup((one,)) for one in sorted({m.jurisdiction for m in members}))


def _cast(
    voters: Collection[Member], ballots: Mapping[str, _Ballot]
) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Put each institution's vote on its ballot; gives the groups of those with more gateways."""
    inner: dict[str, tuple[int, tuple[str, ...]]] = {}
    for institution in dict.fromkeys(member.institution for member in voters):
        gateways = [m for m in voters if m.institution == institution]
        due = {id(b): b for m in gateways if (b := ballots.get(m.jurisdiction)) is not None}
        if len(due) > 1:
            names = " and ".join(ballot.group.name for ballot in due.values())
            message = f"{institution} has gateways in the groups {names}, and votes once"
            hint = "name these jurisdictions in one group, or its parts as institutions"
            raise RefusedError("ambiguous-group", message, hint=hint)
        for ballot in due.values():
            ballot.votes.append(_vote(ballot, gateways, inner))
    return inner


def _vote(
    ballot: _Ballot, gateways: Sequence[Member], inner: dict[str, tuple[int, tuple[str, ...]]]
) -> str:
    """The name of an institution's vote: its only gateway, or a group of which any will do."""
    names = tuple(key.name for member in gateways for key in member.all_cosigner_keys)
    if len(names) == 1:
        return names[0]
    name = f"{ballot.group.name}-{'-or-'.join(member.id for member in gateways)}"
    inner[name] = (1, names)
    return name


def _call(
    notaries: Notaries, voters: Collection[Member], inner: dict[str, tuple[int, tuple[str, ...]]]
) -> tuple[str, ...]:
    """The names of the notaries' votes; an institution with more gateways is a group of them."""
    votes: list[str] = []
    for institution in notaries.institutions:
        gateways = [member for member in voters if member.institution == institution]
        names = tuple(key.name for member in gateways for key in member.all_cosigner_keys)
        known = next((name for name, (_, of) in inner.items() if of == names), None)
        if len(names) > 1 and known is None:
            known = f"notary-{'-or-'.join(member.id for member in gateways)}"
            inner[known] = (1, names)
        votes += [known] if known is not None else names
    return tuple(votes)


def _outer(kept: Sequence[_Ballot]) -> dict[str, tuple[int, tuple[str, ...]]]:
    groups = {ballot.group.name: (ballot.needed, tuple(ballot.votes)) for ballot in kept}
    return {**groups, QUORUM: (len(groups), tuple(groups))}


def _check_kept(issuer: Member, kept: Sequence[_Ballot], notaries: int) -> None:
    for ballot in kept:
        if ballot.needed > len(ballot.votes):
            message = (
                f"the group {ballot.group.name} needs {ballot.needed} institutions, and without "
                f"{issuer.institution} it has {len(ballot.votes)}"
            )
            raise RefusedError("quorum-unreachable", message, hint="name a smaller threshold")
    if not any(ballot.is_majority for ballot in kept):
        message = (
            f"{issuer.origin} could show two histories to two quorums with nobody in common: no "
            "mandatory group needs more than half of its institutions"
        )
        hint = 'give one group that holds others than the issuer the threshold "majority"'
        raise RefusedError("no-common-quorum", message, hint=hint)
    total = sum(ballot.needed for ballot in kept) + notaries
    if total > MAX_QUORUM:
        message = f"a quorum of {total} cosignatures does not fit a note, which has {MAX_QUORUM}"
        raise RefusedError("quorum-too-large", message, hint=_CUT)
