"""Errors on their way to a person or a program: one line and a hint, or a JSON problem."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Final, TypeVar

from chopmark.cli.terminal import encode_json, styled, warn
from chopmark.core.errors import ChopmarkError, InternalError

Result = TypeVar("Result")
DEBUG: Final = "CHOPMARK_DEBUG"


def attempt(action: Callable[[], Result]) -> Result | ChopmarkError:
    """What the action gives, or the error that it ends in: the one place that catches them."""
    try:
        return action()
    except ChopmarkError as error:
        return error


def report(error: ChopmarkError, *, as_json: bool, about: str = "") -> None:
    """Tell of an error on standard error.

    Args:
        error: what went wrong.
        as_json: for a program, in the form of the API's problem details (RFC 9457).
        about: the file that it is about, where there are several.
    """
    if as_json:
        warn(encode_json(_problem(error) | ({"file": about} if about else {})))
        return
    where = f"{about}: " if about else ""
    warn(_red("chopmark: "), styled(f"{where}{error.message}", stream=sys.stderr))
    if error.hint:
        warn(styled(f"hint: {error.hint}", stream=sys.stderr))


def explain_bug(error: Exception) -> InternalError:
    """The error to show for an exception that we did not expect."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    message = f"internal error: {type(error).__name__}: {error}"
    hint = f"please report this, with what {DEBUG}=1 prints in front of the same command"
    return InternalError("internal", message, hint=hint)


def _problem(error: ChopmarkError) -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def _red(text: str) -> str:
    return styled(text, "red", stream=sys.stderr)
