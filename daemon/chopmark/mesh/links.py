"""The links to all brokers: reads from each of them, and sends what is meant for one peer.

One broker's outage, or its slowness, is no other's: each link has its own connections, its own
publisher (`live`) and its own place in the log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from chopmark.mesh.broker import Broker, BrokerAwayError, Message, Will
from chopmark.mesh.link import Link


class Links:
    """Our links, one to each broker, by their number in the configuration.

    Args:
        brokers: where to; each once.
        me: our member id, the client id at each of them.
        filters: what to subscribe to.
        on_message: awaited for each message with the number of its link; see `Link`.
        on_connect: awaited after each (re)connect with the number of the link.
        will: see `Link`.
        make_link: makes the links; `Link` itself, but in simulations.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        me: str,
        filters: Sequence[str],
        *,
        on_message: Callable[[int, Message], Awaitable[None]],
        on_connect: Callable[[int], Awaitable[None]],
        will: Will,
        make_link: Callable[..., Link] | None = None,
    ) -> None:
        self._on_connect = on_connect
        self.brokers = tuple(brokers)
        self.each = tuple(
            (make_link or Link)(
                broker,
                me,
                filters,
                on_message=partial(on_message, number),
                on_connect=partial(self._connected, number),
                will=will,
            )
            for number, broker in enumerate(brokers)
        )

    @property
    def connected(self) -> list[int]:
        """Numbers of the links that are up."""
        return [number for number, link in enumerate(self.each) if link.connected]

    async def run(self) -> None:
        """Keep all links up for ever."""
        async with asyncio.TaskGroup() as tasks:
            for number, link in enumerate(self.each):
                tasks.create_task(link.run(), name=f"link-{number + 1}")

    async def send(
        self,
        preferred: int | None,
        topic: str,
        payload: bytes,
        correlation: bytes | None,
        expiry: int,
    ) -> None:
        """Publish to one peer: by the preferred link if it is up, otherwise by all that are.

        Returns once one broker has taken it: a slow one is not waited for.

        Raises:
            BrokerAwayError: no broker took it.
            RefusedError: what `Link.publish` raises, if no broker took it.
        """
        up = self.connected
        if not up:
            raise BrokerAwayError(self.brokers[0], self.each[0].reason)
        sending = {
            asyncio.create_task(
                self.each[number].publish(topic, payload, correlation=correlation, expiry=expiry)
            )
            for number in ([preferred] if preferred is not None and preferred in up else up)
        }
        try:
            await _first_success(sending)
        finally:
            for one in sending:
                one.cancel()

    async def _connected(self, number: int, _session_present: bool) -> None:  # noqa: FBT001 - the link's callback
        await self._on_connect(number)


async def _first_success(sending: set[asyncio.Task[None]]) -> None:
    """Wait until one is done without a fault; if none is, raise the last fault."""
    fault: BaseException | None = None
    while sending:
        done, sending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        faults = [one.exception() for one in done]
        if None in faults:
            return
        fault = faults[0]
    if fault is not None:
        raise fault
