"""After an entry is durable: what may still go wrong must not look like a refusal."""

import asyncio
import logging
from collections.abc import Collection

from chopmark.api.ports import Awaited, Gateway, Until
from chopmark.core.errors import ChopmarkError

_log = logging.getLogger(__name__)


async def is_signed(gateway: Gateway, last: int, seconds: float) -> bool:
    """Wait until all up to an entry is signed.

    False also when waiting fails, for it is recorded all the same and will be signed.
    """
    try:
        return await gateway.wait_signed(last, seconds)
    except ChopmarkError as error:
        _log.warning("entry %d is recorded, and not signed yet: %s", last, error)
        return False


async def is_witnessed(gateway: Gateway, last: int, seconds: float, kinds: Collection[str]) -> bool:
    """Wait until a quorum has cosigned a head over entries of these kinds; as `is_signed`."""
    try:
        return await gateway.wait_witnessed(last, seconds, kinds)
    except ChopmarkError as error:
        _log.warning("entry %d is not witnessed yet: %s", last, error)
        return False


async def is_signed_before_stop(gateway: Gateway, last: int, seconds: float) -> bool:
    """As `is_signed`, for a request of its own: a stop of the server ends the wait.

    The cancellation goes no further, for the caller must hear that the entry is recorded.
    """
    try:
        return await is_signed(gateway, last, seconds)
    except asyncio.CancelledError:
        return False


async def wait_for_proof(
    gateway: Gateway, index: int, until: Until, seconds: float, kind: str
) -> Awaited:
    """The proof of our own entry once it has come so far; `recorded` if it cannot be had now."""
    try:
        return await gateway.awaited_proof(index, until, seconds, kind)
    except asyncio.CancelledError:  # a stop of the server, as in `is_signed_before_stop`
        return Awaited("recorded")
    except ChopmarkError as error:
        _log.warning("entry %d is recorded, its proof cannot be had now: %s", index, error)
        return Awaited("recorded")
