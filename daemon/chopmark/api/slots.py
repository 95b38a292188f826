"""A bound on how many requests of one sort are served at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from chopmark.core.errors import TryAgainError


class Slots:
    """Places for requests that take much memory, or stay for long.

    Args:
        limit: at once.
        what: they are, for the message.
        retry_after: seconds after which one may have become free.
    """

    def __init__(self, limit: int, what: str, retry_after: int) -> None:
        self._limit = limit
        self._what = what
        self._retry_after = retry_after
        self._taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold one.

        Raises:
            TryAgainError: `overloaded`.
        """
        if self._taken >= self._limit:
            message = f"{self._limit} {self._what} are being served: more are not"
            hint = "use fewer at once, or come again"
            raise TryAgainError("overloaded", message, hint=hint, retry_after=self._retry_after)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
