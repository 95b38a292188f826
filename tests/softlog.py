"""A log with keys in software, and the proofs that a gateway would hand out; for tests only."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import Digests, digest_stream
from chopmark.core.entry import Attestation, Revocation, encode_entry, parse_entry
from chopmark.core.keys import COSIGNATURE, ED25519, VerifierKey, cosigned_message
from chopmark.core.merkle import CompactRange, inclusion_proof, leaf_hash, node_hash
from chopmark.core.note import Note, Signature
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof
from chopmark.core.verdict import Facts, Issuer, Match, Revoked, Source

NOW = 1_795_352_400_000
"""2026-11-22T13:00:00Z"""


def private_key(word: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(word.encode()).digest())


def digests_of(document: bytes) -> Digests:
    return digest_stream([document])[0]


@dataclass
class SoftLog:
    """One institution's log; every entry counts as signed at once."""

    origin: str = "bank-hk.example/hk-1"
    id: str = "hk-1"
    institution: str = "Bank of Hong Kong (example)"
    witness: str = "bank-sz.example/sz-1/cosigner"
    entries: list[bytes] = field(default_factory=list)

    @property
    def log_key(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, _public(self.origin))

    @property
    def own_cosigner(self) -> VerifierKey:
        name = f"{self.origin}/cosigner"
        return VerifierKey(name, COSIGNATURE, _public(name))

    @property
    def cosigner_key(self) -> VerifierKey:
        return VerifierKey(self.witness, COSIGNATURE, _public(self.witness))

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.id, self.origin, self.institution, "HK")

    def policy(self, *, witnessed: bool = False) -> bytes:
        """The log alone, or with its witness as the quorum."""
        if not witnessed:
            return Policy((self.log_key,)).encode().encode()
        return Policy((self.log_key,), {"w": self.cosigner_key}, quorum="w").encode().encode()

    def attest(self, document: bytes, kind: str = "document", **fields: Any) -> int:
        digests = digests_of(document)
        entry = Attestation(NOW, digests.sha256, kind, digests.sm3, **fields)
        return self.append(encode_entry(entry))

    def revoke(self, index: int, reason: int = 0, made_at: int = NOW) -> int:
        return self.append(encode_entry(Revocation(made_at, index, reason)))

    def append(self, entry: bytes) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def proof(self, index: int, *, cosigned: bool = False) -> bytes:
        leaves = [leaf_hash(entry) for entry in self.entries]
        rows = [leaves]
        while len(rows[-1]) > 1:
            row = rows[-1]
            rows.append([node_hash(a, b) for a, b in zip(row[::2], row[1::2], strict=False)])
        hashes = inclusion_proof(index, len(leaves), lambda level, i: rows[level][i])
        note = self.head(cosigned=cosigned)
        return Proof(index, hashes, note, Extra(self.entries[index]).encode()).encode()

    def head(self, *, cosigned: bool = False) -> bytes:
        tree = CompactRange()
        tree.append([leaf_hash(entry) for entry in self.entries])
        text = Checkpoint(self.origin, len(self.entries), tree.root()).encode()
        key = self.log_key
        payload = private_key(self.origin).sign(text.encode())
        note = Note(text, (Signature(key.name, key.key_id, payload),))
        if cosigned:
            seconds = NOW // 1000 + 5
            message = cosigned_message(seconds, text.encode())
            payload = seconds.to_bytes(8, "big") + private_key(self.witness).sign(message)
            key = self.cosigner_key
            note = note.with_signature(Signature(key.name, key.key_id, payload))
        return note.encode()

    def find(self, digests: Digests, source: Source = Source.OWN) -> list[Facts]:
        """Facts about the attestations of a document, as a gateway has them."""
        entries = [parse_entry(entry) for entry in self.entries]
        revoked = {
            entry.target: Revoked(index, entry.reason, entry.made_at)
            for index, entry in enumerate(entries)
            if isinstance(entry, Revocation)
        }
        return [
            Facts(self.issuer, i, entry, source, Match.ALL, revoked=revoked.get(i), as_of=NOW)
            for i, entry in enumerate(entries)
            if isinstance(entry, Attestation) and entry.sha256 == digests.sha256
        ]


def _public(word: str) -> bytes:
    return private_key(word).public_key().public_bytes_raw()
