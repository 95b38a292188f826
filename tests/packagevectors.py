"""Vectors of packages and of tiles."""

from dataclasses import replace

import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.merkle import range_nodes
from chopmark.core.package import Package
from chopmark.core.tiles import encode_bundle
from mutations import flipped
from softkeys import sign_head
from vectorparts import LOG, ORIGIN, Vectors, based


def package() -> Vectors:
    entries = [b"entry %d" % index for index in range(300)]
    good = [packed(entries, *run) for run in ((0, 1, 1), (1, 3, 5), (255, 256, 300))]
    one = good[1]
    more = replace(one, bundle=encode_bundle(entries[1:4]))
    bad = {
        "entry changed": (replace(one, bundle=flipped(one.bundle, 70)), "bad-package"),
        "hash before changed": (replace(one, left=flipped(one.left)), "bad-package"),
        "hash after changed": (replace(one, right=flipped(one.right)), "bad-package"),
        "hash too many": (replace(one, right=one.right + bytes(32)), "bad-range"),
        "hash missing": (replace(one, left=b""), "bad-range"),
        "hash cut short": (replace(one, left=one.left[:-1]), "malformed-package"),
        "another start": (replace(one, start=2), "bad-range"),
        "an entry too many": (more, "bad-range"),
        "beyond the checkpoint": (replace(one, note=good[0].note), "bad-package"),
        "no entries": (replace(one, bundle=b""), "malformed-package"),
        "two bundles": (packed(entries, 255, 257, 300), "malformed-package"),
        "bundle cut short": (replace(one, bundle=one.bundle[:-1]), "malformed-bundle"),
        "an entry of 241 bytes": (
            replace(one, bundle=encode_bundle([bytes(241)])),
            "malformed-package",
        ),
        "another origin": (replace(one, origin=ORIGIN + "x"), "bad-package"),
        "note not signed by the log": (
            replace(one, note=one.note.replace(LOG.name.encode() + b" ", b"x ")),
            "no-known-signature",
        ),
    }
    return {
        "log": LOG.vkey.encode(),
        "good": [
            {
                "package": based(made.encode()),
                "start": made.start,
                "entries": [value.hex() for value in entries[made.start : end]],
                "size": size,
            }
            for made, end, size in zip(good, (1, 3, 256), (1, 5, 300), strict=True)
        ],
        "bad": [
            {"name": name, "package": based(made.encode()), "code": code}
            for name, (made, code) in bad.items()
        ],
    }


def packed(entries: list[bytes], start: int, end: int, size: int) -> Package:
    leaves = [trees.leaf(value) for value in entries[:size]]
    nodes = trees.Nodes(leaves)
    left, right = (
        b"".join(nodes(*node) for node in range_nodes(*run)) for run in ((0, start), (end, size))
    )
    head = sign_head(Checkpoint(ORIGIN, size, trees.root(leaves)), LOG)
    return Package(ORIGIN, start, encode_bundle(entries[start:end]), left, right, head)


def tiles() -> Vectors:
    leaves = trees.numbered(7)
    return {
        "leaves": [value.hex() for value in leaves],
        "roots": [trees.root(leaves[:size]).hex() for size in range(8)],
        "inclusion": [
            {"index": i, "size": s, "proof": [value.hex() for value in trees.path(i, leaves[:s])]}
            for s in range(1, 8)
            for i in range(s)
        ],
        "consistency": [
            {"old": m, "new": n, "proof": [value.hex() for value in trees.proof(m, leaves[:n])]}
            for n in range(1, 8)
            for m in range(1, n + 1)
        ],
        "names": {
            "tile/0/000": [0, 0, 256],
            "tile/0/x001/x234/067": [0, 1234067, 256],
            "tile/1/001.p/17": [1, 1, 17],
            "tile/entries/273.p/112": [None, 273, 112],
        },
        "bad_names": [
            *("tile/0/0", "tile/0/x000/001", "tile/00/000", "tile/8/000", "tile/0/000.p/0"),
            *("tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000/", "/tile/0/000", "tile/0/٠٠٠"),
        ],
        "bundle": {"hex": encode_bundle([b"", b"a", b"bc"]).hex(), "entries": ["", "61", "6263"]},
        "bad_bundles": ["00", "0001", "00016100", "ffff61"],
    }
