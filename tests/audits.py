"""Audit logs for tests: records, salts that are always the same, and days logged in a ledger."""

from collections.abc import Sequence
from hashlib import sha256

import trees
from chopmark.core.audit import START, Day, Record, encode_record, make_day, make_entry, salted_leaf
from chopmark.core.audit_proof import AuditProof
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.entry import encode_entry
from chopmark.core.proof import Extra, Proof
from softkeys import SoftKey, sign_head

NOW = 1_795_305_600_123
DATE = "2026-11-22"


def record(number: int) -> Record:
    """A record like those of a gateway."""
    about = {"index": number, "reason": "customer's request"}
    return Record(NOW + number, "unix uid=1000", "revocation", about=about)


def salt(number: int) -> bytes:
    return sha256(b"salt %d" % number).digest()


def leaves(numbers: Sequence[int]) -> list[bytes]:
    return [salted_leaf(salt(number), encode_record(record(number))) for number in numbers]


def day(number: int, first: int, count: int, before: bytes = START) -> Day:
    return make_day(number, DATE, first, before, leaves(range(first, first + count)))


def audit_proof(index: int, of: Day, log: SoftKey, cosigned: dict[SoftKey, int]) -> AuditProof:
    """The proof of a record of a day whose entry is the third of five in a ledger."""
    data = encode_entry(make_entry(of, NOW + 86_400_000))
    ledger = [*trees.numbered(2), trees.leaf(data), *trees.numbered(2, seed=1)]
    head = Checkpoint(log.name, 5, trees.root(ledger))
    note = sign_head(head, log, cosigned)
    entry = Proof(2, tuple(trees.path(2, ledger)), note, Extra(data).encode())
    path = tuple(trees.path(index - of.first, leaves(range(of.first, of.first + of.count))))
    return AuditProof(encode_record(record(index)), salt(index), index, path, of, entry)
