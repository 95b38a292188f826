"""`GET /v1/ledger`: a log from its newest entry down, for people who look for something."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, get
from msgspec import UNSET

from chopmark.api.entries import EntryOut
from chopmark.api.models import LedgerQuery, read_query
from chopmark.api.times import parse_time
from chopmark.api.wiring import GatewayDep


@dataclass(frozen=True, slots=True)
class Browsed:
    """What is looked for.

    Attributes:
        before: only entries with an index below; None for all.
        until: only entries made at this time or before, ms since the Unix epoch.
        kind: only attestations of this kind.
        limit: entries at most.
    """

    before: int | None
    until: int | None
    kind: str | None
    limit: int


class LedgerOut(msgspec.Struct):
    """Signed entries, the newest first, and the signed size of the log that they are from.

    `next` goes into `before` to go on; null at the end. Where a kind is looked for there may be
    fewer entries than asked for, or none, and more to come all the same.
    """

    entries: list[EntryOut]
    size: int
    next: int | None


@get("/v1/ledger")
async def read_ledger(request: Request[Any, Any, Any], gateway: GatewayDep) -> LedgerOut:
    """A page of a log."""
    query = read_query(request.scope["query_string"], LedgerQuery)
    asked = Browsed(
        None if query.before is UNSET else query.before,
        None if query.until is UNSET else parse_time(query.until, "until"),
        query.kind or None,
        query.limit,
    )
    return await gateway.browse(query.id or gateway.identity().id, asked)
