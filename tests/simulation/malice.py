"""Somebody who can write to every topic: damages, replays and misplaces what the broker carried.

It draws from a source of its own, so that what else happens in a seed stays nearly the same.
"""

import asyncio
from collections import deque
from random import Random
from typing import Any

from simulation.network import SimBroker

PART = 0.15
"""Of all seeds, those with malice."""
KEPT = 64
"""Messages that can be used again."""
PAUSE = 0.05
"""Seconds between two bad messages."""


class Malice:
    """Writes bad messages while faults last.

    Attributes:
        junk: payloads that it made, or passes on of liars; whoever drops them does right.
        liars: whose messages may be bad before it touches them.
    """

    def __init__(self, broker: SimBroker, seed: int) -> None:
        self.random = Random(f"malice {seed}")  # noqa: S311 - the same for the same seed
        self.active = self.random.random() < PART
        self.junk: set[bytes] = set()
        self.liars: set[str] = set()
        self._broker = broker
        self._heard: deque[Any] = deque(maxlen=KEPT)
        if self.active:
            take = broker.take
            broker.take = lambda sender, sent: (self._hear(sender, sent), take(sender, sent))[1]  # type: ignore[method-assign]
            self._take = take

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / PAUSE))
            if self._heard and self._broker.up:
                self._write(*self.random.choice(self._heard))

    def _hear(self, sender: str, sent: Any) -> None:
        self._heard.append((sender, sent))

    def _write(self, sender: str, sent: Any) -> None:
        payload = self.random.choice((self._flip, self._cut, self._keep, self._fill))(sent.payload)
        topic = self.random.choice((sent.topic, self._misplace(sent.topic)))
        if payload != sent.payload or topic != sent.topic or sender in self.liars:
            self.junk.add(payload)
        made = type(sent)(topic, payload, sent.correlation, retain=False)
        self._take("malice", made)

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return b"junk"
        at = self.random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self.random.randrange(len(data) + 1)]

    def _keep(self, data: bytes) -> bytes:
        return data

    def _fill(self, _data: bytes) -> bytes:
        return self.random.randbytes(self.random.choice((0, 1, 40, 2000)))

    def _misplace(self, topic: str) -> str:
        """The same kind of topic of another member, or another kind of the same."""
        other = self.random.choice(self._heard)[1].topic
        return other if self.random.random() < 0.5 else topic
