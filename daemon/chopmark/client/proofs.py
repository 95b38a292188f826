"""Looking into proofs that a gateway gave or that lie on disk, before they are kept or replaced."""

from dataclasses import replace

from chopmark.client.files import PRIVATE_MODE, PUBLIC_MODE
from chopmark.client.problem import bad_answer
from chopmark.core.check import compare, read_attestation
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.digest import Digests
from chopmark.core.errors import MalformedError
from chopmark.core.policy import NONE, parse_policy
from chopmark.core.proof import Proof, parse_extra, parse_proof, verify_proof
from chopmark.core.verdict import Match


def check_answer(data: bytes, origin: str, index: int, digests: Digests | None = None) -> Proof:
    """Make sure that a gateway's answer is the proof asked for; no signature is checked.

    Args:
        data: the proof as it came.
        origin: of the log that it must be from.
        index: of the entry that it must be about.
        digests: of the document that it must be about, if known.

    Raises:
        UnreachableError: `bad-answer`.
    """
    try:
        proof = parse_proof(data)
        fits = (proof.checkpoint().origin, proof.index) == (origin, index)
        if not fits or (digests and not names_document(proof, digests)):
            raise bad_answer()
    except MalformedError as error:
        raise bad_answer() from error
    return proof


def renew(old: Proof, data: bytes) -> Proof:
    """A newer proof of the same entry, with what only the older one carries: salt and bodies.

    Args:
        old: the proof that is to be replaced.
        data: the newer one as a gateway gave it, `bare` or not.

    Raises:
        UnreachableError: `bad-answer`: it is not of this entry.
        MalformedError: `malformed-proof`: the older one is none of ours.
    """
    new = check_answer(data, old.checkpoint().origin, old.index)
    kept = parse_extra(old.extra)
    try:
        if parse_extra(new.extra).entry != kept.entry:
            raise bad_answer()
    except MalformedError as error:
        raise bad_answer() from error
    return replace(new, extra=kept.encode())


def keep_records(old: bytes, new: Proof) -> Proof:
    """A newer proof with the consents and uses that an older one of the same entry carries.

    Raises:
        MalformedError: the older one cannot be read.
    """
    bodies = parse_extra(parse_proof(old).extra).bodies
    return new if bodies is None else replace(new, extra=_with_bodies(new, bodies))


def _with_bodies(proof: Proof, bodies: bytes) -> bytes:
    return replace(parse_extra(proof.extra), bodies=bodies).encode()


def proof_mode(proof: Proof) -> int:
    """Mode of the file of a proof: what a salt opens, and consents, are for its owner alone.

    Raises:
        MalformedError: `malformed-proof`.
    """
    extra = parse_extra(proof.extra)
    return PUBLIC_MODE if extra.salt is None and extra.bodies is None else PRIVATE_MODE


def names_document(proof: Proof, digests: Digests) -> bool:
    """Whether the entry that a proof carries is an attestation of this document.

    Raises:
        MalformedError: `malformed-proof`.
    """
    extra = parse_extra(proof.extra)
    entry, _ = read_attestation(extra.entry)
    origin = proof.checkpoint().origin
    return entry is not None and compare(entry, digests, origin, extra.salt) == Match.ALL


def lacks_quorum(proof: Proof, policy: bytes) -> bool:
    """Whether a proof has not the quorum that a policy demands: then it is provisional.

    Raises:
        UnreachableError: `bad-answer` if proof or policy of the gateway do not hold.
    """
    try:
        rule = parse_policy(policy)
        proven = verify_proof(proof, rule)
        entry, _ = read_attestation(proven.extra.entry)
        full = rule if entry is None else rule.for_kind(entry.kind)
        return not full.is_satisfied(one.key for one in proven.head.verified)
    except MalformedError as error:
        raise bad_answer() from error


def state_of(note: bytes, policy: bytes, kind: str) -> str:
    """How far a signed head has come for a kind of document.

    Returns:
        `witnessed`, `provisional`, or `signed` where no quorum is demanded.

    Raises:
        UnreachableError: `bad-answer` if note or policy of the gateway do not hold.
    """
    try:
        rule = parse_policy(policy).for_kind(kind)
        if rule.quorum == NONE:
            return "signed"
        head = open_checkpoint(note, rule.logs[0], tuple(rule.witnesses.values()))
    except MalformedError as error:
        raise bad_answer() from error
    reached = rule.is_satisfied(one.key for one in head.verified)
    return "witnessed" if reached else "provisional"


def read_origin(data: bytes) -> str:
    """Origin of the log that a proof is from.

    Raises:
        UnreachableError: `bad-answer`.
    """
    try:
        return parse_proof(data).checkpoint().origin
    except MalformedError as error:
        raise bad_answer() from error
