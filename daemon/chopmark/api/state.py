"""How the gateway is, who it is, and whom it follows."""

from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get

from chopmark.api.models import PolicyQuery, read_query
from chopmark.api.wiring import GatewayDep


@get("/v1/status")
async def read_status(gateway: GatewayDep) -> dict[str, Any]:
    """State of the gateway and of its parts."""
    return gateway.status()


@get("/v1/peers")
async def read_peers(gateway: GatewayDep) -> list[dict[str, Any]]:
    """State of the replica of each peer."""
    return gateway.peers()


@get("/v1/policy", media_type=MediaType.TEXT)
async def read_policy(request: Request[Any, Any, Any], gateway: GatewayDep) -> str:
    """The tlog-policy under which proofs of a log are checked; without `id`, of our own."""
    query = read_query(request.scope["query_string"], PolicyQuery)
    return gateway.policy(query.id if query.id is not None else gateway.identity().id)


@get("/v1/export")
async def read_export(gateway: GatewayDep) -> dict[str, Any]:
    """What another gateway's configuration must say about this one."""
    values: dict[str, Any] = msgspec.to_builtins(gateway.identity())
    return values


@get("/healthz", media_type=MediaType.TEXT)
async def read_health() -> str:
    """The process runs; nothing more is said."""
    return "ok"


@get("/readyz")
async def read_readiness(gateway: GatewayDep) -> Response[dict[str, Any]]:
    """Whether the gateway can do all of its work now."""
    reasons = gateway.not_ready()
    content = {"ready": not reasons, "reasons": reasons}
    return Response(content, status_code=503 if reasons else 200)
