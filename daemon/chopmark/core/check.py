"""Checks one document against one entry: digests, blinding, entitlement; and a proof offline."""

from collections.abc import Callable
from dataclasses import replace

from chopmark.core.blinding import blind
from chopmark.core.digest import Digests
from chopmark.core.entry import SHA256, SM3, Attestation, Entry, UnknownFormat, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.policy import NONE, Policy
from chopmark.core.proof import Proof, Proven, verify_proof
from chopmark.core.verdict import Facts, Issuer, Match, Source

UNKNOWN_FORMAT = "the entry is of a format that is not known here: update the software"
NO_ATTESTATION = "the entry is no attestation"


def compare(
    entry: Attestation, digests: Digests | None, origin: str, salt: bytes | None = None
) -> Match:
    """How a document compares with an attestation: all digests that it names must match."""
    if digests is None:
        return Match.NO_DOCUMENT
    if entry.blinded:
        if salt is None:
            return Match.BLINDED
        digests = _blind_all(digests, origin, salt)
    if entry.sha256 != digests.sha256:
        return Match.RESAVED if _says_the_same(entry, digests) else Match.DIFFERS
    if entry.sm3 is not None and digests.sm3 is None:
        return Match.MISSING
    return Match.ALL if entry.sm3 in (None, digests.sm3) else Match.DIFFERS


def read_attestation(data: bytes) -> tuple[Attestation | None, str | None]:
    """The attestation in an entry, or what keeps it from being one, in words."""
    try:
        entry: Entry = parse_entry(data)
    except MalformedError as error:
        return None, error.message
    if isinstance(entry, UnknownFormat):
        return None, UNKNOWN_FORMAT
    return (entry, None) if isinstance(entry, Attestation) else (None, NO_ATTESTATION)


def facts_from_proof(
    proof: Proof,
    policy: Policy,
    digests: Digests | None,
    issuer: Issuer,
    may_issue: Callable[[str], bool],
) -> Facts:
    """What a proof tells by itself; a replica, where there is one, adds the rest.

    A proof that fails its checks gives facts with a problem, not an error.

    Raises:
        MalformedError: if the proof cannot be read at all.
    """
    unproven = Facts(issuer, proof.index, None, Source.PROOF, Match.NO_DOCUMENT, referred=True)
    try:
        proven = verify_proof(proof, policy)
    except RefusedError as error:
        return replace(unproven, problem=error.message)
    if (origin := proven.head.checkpoint.origin) != issuer.origin:
        return replace(unproven, problem=f"the proof is from {origin}, another log")
    entry, problem = read_attestation(proven.extra.entry)
    if entry is None:
        return replace(unproven, problem=problem)
    if not may_issue(entry.kind):
        problem = not_entitled(issuer, entry.kind)
    match = compare(entry, digests, issuer.origin, proven.extra.salt)
    known = replace(unproven, entry=entry, problem=problem, match=match)
    return _with_witnesses(known, proven, policy)


def not_entitled(issuer: Issuer, kind: str) -> str:
    """The problem of an entry whose issuer may not attest its kind."""
    return f"{issuer.institution} is not entitled to attest the kind {kind}"


def lacks_notaries(facts: Facts, policy: Policy) -> Facts:
    """The facts of an entry that has its quorum, and not the notaries that its kind demands."""
    kind = "" if facts.entry is None else facts.entry.kind
    return replace(facts, quorum="missing", notaries=policy.describe_notaries(kind))


def _with_witnesses(facts: Facts, proven: Proven, policy: Policy) -> Facts:
    kind = "" if facts.entry is None else facts.entry.kind
    state = "none" if policy.quorum == NONE else "reached" if proven.quorum else "missing"
    full = policy.for_kind(kind)
    if proven.quorum and not full.is_satisfied(one.key for one in proven.head.verified):
        facts, state = lacks_notaries(facts, policy), "missing"
    elif proven.quorum and full.quorum != NONE:
        state = "reached"
    by = proven.existed_by
    cosigned = tuple((v.key.name, v.time * 1000) for v in proven.head.verified if v.time)
    existed_by = by * 1000 if by is not None else None
    return replace(facts, quorum=state, existed_by=existed_by, witnesses=cosigned)


def _blind_all(digests: Digests, origin: str, salt: bytes) -> Digests:
    sm3 = digests.sm3 and blind(salt, origin, SM3, digests.sm3)
    canonical = tuple((name, blind(salt, origin, name, one)) for name, one in digests.canonical)
    return Digests(blind(salt, origin, SHA256, digests.sha256), sm3, canonical)


def _says_the_same(entry: Attestation, digests: Digests) -> bool:
    """Whether the canonical digests agree that both sides have, and there is one."""
    given = dict(digests.canonical)
    compared = [given[name] == digest for name, digest in entry.canonical if name in given]
    return bool(compared) and all(compared)
