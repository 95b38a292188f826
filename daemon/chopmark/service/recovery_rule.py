"""Whether an origin may go on after its ledger was recovered: the rule, without any file.

The same origin goes on only if nothing can have been signed beyond the recovered head:
1. the head mark in the token was written at an orderly stop,
2. the recovered head equals it, in size and root,
3. every institution with a gateway that is active has answered, by such a one, with the newest
   heads of our log that it has seen, and
4. none of these lies above the recovered head, or contradicts it.
Otherwise the roster retires the origin at the recovered head, and names a successor. If only 3 is
missing, the answers that are missing can still come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.mark import HeadMark
from chopmark.core.member import Member


class Fate(Enum):
    """What becomes of the origin."""

    WHOLE = "whole"
    GOES_ON = "goes-on"
    WAITING = "waiting"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rule says.

    Attributes:
        fate: what becomes of the origin.
        reasons: why it does not go on.
        silent: institutions that have not answered.
    """

    fate: Fate
    reasons: tuple[str, ...]
    silent: tuple[str, ...]


def judge(
    mark: HeadMark | None,
    head: Checkpoint,
    beyond: Sequence[Checkpoint],
    answered: Mapping[Member, bool],
    own_institution: str,
) -> Judgement:
    """Apply the rule.

    Args:
        mark: the head mark in the token.
        head: the newest signed head of the recovered ledger.
        beyond: heads that our key has signed and that the ledger lacks or contradicts.
        answered: of each peer, whether it has; those that are suspended are not waited for.
        own_institution: whose answer is not counted.
    """
    reasons = [*_marked(mark, head), *(_lacks(one, head) for one in beyond)]
    silent = _silent(answered, own_institution)
    if reasons:
        return Judgement(Fate.RETIRED, tuple(reasons), silent)
    if silent:
        missing = f"not every institution has answered: {', '.join(silent)}"
        return Judgement(Fate.WAITING, (missing,), silent)
    return Judgement(Fate.GOES_ON, (), ())


def _marked(mark: HeadMark | None, head: Checkpoint) -> list[str]:
    if mark is None:
        return ["the token holds no head mark"]
    if mark.head != head:
        size = mark.head.size
        if size == head.size:
            return [f"the head mark has another root at {size} entries"]
        return [f"the head mark is at {size} entries, the recovered head at {head.size}"]
    if not mark.clean:
        return ["the head mark was not written at an orderly stop: more may have been signed"]
    return []


def _lacks(seen: Checkpoint, head: Checkpoint) -> str:
    if seen.size > head.size:
        return f"our key has signed {seen.size} entries, of which {head.size} are left"
    return f"our key has signed another root at {seen.size} entries"


def _silent(answered: Mapping[Member, bool], own: str) -> tuple[str, ...]:
    """Institutions with active gateways none of which has answered."""
    counted = [one for one in answered if one.is_active and one.institution != own]
    institutions = {member.institution for member in counted}
    spoken = {member.institution for member in counted if answered[member]}
    return tuple(sorted(institutions - spoken))
