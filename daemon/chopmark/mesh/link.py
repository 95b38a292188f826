"""The link to one broker: connects for ever, publishes, and hands over what comes in.

A link is two connections that live and die together. The *inbound* one has the client id and the
persistent session; the *outbound* one (client id + `-TX`, no session) publishes and carries the
will. Were they one, a backlog of incoming messages would stand before the PUBACKs of our own:
stopping to read it (the only back-pressure that every broker obeys) would stop publishing too.

Promises, towards an untrusted broker:

1. Messages are handed over one at a time, in order of arrival, by one task. When the connection
   is lost it finishes the message in hand, for which the next connection waits; only a stop
   cancels it, after `Limits.stop_grace`.
2. A message is acknowledged only by `Message.acknowledge`. Whatever was not, comes again after
   the next connection, possibly a second time: the handler must be idempotent.
3. At most `Limits.unacknowledged` messages are held; at that point the socket is not read. A
   handler must not wait for more messages than that before it acknowledges the first.
4. A publish that returned was taken by the broker. That is no receipt: brokers lose messages.
5. After an error of publish the message may have arrived all the same. Nothing is sent again by
   itself: a connection begins with nothing in flight.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chopmark.core.errors import ChopmarkError, InternalError, RefusedError
from chopmark.mesh.backoff import Backoff
from chopmark.mesh.broker import (
    DEFAULT_LIMITS,
    Broker,
    BrokerAwayError,
    Counters,
    Fault,
    Limits,
    Message,
    Will,
)
from chopmark.mesh.strict import Strict
from chopmark.mesh.words import explain_takeover

__all__ = ["Broker", "BrokerAwayError", "Counters", "Limits", "Link", "Message", "Will"]

_log = logging.getLogger("chopmark.mesh")

_DISPLACED = 2  # times in a row: once, it may have been the line
_OUTBOUND = "-TX"  # upper case: no member id, hence no other client, looks like it


class Link:
    """One broker, for as long as the process lives.

    Args:
        broker: where to.
        client_id: fixed, since the session on the broker hangs on it.
        filters: what to subscribe to.
        on_message: awaited for each message; acknowledges it when its content is durable.
        on_connect: awaited after every (re)connect, with "the broker still had our session"; it
            may publish. Messages may be handed over before it is called.
        will: published by the broker, retained, when the link is down; a clean stop has it
            published too.
        limits: bounds.

    A `ChopmarkError` of either callback (but for `InternalError`) ends the connection and is
    the `reason`; unacknowledged messages come again after the back-off. Any other exception is
    a bug and comes out of `run`.

    Attributes:
        counters: since the link was made.
        refusal: what the broker would not take last; empty once it has taken its like.
        on_oversized: told the topic of each message that was thrown away for its size.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        filters: Sequence[str],
        *,
        on_message: Callable[[Message], Awaitable[None]],
        on_connect: Callable[[bool], Awaitable[None]],
        will: Will | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._filters = tuple(filters)
        self._on_message = on_message
        self._on_connect = on_connect
        self._will = will
        self._limits = limits
        self._outbound: Strict | None = None
        self._reason = "not connected yet"
        self._fault: Fault | None = None
        self._told: set[str] = set()
        self._connected_at = 0.0
        self._clock: Callable[[], float] = lambda: 0.0
        self._displaced = 0
        self._refused = ""
        self.counters = Counters()
        self.refusal = ""
        self.on_oversized: Callable[[str], None] = lambda _topic: None

    @property
    def connected(self) -> bool:
        """Whether publishing makes sense now."""
        return self._outbound is not None and not self._outbound.ended.done()

    @property
    def reason(self) -> str:
        """Why the link is down, for a person; empty while it is up."""
        if self._outbound is None:
            return self._reason
        return self._outbound.ended.result() if self._outbound.ended.done() else ""

    @property
    def fault(self) -> Fault | None:
        """What ended the last connection, where waiting does not help; None once one holds.

        Two connections that throw each other out are both up for a moment, again and again.
        """
        held = self.connected and self._clock() - self._connected_at >= self._limits.steady
        return None if held else self._fault

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        correlation: bytes | None = None,
        expiry: int | None = None,
    ) -> None:
        """Publish at QoS 1; returns once the broker has taken the message.

        Waits while `Limits.in_flight` (or fewer, if the broker says so) are on their way. Safe
        to call from many tasks, and from the callbacks.

        Args:
            topic: at most `Limits.topic` bytes, no wildcards.
            payload: at most `Limits.payload` bytes.
            retain: the broker keeps it for later subscribers.
            correlation: Correlation Data.
            expiry: seconds after which the broker may forget it; None for never.

        Raises:
            BrokerAwayError: `broker-away`: not connected, or lost before the broker's answer.
            RefusedError: `message-too-large`, nothing was sent; or `broker-refused`.
        """
        self._check_size(topic, payload, correlation)
        outbound = self._outbound
        if outbound is None:
            raise BrokerAwayError(self._broker, self.reason)
        try:
            await outbound.send(
                topic, payload, retain=retain, correlation=correlation, expiry=expiry
            )
        except RefusedError as error:
            self._note_refusal(topic, error.message)
            raise
        if self.refusal and topic == self._refused:
            self._note_refusal("", "")

    def _note_refusal(self, topic: str, message: str) -> None:
        if message and not self.refusal:
            _log.warning("%s", message)
        self._refused, self.refusal = topic, message

    def _check_size(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        for what, size, limit in (
            ("payload", len(payload), self._limits.payload),
            ("topic", len(topic.encode()), self._limits.topic),
            ("correlation data", len(correlation or b""), self._limits.correlation),
        ):
            if size > limit:
                raise RefusedError(
                    "message-too-large",
                    f"The {what} of a message to {topic[:80]} has {size} bytes, over {limit}",
                )

    async def run(self) -> None:
        """Keep the link up until cancelled; then disconnect properly.

        The message in hand gets `Limits.stop_grace` to be finished.
        """
        limits = self._limits
        backoff = Backoff(limits.backoff_first, limits.backoff_top, random.SystemRandom())
        self._clock = clock = asyncio.get_running_loop().time
        while True:
            self._connected_at = 0.0
            await self._connect_once()
            self._tell_outage()
            if self._connected_at and clock() - self._connected_at >= limits.held:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    def _tell_outage(self) -> None:
        """One line for each outage, and one more where its cause turns out to be a fault."""
        new = bool(self._connected_at) or self.counters.outages == 0
        if new:
            self.counters.outages += 1
            self._told = set()
        code = self._fault.code if self._fault else ""
        if new or code not in self._told:
            _log.warning("broker %s is away: %s", self._broker, self._reason)
        self._told |= {code, ""}

    async def _connect_once(self) -> None:
        """Connect and stay connected; then `_reason` and `_fault` say why it ended."""
        outbound = Strict(
            self._broker,
            self._client_id + _OUTBOUND,
            self._limits,
            self.counters,
            will=self._will,
            port=self._broker.publish_port,
        )
        inbound = Strict(
            self._broker,
            self._client_id,
            self._limits,
            self.counters,
            session_expiry=self._limits.session_expiry,
        )
        inbound.on_oversized = self.on_oversized
        try:
            async with outbound, inbound:
                await self._serve(inbound, outbound)
        except InternalError:
            raise
        except BrokerAwayError as error:
            self._fault = error.fault or self._find_displacement()
            self._reason = str(self._fault or error.reason)
        except ChopmarkError as error:
            self._reason, self._fault = error.message, None

    async def _serve(self, inbound: Strict, outbound: Strict) -> None:
        consumer = asyncio.create_task(self._consume(inbound), name="mesh consumer")
        grace = None  # a lost connection waits for the message in hand, however long it takes
        try:
            await inbound.subscribe_all(self._filters)
            self._set_up(inbound, outbound)
            await self._on_connect(inbound.session_present)
            ends: set[asyncio.Future[Any]] = {consumer, inbound.ended, outbound.ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            grace = self._limits.stop_grace
            raise
        finally:
            self._count_displacement(inbound, outbound)
            self._outbound = None
            inbound.finish()
            await _let_finish(consumer, grace)
        consumer.result()
        raise next(one for one in (inbound, outbound) if one.ended.done()).away()

    def _count_displacement(self, inbound: Strict, outbound: Strict) -> None:
        """Count how often in a row the outbound connection went as the inbound one came.

        Mosquitto 2.0 ends a connection by TLS without a word when another takes its client id.
        """
        young = not self._connected_at or self._clock() - self._connected_at < self._limits.steady
        gone = outbound.ended.done() and not inbound.ended.done()
        self._displaced = self._displaced + 1 if young and gone else 0

    def _find_displacement(self) -> Fault | None:
        if self._displaced < _DISPLACED:
            return None
        return explain_takeover(one_port=self._broker.has_one_port)

    def _set_up(self, inbound: Strict, outbound: Strict) -> None:
        self._outbound = outbound
        self._connected_at = asyncio.get_running_loop().time()
        self.counters.connections += 1
        session = "resumed" if inbound.session_present else "new"
        _log.info("connected to broker %s, session %s", self._broker, session)

    async def _consume(self, inbound: Strict) -> None:
        while (message := await inbound.receive()) is not None:
            await self._on_message(message)


async def _let_finish(consumer: asyncio.Task[None], grace: float | None) -> None:
    """Wait for the message in hand, at most `grace` seconds, and not if we are cancelled."""
    try:
        await asyncio.wait({consumer}, timeout=grace)
    finally:
        if not consumer.done():
            consumer.cancel()
            await asyncio.wait({consumer})
