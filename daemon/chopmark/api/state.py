"""How the gateway is, who it is, and whom it follows."""

from typing import Any, Final

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.params import FromPath

from chopmark.api.limits import ApiLimits
from chopmark.api.models import PolicyQuery, read_query
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.wiring import GatewayDep

_ALIVE: Final = "ok"


@get("/v1/status")
async def read_status(gateway: GatewayDep) -> dict[str, Any]:
    """State of the gateway and of its parts."""
    return gateway.status()


@get("/v1/peers")
async def read_peers(gateway: GatewayDep) -> list[dict[str, Any]]:
    """State of the replica of each peer."""
    return gateway.peers()


@get("/v1/peers/{member:str}/round-trip")
async def read_round_trip(member: FromPath[str], gateway: GatewayDep) -> dict[str, Any]:
    """How long a question to a peer and its answer take, over the brokers and back."""
    seconds = await gateway.round_trip(member)
    return {"id": member, "ms": round(seconds * 1000, 1)}


@get("/v1/replicas")
async def read_replicas(gateway: GatewayDep) -> list[dict[str, Any]]:
    """What is held of each peer's log."""
    return gateway.replicas()


@get("/v1/rates")
async def read_rates(gateway: GatewayDep) -> dict[str, Any]:
    """How much was done each minute of the last day."""
    return gateway.rates()


@get("/v1/policy", opt=TAKES_QUERY, media_type=MediaType.TEXT)
async def read_policy(request: Request[Any, Any, Any], gateway: GatewayDep) -> str:
    """The tlog-policy under which proofs of a log are checked; without `id`, of our own."""
    query = read_query(request.scope["query_string"], PolicyQuery)
    return gateway.policy(query.id or gateway.identity().id)


@get("/v1/export")
async def read_export(gateway: GatewayDep) -> dict[str, Any]:
    """What another gateway's configuration must say about this one."""
    values: dict[str, Any] = msgspec.to_builtins(gateway.export())
    return values


@get("/healthz", media_type=MediaType.TEXT)
async def read_health() -> str:
    """The process runs; nothing more is said."""
    return _ALIVE


async def tell_health(_body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
    """`read_health` on the short way."""
    return Answer(200, _ALIVE.encode(), media_type=b"text/plain; charset=utf-8")


@get("/readyz")
async def read_readiness(gateway: GatewayDep) -> Response[dict[str, Any]]:
    """Whether the gateway can do all of its work now."""
    status, content = _readiness(gateway)
    return Response(content, status_code=status)


async def tell_readiness(_body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """`read_readiness` on the short way."""
    return Answer(*_readiness(gateway))


def _readiness(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    reasons = gateway.not_ready()
    return 503 if reasons else 200, {"ready": not reasons, "reasons": reasons}
