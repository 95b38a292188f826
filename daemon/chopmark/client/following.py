"""The entries of a log as they come, without a gap, over restarts of the gateway."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from chopmark.client.gateway import GatewayClient
from chopmark.client.messages import Json
from chopmark.client.problem import bad_answer
from chopmark.core.errors import ChopmarkError, TryAgainError, UnreachableError

PAGE: Final = 1000
WAIT: Final = 5.0
"""Seconds that the gateway is asked to wait for an entry: how often somebody is asked whether to
go on."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts while the gateway is away."""


def follow(
    gateway: GatewayClient,
    member: str,
    after: int,
    *,
    missed: Callable[[ChopmarkError], None] = lambda _: None,
    go_on: Callable[[], bool] = lambda: True,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[list[Json]]:
    """Signed entries with an index above `after`, page by page, for ever.

    Args:
        gateway: whom to ask.
        member: whose log.
        after: the last index that the caller has; -1 for none.
        missed: told once each time that the gateway is away.
        go_on: asked before each wait; false ends it.
        pause: sleeps.

    Raises:
        ChopmarkError: what will not go away by itself.
        UnreachableError: `bad-answer`, also for a gap.
    """
    wait = FIRST_PAUSE
    while go_on():
        try:
            entries = gateway.entries(member, after, PAGE, WAIT)["entries"]
        except (UnreachableError, TryAgainError) as error:
            if error.code == "bad-answer":
                raise
            if wait == FIRST_PAUSE:
                missed(error)
            pause(wait)
            wait = min(2 * wait, LONGEST_PAUSE)
            continue
        wait = FIRST_PAUSE
        if [entry.get("index") for entry in entries] != [
            *range(after + 1, after + 1 + len(entries))
        ]:
            raise bad_answer()
        if entries:
            after += len(entries)
            yield entries
