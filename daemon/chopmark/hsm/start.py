"""Starting the signer of a gateway."""

import asyncio
import time
from collections.abc import Callable

from chopmark.core.checkpoint import check_origin
from chopmark.hsm import calls
from chopmark.hsm.book import TokenBook
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.device import Device
from chopmark.hsm.errors import away
from chopmark.hsm.opening import Known
from chopmark.hsm.pin import BookedPin, PinGuard, Source
from chopmark.hsm.signer import HsmSigner
from chopmark.hsm.thread import HsmThread


async def open_signer(
    config: HsmConfig,
    origin: str,
    pin: Source | PinGuard,
    *,
    known: Known | None = None,
    book: TokenBook | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> HsmSigner:
    """Load the module, log in and find the keys, all on a new HSM thread.

    A refused PIN gives a signer that is `latched`, one that is still to be given one that is
    `locked`: the daemon goes on and verifies, instead of being started, and trying the PIN, over
    and over.

    Args:
        config: which module, token and keys.
        origin: of our log; names both keys.
        pin: gives the PIN; called at each login, late, and what it gives is not kept. Raises
            `PinAwaitedError` while there is none.
        known: log key and cosigner key, where the ledger names them. A token that is not there
            yet, or not in this slot, then gives a signer that is `away`: a daemon that ended
            would not verify either, and the token may come late, or be plugged in again.
        book: keeps what must be known at the next start; forgotten at the end, if None.
        monotonic: seconds of a clock that never goes back.

    Raises:
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`, `ambiguous-key`,
            `unfit-key`, `key-not-protected`.
        MissingError: `no-such-key`: `chopmark init` makes them.
        TryAgainError: `hsm-away`; `pin-latched` and `pin-awaited` if not even the public keys
            could be read.
    """
    check_origin(origin)
    thread = HsmThread()
    if isinstance(pin, BookedPin):
        book = pin.book
    device = Device(config, origin, pin, monotonic, known, book)
    try:
        async with asyncio.timeout(calls.ANSWER):
            await thread.call(device.start)
    except TimeoutError:
        # It goes on starting, and what is known of the keys will do until then.
        if known is None:
            thread.stop()
            raise away(calls.SILENT) from None
    except BaseException:
        thread.stop()
        raise
    return HsmSigner(thread, device, config, monotonic)
