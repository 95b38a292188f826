"""In which order the HSM serves: a slow one must vouch for peers' heads as well as for its own.

Upkeep of the token comes first, for nothing is signed without it; then our own heartbeat, which
peers' answers live on; then our own heads and those of others, by turns while both wait, so that a
busy gateway leaves half of its signatures to its peers; then refreshes of what is cosigned already;
then anchors, which no document waits for. Closing comes last, after all that waits. Within each the
order is that of arrival: each log has one head in it at most, so that all logs have their turn.
"""

from collections import deque
from enum import IntEnum
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Turn(IntEnum):
    """What a call into the HSM is for, the most urgent first."""

    UPKEEP = 0
    HEARTBEAT = 1
    OWN = 2
    OTHER = 3
    REFRESH = 4
    ANCHOR = 5
    CLOSE = 6


_TURNS: Final = tuple(Turn)  # to go through an enumeration is slow, and take() is called often


class Turns(Generic[T]):
    """Jobs that wait. One thread puts them in, one takes them out."""

    def __init__(self) -> None:
        self._waiting: tuple[deque[T], ...] = tuple(deque() for _ in Turn)
        self._own_had_turn = False

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def __bool__(self) -> bool:
        return any(self._waiting)

    def put(self, turn: Turn, job: T) -> None:
        """Let a job wait."""
        self._waiting[turn].append(job)

    def take(self) -> T:
        """The next job; there must be one."""
        turn = next(turn for turn in _TURNS if self._waiting[turn])
        if turn is Turn.OWN and self._own_had_turn and self._waiting[Turn.OTHER]:
            turn = Turn.OTHER
        if turn in (Turn.OWN, Turn.OTHER):
            self._own_had_turn = turn is Turn.OWN
        return self._waiting[turn].popleft()
