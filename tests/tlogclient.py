"""A small auditor of tiled logs, written from the C2SP pages alone: nothing of our code is in it.

It knows a prefix, an origin and a public key (C2SP tlog-tiles, tlog-checkpoint, signed-note), and
downloads the whole log through `get`, which gives the body of a path below the prefix.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

Get = Callable[[str], bytes]
DASH = "— "


@dataclass(frozen=True)
class Audited:
    """What an audit has downloaded, and found to belong together."""

    size: int
    root: bytes
    entries: list[bytes]
    leaves: list[bytes]


def audit(get: Get, vkey: str, older: tuple[int, ...] = ()) -> Audited:
    """Download checkpoint, tiles and entries; AssertionError if anything is not what it should be.

    Args:
        get: gives the body at a path below the prefix.
        vkey: of an ECDSA P-256 log key (0x02).
        older: smaller sizes whose root must follow from the tiles as well.
    """
    size, root = open_checkpoint(get("checkpoint"), vkey)
    tiles = read_tiles(get, size)
    leaves = [one for row in tiles.get(0, []) for one in _split(row)]
    assert len(leaves) == size
    assert tree_root(leaves) == root, "the tiles do not lead to the signed root"
    for one in older:
        assert root_from_tiles(tiles, one) == tree_root(leaves[:one])
    assert root_from_tiles(tiles, size) == root
    entries = read_entries(get, size)
    assert [hashlib.sha256(b"\x00" + entry).digest() for entry in entries] == leaves
    return Audited(size, root, entries, leaves)


def open_checkpoint(note: bytes, vkey: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint that this key has signed."""
    name, key_hash, body = vkey.split("+", 2)
    key = base64.b64decode(body)
    assert key[0] == 0x02, "ECDSA with SHA-256"
    assert hashlib.sha256(key[1:]).hexdigest()[:8] == key_hash
    text, _, lines = note.decode().rpartition("\n\n")
    origin, size, root = text.split("\n")
    assert origin == name
    for line in lines.splitlines():
        signer, signature = line.removeprefix(DASH).split(" ")
        blob = base64.b64decode(signature)
        if signer == name and blob[:4].hex() == key_hash:
            public = load_der_public_key(key[1:])
            assert isinstance(public, EllipticCurvePublicKey)
            public.verify(blob[4:], f"{text}\n".encode(), ECDSA(SHA256()))
            return int(size), base64.b64decode(root)
    raise AssertionError("the log has not signed")


def read_tiles(get: Get, size: int) -> dict[int, list[bytes]]:
    """Every tile of a tree, by level."""
    levels: dict[int, list[bytes]] = {}
    level = 0
    while count := size // 256**level:
        rows = [get(f"tile/{level}/{name_index(n)}") for n in range(count // 256)]
        assert all(len(row) == 8192 for row in rows)
        if width := count % 256:
            rows.append(get(f"tile/{level}/{name_index(count // 256)}.p/{width}"))
            assert len(rows[-1]) == 32 * width
        levels[level] = rows
        level += 1
    return levels


def read_entries(get: Get, size: int) -> list[bytes]:
    """Every entry of a tree."""
    bundles = [get(f"tile/entries/{name_index(n)}") for n in range(size // 256)]
    if width := size % 256:
        bundles.append(get(f"tile/entries/{name_index(size // 256)}.p/{width}"))
    entries: list[bytes] = []
    for bundle in bundles:
        position = 0
        while position < len(bundle):
            length = int.from_bytes(bundle[position : position + 2], "big")
            entries.append(bundle[position + 2 : position + 2 + length])
            assert len(entries[-1]) == length
            position += 2 + length
    return entries


def name_index(index: int) -> str:
    """`1234067 will be encoded as x001/x234/067`."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + [groups[-1]])


def tree_root(hashes: list[bytes]) -> bytes:
    """MTH of leaf hashes (RFC 6962 §2.1), level by level: an odd last one goes up as it is."""
    row = hashes
    if not row:
        return hashlib.sha256(b"").digest()
    while len(row) > 1:
        pairs = [_join(*row[at : at + 2]) for at in range(0, len(row) - 1, 2)]
        row = pairs + row[len(pairs) * 2 :]
    return row[0]


def root_from_tiles(tiles: dict[int, list[bytes]], size: int) -> bytes:
    """The root at a size from the highest tiles that there are, as a thrifty client does it."""
    if size == 0:
        return hashlib.sha256(b"").digest()
    level = 0
    while size // 256 ** (level + 1):
        level += 1
    # Down the right edge: what each level adds to the right of the one above it.
    right: bytes | None = None
    for low in range(level + 1):
        count = size // 256**low
        row = _split(b"".join(tiles[low][count // 256 :]))[: count % 256]
        right = _edge(row, right)
    assert right is not None
    return right


def _edge(row: list[bytes], right: bytes | None) -> bytes | None:
    """The root over an unfinished row, and over what lies to its right below."""
    parts: list[bytes] = []
    at = 0
    while at < len(row):
        width = 1
        while width * 2 <= len(row) - at:
            width *= 2
        parts.append(tree_root(row[at : at + width]))
        at += width
    for part in reversed(parts):
        right = part if right is None else _join(part, right)
    return right


def _split(row: bytes) -> list[bytes]:
    return [row[at : at + 32] for at in range(0, len(row), 32)]


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
