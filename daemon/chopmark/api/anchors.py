"""Anchors that were read of the chain: `GET /v1/anchors`."""

from typing import Annotated, Any, Literal, Protocol

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from chopmark.api.models import Index, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.core.errors import MissingError


class AnchorsQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The query.

    Attributes:
        id: whose.
        after: size above which.
        limit: so many at most.
    """

    id: Annotated[str, Meta(min_length=1, max_length=20)]
    after: Index = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class AnchorOut(msgspec.Struct):
    """One anchor, and what comparing it with the replica gave."""

    number: int
    size: int
    block: int
    transaction: str
    account: str
    state: Literal["good", "ahead", "ignored", "fork", "bad"]
    reason: str | None
    found_at: str


class Anchors(Protocol):
    """What is known of the chain."""

    async def page(self, member: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Anchors of a member's log, the smallest head first (`no-such-member`)."""
        ...


def make_anchors_route(anchors: Anchors | None) -> HTTPRouteHandler:
    """The route; without `[anchor]` it says that there is none."""

    @get("/v1/anchors", opt=TAKES_QUERY)
    async def read_anchors(request: Request[Any, Any, Any]) -> list[dict[str, Any]]:
        """Anchors of a member's log."""
        asked = read_query(request.scope["query_string"], AnchorsQuery)
        if anchors is None:
            hint = "[anchor] in the configuration names a chain: docs/operations/anchor.md"
            raise MissingError("no-anchor", "this gateway follows no chain", hint=hint)
        return await anchors.page(asked.id, asked.after, asked.limit)

    return read_anchors
