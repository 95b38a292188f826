"""In front of the routes, at the page's listener: who asks, and whether she meant to.

1. A page of another origin is refused (`guard`), before anything else is looked at.
2. The caller is that of the request's session; without one a stranger, or a guest of an open
   network.
3. A request of a session that changes something carries the session's token in `HEADER`. A page
   of another origin cannot read it, nor send that header unasked; the cookie is `SameSite=Strict`,
   too.
4. When a session has ended, what it streams gets nothing more: it is cut off at its next piece,
   which for events is a matter of seconds. A request that is about to be answered is answered.
"""

import asyncio
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from chopmark.api.guard import find_problem
from chopmark.api.identity import CALLER
from chopmark.api.problems import Problem, send_problem
from chopmark.api.signin.sessions import Session, is_token
from chopmark.api.signin.visits import VISIT, Visit, Visitors

HEADER: Final = b"x-chopmark-csrf"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1)."""
_FORGED: Final = Problem(
    403,
    "csrf-token-wrong",
    "this request of your session does not carry its token",
    "send `csrf` of GET /v1/session in the header X-Chopmark-CSRF; nothing was done",
)


class PageDoor:
    """ASGI application in front of another."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self._app = app
        self._visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as its visitor's, or refuse it."""
        problem = find_problem(scope) if scope["type"] == ScopeType.HTTP else None
        if problem is not None:
            await send_problem(send, problem)
            return
        visit = self._visitors.meet(scope)
        CALLER.set(visit.caller)
        VISIT.set(visit)
        if _is_forged(scope, visit):
            await send_problem(send, _FORGED)
        elif visit.session is None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _watched(send, visit.session))


def _watched(send: Send, session: Session) -> Send:
    """Cut off a stream whose session has ended."""
    task = asyncio.current_task()

    async def watch(message: Message) -> None:
        if task is not None and session.ended and message.get("more_body"):
            task.cancel()
        else:
            await send(message)

    return watch


def _is_forged(scope: Scope, visit: Visit) -> bool:
    if visit.session is None or scope.get("method") in _SAFE:
        return False
    shown = [value.decode("latin-1") for name, value in scope["headers"] if name == HEADER]
    return len(shown) != 1 or not is_token(shown[0], visit.token)
