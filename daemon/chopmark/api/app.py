"""The application: all routes in front of a gateway."""

from litestar import Litestar
from litestar.di import Provide
from litestar.types import ASGIApp

from chopmark.api.attestations import attest
from chopmark.api.batch import make_batch_route
from chopmark.api.entries import read_entries
from chopmark.api.guard import LocalOnly
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.posts import post_json
from chopmark.api.problems import HANDLERS, NO_STORE
from chopmark.api.proofs import read_proof_of
from chopmark.api.revocations import revoke
from chopmark.api.state import (
    read_export,
    read_health,
    read_peers,
    read_policy,
    read_readiness,
    read_status,
)
from chopmark.api.stopping import AnswerStop
from chopmark.api.verifications import verify
from chopmark.api.wiring import GatewayDep


def create_app(gateway: Gateway, limits: ApiLimits | None = None) -> ASGIApp:
    """The HTTP API of one gateway, as an ASGI application without lifespan events.

    Args:
        gateway: what does the work.
        limits: the usual ones, if None.
    """
    bounds = limits or ApiLimits()

    def provide_gateway() -> GatewayDep:
        return gateway

    app = Litestar(
        route_handlers=[
            post_json("/v1/attestations", attest, gateway, bounds),
            post_json("/v1/revocations", revoke, gateway, bounds),
            post_json("/v1/verifications", verify, gateway, bounds),
            make_batch_route(gateway, bounds),
            read_proof_of,
            read_entries,
            read_status,
            read_peers,
            read_policy,
            read_export,
            read_health,
            read_readiness,
        ],
        dependencies={"gateway": Provide(provide_gateway, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        request_max_body_size=bounds.body,
        response_headers=NO_STORE,
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    return LocalOnly(AnswerStop(app))
