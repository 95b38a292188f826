"""`POST /v1/attestations:batch`: lines in, answer lines out, for as long as the client likes.

A plain ASGI handler, since it answers while it still reads: a streaming response would take the
rest of the body for a disconnect. The HTTP side is here, the work in `pipeline`.
"""

from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.idempotency import refuse_key
from chopmark.api.limits import ApiLimits
from chopmark.api.models import BatchQuery, read_query
from chopmark.api.pipeline import Pipeline
from chopmark.api.ports import Gateway
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.stream import Output


def make_batch_route(gateway: Gateway, limits: ApiLimits) -> ASGIRouteHandler:
    """The route for this gateway."""

    @asgi("/v1/attestations:batch", copy_scope=False, opt=TAKES_QUERY)
    async def attest_batch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST":
            raise MethodNotAllowedException(headers={"allow": "POST"})
        refuse_key(scope["headers"])
        query = read_query(scope["query_string"], BatchQuery)
        await Pipeline(gateway, limits, query).run(receive, Output(send))

    return attest_batch
