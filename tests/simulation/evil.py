"""What the attacker writes: its own log, true and false, and things that look like something."""

from base64 import b64encode
from collections.abc import Sequence
from random import Random

from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.entry import Attestation, encode_entry
from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import cosigned_message
from chopmark.core.merkle import EMPTY_ROOT, HASH, read_range
from chopmark.core.note import Note, Signature
from chopmark.core.package import Package
from chopmark.core.tiles import WIDTH, encode_bundle
from chopmark.mesh.messages import encode_error, parse_request
from simulation.hsm import Keys
from trees import Nodes, leaf, root

MAX_SIZE = 2**63 - 1
MOST = WIDTH - 20
"""Entries of its log: one bundle is enough to lie with."""


class EvilLog:
    """The attacker's log. What it signs is well signed, whether it is true or not."""

    def __init__(self, keys: Keys) -> None:
        self.keys, self.origin = keys, keys.origin
        self.entries: list[bytes] = []
        self.leaves: list[bytes] = []
        self.signed = 0

    @property
    def size(self) -> int:
        return len(self.entries)

    def add(self, entries: Sequence[bytes]) -> None:
        """Add entries, while there is room."""
        some = entries[: MOST - self.size]
        self.entries += some
        self.leaves += map(leaf, some)

    def attest(self, digests: Sequence[bytes], now: int) -> None:
        """Attest documents."""
        self.add([encode_entry(Attestation(now, digest, "document")) for digest in digests])

    def note(self, time: int | None = None) -> bytes:
        """The true head, signed; with a time in seconds, a heartbeat."""
        return self.sign(self.size, root(self.leaves) if self.leaves else EMPTY_ROOT, time)

    def sign(self, size: int, root_hash: bytes, time: int | None = None) -> bytes:
        """Any head, signed."""
        text = Checkpoint(self.origin, size, root_hash).encode()
        key = self.keys.log_key
        lines = [Signature(key.name, key.key_id, self.keys.log.sign(text.encode()))]
        if time is not None:
            key = self.keys.cosigner_key
            signed = self.keys.cosigner.sign(cosigned_message(time, text.encode()))
            lines.append(Signature(key.name, key.key_id, time.to_bytes(8, "big") + signed))
        return Note(text, tuple(lines)).encode()

    def package(self, start: int, *, lie: bool = False) -> bytes:
        """The package from `start` to the end; or one that leads to another root."""
        nodes, start = Nodes(self.leaves), min(start, self.size)
        entries = self.entries[start:]
        if lie:
            entries = [*entries[:-1], b"another"]
        left = b"".join(read_range(0, start, nodes)) if start else b""
        return Package(self.origin, start, encode_bundle(entries), left, b"", self.note()).encode()

    def answer(self, request: bytes) -> bytes:
        """A true answer to a question about it."""
        try:
            asked = parse_request(request)
        except ChopmarkError:
            return encode_error("malformed-request")
        start = getattr(asked, "start", MAX_SIZE)
        if asked.origin != self.origin or start >= self.size:
            return encode_error("not-there")
        return self.package(start)


def junk_package(origin: str, start: int, count: int, note: bytes, size: int = 1) -> bytes:
    """What says that it is a package of so many entries, each of `size` bytes."""
    entries = [bytes([count % 256]) * (size % 65_536)] * count
    return Package(origin, start, encode_bundle(entries), bytes(HASH), b"", note).encode()


def spoil(data: bytes, random: Random) -> bytes:
    """The same with one letter or byte changed near its end, where signatures are."""
    at = len(data) - random.randint(min(8, len(data)), min(60, len(data)))
    if not 0 <= at < len(data):
        return data + b"\n"
    other = ord("B") if data[at] == ord("A") else ord("A")
    return data[:at] + bytes([other]) + data[at + 1 :]


def forge(note: bytes, random: Random) -> bytes:
    """A note with another size or root than was signed."""
    lines = note.split(b"\n")
    if len(lines) < 4 or not lines[1].isdigit():
        return note
    if random.random() < 0.5:
        lines[1] = b"%d" % (int(lines[1]) + random.randint(1, 5))
    lines[2] = b64encode(random.randbytes(HASH))
    return b"\n".join(lines)


def nasty_entries(random: Random, now: int) -> list[bytes]:
    """Entries that a replica must hold, whatever they are."""
    digest = {-16: random.randbytes(32)}
    maps = [
        {0: 1, 1: 1, 2: 2**64 - 1, 3: digest, 4: "document"},
        {0: 1, 1: 1, 2: now, 3: digest, 4: "document", 5: 2**64 - 1, 7: 2**63},
        {0: 1, 1: 1, 2: now, 3: digest, 4: "document", 7: random.randint(0, 9)},
        {0: 1, 1: 1, 2: 0, 3: {-16: b"short"}, 4: "document"},
        {0: 1, 1: 1, 2: now, 3: digest, 4: "no such kind" * 4},
        {0: 1, 1: 2, 2: now, 3: 2**64 - 1, 4: 2**64 - 1},
        {0: 1, 1: 2, 2: now, 3: random.randint(0, 9), 4: 1},
        {0: 1, 1: 6, 2: now, 3: 2**64 - 1, 4: random.randbytes(32)},
        {0: 1, 1: 99, 2: now},
        {0: 2**64 - 1, 1: 1, 2: now},
        {-1: now},
    ]
    raw = [b"", b"\x00", random.randbytes(240), b"\x9f" * 240, b"\xbf", bytes(240)]
    entries = [*map(encode_cbor, maps), *raw]
    random.shuffle(entries)
    return [entry for entry in entries[: random.randint(1, 6)] if len(entry) <= 240]
