"""Each broker: our certificate for it, whether something listens, TLS, and whether it lets us in.

Where the gateway runs no broker is asked: a second connection would cut its own off, and
`check_running` says what it knows. The session at the broker stays, with all that waits
in it.

Codes: those of `mesh.tls` and `mesh.words` (`tls-expired`, `tls-wrong-cn`, `broker-refused` …),
`broker-unreachable`, `tls-expiring`, `acl-refused`,
`broker-plain`.
"""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from chopmark.core.errors import RefusedError
from chopmark.mesh.broker import DEFAULT_LIMITS, Broker, BrokerAwayError, Counters, Fault, Tls
from chopmark.mesh.strict import Strict
from chopmark.mesh.tls import TlsFaultError, check_files, probe
from chopmark.mesh.topics import request, subscriptions
from chopmark.service.brokers import make_brokers
from chopmark.service.checks.finding import Finding, Scene

SECONDS: Final = 5.0
"""For a broker to answer."""
_KINDS: Final = ("cosignature", "evidence", "roster")
"""Kinds of topic that a gateway reads besides the usual ones."""
MONTH: Final = 30 * 86_400_000
"""Ms before its end at which a certificate should be renewed."""


def check_brokers(scene: Scene) -> Iterator[Finding]:
    """Look at each in the order of the file."""
    for broker in make_brokers(scene.config):
        looking = _check_plain(broker) if broker.tls is None else _check_files(scene, broker.tls)
        found = list(looking)
        yield from found
        runs = scene.locked or scene.status is not None
        if not runs and not any(one.mark == "fault" for one in found):
            yield from _check_port(broker) or _check_entry(broker, scene)


def _check_plain(broker: Broker) -> Iterator[Finding]:
    if not (broker.host == "localhost" or _is_loopback(broker.host)):
        finding = f"the connection to {broker} is not by TLS"
        remedy = "anybody on the way can read and drop messages: docs/operations/brokers.md"
        yield Finding("broker-plain", finding, remedy, "warning")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_files(scene: Scene, tls: Tls) -> Iterator[Finding]:
    try:
        ours = check_files(tls)[0]
    except TlsFaultError as error:
        yield _finding(error.fault)
        return
    end = int(ours.not_valid_after_utc.timestamp() * 1000)
    if end - scene.now < MONTH:
        past = "has ended" if end <= scene.now else "ends"
        finding = f"our certificate {tls.certificate} {past} on {ours.not_valid_after_utc:%Y-%m-%d}"
        remedy = "have a new one made and put it there; no restart is needed"
        expired = end <= scene.now
        code, mark = ("tls-expired", "fault") if expired else ("tls-expiring", "warning")
        yield Finding(code, finding, remedy, mark)  # type: ignore[arg-type]  # a mark is chosen


def _check_port(broker: Broker) -> list[Finding]:
    """Whether something listens."""
    found = []
    for port in dict.fromkeys((broker.port, broker.publish_port or broker.port)):
        try:
            socket.create_connection((broker.host, port), timeout=SECONDS).close()
        except OSError as error:
            finding = f"nothing answers at {broker.host}:{port}: {error.strerror or error}"
            remedy = "does the broker run there, and do firewalls on the way let us pass?"
            found.append(Finding("broker-unreachable", finding, remedy))
    return found


def _check_entry(broker: Broker, scene: Scene) -> list[Finding]:
    """Whether it lets us in, by both connections, and read what we must."""
    peers = [peer.id for peer in scene.config.peer]
    try:
        asyncio.run(_enter(broker, scene.config.gateway.id, peers))
    except RefusedError as error:
        remedy = "have its operator renew the access list: `chopmark roster export-acl`"
        return [Finding("acl-refused", error.message, remedy)]
    except BrokerAwayError as error:
        port = broker.publish_port or broker.port
        tls = broker.tls
        fault = error.fault or (tls and probe(broker, tls, port, SECONDS))
        told = f"the broker {broker}: "
        if fault:
            return [_finding(replace(fault, message=told + fault.message))]
        remedy = "ask its operator what stands in the broker's log"
        return [Finding("broker-refused", told + error.reason, remedy)]
    return []


async def _enter(broker: Broker, member: str, peers: list[str]) -> None:
    """Come and go as the link does; what is waiting for us there stays, unacknowledged.

    Many brokers refuse no subscription and pass nothing on instead. What is written here without a
    right to is refused: a question to ourselves, which nobody else reads and which is gone in a
    second.
    """
    limits = replace(DEFAULT_LIMITS, connect_timeout=SECONDS)
    port, stays = broker.publish_port or broker.port, limits.session_expiry
    async with Strict(broker, member, limits, Counters(), session_expiry=stays) as inbound:
        await inbound.subscribe_all(subscriptions(member, peers, _KINDS))
    async with Strict(broker, f"{member}-TX", limits, Counters(), port=port) as outbound:
        own = request(member, member)
        await outbound.send(own, b"", retain=False, correlation=None, expiry=1)


def _finding(fault: Fault) -> Finding:
    return Finding(fault.code, fault.message, fault.hint)
