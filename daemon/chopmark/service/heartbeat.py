"""Our newest head, cosigned by ourselves: what says at other gateways how fresh an answer is."""

from contextlib import suppress

from chopmark.core.errors import TryAgainError
from chopmark.core.note import parse_note
from chopmark.core.ports import Clock
from chopmark.ledger.log import Log
from chopmark.ledger.witness import Cosigner


async def make_heartbeat(log: Log, cosigner: Cosigner, clock: Clock) -> bytes:
    """Our newest head with our own cosignature as of now: what peers' as-of times come from.

    Raises:
        TryAgainError: while the HSM is away, no head was signed yet, or the clock stands at or
            before 1970, where no cosignature has a time (C2SP tlog-cosignature).
        ChopmarkError: what `Cosigner.may_cosign` gives.
    """
    state = log.state
    if state.note is None:
        raise TryAgainError("not-signed", "no head was signed yet")
    time = clock.now_ms() // 1000
    if time <= 0:
        raise TryAgainError("clock-wrong", "the clock stands before 1970", hint="set it")
    made = await cosigner.cosign(state.head, parse_note(state.note), time)
    time, note = made.time, made.note
    with suppress(TryAgainError):  # a full disk must not keep peers from hearing of us
        await log.write(lambda store: store.move_seen(time, note))
    return note
