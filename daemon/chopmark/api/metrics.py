"""`GET /metrics`, with health beside it, on a port of its own: for whoever watches the gateway."""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.types import ASGIApp

from chopmark.api.guard import LocalOnly
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.problems import HANDLERS, NO_STORE
from chopmark.api.state import read_health, read_readiness
from chopmark.api.wiring import GatewayDep

MEDIA_TYPE: Final = "text/plain; version=0.0.4"
"""Prometheus' text format; Litestar adds the charset."""
LIMITS: Final = ApiLimits(connections=16, refused=16, grace=1)
"""A watcher or two ask every few seconds; more would be taken from the API."""


def create_metrics_app(gateway: Gateway, render: Callable[[], Awaitable[bytes]]) -> ASGIApp:
    """The application of the metrics port.

    Args:
        gateway: what is asked whether it is ready.
        render: gives all metrics as text.
    """

    @get("/metrics")
    async def read_metrics() -> Response[bytes]:
        return Response(await render(), media_type=MEDIA_TYPE)

    def provide_gateway() -> GatewayDep:
        return gateway

    app = Litestar(
        route_handlers=[read_metrics, read_health, read_readiness],
        dependencies={"gateway": Provide(provide_gateway, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        response_headers=NO_STORE,
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    return LocalOnly(app)
