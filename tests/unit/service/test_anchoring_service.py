"""What is told of anchoring, and how heads that were anchored are compared with replicas."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from chopmark.anchor.ports import Finding
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.note import Note
from chopmark.service import anchoring as told
from chopmark.service.anchor_logs import Histories
from chopmark.service.anchoring import AWAY, Anchoring
from rosters import HK, MO, founding


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(told, "time", made)
    return made


def make(store: Any, chain: Any) -> Anchoring:
    follower: Any = SimpleNamespace(gaps={}, height=10, taken=0)
    ms: Any = SimpleNamespace(now_ms=lambda: 10**12)
    return Anchoring(SimpleNamespace(), [], chain, store, follower, None, ms)  # type: ignore[arg-type]


def test_chain_that_cannot_be_read_on_is_an_alarm_though_its_nodes_answer(clock: Clock) -> None:
    """As where all nodes have archived the blocks that come next: each step ends the same way."""
    store = SimpleNamespace(cursor=7, bad=[])
    one = make(store, SimpleNamespace(since=None, endpoints=[]))
    one._told("following", "the node refuses: archived")
    clock.now += AWAY - 1
    one._told("following", "the node refuses: archived")
    assert one.alarms() == []
    clock.now += 1
    (alarm,) = one.alarms()
    assert alarm["code"] == "anchor-away"
    assert "above block 7: the node refuses: archived" in alarm["message"]
    store.cursor = 8
    one._told("following", "the node refuses: archived")
    assert one.alarms() == [], "it has come on"
    clock.now += AWAY
    assert one.alarms()
    one._told("following", None)
    assert one.alarms() == []


def test_what_fails_of_anchoring_is_no_alarm_of_reading(clock: Clock) -> None:
    one = make(SimpleNamespace(cursor=7, bad=[]), SimpleNamespace(since=None, endpoints=[]))
    one._told("anchoring", "no HSM")
    clock.now += 10 * AWAY
    assert one.alarms() == []


def test_account_that_has_anchored_what_we_do_not_have_is_an_alarm() -> None:
    one = make(SimpleNamespace(cursor=7, bad=[]), SimpleNamespace(since=None, endpoints=[]))
    account = SimpleNamespace(is_missing=False)
    anchorer: Any = SimpleNamespace(account=account, blocked=None, due_since=None, refused=None)
    one._anchorer, one._config = anchorer, SimpleNamespace(every=600)  # type: ignore[assignment]
    assert one.alarms() == []
    anchorer.blocked = 2**63
    (alarm,) = one.alarms()
    assert alarm["code"] == "anchor-late"
    assert str(2**63) in alarm["message"]


class Held:
    """A replica that holds one head."""

    def __init__(self, member: Any, head: Checkpoint) -> None:
        self.member, self.rejected = member, frozenset[Any]()
        self.log = self
        self.state = SimpleNamespace(size=head.size)
        self._root = head.root

    def root_at(self, _size: int) -> bytes:
        return self._root

    async def read(self, look: Any) -> Any:
        return look(self, self.state)

    async def observe_head(self, _note: bytes) -> None:
        raise AssertionError("it does not count")


async def test_suspended_members_head_is_ignored_and_good_again_once_it_is_back() -> None:
    """The word that makes it be compared again: see `judging`."""
    own, member = founding((HK, MO)).members()
    head = Checkpoint(MO.origin, 5, bytes(32))
    note = Note(head.encode(), (MO.log.sign(head.encode()),)).encode()
    words = []
    for state in ("suspended", "active"):
        held: Any = Held(replace(member, state=state), head)
        histories = Histories(own, held, {MO.origin: held}, held.observe_head)
        words += await histories.compare(MO.origin, [note])
    assert [one.word for one in words] == ["ignored", "good"]
    assert words[1] == Finding("good")
