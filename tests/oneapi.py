"""The API in front of a fake gateway, built once for each set of limits: that takes 20 ms."""

from contextvars import ContextVar
from functools import cache
from typing import Any, cast

from litestar.types import ASGIApp, Receive, Scope, Send

from anybody import ANYBODY
from chopmark.api.app import Api, create_app
from chopmark.api.identity import CALLER, NOBODY
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from fakegateway import FakeGateway

_asked: ContextVar[FakeGateway] = ContextVar("asked")
_USUAL = ApiLimits()


class OneApi:
    """An ASGI application: the API of this gateway."""

    def __init__(self, gateway: FakeGateway, limits: ApiLimits = _USUAL) -> None:
        self._gateway = gateway
        self._app = as_anybody(_built(limits))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _asked.set(self._gateway)
        await self._app(scope, receive, send)


def as_anybody(app: ASGIApp) -> ASGIApp:
    """The application, called by one who may do everything where a test sets no caller."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if CALLER.get() is NOBODY:
            CALLER.set(ANYBODY)
        await app(scope, receive, send)

    return call


class _Front:
    """Stands for the gateway of the request that is answered."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_asked.get(), name)


@cache
def _built(limits: ApiLimits) -> Api:
    return create_app(cast("Gateway", _Front()), limits)
