"""What events tell of: the parts are looked at, and what has changed since is published.

To look is cheap, and sums up by itself: a log that takes 300,000 entries a second makes four
events a second, each with its new size. Nothing of it is on the way of an attestation.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chopmark.api.events import Events
from chopmark.ledger.log import Log

LOOK: Final = 0.25
"""Seconds between two looks at the logs."""
SELDOM: Final = 4
"""Looks at the logs for each one at everything else."""
Heads = dict[str, tuple[int, int]]
"""By member id, how many entries are signed, and how many of them witnessed."""


@dataclass(frozen=True, slots=True)
class Standings:
    """How things stand.

    Attributes:
        alarms: by code, one that stands.
        peers: by member id, whether it is online; None if that is not known.
        brokers: by address, `connected` or `away`.
    """

    alarms: Mapping[str, Mapping[str, str]]
    peers: Mapping[str, bool | None]
    brokers: Mapping[str, str]


class Live:
    """Looks, and tells.

    Args:
        run: a word that tells this run's events from any other's.
        logs: by member id, every log that is held.
        standings: how all else stands.
        evidence: by its digest, the log that each piece of evidence is about.
    """

    def __init__(
        self,
        run: str,
        logs: Mapping[str, Log],
        standings: Callable[[], Standings],
        evidence: Callable[[], dict[str, str]],
    ) -> None:
        self._logs = logs
        self._look_at_rest = standings
        self._look_at_evidence = evidence
        self._heads = self._look_at_heads()
        self._standings = Standings({}, {}, {})
        self._evidence: dict[str, str] = {}
        self.events = Events(run, self.state)

    async def run(self) -> None:
        """Look for ever."""
        looks = 0
        while True:
            self.look(at_rest=looks % SELDOM == 0)
            looks += 1
            await asyncio.sleep(LOOK)

    def look(self, *, at_rest: bool = True) -> None:
        """Publish what has changed; `at_rest`: not of the logs alone."""
        self._tell_heads()
        if at_rest:
            self._tell_standings()
            self._tell_evidence()

    def state(self) -> dict[str, Any]:
        """What has been told so far, and is not over."""
        told = self._standings
        return {
            "logs": [
                self._place(name) | {"size": size, "witnessed": witnessed}
                for name, (size, witnessed) in self._heads.items()
            ],
            "peers": [{"id": name, "online": online} for name, online in told.peers.items()],
            "brokers": [{"address": name, "state": state} for name, state in told.brokers.items()],
            "alarms": list(told.alarms.values()),
            "evidence": sorted(self._evidence),
        }

    def _place(self, name: str) -> dict[str, Any]:
        return {"id": name, "origin": self._logs[name].origin}

    def _look_at_heads(self) -> Heads:
        states = {name: log.state for name, log in self._logs.items()}
        return {name: (one.head.size, one.witnessed_size) for name, one in states.items()}

    def _tell_heads(self) -> None:
        before, self._heads = self._heads, self._look_at_heads()
        for name, (size, witnessed) in self._heads.items():
            old_size, old_witnessed = before[name]
            place = self._place(name)
            if size != old_size:
                self.events.publish("head", place | {"size": size, "added": size - old_size})
            if witnessed != old_witnessed:
                self.events.publish("witnessed", place | {"size": witnessed})

    def _tell_standings(self) -> None:
        before, now = self._standings, self._look_at_rest()
        self._standings = now
        for code, alarm in now.alarms.items():
            if code not in before.alarms:
                self.events.publish("alarm", {"state": "raised", **alarm})
        for code, alarm in before.alarms.items():
            if code not in now.alarms:
                self.events.publish("alarm", {"state": "cleared", **alarm})
        for name, online in now.peers.items():
            if before.peers.get(name) is not online:
                self.events.publish("peer", {"id": name, "online": online})
        for address, state in now.brokers.items():
            if before.brokers.get(address) != state:
                self.events.publish("broker", {"address": address, "state": state})

    def _tell_evidence(self) -> None:
        before, self._evidence = self._evidence, self._look_at_evidence()
        for digest, origin in self._evidence.items():
            if digest not in before:
                self.events.publish("evidence", {"digest": digest, "origin": origin})
