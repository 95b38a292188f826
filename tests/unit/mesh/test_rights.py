"""What a broker's access list allows is what the mesh needs: nothing is missing or too much."""

import pytest

from chopmark.mesh import topics
from chopmark.mesh.rights import readable, writable

MEMBERS = ("hk-1", "mo-1", "sz-1")
KINDS = ("cosignature", "evidence", "roster")
"""Kinds that have a handler at a gateway, beside those that are always read."""


def peers_of(me: str) -> list[str]:
    return [one for one in MEMBERS if one != me]


def writes_of(me: str) -> set[str]:
    """Every topic that `topics` knows, as far as this member writes it."""
    own = {topics.checkpoint(me), topics.entries(me), topics.status(me)}
    own |= {topics.evidence(me), topics.roster(me), topics.cosignature(me, me)}
    to_others = {
        topic
        for peer in peers_of(me)
        for topic in (
            topics.request(peer, me),
            topics.reply(peer, me),
            topics.cosignature(peer, me),
        )
    }
    return own | to_others


ALL = set[str]().union(*(writes_of(me) for me in MEMBERS))


def matches(filter_: str, topic: str) -> bool:
    """MQTT 5, 4.7.1.3."""
    wanted, given = filter_.split("/"), topic.split("/")
    return len(wanted) == len(given) and all(
        one in ("+", other) for one, other in zip(wanted, given, strict=True)
    )


def matched(filters: list[str]) -> set[str]:
    return {topic for topic in ALL if any(matches(one, topic) for one in filters)}


@pytest.mark.parametrize("me", MEMBERS)
def test_member_may_write_what_it_publishes_and_nothing_else(me: str) -> None:
    assert matched(writable(me)) == writes_of(me)


@pytest.mark.parametrize("me", MEMBERS)
def test_member_may_read_what_it_subscribes_to_and_else_only_its_own(me: str) -> None:
    needed = matched(topics.subscriptions(me, peers_of(me), KINDS))
    assert matched(readable(me)) - needed <= writes_of(me)
    assert needed <= matched(readable(me))


def test_no_line_is_idle() -> None:
    for filters in (writable("hk-1"), readable("hk-1")):
        for one in filters:
            assert matched([one]), one
            assert matched([two for two in filters if two != one]) < matched(filters)


def test_topics_of_strangers_are_nobodys() -> None:
    assert not any(matches(one, "chopmark/v1/hk-1/entries") for one in writable("mo-1"))
    assert not any(matches(one, "chopmark/v1/hk-1/request/mo-1") for one in readable("mo-1"))
    assert not any(matches(one, "chopmark/v1/hk-1/reply/mo-1") for one in readable("mo-1"))
    assert not any("#" in one for one in (*writable("hk-1"), *readable("hk-1")))
