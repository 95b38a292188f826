"""What vectors of several formats are made of: keys, a document, and how values are written."""

import json
from base64 import b64encode
from dataclasses import asdict
from typing import Any

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import digest_stream
from chopmark.core.entry import Attestation, Entry
from softkeys import cosigner, ed25519_key, log_key

ORIGIN = "bank-hk.example/hk-1"
LOG = log_key(ORIGIN, 1)
PLAIN = ed25519_key("example.com/notes", 2)
SZ = cosigner("bank-sz.example/sz-1/cosigner", 3)
MO = cosigner("bank-mo.example/mo-1/cosigner", 4)
MADE_AT = 1795305600123
TIME = 1795305602
SALT = bytes(range(32))
DOCUMENT = b"a bank statement\n"
DIGESTS, LENGTH = digest_stream([DOCUMENT])
PLAIN_ENTRY = Attestation(MADE_AT, DIGESTS.sha256, "bank-statement")

Vectors = dict[str, Any]


def plain(value: Entry) -> Vectors:
    """An entry's fields as JSON has them."""
    return json.loads(json.dumps(asdict(value), default=bytes.hex))  # type: ignore[no-any-return]


def hexed(head: Checkpoint) -> str:
    return head.root.hex()


def based(data: bytes) -> str:
    return b64encode(data).decode()
