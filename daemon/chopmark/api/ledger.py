"""`GET /v1/ledger`: a log from its newest entry down, for people who look for something."""

from typing import Any

from litestar import Request, get
from msgspec import UNSET

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.models import LedgerQuery, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.times import parse_time
from chopmark.api.wiring import GatewayDep


@get("/v1/ledger", opt=TAKES_QUERY)
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
