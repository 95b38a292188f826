"""Making a slip of a proof: what no verifier needs is left out (docs/formats/slip.md)."""

from chopmark.core.check import read_attestation
from chopmark.core.checkpoint import SignedCheckpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.note import Note, Signature
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof, verify_proof
from chopmark.core.quorum import minimal_quorum
from chopmark.core.slip import encode_slip


def make_slip(proof: Proof, policy: Policy) -> str:
    """The slip of a proof that is complete under a policy.

    Raises:
        RefusedError: `provisional` without the quorum (and notaries) that the policy demands,
            `slip-too-large`, and what `verify_proof` raises.
        MalformedError: `malformed-slip` for a proof that no slip can stand for, and what
            `verify_proof` raises.
    """
    return encode_slip(reduce_proof(proof, policy))


def reduce_proof(proof: Proof, policy: Policy) -> Proof:
    """The proof that a slip stands for; raises as `make_slip`.

    It existed by the same time as the whole one: the earliest quorum is kept.
    """
    proven = verify_proof(proof, policy)
    entry, problem = read_attestation(proven.extra.entry)
    if entry is None:
        raise MalformedError("malformed-slip", f"no slip is made of this proof: {problem}")
    full = policy.for_kind(entry.kind)
    verified = sorted((v for v in proven.head.verified if v.time), key=lambda v: v.time)
    if not full.is_satisfied(one.key for one in verified):
        message = "the proof is provisional: not enough institutions have countersigned yet"
        hint = "`chopmark proof FILE` completes the proof later"
        raise RefusedError("provisional", message, hint=hint)
    early = [v.key for v in verified if v.time <= (proven.existed_by or 0)]
    quorum = minimal_quorum(policy, early)
    keys = dict.fromkeys((*quorum, *minimal_quorum(full, [v.key for v in verified])))
    by_key = dict(zip((v.key for v in proven.head.verified), proven.head.lines(), strict=True))
    note = Note(proven.head.note.text, (_log_line(proven.head), *(by_key[key] for key in keys)))
    extra = Extra(proven.extra.entry, proven.extra.salt)
    return Proof(proof.index, proof.hashes, note.encode(), extra.encode())


def _log_line(head: SignedCheckpoint) -> Signature:
    lines = zip(head.verified, head.lines(), strict=True)
    return next(line for verified, line in lines if not verified.key.is_cosigner)
