"""Sessions of the page: in memory, so that a restart signs everybody out and no disk holds one.

1. An id has 256 random bits and is known to the browser alone; here lies its SHA-256.
2. Each sign-in makes a new one: an id that somebody brings along is never taken up.
3. A session ends by signing out, after `idle` seconds without a person's request, `longest` seconds
   after it began, when its account changes, when an operator says so, and when the same person has
   more than `PER_PERSON`: the oldest goes. What it streams by then gets nothing more, and ends.
4. Its token against forged requests follows from the id: whoever can send that token has read it
   from an answer, which pages of other origins cannot.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from chopmark.api.identity import Caller
from chopmark.core.errors import TryAgainError

PER_PERSON: Final = 8
MOST: Final = 1024
"""Sessions at once; each takes some hundred bytes."""
_TOKEN: Final = b"chopmark/csrf/v1"

Why = Literal["signed-out", "idle", "longest", "operator", "account", "too-many", "renewed"]
"""Why a session has ended."""


@dataclass(slots=True, eq=False)
class Session:
    """One person's, in one browser.

    Attributes:
        key: SHA-256 of its id.
        caller: what its requests are done as.
        name: of the person, to be shown.
        by: how it was proved.
        address: it began at.
        began: when, by the clock of `Sessions`; and when a person last asked for something.
        ended: it is over; what still streams of it is cut off.
    """

    key: bytes
    caller: Caller
    name: str
    by: Literal["password", "oidc"]
    address: str
    began: float
    seen: float
    ended: bool = False


class Sessions:
    """All that there are.

    Args:
        idle: seconds without a request of a person after which one ends.
        longest: seconds after which it ends whatever happens.
        clock: seconds that only go forward.
    """

    def __init__(
        self, idle: float, longest: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.idle = idle
        self.longest = longest
        self.clock = clock
        self._all: dict[bytes, Session] = {}
        self.on_end: Callable[[Session, Why], None] = lambda _session, _why: None

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._all.values()))

    def begin(
        self, caller: Caller, name: str, by: Literal["password", "oidc"], address: str
    ) -> tuple[str, Session]:
        """A new one, and its id.

        Raises:
            TryAgainError: `overloaded`.
        """
        self.sweep()
        theirs = [one for one in self if one.caller.client == caller.client]
        for oldest in theirs[: max(0, len(theirs) - PER_PERSON + 1)]:
            self.end(oldest, "too-many")
        if len(self._all) >= MOST:
            message = f"{MOST} people are signed in: more cannot be"
            raise TryAgainError("overloaded", message, hint="come again", retry_after=60)
        token, now = secrets.token_urlsafe(32), self.clock()
        session = Session(_hash(token), caller, name, by, address, now, now)
        self._all[session.key] = session
        return token, session

    def find(self, token: str, *, person: bool = True) -> Session | None:
        """The session with this id, unless it has ended; `person`: somebody asks for something."""
        session = self._all.get(_hash(token))
        if session is None or self._end_if_due(session):
            return None
        if person:
            session.seen = self.clock()
        return session

    def left(self, session: Session) -> int:
        """Seconds until it ends whatever happens."""
        return max(0, int(session.began + self.longest - self.clock()))

    def end(self, session: Session, why: Why) -> None:
        """End it."""
        if self._all.pop(session.key, None) is not None:
            session.ended = True
            self.on_end(session, why)

    def end_of(self, client: str, why: Why) -> int:
        """End all of a person; gives how many there were."""
        theirs = [one for one in self if one.caller.client == client]
        for session in theirs:
            self.end(session, why)
        return len(theirs)

    def sweep(self) -> None:
        """End those that are due."""
        for session in self:
            self._end_if_due(session)

    def _end_if_due(self, session: Session) -> bool:
        now = self.clock()
        if now - session.began >= self.longest:
            self.end(session, "longest")
        elif now - session.seen >= self.idle:
            self.end(session, "idle")
        return session.key not in self._all


def make_token(session_id: str) -> str:
    """What a request of this session that changes something must carry."""
    return hmac.new(session_id.encode(), _TOKEN, sha256).hexdigest()


def is_token(shown: str, session_id: str) -> bool:
    """Whether it does."""
    return hmac.compare_digest(shown.encode(), make_token(session_id).encode())


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
