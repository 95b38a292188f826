"""The API in front of a fake gateway, built once for each set of limits: that takes 20 ms."""

from contextvars import ContextVar
from functools import cache
from typing import Any, cast

from litestar.types import Receive, Scope, Send

from chopmark.api.app import Api, create_app
from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from fakegateway import FakeGateway

_asked: ContextVar[FakeGateway] = ContextVar("asked")
_USUAL = ApiLimits()


class OneApi:
    """An ASGI application: the API of this gateway."""

    def __init__(self, gateway: FakeGateway, limits: ApiLimits = _USUAL) -> None:
        self._gateway = gateway
        self._app = _built(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _asked.set(self._gateway)
        await self._app(scope, receive, send)


class _Front:
    """Stands for the gateway of the request that is answered."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_asked.get(), name)


@cache
def _built(limits: ApiLimits) -> Api:
    return create_app(cast("Gateway", _Front()), limits)
