"""Errors of the client: problem details (RFC 9457) back to what caused them, and bad answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from chopmark.core.errors import (
    ChopmarkError,
    ExistsError,
    ForbiddenError,
    InternalError,
    MalformedError,
    MissingError,
    RefusedError,
    TryAgainError,
    UnreachableError,
    UsageError,
)

if TYPE_CHECKING:
    from chopmark.core.compact import Failure

_BY_STATUS: Final[Mapping[int, type[ChopmarkError]]] = {
    400: MalformedError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: MissingError,
    405: UsageError,
    409: ExistsError,
    413: RefusedError,
    415: UsageError,
    422: RefusedError,
    429: TryAgainError,
    500: InternalError,
    502: UnreachableError,
    503: TryAgainError,
    504: TryAgainError,
    507: TryAgainError,
}
_TRY_AGAIN: Final = frozenset(
    (
        "not-recorded",
        "hsm-away",
        "queue-full",
        "overloaded",
        "rate-limited",
        "storage-full",
        "log-behind",
        "stopping",
        "batch-idle",
    )
)
"""Codes in a stream's error lines, which have no status, that are worth another try."""


def error_from_problem(status: int, problem: object, retry_after: str | None) -> ChopmarkError:
    """The error that a response stands for.

    Args:
        status: HTTP status, 400 or above.
        problem: the decoded JSON body, of any shape; a foreign server may have answered.
        retry_after: the Retry-After header, if there is one.
    """
    body = problem if isinstance(problem, dict) else {}
    code = _text(body, "code") or f"http-{status}"
    message = _text(body, "detail") or _text(body, "title") or f"the gateway answered {status}"
    kind = _BY_STATUS.get(status, InternalError if status >= 500 else RefusedError)
    return kind(code, message, hint=_text(body, "hint"), retry_after=_seconds(retry_after))


def error_from_line(error: object) -> ChopmarkError:
    """The error that an error line of an NDJSON stream stands for."""
    body = error if isinstance(error, dict) else {}
    code = _text(body, "code") or "unexplained"
    message = _text(body, "message") or "the gateway refused this line without saying why"
    kind = TryAgainError if code in _TRY_AGAIN else RefusedError
    return kind(code, message, hint=_text(body, "hint"))


def error_from_failure(failure: "Failure") -> ChopmarkError:
    """The error that the failure at the end of a compact answer stands for."""
    again = failure.retry_after is not None or failure.code in _TRY_AGAIN
    kind = TryAgainError if again else RefusedError
    return kind(failure.code, failure.message, hint=failure.hint, retry_after=failure.retry_after)


def bad_answer() -> UnreachableError:
    """The error for an answer that no gateway of this version gives."""
    message = "what answered there does not answer as a chopmark gateway of this version does"
    hint = "check the address, and that gateway and command have the same version"
    return UnreachableError("bad-answer", message, hint=hint)


def _seconds(header: str | None) -> int | None:
    """Retry-After in seconds; its form as a date (RFC 9110 §10.2.3) is of no use here."""
    good = header is not None and header.isascii() and header.isdecimal() and len(header) <= 6
    return int(header) if header and good else None


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
