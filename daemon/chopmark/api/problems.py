"""Errors as problem details (RFC 9457): the one place where an exception becomes an answer.

`code` is what programs go by; `detail` and `hint` are for people. Nothing of an unexpected
exception leaves the process: it is logged, and the caller learns that it was our fault.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap, Send

from chopmark.api.identity import CALLER
from chopmark.api.refusals import NAMES
from chopmark.core.errors import ChopmarkError, TryAgainError

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
NO_STORE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Answers are about now: none may be kept, or taken for anything but what it says it is."""
_STATUS: Final = {
    "queue-full": 429,
    "rate-limited": 429,
    "storage-full": 507,
    "no-client-certificate": 401,
    "sign-in-needed": 401,
    "session-ended": 401,
    "wrong-credentials": 401,
    "oidc-refused": 401,
    "locked-out": 429,
    "no-sign-in-here": 409,
    "no-oidc": 409,
    "no-password": 409,
    "oidc-unreachable": 502,
    "unknown-encoding": 415,
}
"""Codes with a more telling status than that of their class."""
_HTTP: Final = {
    400: ("malformed-request", "see docs/api.md for what this route takes"),
    404: ("no-such-route", "see docs/api.md for the routes"),
    405: ("method-not-allowed", "see docs/api.md for the routes"),
    408: ("body-too-slow", "send it again"),
    413: ("body-too-large", "send digests, never documents; send many in a batch"),
}
"""Code and hint for what the HTTP layer itself refuses, by status."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, ready to be sent."""

    status: int
    code: str
    detail: str
    hint: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def content(self) -> dict[str, Any]:
        """The members of RFC 9457, and ours."""
        return {
            # The status says all that `type` could; `code` says the rest (RFC 9457 §4.2.1).
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
        }

    def all_headers(self) -> dict[str, str]:
        """Headers of the answer, without the media type."""
        return NO_STORE | dict(self.headers)


REFUSED: Final[Counter[str]] = Counter()
"""Refusals that callers were told since the process began, by code; one is told by `tell`."""


def tell(problem: Problem) -> None:
    """Count a problem that goes out; that a thing is not there is no refusal."""
    if problem.status != HTTPStatus.NOT_FOUND:
        REFUSED[problem.code] += 1
        NAMES.count(CALLER.get().client or "unknown", problem.code)


def explain(error: Exception) -> Problem:
    """The problem that stands for an exception."""
    if isinstance(error, ChopmarkError):
        return _explain_ours(error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _explain_http(error)
    message = "the gateway failed in a way that it should not; its journal says how"
    hint = "do not take this for a refusal: ask whether it was recorded before you send it again"
    return Problem(500, "internal-error", message, hint)


def is_fault(error: Exception) -> bool:
    """Whether an exception is our fault, and goes to the journal."""
    return explain(error).status >= 500 and not isinstance(error, TryAgainError)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Litestar's exception handler."""
    problem = explain(error)
    tell(problem)
    if is_fault(error):
        path = request.scope.get("path_template", "")  # as it is, it may name a digest
        _log.error("%s %s failed", request.method, path, exc_info=error)
    return Response(
        problem.content(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.all_headers(),
    )


HANDLERS: Final[ExceptionHandlersMap] = {
    ChopmarkError: answer,
    HTTPException: answer,
    Exception: answer,
}


async def send_problem(send: Send, problem: Problem) -> None:
    """Answer with a problem from a plain ASGI application."""
    tell(problem)
    headers = {"content-type": MEDIA_TYPE} | problem.all_headers()
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    body = msgspec.json.encode(problem.content())
    encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _explain_ours(error: ChopmarkError) -> Problem:
    status = _STATUS.get(error.code, error.status)
    retry = () if error.retry_after is None else (("retry-after", str(error.retry_after)),)
    return Problem(status, error.code, error.message, error.hint, retry)


def _explain_http(error: HTTPException) -> Problem:
    code, hint = _HTTP.get(error.status_code, ("http-error", ""))
    allowed = {name.lower(): value for name, value in (error.headers or {}).items()}
    headers = tuple((name, allowed[name]) for name in ("allow", "connection") if name in allowed)
    detail = error.detail or HTTPStatus(error.status_code).phrase
    return Problem(error.status_code, code, detail, hint, headers)
