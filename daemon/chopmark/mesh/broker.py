"""What a link to a broker is made of: address, will, limits, counters and the message.

Plain data without any MQTT library, so that every part of the mesh may name it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chopmark.core.errors import UnreachableError


@dataclass(frozen=True, slots=True)
class Tls:
    """Mutual TLS with a broker: files in PEM, and names.

    Attributes:
        ca: of the CAs that the broker's certificate may be from.
        certificate: ours, and those of CAs between.
        key: its private key.
        name: for which the broker's certificate must be.
        member: our id, the CN of our certificate.
    """

    ca: Path
    certificate: Path
    key: Path
    name: str
    member: str


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens, and how.

    Attributes:
        publish_port: for the outbound connection; None for the same as `port`.
        tls: None for plain TCP.
        user: name of the user; None for a broker that knows by the certificate, or lets all in.
    """

    host: str
    port: int
    publish_port: int | None = None
    tls: Tls | None = None
    user: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def has_one_port(self) -> bool:
        """Whether both connections of a link go to the same port."""
        return self.publish_port in (None, self.port)


@dataclass(frozen=True, slots=True)
class Fault:
    """What stands between us and a broker, by a stable code, and what to do about it."""

    code: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}"


class BrokerAwayError(UnreachableError):
    """`broker-away`: no connection, or it was lost before the broker's answer.

    Attributes:
        reason: the bare reason, without the broker's name.
        fault: what is wrong, where it is known and waiting does not help.
    """

    def __init__(self, broker: Broker, reason: str, fault: Fault | None = None) -> None:
        super().__init__(
            "broker-away",
            f"The broker at {broker} is away: {reason}",
            hint="it is tried again by itself; see that the broker runs and can be reached",
        )
        self.reason = reason
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us, retained, when we are gone."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one link; sizes are bytes, times are seconds."""

    payload: int = 64 * 1024  # design: runs on any broker, the narrowest of which takes 128 KiB
    packet: int = 256 * 1024  # told to the broker; more is a broken broker, and cuts the line
    topic: int = 256  # AWS IoT Core
    correlation: int = 256  # ours are 16 bytes
    in_flight: int = 200  # publishes without PUBACK: 5,000/s over 40 ms of round trip
    unacknowledged: int = 200  # received and held: at most 200 x 64 KiB = 13 MB of memory
    filters: int = 8  # per SUBSCRIBE (AWS IoT Core)
    keepalive: int = 20  # a dead line is noticed within 40 s
    session_expiry: int = 86_400  # the broker keeps our messages for a day; then we catch up
    connect_timeout: float = 10.0
    publish_timeout: float = 20.0  # 200 x 64 KiB need 11 s at 10 Mbit/s
    stop_grace: float = 5.0  # for the message in hand, and for the DISCONNECT to leave
    backoff_first: float = 0.5
    backoff_top: float = 30.0
    steady: float = 3.0  # a connection that lived so long shows that its last fault is over
    held: float = 30.0  # a connection that lived so long starts the back-off anew


DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class Counters:
    """What a link has seen since it was made; only ever grows."""

    connections: int = 0
    outages: int = 0
    received: int = 0
    acknowledged: int = 0
    dropped: int = 0  # oversized or nameless: acknowledged and thrown away
    pauses: int = 0  # times that reading stopped because too much was held
    published: int = 0
    refused: int = 0  # PUBACK with a reason code of 0x80 or above


class Message:
    """One message from the broker. It comes again until it is acknowledged.

    Attributes:
        topic: at most `Limits.topic` bytes.
        payload: at most `Limits.payload` bytes.
        correlation: the Correlation Data property, or None.
        retain: the broker had it in store when we subscribed.
    """

    __slots__ = ("_release", "correlation", "mid", "payload", "retain", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        correlation: bytes | None,
        *,
        retain: bool,
        mid: int,
        release: Callable[[], None],
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.correlation = correlation
        self.retain = retain
        self.mid = mid
        self._release: Callable[[], None] | None = release

    @property
    def acknowledged(self) -> bool:
        """Whether `acknowledge` was called."""
        return self._release is None

    def acknowledge(self) -> None:
        """Tell the broker that what this message brought is durable, or worth nothing.

        Idempotent; does nothing once its connection has ended (the message then comes again).
        To be called on the event loop's thread. The broker hears acknowledgements in the order
        of arrival (MQTT 5, 4.6), so one that is left out holds back those behind it, and at
        `Limits.unacknowledged` of them nothing more is received.
        """
        release, self._release = self._release, None
        if release is not None:
            release()
