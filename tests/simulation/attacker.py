"""The attacker: a member with valid keys that writes whatever it likes, on whatever topic it likes.

It is no stand-in for a part of the product: it is one of those that the product must bear. It hears
all that the broker takes, and the broker has no access rules. Once faults end these are put in
force, and what the attacker writes from then on, on the topics that are its own, must keep nobody
from getting everything.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Any

from chopmark.core.cbor import encode_cbor
from chopmark.mesh import topics
from chopmark.mesh.messages import Request, Status, encode_error
from chopmark.mesh.topics import Topic, parse_topic
from simulation.evil import MAX_SIZE, EvilLog, forge, junk_package, nasty_entries, spoil
from simulation.hsm import START, Keys
from simulation.network import Sent

ATTACKS = (
    "signature",
    "root",
    "ahead",
    "replay",
    "giant",
    "junk",
    "run",
    "status",
    "requests",
    "future",
    "bulletins",
    "nasty",
    "attest",
    "fork",
)
LIKELY = {"fork": 0.15, "run": 0.5}
REPLIES = ("honest", "silent", "junk", "spoilt", "other", "swap", "error")
CALM_PAUSE = 1.0
"""Seconds between two attacks once faults have ended."""
GIANTS = (65_536, 65_537, 200_000)


class Attacker:
    """One attacker; it has no gateway, only its keys."""

    def __init__(self, world: Any, name: str, keys: Keys) -> None:
        self.world, self.random, self.name = world, world.random, name
        self.log = EvilLog(keys)
        self.heard: deque[Sent] = deque(maxlen=100)
        self.victims = [box.id for box in world.boxes]
        world.broker.ears.append(self._hear)

    async def run(self) -> None:
        """Attack for ever."""
        plan = self.world.plan
        while True:
            calm = self.world.calm
            pause = CALM_PAUSE if calm else plan.seconds / plan.attack_count
            await asyncio.sleep(self.random.expovariate(1 / pause))
            attack = self.random.choice(plan.attacks)
            self.world.note(b"attack", attack, self.world.loop.now)
            getattr(self, "_" + attack)()
            self.world.check_bounds()
            if calm:  # something that each can lay at its door
                self._post(topics.checkpoint(self.name), spoil(self.log.note(), self.random))

    # How it writes and hears

    def _write(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        self._send(Sent(topic, payload, correlation))

    def _post(self, topic: str, payload: bytes) -> None:
        self._send(Sent(topic, payload, retain=True))

    def _send(self, sent: Sent) -> None:
        broker, topic = self.world.broker, parse_topic(sent.topic)
        if not self._is_ours(topic):
            if self.world.calm:
                return
            self.world.oracle.tainted.update((topic.owner, topic.other))
        if broker.up:
            broker.later(broker.take, self.name, sent)

    def _is_ours(self, topic: Topic) -> bool:
        if topic.kind in ("request", "reply", "cosignature"):
            return topic.other == self.name
        return topic.owner == self.name

    def _hear(self, sender: str, sent: Sent) -> None:
        if sender == self.name:
            return
        self.heard.append(sent)
        topic = parse_topic(sent.topic)
        if topic.kind == "request":
            mine = topic.owner == self.name
            if mine or self.random.random() < self.world.plan.attack_race:
                self._reply(topic, sent)

    def _reply(self, topic: Topic, sent: Sent) -> None:
        """Answer a question, our own or somebody else's."""
        how = self.random.choice(self.world.plan.attack_replies)
        start = self.random.choice((0, self.log.size))
        answers = {
            "honest": partial(self.log.answer, sent.payload),
            "junk": partial(self.random.randbytes, 300),
            "spoilt": lambda: spoil(self.log.answer(sent.payload), self.random),
            "other": lambda: self._heard_payload("entries"),
            "swap": lambda: junk_package(self._origin(), start, 3, self.log.note()),
            "error": lambda: encode_error(self.random.choice(("not-there", "x" * 500))),
        }
        if how in answers:
            spoofed = self.world.plan.attack_spoof and not self.world.calm
            owner = topic.owner if spoofed else self.name
            self._write(topics.reply(topic.other, owner), answers[how](), sent.correlation)

    def _heard_payload(self, *kinds: str) -> bytes:
        found = [s.payload for s in self.heard if parse_topic(s.topic).kind in kinds]
        return self.random.choice(found) if found else self.random.randbytes(40)

    def _anyone(self) -> str:
        return self.random.choice([self.name, *self.victims])

    def _origin(self) -> str:
        return self.random.choice([self.log.origin, *(box.origin for box in self.world.boxes)])

    # Attacks; each method is one of `ATTACKS`

    def _signature(self) -> None:
        """Notes and packages whose signature is not good."""
        owner = self._anyone()
        note = spoil(self.log.note(), self.random)
        if owner != self.name:
            note = spoil(self._heard_payload("checkpoint", "cosignature"), self.random)
        self._post(topics.checkpoint(owner), note)
        self._post(topics.cosignature(owner, owner), note)
        self._write(topics.entries(owner), junk_package(self._origin(), 0, 2, note))
        if owner != self.name:  # their signature, and another head
            false = forge(self._heard_payload("checkpoint", "cosignature"), self.random)
            self._post(topics.checkpoint(owner), false)
            self._post(topics.cosignature(owner, owner), false)

    def _root(self) -> None:
        """Packages that lead to another root than that of their signed head."""
        if self.log.size:
            self._write(topics.entries(self.name), self.log.package(0, lie=True))
            self._write(topics.entries(self._anyone()), self.log.package(self.log.size - 1))

    def _ahead(self) -> None:
        """Signed heads of a size that nobody will ever see, and packages behind a gap."""
        size = self.random.choice((self.log.size + self.random.randint(1, 900), MAX_SIZE))
        for _ in range(self._burst(self.random.choice((1, 3, 80)))):
            size = max(1, size - self.random.randint(1, 1000))
            root = self.random.randbytes(32)
            now = self._now() if self.random.random() < 0.5 else None
            self._post(topics.checkpoint(self.name), self.log.sign(size, root))
            self._post(topics.cosignature(self.name, self.name), self.log.sign(size, root, now))

    def _replay(self) -> None:
        """What somebody wrote before, again, where it was or elsewhere."""
        for _ in range(self._burst(self.random.choice((1, 5, 20)))):
            if self.heard:
                old = self.random.choice(self.heard)
                topic = parse_topic(old.topic)
                if self.random.random() < 0.3:
                    topic = Topic(self._anyone(), topic.kind, topic.other and self._anyone())
                retain = self.random.random() < 0.3
                self._send(Sent(topic.encode(), old.payload, old.correlation, retain))

    def _giant(self) -> None:
        """Messages as large as a broker may pass, and larger."""
        owner, size = self._anyone(), self.random.choice(GIANTS)
        lines = b"\xe2\x80\x94 x/y AAAAAAAA\n"
        payload = self.random.choice(
            (
                bytes(size),
                b"\x9f" * size,  # lists in lists
                self.log.note() + lines * (size // len(lines)),
                junk_package(self._origin(), 0, 1, self.log.note(), size - 200),
            )
        )
        kind = self.random.choice(("checkpoint", "entries", "status", "evidence", "roster"))
        self._post(Topic(owner, kind).encode(), payload[:size])
        self._write(topics.request(self._victim(), self.name), payload, payload[:size])

    def _junk(self) -> None:
        """Noise on any topic."""
        kind = self.random.choice(("checkpoint", "entries", "status", "reply", "request", "what"))
        other = self._anyone() if kind in ("reply", "request") else ""
        noise = self.random.randbytes(self.random.choice((0, 1, 90)))
        self._send(Sent(Topic(self._anyone(), kind, other).encode(), noise, noise, retain=True))

    def _run(self) -> None:
        """Packages that say that they follow on one another, and hold nothing."""
        owner = self._anyone()
        origin = self.log.origin if owner == self.name else self._origin_of(owner)
        start = self.random.choice((0, self.world.size_of(origin), 1000))
        most = self.world.broker.window + 2 if self.world.calm else 250
        note = self.log.note()
        for _ in range(min(most, self.random.choice((3, 8, 30, 250)))):
            count = self.random.choice((1, 2, 300))
            payload = junk_package(origin, start, count, note)
            self._write(topics.entries(owner), payload)
            start += count

    def _status(self) -> None:
        """Sizes that are lies, of ourselves and of others."""
        sizes = {box.origin: self._lie() for box in self.world.boxes} | {"x" * 300: 5}
        status = Status(online=self.random.random() < 0.6, sizes=sizes)
        self._post(topics.status(self._anyone()), status.encode())

    def _lie(self) -> int:
        return self.random.choice((0, 1, self.random.randint(0, 300), MAX_SIZE))

    def _requests(self) -> None:
        """Questions beyond all measure."""
        asked, asker = self._victim(), self._anyone()
        for _ in range(self._burst(self.random.choice((5, 100)))):
            request = Request(self._origin(), self._lie(), self._lie()).encode()
            same = self.random.random() < 0.2
            correlation = b"same" if same else self.random.randbytes(self.random.choice((0, 8, 16)))
            self._write(topics.request(asked, asker), request, correlation)

    def _future(self) -> None:
        """Heartbeats of other times: the next century, and long ago."""
        ahead = self.random.choice((50, 3600, 2**31, 2**63, -(10**9)))
        time = min(self._now() + ahead, 2**64 - 1)
        self._post(topics.cosignature(self.name, self.name), self.log.note(time))

    def _bulletins(self) -> None:
        """Garbage of the other retained kinds."""
        for kind in ("evidence", "roster", "cosignature"):
            garbage = self.random.choice(
                (
                    self.random.randbytes(200),
                    self.log.note(),
                    self._heard_payload("checkpoint", "cosignature"),
                    spoil(self._heard_payload("checkpoint", "cosignature"), self.random),
                    encode_cbor({0: "x", 1: [1, 2, {}]}),
                    b"chopmark/roster/v1\nversion = 99\n\n\xe2\x80\x94 a AAAAAAA=\n",
                )
            )
            owner = self._anyone()
            other = self._anyone() if kind == "cosignature" else ""
            self._post(Topic(owner, kind, other).encode(), garbage)

    def _nasty(self) -> None:
        """Entries that are no entries, rightly signed and proven."""
        self.log.add(nasty_entries(self.random, self._now() * 1000))
        self._publish()

    def _attest(self) -> None:
        """Other people's documents."""
        digests = self.world.clients.digests
        if digests:
            some = [self.random.choice(digests) for _ in range(3)]
            self.log.attest(some, self._now() * 1000)
            self._publish()

    def _fork(self) -> None:
        """Another history of our own log."""
        if self.log.size:
            root = self.random.randbytes(32)
            self._post(topics.checkpoint(self.name), self.log.sign(self.log.size, root))
            self._post(topics.checkpoint(self.name), self.log.note())

    def _publish(self) -> None:
        """As a gateway does it."""
        self._write(topics.entries(self.name), self.log.package(self.log.signed))
        self._post(topics.checkpoint(self.name), self.log.note())
        self._post(topics.cosignature(self.name, self.name), self.log.note(self._now()))
        sizes = {self.log.origin: self.log.size}
        self._post(topics.status(self.name), Status(online=True, sizes=sizes).encode())
        self.log.signed = self.log.size

    def _burst(self, count: int) -> int:
        """So many at once. In the end no line is full for good: that is the broker's matter."""
        window: int = self.world.broker.window
        return min(count, max(1, window // 4)) if self.world.calm else count

    def _victim(self) -> str:
        return str(self.random.choice(self.victims))

    def _origin_of(self, name: str) -> str:
        return next(box.origin for box in self.world.boxes if box.id == name)

    def _now(self) -> int:
        return START // 1000 + int(self.world.loop.now)
