"""The file that proves one audit record to a third party, offline (docs/formats/audit.md)."""

from dataclasses import dataclass
from typing import Final

from chopmark.core.audit import AUDIT, Day, Record, is_date, parse_record, salted_leaf
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import root_from_inclusion
from chopmark.core.policy import Policy
from chopmark.core.proof import MAX_PATH, MAX_PROOF, Proof, Proven, parse_proof, verify_proof
from chopmark.core.text import encode_base64, parse_base64, parse_decimal, parse_hash, parse_utf8

HEADER: Final = "chopmark/audit-proof/v1"
MAX_AUDIT_PROOF: Final = MAX_PROOF + 16 * 1024


@dataclass(frozen=True, slots=True)
class AuditProof:
    """A parsed proof of one record, not verified yet.

    Attributes:
        record: its bytes.
        salt: its salt.
        index: its number, counted from the first record of all.
        hashes: path from its leaf to the root of its day's tree.
        day: of the record.
        entry: proof of the day's entry in the gateway's ledger.
    """

    record: bytes
    salt: bytes
    index: int
    hashes: tuple[bytes, ...]
    day: Day
    entry: Proof

    def encode(self) -> bytes:
        """The file's bytes."""
        day = self.day
        lines = [
            HEADER,
            f"record {encode_base64(self.record)}",
            f"salt {encode_base64(self.salt)}",
            f"index {self.index}",
            f"day {day.number} {day.date} {day.first} {day.count}",
            f"root {encode_base64(day.root)}",
            f"chain {encode_base64(day.chain)}",
            *map(encode_base64, self.hashes),
        ]
        return "\n".join([*lines, "", ""]).encode() + self.entry.encode()


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record that the gateway's ledger stands for.

    Attributes:
        logged_at: when the day's entry was made, ms since the Unix epoch.
        proven: the entry in the ledger: its index, its head and who has cosigned it.
    """

    record: Record
    logged_at: int
    proven: Proven


def parse_audit_proof(data: bytes) -> AuditProof:
    """Read a proof file.

    Raises:
        MalformedError: `malformed-audit-proof` and the codes of its parts.
    """
    if len(data) > MAX_AUDIT_PROOF:
        raise _bad(f"of {len(data)} bytes is too large")
    head, blank, rest = data.partition(b"\n\n")
    lines = parse_utf8(head, "an audit proof").split("\n")
    if lines[0] != HEADER or not blank:
        raise _bad(f"does not begin with {HEADER}")
    if not 7 <= len(lines) <= 7 + MAX_PATH:
        raise _bad("does not have the lines that it should")
    names = ("record", "salt", "index", "day", "root", "chain")
    record, salt, index, day, root, chain = map(_read, lines[1:7], names)
    return AuditProof(  # each part has one spelling only, and so has the whole
        parse_base64(record, "a record"),
        parse_hash(salt, "a salt"),
        parse_decimal(index, "the index of a record"),
        tuple(parse_hash(line, "a line of an audit proof") for line in lines[7:]),
        _parse_day(day, parse_hash(root, "a root"), parse_hash(chain, "a chain value")),
        parse_proof(rest),
    )


def verify_audit_proof(proof: AuditProof, policy: Policy) -> ProvenRecord:
    """Check a proof of one record under a policy that names the gateway's log key.

    A quorum that is not reached is no error: it is reported.

    Raises:
        RefusedError: `bad-inclusion` if the record is not one of the day; `other-day` if the entry
            is not the day's; and what `verify_proof` raises.
        MalformedError: the record cannot be read; and what `verify_proof` raises.
    """
    day, leaf = proof.day, salted_leaf(proof.salt, proof.record)
    root = root_from_inclusion(leaf, proof.index - day.first, day.count, proof.hashes)
    if root != day.root:
        raise RefusedError("bad-inclusion", "the record does not lead to the root of its day")
    proven = verify_proof(proof.entry, policy)
    entry = parse_entry(proven.extra.entry)
    if not isinstance(entry, Commitment) or (entry.type, entry.value) != (AUDIT, day.value()):
        raise RefusedError("other-day", "the entry in the ledger is not that of the record's day")
    return ProvenRecord(parse_record(proof.record), entry.made_at, proven)


def _read(line: str, name: str) -> str:
    word, _, value = line.partition(" ")
    if word != name:
        raise _bad(f"has no line `{name}` where it should")
    return value


def _parse_day(text: str, root: bytes, chain: bytes) -> Day:
    words = text.split(" ")
    if len(words) != 4 or not is_date(words[1]):
        raise _bad("does not name the day of its record")
    number, first, count = (
        parse_decimal(words[at], "a number of an audit proof") for at in (0, 2, 3)
    )
    return Day(number, words[1], first, count, root, chain)


def _bad(what: str) -> MalformedError:
    return MalformedError("malformed-audit-proof", f"an audit proof {what}")
