"""A log with compact requests among other entries, and the answers that a gateway would give."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import trees
from chopmark.core.blinding import blind, derive_salts
from chopmark.core.checkpoint import Checkpoint, open_checkpoint
from chopmark.core.compact import End, Header, Run, beside, of_run
from chopmark.core.entry import SHA256, SM3, Attestation, encode_entry
from chopmark.core.merkle import range_nodes
from softkeys import log_key, sign_head

ORIGIN = "bank-hk.example/hk-1"
LOG = log_key(ORIGIN)
MADE_AT = 1_795_352_400_000
REQUEST = bytes(range(16))
open_note = partial(open_checkpoint, log_key=LOG.vkey)


def digests(count: int, width: int = 32, first: int = 0) -> bytes:
    """Digests of documents from number `first` on, joined."""
    half = width // 32
    made = (sha256(b"document %d" % number).digest() for number in range(first, first + count))
    return b"".join(digest + bytes(reversed(digest)) * (half - 1) for digest in made)


@dataclass
class CompactLog:
    """Entries, and the runs of one request among them."""

    header: Header = field(default_factory=lambda: Header(REQUEST, "bank-statement"))
    leaves: list[bytes] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    digests: bytes = b""

    def add_others(self, count: int) -> None:
        """Entries that are not the request's."""
        at = len(self.leaves)
        self.leaves += [trees.leaf(b"other %d" % number) for number in range(at, at + count)]

    def add_run(self, count: int, valid_until: int | None = None, seed: bytes | None = None) -> Run:
        """The next digests of the request, with what the gateway has set; blinded with a seed."""
        first = self.runs[-1].first + self.runs[-1].count if self.runs else self.header.offset
        made_at = MADE_AT + (len(self.runs) if seed is None else 0)
        run = Run(first, len(self.leaves), count, made_at, valid_until, seed)
        some = digests(count, self.header.width, first)
        salts = derive_salts(seed, first, count) if seed is not None else ()
        for at in range(0, len(some), self.header.width):
            sm3 = some[at + 32 : at + 64] if self.header.with_sm3 else None
            header = of_run(self.header, run)
            entry = Attestation(
                run.made_at, some[at : at + 32], header.kind, sm3, header.valid_until
            )
            if salts:
                salt = salts[at // self.header.width]
                hidden = blind(salt, ORIGIN, SHA256, entry.sha256)
                sm3 = sm3 and blind(salt, ORIGIN, SM3, sm3)
                entry = replace(entry, sha256=hidden, sm3=sm3, blinded=True)
            self.leaves.append(trees.leaf(encode_entry(entry)))
        self.digests += some
        self.runs.append(run)
        return run

    def note(self) -> bytes:
        """The signed head."""
        return sign_head(Checkpoint(ORIGIN, len(self.leaves), trees.root(self.leaves)), LOG)

    def end(self, runs: Sequence[Run] | None = None) -> End:
        """The record that ends an answer with these runs, by default all."""
        nodes = trees.Nodes(self.leaves)
        places = beside(self.runs if runs is None else runs, len(self.leaves))
        joined = [b"".join(nodes(*node) for node in range_nodes(*place)) for place in places]
        return End(self.note(), tuple(joined))


def made(*parts: int, with_sm3: bool = False, valid_until: int | None = None) -> CompactLog:
    """Runs of these sizes; a negative number is so many other entries."""
    header = Header(REQUEST, "bank-statement", valid_until, with_sm3=with_sm3)
    log = CompactLog(header)
    for part in parts:
        if part < 0:
            log.add_others(-part)
        else:
            log.add_run(part)
    return log
