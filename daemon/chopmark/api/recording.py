"""After an entry is durable: what may still go wrong must not look like a refusal."""

import asyncio
import logging

from chopmark.api.ports import Gateway
from chopmark.core.draft import Recorded
from chopmark.core.errors import ChopmarkError

_log = logging.getLogger(__name__)


async def is_signed(gateway: Gateway, recorded: Recorded, seconds: float) -> bool:
    """Wait until all of a run is signed.

    False also when waiting fails, for the run is recorded all the same and will be signed.
    """
    try:
        return await gateway.wait_signed(recorded.start + recorded.count - 1, seconds)
    except ChopmarkError as error:
        _log.warning("entry %d is recorded, and not signed yet: %s", recorded.start, error)
        return False


async def is_signed_before_stop(gateway: Gateway, recorded: Recorded, seconds: float) -> bool:
    """As `is_signed`, for a request of its own: a stop of the server ends the wait.

    The cancellation goes no further, for the caller must hear that the entry is recorded.
    """
    try:
        return await is_signed(gateway, recorded, seconds)
    except asyncio.CancelledError:
        return False


async def read_proof(gateway: Gateway, index: int) -> str | None:
    """The proof of our own entry; None if it cannot be read now."""
    try:
        return (await gateway.proof(gateway.identity().id, index)).decode()
    except ChopmarkError as error:
        _log.warning("entry %d is signed, its proof cannot be read now: %s", index, error)
        return None
