"""The facts that a slip shows: all from the entry and signatures that were verified, none given."""

from collections.abc import Mapping
from dataclasses import dataclass

from chopmark.core.check import read_attestation
from chopmark.core.entry import Attestation
from chopmark.core.errors import MalformedError
from chopmark.core.member import is_cosigner_name
from chopmark.core.policy import Policy
from chopmark.core.proof import verify_proof
from chopmark.core.slip import parse_slip

_COSIGNER = "/cosigner"


@dataclass(frozen=True, slots=True)
class Name:
    """What a member is called, as the gateway's roster or configuration says."""

    institution: str
    jurisdiction: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a slip proves under a policy.

    Attributes:
        text: the slip itself, as it is in the QR code.
        existed_by: seconds since the Unix epoch; None where no quorum is demanded.
        witnesses: by jurisdiction, who has cosigned.
    """

    text: str
    name: Name
    origin: str
    index: int
    entry: Attestation
    existed_by: int | None
    witnesses: tuple[tuple[str, tuple[str, ...]], ...]


def gather_facts(text: str, policy: Policy, names: Mapping[str, Name]) -> Facts:
    """Verify a slip, and gather what it says.

    Args:
        text: the slip.
        policy: that of the log.
        names: of members by their origin; who has none is named by the origin, and stands under
            the name of its group in the policy.

    Raises:
        RefusedError: what `verify_proof` raises.
        MalformedError: what `parse_slip` raises.
    """
    proven = verify_proof(parse_slip(text), policy)
    entry, problem = read_attestation(proven.extra.entry)
    if entry is None:
        raise MalformedError("malformed-slip", problem or "")
    origin = proven.head.checkpoint.origin
    cosigners = [one.key.name for one in proven.head.verified if one.time]
    places: dict[str, list[str]] = {}
    for key in cosigners:
        owner = next((one for one in names if is_cosigner_name(key, one)), "")
        known = names.get(owner) or _name_by_policy(key, policy)
        at = places.setdefault(known.jurisdiction, [])
        if known.institution not in at:
            at.append(known.institution)
    witnesses = tuple((place, tuple(places[place])) for place in sorted(places))
    name = names.get(origin) or Name(origin, "")
    return Facts(text, name, origin, proven.index, entry, proven.existed_by, witnesses)


def _name_by_policy(key: str, policy: Policy) -> Name:
    """A witness by its key: groups are jurisdictions in the policies that gateways make."""
    called = {vkey.name: name for name, vkey in policy.witnesses.items()}
    group = called.get(key, key)
    while above := next((g for g, (_, of) in policy.groups.items() if group in of), None):
        if above == policy.quorum:
            break
        group = above
    place = "" if group == called.get(key, key) else group
    return Name(key.removesuffix(_COSIGNER), place)
