"""Errors as JSON, between our own programs."""

from typing import Any

from chopmark.core.errors import ChopmarkError


def describe_error(error: ChopmarkError) -> dict[str, Any]:
    """An error as problem details (RFC 9457), with what `client.problem` reads."""
    return {
        "code": error.code,
        "status": error.status,
        "detail": error.message,
        "hint": error.hint,
        "retry_after": error.retry_after,
    }
