"""All routes about signing in."""

from dataclasses import replace
from typing import Final

from litestar.handlers import BaseRouteHandler

from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.signin.desk import Desk
from chopmark.api.signin.operators import make_account_routes
from chopmark.api.signin.own import make_session_routes

_BODY: Final = 16 * 1024
"""Bytes of a body: strangers send them."""


def make_signin_routes(
    desk: Desk, gateway: Gateway, limits: ApiLimits | None = None
) -> list[BaseRouteHandler]:
    """The routes in front of a desk."""
    bounds = replace(limits or ApiLimits(), body=_BODY)
    own, others = make_session_routes, make_account_routes
    return [*own(desk, gateway, bounds), *others(desk, gateway, bounds)]
