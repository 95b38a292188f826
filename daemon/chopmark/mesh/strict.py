"""QoS 1 as the standard has it, over one connection: every PUBACK counts, in both directions.

Beyond what `wire` says of aiomqtt 2.5.1:

- Its publish ignores the reason code of the PUBACK, walks over all pending calls each time, and
  gives up on a message that paho delivers later: here each packet id has a future, and silence
  ends the connection.
- It acknowledges a message before anyone has seen it, and throws away one that finds the queue
  full: here acknowledging is the receiver's, in the order of arrival, and when too much is held
  the socket is not read. Receive Maximum alone is no bound: Mosquitto 2.0.11 sends that many
  *more* for every PUBACK.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from paho.mqtt.client import MQTT_ERR_SUCCESS, MQTTMessage
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from chopmark.core.errors import RefusedError
from chopmark.mesh.broker import Broker, Counters, Limits, Message, Will
from chopmark.mesh.wire import FAILURE, Wire, name_of, properties_of

_OVERHEAD = 64  # bytes of a PUBLISH beside topic, payload and correlation data, at most


class Strict(Wire):
    """A `Wire` that publishes, subscribes and receives; `counters` is where it counts."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        limits: Limits,
        counters: Counters,
        *,
        will: Will | None = None,
        session_expiry: int = 0,
        port: int | None = None,
    ) -> None:
        super().__init__(broker, client_id, limits, will, session_expiry, port)
        self._counters = counters
        self.on_oversized: Callable[[str], None] = lambda _topic: None
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()  # bounded through `_held`
        self._held: deque[Message] = deque()
        self._finished = False
        self._in_flight: dict[int, asyncio.Future[ReasonCode]] = {}
        self._slots = asyncio.Semaphore(limits.in_flight)

    async def __aenter__(self) -> Self:
        """Connect, and learn how much the broker lets us have in flight."""
        await super().__aenter__()
        self._slots = asyncio.Semaphore(self.send_maximum)
        return self

    def _end(self, reason: str) -> None:
        super()._end(reason)
        self._held.clear()
        self.finish()
        in_flight, self._in_flight = self._in_flight, {}
        for answer in in_flight.values():
            self._slots.release()
            answer.cancel()  # see `_answer`

    # Sending

    async def send(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool,
        correlation: bytes | None,
        expiry: int | None,
    ) -> None:
        """Publish at QoS 1 and wait for the PUBACK.

        Raises:
            BrokerAwayError: `broker-away`; the message may have arrived, or may not.
            RefusedError: `broker-refused` by reason code, `message-too-large` for this broker.
        """
        self._check_size(topic, payload, correlation)
        properties = None
        if correlation is not None or expiry is not None:
            properties = properties_of(
                PacketTypes.PUBLISH, CorrelationData=correlation, MessageExpiryInterval=expiry
            )
        await self._slots.acquire()  # given back by the PUBACK, not by a caller that gave up
        code = await self._answer(self._hand_over(topic, payload, properties, retain=retain))
        if code.value >= FAILURE:
            self._counters.refused += 1
            raise self._refused(f"a message to {topic}", code)
        self._counters.published += 1

    def _check_size(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        size = len(payload) + len(topic.encode()) + len(correlation or b"") + _OVERHEAD
        if size > self.packet_maximum:
            raise RefusedError(
                "message-too-large",
                f"A message to {topic} of {len(payload)} bytes is more than the broker at "
                f"{self._broker} takes in a packet, {self.packet_maximum}",
            )

    def _hand_over(
        self, topic: str, payload: bytes, properties: Properties | None, *, retain: bool
    ) -> asyncio.Future[ReasonCode]:
        if self.ended.done():
            self._slots.release()
            raise self.away()
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != MQTT_ERR_SUCCESS:
            self._slots.release()
            self.abort(f"could not send: paho's error {int(info.rc)}")
            raise self.away()
        answer: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._in_flight[info.mid] = answer
        return answer

    async def _answer(self, answer: asyncio.Future[ReasonCode]) -> ReasonCode:
        # `wait`, since a cancelled caller and a cancelled answer must not be taken for each other
        await asyncio.wait({answer}, timeout=self._limits.publish_timeout)
        if not answer.done():
            self.abort(f"no answer to a message in {self._limits.publish_timeout:g} s")
        if answer.cancelled():
            raise self.away()
        return answer.result()

    async def subscribe_all(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1.

        Raises:
            BrokerAwayError: `broker-away`.
            RefusedError: `broker-refused`, naming the filter.
        """
        for start in range(0, len(filters), self._limits.filters):
            some = filters[start : start + self._limits.filters]
            self._check_granted(some, await self._subscribe(some))

    async def _subscribe(self, filters: Sequence[str]) -> Sequence[int | ReasonCode]:
        # Not aiomqtt's: its `wait_for` (before Python 3.12) may swallow that we are cancelled.
        result, mid = self._client.subscribe([(name, SubscribeOptions(qos=1)) for name in filters])
        if result != MQTT_ERR_SUCCESS or mid is None:
            self.abort(f"could not subscribe: paho's error {int(result)}")
            raise self.away()
        answer: asyncio.Future[tuple[int, ...] | list[ReasonCode]] = self._loop.create_future()
        self._pending_subscribes[mid] = answer
        await asyncio.wait({answer}, timeout=self._limits.connect_timeout)
        if not answer.done():
            self.abort(f"no answer to a subscription in {self._limits.connect_timeout:g} s")
        if answer.exception() is not None:
            raise self.away()
        return [*answer.result()]

    def _check_granted(self, filters: Sequence[str], codes: Sequence[int | ReasonCode]) -> None:
        for name, code in zip(filters, codes, strict=True):
            if isinstance(code, int) or code.value != 1:
                raise self._refused(f"the subscription to {name} at QoS 1", code)

    def _refused(self, what: str, code: ReasonCode | int) -> RefusedError:
        answer = str(code) if isinstance(code, int) else name_of(code)
        return RefusedError(
            "broker-refused",
            f"The broker at {self._broker} refused {what}: {answer}",
            hint="check the access list of the broker",
        )

    def _on_publish(
        self,
        client: PahoClient,  # noqa: ARG002
        userdata: Any,  # noqa: ARG002
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,  # noqa: ARG002
    ) -> None:
        answer = self._in_flight.pop(mid, None)
        if answer is None:
            return
        self._slots.release()
        if not answer.done():
            answer.set_result(reason_code)

    # Receiving

    async def receive(self) -> Message | None:
        """Give the next message, or None once the connection is over or `finish` was called.

        What was not handed out by then was not acknowledged either, and comes again.
        """
        message = await self._inbox.get()
        return None if self._finished else message

    def finish(self) -> None:
        """Hand out nothing more; what was handed out can still be acknowledged."""
        self._finished = True
        self._inbox.put_nowait(None)

    def _on_message(
        self,
        client: PahoClient,  # noqa: ARG002
        userdata: Any,  # noqa: ARG002
        message: MQTTMessage,
    ) -> None:
        ours = Message(
            _topic(message),
            bytes(message.payload),
            getattr(message.properties, "CorrelationData", None),
            retain=message.retain,
            mid=message.mid,
            release=self._release,
        )
        self._held.append(ours)
        if self._acceptable(ours):
            self._counters.received += 1
            self._inbox.put_nowait(ours)
        else:
            self._counters.dropped += 1
            ours.acknowledge()
            self.on_oversized(ours.topic)
        if len(self._held) >= self._limits.unacknowledged and not self._paused:
            self._counters.pauses += 1
            self._set_reading(on=False)

    def _acceptable(self, message: Message) -> bool:
        limits = self._limits
        return (
            0 < len(message.topic) <= limits.topic
            and len(message.payload) <= limits.payload
            and len(message.correlation or b"") <= limits.correlation
        )

    def _release(self) -> None:
        """Acknowledge what is done from the front on, and go on reading when there is room."""
        while self._held and self._held[0].acknowledged:
            message = self._held.popleft()
            self._counters.acknowledged += 1
            self._client.ack(message.mid, 1 if message.mid else 0)
        if self._paused and len(self._held) <= self._limits.unacknowledged // 2:
            self._set_reading(on=True)


def _topic(message: MQTTMessage) -> str:
    try:
        return message.topic
    except UnicodeDecodeError:  # the broker should have refused it; nobody has this topic
        return ""
