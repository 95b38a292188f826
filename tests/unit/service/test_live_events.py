"""What events tell of: changes of logs, alarms, peers, brokers and evidence, each once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from chopmark.service.live import Live, Standings

FULL = {"code": "storage-full", "message": "the disk is 98 % full", "hint": "make room"}
FORK = {"code": "fork", "message": "sz-1 has signed two histories", "hint": "call its operator"}

USUAL = Standings({}, {"sz-1": None}, {"b:1": "away"})


@dataclass
class World:
    """What is looked at."""

    sizes: dict[str, tuple[int, int]] = field(default_factory=lambda: {"hk-1": (5, 3)})
    standings: Standings = USUAL
    evidence: dict[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> Mapping[str, Any]:
        return {name: _Log(self, name) for name in self.sizes}


@dataclass
class _Log:
    world: World
    name: str

    @property
    def origin(self) -> str:
        return f"bank.example/{self.name}"

    @property
    def state(self) -> Any:
        size, witnessed = self.world.sizes[self.name]
        return SimpleNamespace(head=SimpleNamespace(size=size), witnessed_size=witnessed)


def told(live: Live, *, at_rest: bool = True) -> list[tuple[str, dict[str, Any]]]:
    """What one more look publishes."""
    before = live.events._number
    live.look(at_rest=at_rest)
    events = [text for number, text in live.events._kept if number > before]
    lines = [text.decode().splitlines() for text in events]
    return [(one[1].removeprefix("event: "), json.loads(one[2][6:])) for one in lines]


def make(world: World) -> Live:
    live = Live("run", world.logs, lambda: world.standings, lambda: dict(world.evidence))
    live.look()
    return live


def test_nothing_is_told_where_nothing_changes() -> None:
    live = make(World())
    assert told(live) == []
    assert live.state()["logs"] == [
        {"id": "hk-1", "origin": "bank.example/hk-1", "size": 5, "witnessed": 3}
    ]


def test_growth_is_told_in_one_event_however_much_it_is() -> None:
    world = World()
    live = make(world)
    world.sizes["hk-1"] = (300_005, 3)
    place = {"id": "hk-1", "origin": "bank.example/hk-1"}
    assert told(live, at_rest=False) == [("head", place | {"size": 300_005, "added": 300_000})]
    world.sizes["hk-1"] = (300_005, 300_005)
    assert told(live) == [("witnessed", place | {"size": 300_005})]


def test_alarm_is_raised_once_and_cleared_once_whatever_its_words() -> None:
    world = World()
    live = make(world)
    world.standings = replace(world.standings, alarms={"storage-full": FULL})
    assert told(live) == [("alarm", {"state": "raised", **FULL})]
    again = FULL | {"message": "the disk is 99 % full"}
    world.standings = replace(world.standings, alarms={"storage-full": again, "fork": FORK})
    assert told(live) == [("alarm", {"state": "raised", **FORK})]
    assert live.state()["alarms"] == [again, FORK]
    world.standings = replace(world.standings, alarms={"fork": FORK})
    assert told(live) == [("alarm", {"state": "cleared", **again})]


def test_peers_and_brokers_come_and_go() -> None:
    world = World()
    live = make(world)
    world.standings = Standings({}, {"sz-1": True}, {"b:1": "connected"})
    expected = [("peer", {"id": "sz-1", "online": True})]
    expected += [("broker", {"address": "b:1", "state": "connected"})]
    assert told(live) == expected
    world.standings = Standings({}, {"sz-1": False}, {"b:1": "connected"})
    assert told(live, at_rest=False) == []
    assert told(live) == [("peer", {"id": "sz-1", "online": False})]
    assert live.state()["peers"] == [{"id": "sz-1", "online": False}]


def test_evidence_is_told_of() -> None:
    world = World()
    live = make(world)
    world.evidence["ab"] = "bank.example/sz-1"
    assert told(live) == [("evidence", {"digest": "ab", "origin": "bank.example/sz-1"})]
    assert told(live) == []
    assert live.state()["evidence"] == ["ab"]
