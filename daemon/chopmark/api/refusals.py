"""What is refused before it is a request: counted, and told of once a minute.

Whoever can open the socket can send garbage as fast as the machine takes it; a line in the journal
for each would fill the disk that the ledger is on.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SERVER_LOG: Final = "chopmark.api"
"""The logger for what our doors refuse."""
UVICORN_LOG: Final = "uvicorn.error"
"""The logger of uvicorn for everything; what it says is told as ours."""
PERIOD: Final = 60.0
_REASONS: Final = {
    "Invalid HTTP request received.": "malformed",
    "ASGI callable returned without completing response.": "broken-off",
}
"""What uvicorn says, and the word that we count it under."""
_TOLD: Final = (
    *("overloaded", "too-many-connections", "gave-way"),
    *("bad-certificate", "no-handshake"),
)
"""Words of ours."""
_MOST: Final = 64
"""Kinds that have a line of their own in a minute: some hold what a stranger has written."""
_OTHERS: Final = "others"
"""The kind of all beyond."""
MOST_NAMES: Final = 32
"""Clients that are named in a minute."""


class Names:
    """Who was refused what since it was last taken: for the audit log, which names them.

    Anybody may be refused as often as he likes: beyond `MOST_NAMES` they are told together.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def count(self, who: str, code: str) -> None:
        """Count one."""
        if who not in self._counts and len(self._counts) >= MOST_NAMES:
            who = _OTHERS
        self._counts.setdefault(who, Counter())[code] += 1

    def take(self) -> dict[str, Counter[str]]:
        """What was counted, by name; from now on it is counted anew."""
        taken, self._counts = self._counts, {}
        return taken


NAMES: Final = Names()
"""Of this process, as the counts of problems are."""


class Refusals:
    """Counts refusals by reason, for the life of the process."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys((*_REASONS.values(), *_TOLD, "other"), 0)

    def early(self) -> Counter[str]:
        """What was refused without a problem that says so, by reason."""
        return Counter({name: n for name, n in self.counts.items() if name != "overloaded"})

    def count(self, reason: str) -> None:
        """Count one."""
        self.counts[reason] += 1


@contextmanager
def quieten(refusals: Refusals) -> Iterator[None]:
    """Let the server tell of each kind of refusal once a minute, and count them all."""
    quiet = OncePerMinute(refusals)
    filters = ((UVICORN_LOG, _Ours()), (UVICORN_LOG, quiet), (SERVER_LOG, quiet))
    for name, one in filters:
        logging.getLogger(name).addFilter(one)
    try:
        yield
    finally:
        for name, one in filters:
            logging.getLogger(name).removeFilter(one)


class _Ours(logging.Filter):
    """Gives uvicorn's lines our name, without those about a process that is not its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        record.name = SERVER_LOG
        return record.levelno >= logging.WARNING


class OncePerMinute(logging.Filter):
    """Lets through one line of a kind in a minute, and then says how many more there were.

    A line's kind is its text before anything is put into it, or what `extra` says in `_kind`.
    Tracebacks always pass: they are our faults, not a client's.

    Args:
        refusals: where lines are counted by reason.
        later: calls a function after some seconds; the running loop's `call_later` if None.
    """

    def __init__(
        self,
        refusals: Refusals,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        super().__init__()
        self._refusals = refusals
        self._later = later
        self._held: Counter[str] = Counter()
        self._open: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written now."""
        if record.exc_info or record.levelno < logging.WARNING or hasattr(record, "_summary"):
            return True
        message = str(record.msg)
        reason = getattr(record, "reason", None) or _REASONS.get(message, "other")
        self._refusals.count(reason)
        kind = getattr(record, "_kind", message)
        if kind not in self._open and len(self._open) >= _MOST:
            kind = _OTHERS
        if kind in self._open:
            self._held[kind] += 1
            return False
        later = self._later or _loop_later()
        if later is not None:
            self._open.add(kind)
            later(PERIOD, lambda: self._summarise(kind, record.levelno))
        return True

    def _summarise(self, kind: str, level: int) -> None:
        more = self._held.pop(kind, 0)
        if not more:
            self._open.discard(kind)
            return
        if (later := self._later or _loop_later()) is not None:
            later(PERIOD, lambda: self._summarise(kind, level))
        message = "%d more in the last minute: %s"
        logging.getLogger(SERVER_LOG).log(level, message, more, kind, extra={"_summary": True})


def _loop_later() -> Callable[[float, Callable[[], None]], object] | None:
    try:
        return asyncio.get_running_loop().call_later
    except RuntimeError:
        return None
