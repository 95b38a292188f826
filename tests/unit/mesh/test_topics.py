import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.mesh import topics
from chopmark.mesh.broker import DEFAULT_LIMITS
from chopmark.mesh.topics import Topic, parse_topic

LONGEST = "a" * 20


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (topics.checkpoint("sz-1"), "chopmark/v1/sz-1/checkpoint"),
        (topics.entries("sz-1"), "chopmark/v1/sz-1/entries"),
        (topics.cosignature("sz-1", "hk-1"), "chopmark/v1/sz-1/cosignature/hk-1"),
        (topics.request("sz-1", "hk-1"), "chopmark/v1/sz-1/request/hk-1"),
        (topics.reply("hk-1", "sz-1"), "chopmark/v1/hk-1/reply/sz-1"),
        (topics.status("sz-1"), "chopmark/v1/sz-1/status"),
    ],
)
def test_topic_is_as_written_down(made: str, text: str) -> None:
    assert made == text
    topic = parse_topic(text)
    assert topic is not None
    assert topic.encode() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "chopmark/v1",
        "chopmark/v1/",
        "chopmark/v1/sz-1",
        "chopmark/v2/sz-1/status",
        "chopmark/v1/sz-1/request/hk-1/more",
        "/chopmark/v1/sz-1/status",
        "other/v1/sz-1/status",
        "chopmark/v1chopmark/v1/sz-1/status",
    ],
)
def test_foreign_topic_is_none_of_ours(text: str) -> None:
    assert parse_topic(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_topic_of_ours_or_not(text: str) -> None:
    for one in (text, f"chopmark/v1/{text}", f"chopmark/v1/a/{text}"):
        topic = parse_topic(one)
        assert topic is None or Topic(topic.owner, topic.kind, topic.other) == topic


def test_subscriptions_fit_what_every_broker_takes() -> None:
    filters = topics.subscriptions(LONGEST, ["sz-1", LONGEST])
    assert filters[:2] == [f"chopmark/v1/{LONGEST}/request/+", f"chopmark/v1/{LONGEST}/reply/+"]
    assert "chopmark/v1/sz-1/cosignature/+" in filters
    assert len(filters) == len(set(filters)) == 10
    assert all(len(one) <= DEFAULT_LIMITS.topic and one.count("/") <= 7 for one in filters)


def test_only_what_others_write_has_a_wildcard() -> None:
    filters = topics.subscriptions("hk-1", ["sz-1"])
    wild = [one for one in filters if "+" in one or "#" in one]
    assert wild == [*filters[:2], "chopmark/v1/sz-1/cosignature/+"]
