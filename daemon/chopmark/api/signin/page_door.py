"""In front of the routes, at the page's listener: who asks, and whether she meant to.

1. A page of another origin is refused (`guard`), before anything else is looked at.
2. The caller is that of the request's session; without one a stranger, or a guest of an open
   network.
3. A request of a session that changes something carries the session's token in `HEADER`. A page
   of another origin cannot read it, nor send that header unasked; the cookie is `SameSite=Strict`,
   too.
4. When a session has ended, what it streams gets nothing more: it is cut off at its next piece,
   which for events is a matter of seconds. Nor is anything taken that it sends by then, such as the
   body of a request whose head was sent in time. What is about to be answered is answered.
"""

import asyncio
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, ReceiveMessage, Scope, Send

from chopmark.api.guard import find_problem
from chopmark.api.identity import CALLER
from chopmark.api.problems import Problem, send_problem
from chopmark.api.signin.sessions import Session, is_token
from chopmark.api.signin.visits import ENDED, VISIT, Visit, Visitors
from chopmark.api.strict_transport import strictly

HEADER: Final = b"x-chopmark-csrf"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1)."""
_FORGED: Final = Problem(
    403,
    "csrf-token-wrong",
    "this request of your session does not carry its token",
    "send `csrf` of GET /v1/session in the header X-Chopmark-CSRF; nothing was done",
)
_TOO_LATE: Final = Problem(
    401,
    ENDED.code,
    "your session has ended before all of this request was here",
    "sign in again, and ask what was done before you send it again",
    (("connection", "close"),),
)


class PageDoor:
    """ASGI application in front of another."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self._app = app
        self._visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as its visitor's, or refuse it."""
        send = strictly(scope, send)
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
            watched = _Watched(visit.session, receive, send)
            await self._app(scope, watched.receive, watched.send)


class _Watched:
    """A request that is cut off when its session has ended; to be made in the request's task."""

    def __init__(self, session: Session, receive: Receive, send: Send) -> None:
        self._session = session
        self._receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._begun = self._refused = False

    async def receive(self) -> ReceiveMessage:
        """What comes; of an ended session it is as if the client had hung up."""
        message = await self._receive()
        if not self._session.ended or message["type"] != "http.request":
            return message
        if self._begun:
            self._cut_off()
        elif not self._refused:
            self._refused = True
            await send_problem(self._send, _TOO_LATE)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What goes out."""
        if self._session.ended and message.get("more_body"):
            self._cut_off()
        elif not self._refused:
            self._begun = True
            await self._send(message)

    def _cut_off(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _is_forged(scope: Scope, visit: Visit) -> bool:
    if visit.session is None or scope.get("method") in _SAFE:
        return False
    shown = [value.decode("latin-1") for name, value in scope["headers"] if name == HEADER]
    return len(shown) != 1 or not is_token(shown[0], visit.token)
