"""Calls on the HSM's thread, which may not come back."""

from collections.abc import Callable
from typing import Final, TypeVar

from chopmark.hsm.errors import away
from chopmark.hsm.thread import HsmThread
from chopmark.hsm.turns import Turn

T = TypeVar("T")
ANSWER: Final = 15.0
"""Seconds within which a call must come back. A TPM needs up to one; a network HSM that lost its
line may never answer, and a call into the module cannot be broken off."""
SILENT: Final = "it does not answer"


def is_silent(thread: HsmThread) -> bool:
    """Whether a call takes longer than one may."""
    return thread.stuck_for > ANSWER


async def call(
    thread: HsmThread,
    function: Callable[..., T],
    *args: object,
    turn: Turn = Turn.UPKEEP,
    then: Callable[[T], T] | None = None,
) -> T:
    """Run a function on the HSM's thread, which may be stuck in an earlier one.

    Raises:
        TryAgainError: `hsm-away` if it does not come back in time.
    """
    if is_silent(thread):  # who came first waits; who comes now is told at once
        raise away(SILENT)
    try:
        return await thread.call(function, *args, turn=turn, then=then, patience=ANSWER)
    except TimeoutError:
        raise away(SILENT) from None
