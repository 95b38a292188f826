"""What must be known of a token from one start of the daemon to the next."""

from dataclasses import dataclass, field
from typing import Protocol


class TokenBook(Protocol):
    """Keeps it. Each call is durable once it returns; called on the HSM's thread, it may block.

    Attributes:
        refused: why the PIN must not be tried; None if it may be.
        unfinished: how many logins were begun, one after the other, whose end was not noted.
        maintenance: an operator has taken the HSM out of use.
    """

    @property
    def refused(self) -> str | None: ...  # noqa: D102 - see above
    @property
    def unfinished(self) -> int: ...  # noqa: D102 - see above
    @property
    def maintenance(self) -> bool: ...  # noqa: D102 - see above

    def begin_login(self) -> None:
        """The PIN goes to the token next."""
        ...

    def end_login(self) -> None:
        """It came to its end: the token took it, or did not answer."""
        ...

    def refuse(self, reason: str) -> None:
        """The token refused it: it must not be tried again. Ends a login too."""
        ...

    def allow(self, *, given: bool = False) -> None:
        """An operator says that it may be tried.

        Args:
            given: another one in the place of the one that was refused, which is still there.
        """
        ...

    def maintain(self, *, on: bool) -> None:
        """An operator takes the HSM out of use, or into use again."""
        ...

    def reserved(self, key: str) -> int:
        """How many signatures of a key may have been made."""
        ...

    def reserve(self, key: str, count: int) -> None:
        """Note that up to so many signatures of a key may be made."""
        ...


@dataclass
class Unkept:
    """One that forgets at the end of the process: for commands, and for tests."""

    refused: str | None = None
    unfinished: int = 0
    maintenance: bool = False
    _reserved: dict[str, int] = field(default_factory=dict)

    def begin_login(self) -> None:
        """See `TokenBook`, as for all below."""
        self.unfinished += 1

    def end_login(self) -> None:  # noqa: D102 - see above
        self.unfinished = 0

    def refuse(self, reason: str) -> None:  # noqa: D102 - see above
        self.refused, self.unfinished = reason, 0

    def allow(self, *, given: bool = False) -> None:  # noqa: ARG002, D102 - see above
        self.refused, self.unfinished = None, 0

    def maintain(self, *, on: bool) -> None:  # noqa: D102 - see above
        self.maintenance = on

    def reserved(self, key: str) -> int:  # noqa: D102 - see above
        return self._reserved.get(key, 0)

    def reserve(self, key: str, count: int) -> None:  # noqa: D102 - see above
        self._reserved[key] = count
