"""`GET /v1/entries`: the entries of our log or of a replica, as the log holds them."""

from typing import Any

import msgspec
from litestar import Request, get

from chopmark.api.leaves import EntryOut, describe_entry
from chopmark.api.models import EntriesQuery, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.wiring import GatewayDep


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
