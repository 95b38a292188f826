"""How many connections there are, of whom, and which of them are idle: those give way.

An idle connection, be it between two requests or in a head that does not end, keeps nobody out:
the one that has been idle longest is closed when another comes in. Only connections with a request
being answered count in the end.
"""

from collections import Counter
from typing import Protocol

from chopmark.api.limits import ApiLimits


class Connection(Protocol):
    """One that is open."""

    whose: str
    """The client; empty where the client is nobody in particular."""

    def give_way(self) -> None:
        """Close it; it is idle."""
        ...


class Crowd:
    """The connections of one server."""

    def __init__(self, limits: ApiLimits) -> None:
        self._limits = limits
        self._all: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, connection: Connection) -> None:
        """Count one that has come; it is idle."""
        client = connection.whose
        self._all.add(connection)
        self._of[client] += 1
        if self.is_full_of(client):
            self._make_room(client)
        if len(self) > self._limits.connections:
            self._make_room(None)
        self._idle[connection] = None

    def leave(self, connection: Connection) -> None:
        """Count one less."""
        if connection in self._all:
            self._all.remove(connection)
            self._idle.pop(connection, None)
            self._of[connection.whose] -= 1
            if not self._of[connection.whose]:
                del self._of[connection.whose]

    def work(self, connection: Connection) -> None:
        """It has a request."""
        self._idle.pop(connection, None)

    def rest(self, connection: Connection) -> None:
        """It has none any more."""
        if connection in self._all:
            self._idle[connection] = None

    def is_full_of(self, client: str) -> bool:
        """Whether a client has more connections than it may."""
        return bool(client) and self._of[client] > self._limits.per_client

    def _make_room(self, client: str | None) -> None:
        """Close the one that has been idle longest, of this client or of all."""
        for connection in self._idle:
            if client is None or connection.whose == client:
                self.leave(connection)
                connection.give_way()
                return
