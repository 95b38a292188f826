"""Metrics of what is outside the box: brokers, peers, and the replicas of their logs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import Metric

from chopmark.ledger.blame import Blame
from chopmark.ledger.replica import Replica
from chopmark.mesh.mesh import Mesh
from chopmark.service.families import counter, counters, gauge, gauges, states

PEER_STATES: Final = ("following", "catching-up", "waiting", "failed")
_LINKS: Final = {
    "connections": ("connections", "Connections made to a broker"),
    "outages": ("outages", "Connections to a broker that were lost"),
    "received": ("received_messages", "Messages that a broker has brought"),
    "acknowledged": ("acknowledged_messages", "Messages of a broker that are done with"),
    "dropped": ("dropped_messages", "Messages of a broker that were thrown away unread"),
    "pauses": ("read_pauses", "Times that a broker was not read, as too much was in hand"),
    "published": ("published_messages", "Messages that a broker has taken"),
    "refused": ("refused_messages", "Messages that a broker has refused"),
}
"""By what the link counts: name and meaning of its metric."""
_REPLICAS: Final = {
    "entries": ("stored_entries", "Entries of a peer's log that were stored"),
    "packages": ("stored_packages", "Packages of a peer's log that brought something"),
    "duplicates": ("duplicate_packages", "Packages of a peer's log that brought nothing new"),
    "gaps": ("gaps", "Times that something of a peer's log was found missing"),
    "dropped": ("dropped_messages", "Messages about a peer's log that were of no use"),
}
"""By what a replica counts: name and meaning of its metric."""
_SIZES: Final = {
    "entries": ("size", "Entries of a peer's log that are held"),
    "signed_entries": ("head_size", "Entries held that a head of the peer covers"),
    "witnessed_entries": ("witnessed_size", "Entries held that a quorum has cosigned"),
    "missing_entries": ("missing", "Entries under a head of the peer that are not held"),
}


def tell_links(status: Mapping[str, Any], mesh: Mesh) -> Iterator[Metric]:
    """The links to the brokers, and the pace."""
    links = dict(zip(map(str, mesh.links.brokers), mesh.links.each, strict=True))
    up = {(broker,): link.connected for broker, link in links.items()}
    yield gauges("broker_connected", "1 if the broker is connected", ("broker",), up)
    for name, (metric, about) in _LINKS.items():
        counts = {(broker,): getattr(link.counters, name) for broker, link in links.items()}
        yield counters(f"broker_{metric}", about, ("broker",), counts)
    about = "Messages from nobody that we know"
    yield counter("stranger_messages", about, mesh.strangers)
    pace = status["pace"]
    yield gauge("pace_slowed", "1 if our log waits for a peer", pace["slowed"])
    lags = {(peer,): lag for peer, lag in pace["lags"].items()}
    about = "Entries of our log that a peer that counts lacks"
    yield gauges("pace_lag_entries", about, ("peer",), lags)
    about = "Newest version of the mesh's protocol that all active members speak"
    yield gauge("protocol_in_use", about, status["protocol"]["in_use"])


def tell_peers(
    status: Mapping[str, Any], replicas: Sequence[Replica], blame: Blame
) -> Iterator[Metric]:
    """The peers, and the replicas of their logs."""
    peers = {(peer["id"],): peer for peer in status["peers"]}
    online = {one: peer["online"] for one, peer in peers.items() if peer["online"] is not None}
    about = "1 if a peer is online, as far as the brokers say"
    yield gauges("peer_online", about, ("peer",), online)
    spoken = {one: peer["protocol"]["newest"] for one, peer in peers.items() if peer["protocol"]}
    about = "Newest version of the mesh's protocol that a peer speaks"
    yield gauges("peer_protocol", about, ("peer",), spoken)
    for name, (key, about) in _SIZES.items():
        values = {labels: peer[key] for labels, peer in peers.items()}
        yield gauges(f"replica_{name}", about, ("peer",), values)
    times = {(one.peer,): one.log.state.seen_time for one in replicas if one.log.state.seen_time}
    about = "Time as of which answers about a peer hold, since the epoch"
    yield gauges("replica_as_of_timestamp_seconds", about, ("peer",), times)
    actual = {labels: peer["state"] for labels, peer in peers.items()}
    about = "1 for the state of a replica"
    yield states("replica_state", about, PEER_STATES, actual, ("peer",))
    for name, (metric, about) in _REPLICAS.items():
        counts = {(one.peer,): getattr(one.counters, name) for one in replicas}
        yield counters(f"replica_{metric}", about, ("peer",), counts)
    about = "Messages of a member that were refused, by what was wrong"
    yield counters("bad_messages", about, ("peer", "code"), blame.counts)
