"""The one family of errors: each can explain itself to a person and to a program.

`code` is stable: it is the `code` of problem details on the API, the label of counters and the
word in logs. CLI, API and mesh have one `except ChopmarkError` each.
"""

from typing import ClassVar


class ChopmarkError(Exception):
    """Base of every error that we raise on purpose.

    Args:
        code: stable short name in kebab case.
        message: one sentence that says what is wrong, and where.
        hint: what to do next; may be empty.
        retry_after: seconds after which trying again makes sense, or None.
    """

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70

    def __init__(
        self, code: str, message: str, *, hint: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ChopmarkError):
    """The call makes no sense as it was put."""

    status = 400
    exit_code = 64


class MalformedError(ChopmarkError):
    """Bytes from outside that are not what they should be. Nothing was changed."""

    status = 400
    exit_code = 65


class RefusedError(MalformedError):
    """Well-formed, but it breaks a rule: a bad proof, a foreign key, an index out of range."""

    status = 422


class MissingError(ChopmarkError):
    """The thing asked for is not there."""

    status = 404
    exit_code = 66


class UnreachableError(ChopmarkError):
    """The gateway or a service does not answer."""

    status = 502
    exit_code = 69


class InternalError(ChopmarkError):
    """Our own fault, or damage on our own disk."""


class ExistsError(ChopmarkError):
    """It is there already, and nothing is ever overwritten."""

    status = 409
    exit_code = 73


class TryAgainError(ChopmarkError):
    """Not now: the HSM is away, the queue is full, the log is not ready."""

    status = 503
    exit_code = 75


class ForbiddenError(ChopmarkError):
    """This caller may not do this."""

    status = 403
    exit_code = 77


class ConfigurationError(ChopmarkError):
    """The configuration is wrong; nothing was started."""

    exit_code = 78
