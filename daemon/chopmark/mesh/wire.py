"""One connection of aiomqtt 2.5.1, from CONNECT to its end, with a life that can be relied on.

This module knows aiomqtt and paho, `strict` knows paho, and no other does. They lean on private
names of both (hence the pin below 3 and the lock), for these faults of theirs:

- The end of a connection does not wake pending calls, is forgotten when it comes together with
  the CONNACK, is not noticed before the CONNACK, and leaves the socket open after an exception:
  `ended` and `abort` are ours.
- Nothing can stop reading: our reader can, so that TCP holds the broker back.
- Writes are registered by way of `call_soon_threadsafe`, on a file descriptor that may be another
  connection's by then: ours are registered at once.
- Its `wait_for` (before Python 3.12) swallows a cancellation that comes with the answer: here it
  stands behind a shield, or is not used.
- An answer to a ping that lies behind what we do not read counts as missing: not here.

And for one of uvloop: a socket with an error is read once more, and then never, for its poll is
closed; what more is asked of that poll ends in a RuntimeError, which ended the process.
"""

import asyncio
import functools
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from chopmark.mesh.broker import Broker, BrokerAwayError, Fault, Limits, Tls, Will
from chopmark.mesh.tls import CUT, TlsFaultError, explain, open_context, probe
from chopmark.mesh.words import explain_refusal, explain_silence, explain_takeover

# paho logs every lost connection as an error; the link has its own line for that.
_WIRE_LOG = logging.getLogger("chopmark.mesh.wire")
_WIRE_LOG.setLevel(logging.CRITICAL)

_NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
_LOST = "connection lost"
_LAST_WORDS = 1_000  # packets that are read of a connection that was reset
_WITH_WILL = 0x04  # MQTT 5, 3.14.2.1: "Disconnect with Will Message"

_TAKEN_OVER = 0x8E  # MQTT 5, 3.14.2.1: "Session taken over"

FAILURE = 0x80  # MQTT 5, 2.4: reason codes from here on are failures, itself unspecified


def properties_of(packet: int, **values: object) -> Properties:
    """Make the properties of a packet; values that are None are left out."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho is typed in part only
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties


def name_of(code: ReasonCode) -> str:
    """Write a reason code for a person and for a search in the standard."""
    return f"{code} (0x{code.value:02X})"


class Wire(aiomqtt.Client):
    """One connection as an asynchronous context manager. It is never used twice.

    Entering raises `BrokerAwayError`. Leaving sends what is queued and a
    DISCONNECT; with a will it is the one that has the will published.

    Args:
        broker: where to.
        client_id: as fixed by the caller.
        limits: bounds; see there.
        will: published by the broker when this connection ends, in whatever way.
        session_expiry: seconds for which the broker keeps the session; 0 begins a new one.
        port: where, if not at the broker's first port.

    Attributes:
        ended: done, with the reason, once the connection is over.
        session_present: the broker still had our session.
        send_maximum: publishes that may be in flight, from our limits and the CONNACK.
        packet_maximum: size of a packet that the broker takes, bytes.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        limits: Limits,
        will: Will | None,
        session_expiry: int,
        port: int | None = None,
    ) -> None:
        self._at = port or broker.port
        super().__init__(
            broker.host,
            self._at,
            identifier=client_id,
            username=broker.user,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, 1, retain=True),
            timeout=limits.connect_timeout,
            keepalive=limits.keepalive,
            clean_start=session_expiry == 0,
            max_inflight_messages=limits.in_flight,
            properties=properties_of(
                PacketTypes.CONNECT,
                SessionExpiryInterval=session_expiry,
                ReceiveMaximum=limits.unacknowledged,
                MaximumPacketSize=limits.packet,
            ),
            socket_options=[_NODELAY],
            logger=_WIRE_LOG,
        )
        self._client.manual_ack_set(on=True)
        self._client.connect_timeout = limits.connect_timeout
        self._broker = broker
        self._fault: Fault | None = None
        self._refusal: ReasonCode | None = None
        self._limits = limits
        self._farewell = 0 if will is None else _WITH_WILL
        self._thread = threading.get_ident()
        self._paused = False
        self.session_present = False
        self.send_maximum = limits.in_flight
        self.packet_maximum = limits.packet
        self.ended: asyncio.Future[str] = self._loop.create_future()

    async def __aenter__(self) -> Self:
        """Connect; see the class for what is raised."""
        if self._broker.tls is not None:
            await self._arm(self._broker.tls)
        # paho connects in a thread, which cannot be cancelled: it is waited for in any case.
        opening = asyncio.ensure_future(super().__aenter__())
        try:
            await asyncio.shield(opening)
        except aiomqtt.MqttError as error:
            try:
                self._fault = await self._explain(error)
            finally:
                self.abort(str(error))
            raise self.away() from None
        except asyncio.CancelledError:
            self._end("stopped")
            await asyncio.wait({opening})
            opening.exception()
            self.abort("stopped")
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Say goodbye if the line still stands, and close the socket in any case."""
        try:
            if not self.ended.done():
                code = ReasonCode(PacketTypes.DISCONNECT, identifier=self._farewell)
                self._client.disconnect(code)
                await asyncio.wait({self.ended}, timeout=self._limits.stop_grace)
        finally:
            self.abort("stopped")
        if self._misc_task is not None:
            await asyncio.wait({self._misc_task})

    def abort(self, reason: str) -> None:
        """Close the socket without a goodbye. Harmless when it is closed already."""
        self._end(reason)
        self._client._sock_close()  # noqa: SLF001  # no public way closes without DISCONNECT

    def away(self) -> BrokerAwayError:
        """Make the error for a caller whom the end of this connection hit."""
        reason = self.ended.result() if self.ended.done() else "no connection"
        return BrokerAwayError(self._broker, str(self._fault or reason), self._fault)

    # What stands in the way

    async def _arm(self, tls: Tls) -> None:
        """Read certificates and key, for this connection alone; see `__aenter__` for errors."""
        try:
            self._client.tls_set_context(await asyncio.to_thread(open_context, tls))
        except TlsFaultError as error:
            self._fault = error.fault
            self.abort(str(error))
            raise self.away() from None

    async def _explain(self, error: aiomqtt.MqttError) -> Fault | None:
        """Why a connection did not come about, if it is known better than the error says."""
        tls, cause = self._broker.tls, error.__context__
        if self._refusal is not None:
            return explain_refusal(self._refusal.value, name_of(self._refusal))
        if tls is None:
            return explain_silence() if str(error).startswith(_LOST) else None
        if isinstance(cause, (*CUT, ssl.SSLEOFError)) or str(error).startswith(_LOST):
            seconds = self._limits.connect_timeout
            return await asyncio.to_thread(probe, self._broker, tls, self._at, seconds)
        return await asyncio.to_thread(explain, cause, tls)

    def _end(self, reason: str) -> None:
        """Wake everybody who waits for this connection; the first reason counts."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        error = aiomqtt.MqttError(reason)
        _fail(self._connected, error)
        _fail(self._disconnected, error)
        for pending in self._pending_subscribes.values():
            _fail(pending, error)

    # Reading and writing

    def _set_reading(self, *, on: bool) -> None:
        sock = self._client.socket()
        if sock is None:
            return
        self._paused = not on
        if on:
            self._watch(self._loop.add_reader, sock.fileno(), self._read)
            self._loop.call_soon(self._read)  # TLS may hold bytes that no poll will tell of
        else:
            self._loop.remove_reader(sock.fileno())

    def _read(self) -> None:
        while not self._paused and not self.ended.done():
            self._guarded(self._client.loop_read)
            self._check_sizes()
            pending = getattr(self._client.socket(), "pending", None)  # TLS only
            if pending is None or pending() == 0:
                break
        self._check_reset()

    def _check_reset(self) -> None:
        """Read the last words of a connection that was reset, and end it."""
        sock: Any = self._client.socket()  # paho's type is that of a websocket
        if sock is None or not (code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            return
        for _ in range(_LAST_WORDS):
            if self._paused or self.ended.done():
                break
            self._guarded(self._client.loop_read)
        self.abort(f"{_LOST}: {os.strerror(code)}")

    def _watch(
        self, watch: Callable[..., object], descriptor: int, call: Callable[[], object]
    ) -> None:
        """Have the loop look at a socket; one that it refuses was reset unseen."""
        try:
            watch(descriptor, call)
        except (RuntimeError, OSError):
            self._loop.call_soon(self.abort, _LOST)  # not now: paho is in the midst of something

    def _check_sizes(self) -> None:
        """End a connection whose broker sends what we neither asked for nor want to keep."""
        if self._client._in_packet["remaining_length"] > self._limits.packet:  # noqa: SLF001
            self.abort("the broker sent a packet that is too large")
        if self._client._in_messages:  # noqa: SLF001  # paho's store for QoS 2 has no bound
            self.abort("the broker sent a message at QoS 2")

    def _guarded(self, step: Callable[[], object]) -> None:
        """Whatever paho stumbles over ends this connection, not the process."""
        try:
            step()
        except Exception as error:  # noqa: BLE001  # bytes from outside, parsed by others
            self.abort(f"{type(error).__name__}: {error}")

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        self._loop.call_soon_threadsafe(self._attend, sock.fileno())  # this is connect()'s thread

    def _attend(self, descriptor: int) -> None:
        self._watch(self._loop.add_reader, descriptor, self._read)
        self._misc_task = self._loop.create_task(self._misc_loop(), name="mesh keep-alive")

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        write = functools.partial(self._guarded, self._client.loop_write)
        watch = functools.partial(self._watch, self._loop.add_writer, sock.fileno(), write)
        if threading.get_ident() == self._thread:
            watch()
        else:  # the CONNECT, from connect()'s thread
            self._loop.call_soon_threadsafe(watch)

    async def _misc_loop(self) -> None:
        while not self.ended.done():
            if self._paused:  # the answer to our ping lies behind what we do not read
                self._client._ping_t = 0.0  # noqa: SLF001
            self._guarded(self._client.loop_misc)
            await asyncio.sleep(1)

    # What paho calls

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if reason_code.value >= FAILURE:
            self._refusal = reason_code
            self._end(f"connection refused: {name_of(reason_code)}")
            return
        self.session_present = flags.session_present
        receive_maximum = getattr(properties, "ReceiveMaximum", self._limits.in_flight)
        self.send_maximum = min(self._limits.in_flight, receive_maximum)
        self.packet_maximum = getattr(properties, "MaximumPacketSize", self._limits.packet)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: PahoClient,  # noqa: ARG002
        userdata: Any,  # noqa: ARG002
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,  # noqa: ARG002
    ) -> None:
        if reason_code.value == _TAKEN_OVER:
            self._fault = explain_takeover(one_port=self._broker.has_one_port)
        if flags.is_disconnect_packet_from_server:
            self._end(f"the broker ended the connection: {name_of(reason_code)}")
        elif reason_code.value == FAILURE:  # "Unspecified error" says nothing
            self._end(_LOST)
        else:
            self._end(f"{_LOST}: {name_of(reason_code)}")


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # nobody may be waiting: then there is nothing to report
