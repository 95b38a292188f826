"""The application: all routes in front of a gateway."""

from collections.abc import Mapping, Sequence
from typing import Final

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.types import Receive, Scope, Send

from chopmark.api.attestations import attest
from chopmark.api.batch import make_batch_route
from chopmark.api.compact import make_compact_route
from chopmark.api.consents import consent, use
from chopmark.api.documents import read_document
from chopmark.api.entries import read_entries
from chopmark.api.evidence import read_evidence, release_fork
from chopmark.api.guard import LocalOnly
from chopmark.api.hsm import maintain_hsm, read_hsm, unlatch_hsm, unlock_hsm
from chopmark.api.keys import activate_key, destroy_key, generate_key, read_keys, retire_key
from chopmark.api.ledger import read_ledger
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.posts import Handler, post_json
from chopmark.api.problems import HANDLERS, NO_STORE
from chopmark.api.proofs import read_proof_of
from chopmark.api.revocations import revoke
from chopmark.api.roles import admitted, guard
from chopmark.api.roster import pin_roster, publish_roster, read_roster, sign_roster
from chopmark.api.short import ShortRoutes
from chopmark.api.spec.route import read_openapi
from chopmark.api.state import (
    read_export,
    read_health,
    read_peers,
    read_policy,
    read_rates,
    read_readiness,
    read_replicas,
    read_round_trip,
    read_status,
    tell_health,
    tell_readiness,
)
from chopmark.api.stopping import AnswerStop
from chopmark.api.trace import trace
from chopmark.api.verification_batch import make_verification_batch_route
from chopmark.api.verifications import verify
from chopmark.api.wiring import GatewayDep

_ROUTES: Final[Mapping[tuple[bytes, bytes], Handler]] = {
    (b"POST", b"/v1/attestations"): attest,
    (b"POST", b"/v1/revocations"): revoke,
    (b"POST", b"/v1/verifications"): verify,
    (b"GET", b"/healthz"): tell_health,
    (b"GET", b"/readyz"): tell_readiness,
}


class Api:
    """The HTTP API of one gateway: an ASGI application without lifespan events.

    Attributes:
        short: its busiest routes, for a server that can do without ASGI.
    """

    def __init__(self, routes: Litestar, short: ShortRoutes) -> None:
        self.routes = routes
        self.short = short
        self._app = LocalOnly(AnswerStop(routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)


def create_app(
    gateway: Gateway, limits: ApiLimits | None = None, more: Sequence[BaseRouteHandler] = ()
) -> Api:
    """The HTTP API of one gateway.

    Args:
        gateway: what does the work.
        limits: the usual ones, if None.
        more: routes of what is served beside it: the open protocols.
    """
    bounds = limits or ApiLimits()

    def provide_gateway() -> GatewayDep:
        return gateway

    routes = Litestar(
        route_handlers=[
            post_json("/v1/attestations", attest, gateway, bounds),
            post_json("/v1/revocations", revoke, gateway, bounds),
            post_json("/v1/consents", consent, gateway, bounds),
            post_json("/v1/uses", use, gateway, bounds),
            post_json("/v1/trace", trace, gateway, bounds),
            post_json("/v1/verifications", verify, gateway, bounds),
            make_batch_route(gateway, bounds),
            make_compact_route(gateway, bounds),
            make_verification_batch_route(gateway, bounds),
            post_json("/v1/roster/signatures", sign_roster, gateway, bounds),
            post_json("/v1/roster/versions", publish_roster, gateway, bounds),
            post_json("/v1/roster/pin", pin_roster, gateway, bounds),
            read_roster,
            post_json("/v1/evidence/releases", release_fork, gateway, bounds),
            post_json("/v1/keys/generate", generate_key, gateway, bounds),
            post_json("/v1/keys/activate", activate_key, gateway, bounds),
            post_json("/v1/keys/retire", retire_key, gateway, bounds),
            post_json("/v1/keys/destroy", destroy_key, gateway, bounds),
            read_keys,
            post_json("/v1/hsm/pin", unlock_hsm, gateway, bounds),
            post_json("/v1/hsm/unlatch", unlatch_hsm, gateway, bounds),
            post_json("/v1/hsm/maintenance", maintain_hsm, gateway, bounds),
            read_hsm,
            read_proof_of,
            read_entries,
            read_ledger,
            read_status,
            read_peers,
            read_round_trip,
            read_replicas,
            read_policy,
            read_rates,
            read_document,
            read_evidence,
            read_export,
            read_health,
            read_readiness,
            read_openapi,
            *more,
        ],
        dependencies={"gateway": Provide(provide_gateway, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        guards=[guard],
        request_max_body_size=bounds.body,
        response_headers=NO_STORE,
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    short = {
        (method, path): admitted(path.decode(), handle)
        for (method, path), handle in _ROUTES.items()
    }
    return Api(routes, ShortRoutes(short, gateway, bounds))
