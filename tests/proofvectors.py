"""Vectors of proofs and of policies."""

from dataclasses import replace

import trees
from chopmark.core.blinding import blind
from chopmark.core.cbor import encode_cbor
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.entry import SHA256, encode_entry
from chopmark.core.policy import Policy
from chopmark.core.proof import Extra, Proof
from mutations import flipped
from softkeys import sign_head
from vectorparts import (
    DIGESTS,
    LENGTH,
    LOG,
    MO,
    ORIGIN,
    PLAIN_ENTRY,
    SALT,
    SZ,
    TIME,
    Vectors,
    based,
)

POLICY = Policy((LOG.vkey,), {"sz": SZ.vkey, "mo": MO.vkey}, {"peers": (2, ("sz", "mo"))}, "peers")


def proof() -> Vectors:
    data = encode_entry(PLAIN_ENTRY)
    leaves = [trees.leaf(data if index == 3 else b"entry %d" % index) for index in range(7)]
    head = Checkpoint(ORIGIN, 7, trees.root(leaves))
    both = sign_head(head, LOG, {SZ: TIME, MO: TIME + 5})
    extra = Extra(data, length=LENGTH).encode()
    made = Proof(3, tuple(trees.path(3, leaves)), both, extra)
    single = Checkpoint(ORIGIN, 1, trees.leaf(data))
    text = made.encode().decode()
    first = text.split("\n")[1]
    bad = {
        "entry changed": (swapped(made, Extra(flipped(data)).encode()), "bad-inclusion"),
        "hash changed": (replaced(made, flipped(made.hashes[0])), "bad-inclusion"),
        "hash missing": (replaced(made), "bad-inclusion"),
        "another index": (text.replace("index 3", "index 2"), "bad-inclusion"),
        "index beyond the log": (text.replace("index 3", "index 7"), "bad-inclusion"),
        "root changed": (text.replace(based(head.root), based(bytes(32))), "bad-signature"),
        "size changed": (text.replace("\n7\n", "\n8\n"), "bad-signature"),
        "no entry": (swapped(made, None), "malformed-proof"),
        "null in extra": (swapped(made, encode_cbor({0: data, 1: None})), "malformed-proof"),
        "unknown key in extra": (swapped(made, encode_cbor({0: data, 4: 1})), "malformed-proof"),
        "empty extra": (text.replace(first, "extra "), "malformed-proof"),
        "two extra lines": (text.replace(first, f"{first}\n{first}"), "malformed-proof"),
        "no index": (text.replace("index 3\n", ""), "malformed-proof"),
        "index with a zero in front": (text.replace("index 3", "index 03"), "malformed-number"),
        "another version": (text.replace("@v1", "@v2", 1), "malformed-proof"),
        "carriage returns": (text.replace("\n", "\r\n"), "malformed-proof"),
        "64 hashes": (replace(made, hashes=(bytes(32),) * 64).encode().decode(), "malformed-proof"),
    }
    whole = PLAIN_ENTRY.made_at - PLAIN_ENTRY.made_at % 60_000
    commitment = blind(SALT, ORIGIN, SHA256, DIGESTS.sha256)
    hidden = encode_entry(replace(PLAIN_ENTRY, made_at=whole, sha256=commitment, blinded=True))
    held = [trees.leaf(hidden) if index == 3 else one for index, one in enumerate(leaves)]
    secret = Proof(
        3,
        tuple(trees.path(3, held)),
        sign_head(Checkpoint(ORIGIN, 7, trees.root(held)), LOG, {SZ: TIME, MO: TIME + 5}),
        Extra(hidden, SALT, LENGTH).encode(),
    )
    partly = replace(made, note=sign_head(head, LOG, {SZ: TIME}))
    alone = replace(made, index=0, hashes=(), note=sign_head(single, LOG))
    return {
        "policy": POLICY.encode(),
        "good": [
            proved("witnessed", made, data, quorum=True, existed_by=TIME + 5),
            proved("one cosignature of two", partly, data, quorum=False, existed_by=None),
            proved("the only entry of a log", alone, data, quorum=False, existed_by=None),
            proved("blinded", secret, hidden, quorum=True, existed_by=TIME + 5),
        ],
        "salt": SALT.hex(),
        "bad": [{"name": name, "proof": bad[name][0], "code": bad[name][1]} for name in bad],
    }


def swapped(made: Proof, extra: bytes | None) -> str:
    return replace(made, extra=extra).encode().decode()


def replaced(made: Proof, *first: bytes) -> str:
    return replace(made, hashes=(*first, *made.hashes[1:])).encode().decode()


def proved(name: str, made: Proof, data: bytes, *, quorum: bool, existed_by: int | None) -> Vectors:
    text = made.encode().decode()
    told = {"index": made.index, "entry": data.hex(), "quorum": quorum, "existed_by": existed_by}
    return {"name": name, "proof": text} | told


def policy() -> Vectors:
    sz, mo = SZ.vkey.encode(), MO.vkey.encode()
    two = f"witness sz {sz}\nwitness mo {mo}\n"
    log = f"log {LOG.vkey.encode()}\n"
    notary = "# chopmark/notary/v1"
    good = {
        "two of two": (POLICY.encode(), [["sz", "mo"]], [[], ["sz"], ["mo"]]),
        "none": (f"{log}quorum none\n", [[]], []),
        "one witness": (f"{two}quorum mo\n", [["mo"], ["sz", "mo"]], [[], ["sz"]]),
        "any": (f"{two}group g any sz mo\nquorum g\n", [["sz"], ["mo"]], [[]]),
        "group of a group": (
            f"{two}group g 1 sz\ngroup h all g mo\nquorum h\n",
            [["sz", "mo"]],
            [["sz"], ["mo"]],
        ),
        "comments, tabs and URLs": (
            f"# ü\n\n \t{log.strip()} https://log.example/\t\nquorum none\n",
            [[]],
            [],
        ),
    }
    bad = {
        "no quorum": log,
        "two quorums": "quorum none\nquorum none\n",
        "last line without its end": "quorum none",
        "carriage returns": "quorum none\r\n",
        "name used before its line": f"quorum sz\n{two}",
        "name defined twice": f"witness sz {sz}\nwitness sz {mo}\nquorum none\n",
        "witness called none": f"witness none {sz}\nquorum none\n",
        "key of a witness twice": f"witness sz {sz}\nwitness mo {sz}\nquorum none\n",
        "key of a log twice": f"{log}{log}quorum none\n",
        "log with a cosigner's key": f"log {sz}\nquorum none\n",
        "witness with a log's key": f"witness sz {LOG.vkey.encode()}\nquorum none\n",
        "member of two groups": f"{two}group g any sz\ngroup h any sz mo\nquorum none\n",
        "member twice": f"{two}group g any sz sz\nquorum none\n",
        "threshold 0": f"{two}group g 0 sz mo\nquorum none\n",
        "threshold beyond the members": f"{two}group g 3 sz mo\nquorum none\n",
        "group without members": "group g any\nquorum none\n",
        "unknown word": "notary sz\nquorum none\n",
        "notaries not defined": f"{two}{notary} diploma 1 hk\nquorum sz\n",
        "notaries of a kind twice": f"{two}{notary} k 1 sz\n{notary} k 1 mo\nquorum sz\n",
    }
    notarised = f"{two}{notary} diploma 1 sz mo\n{notary} deed 2 sz mo\nquorum sz\n"
    return {
        "good": [
            {"name": name, "policy": text, "reached_by": enough, "not_reached_by": few}
            for name, (text, enough, few) in good.items()
        ],
        "notaries": [
            {"policy": notarised, "kind": kind, "reached_by": enough, "not_reached_by": few}
            for kind, enough, few in (
                ("diploma", [["sz"], ["sz", "mo"]], [[], ["mo"]]),
                ("deed", [["sz", "mo"]], [["sz"], ["mo"]]),
                ("letter", [["sz"]], [["mo"]]),
            )
        ],
        "bad": [{"name": n, "policy": t, "code": "malformed-policy"} for n, t in bad.items()],
    }
