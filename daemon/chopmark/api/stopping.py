"""What a request hears that is still running when the server's grace is over."""

import asyncio
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from chopmark.api.problems import Problem, send_problem

STOPPING: Final = Problem(
    503,
    "stopping",
    "the gateway is stopping, and nothing is known about the outcome of this request",
    "ask whether it was recorded before you send it again",
    (("retry-after", "10"),),
)


class AnswerStop:
    """ASGI application in front of another: a cancelled request is told so.

    An answer that has begun breaks off instead, which its client notices.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if scope["type"] == ScopeType.HTTP and not started:
                await send_problem(send, STOPPING)
