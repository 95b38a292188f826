"""`GET /v1/entries`: the entries of our log or of a replica, as the log holds them."""

from typing import Any

import msgspec
from litestar import Request, get

from chopmark.api.models import EntriesQuery, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.wiring import GatewayDep
from chopmark.core.entry import Adoption, Attestation, Commitment, Entry, Revocation, parse_entry
from chopmark.core.errors import MalformedError
from chopmark.core.merkle import leaf_hash
from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time

_COMMITMENTS = {3: "consent", 4: "use", 5: "audit"}


class EntryOut(msgspec.Struct):
    """One entry; fields that its type does not have are null."""

    index: int
    type: str
    hash: str
    raw: str
    made_at: str | None = None
    kind: str | None = None
    digests: dict[str, Any] | None = None
    blinded: bool | None = None
    valid_until: str | None = None
    supersedes: int | None = None
    revokes: int | None = None
    reason: int | None = None


class EntriesOut(msgspec.Struct):
    """A run of entries, and the signed size of the log that they are from.

    `next` goes into `after` to go on: the index of the last entry here, or what was asked.
    """

    entries: list[EntryOut]
    size: int
    next: int


@get("/v1/entries", opt=TAKES_QUERY)
async def read_entries(request: Request[Any, Any, Any], gateway: GatewayDep) -> EntriesOut:
    """Entries after an index; waits for one if asked to."""
    query = read_query(request.scope["query_string"], EntriesQuery)
    member = query.id or gateway.identity().id
    if query.wait:
        await gateway.wait_entry(member, query.after + 1, query.wait)
    leaves, size = await gateway.entries(member, query.after, query.limit)
    start = query.after + 1
    described = [describe_entry(start + i, leaf) for i, leaf in enumerate(leaves)]
    return EntriesOut(described, size, query.after + len(leaves))


def describe_entry(index: int, leaf: bytes) -> EntryOut:
    """One leaf in words; one that does not parse is `unreadable`, and means nothing."""
    try:
        entry: Entry | None = parse_entry(leaf)
    except MalformedError:
        entry = None
    fields = {} if entry is None else _fields(entry)
    name = "unreadable" if entry is None else _type(entry)
    return EntryOut(index, name, leaf_hash(leaf).hex(), encode_base64(leaf), **fields)


def _type(entry: Entry) -> str:
    match entry:
        case Attestation():
            return "attestation"
        case Revocation():
            return "revocation"
        case Commitment():
            return _COMMITMENTS[entry.type]
        case Adoption():
            return "adoption"
        case _:
            return "unknown-format"


def _fields(entry: Entry) -> dict[str, Any]:
    match entry:
        case Attestation():
            return {"made_at": format_time(entry.made_at)} | _attestation(entry)
        case Revocation():
            made_at = format_time(entry.made_at)
            return {"made_at": made_at, "revokes": entry.target, "reason": entry.reason}
        case Commitment() | Adoption():
            return {"made_at": format_time(entry.made_at)}
        case _:
            return {}


def describe_digests(entry: Attestation) -> dict[str, Any]:
    """The digests that an attestation names, in hexadecimal by algorithm."""
    digests: dict[str, Any] = {"sha256": entry.sha256.hex()}
    if entry.sm3 is not None:
        digests["sm3"] = entry.sm3.hex()
    if entry.canonical:
        digests["canonical"] = {name: digest.hex() for name, digest in entry.canonical}
    return digests


def _attestation(entry: Attestation) -> dict[str, Any]:
    until = entry.valid_until
    return {
        "kind": entry.kind,
        "digests": describe_digests(entry),
        "blinded": entry.blinded,
        "valid_until": None if until is None else format_time(until),
        "supersedes": entry.supersedes,
    }
