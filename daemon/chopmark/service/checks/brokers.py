"""Each broker: our certificate for it, whether something listens, TLS, and whether it lets us in.

Where the gateway runs no broker is asked: a second connection would cut its own off, and
`check_running` says what it knows. The one that is made here has no session and sends nothing.

Codes: those of `mesh.tls` and `mesh.words` (`tls-expired`, `tls-wrong-cn`, `broker-refused` …),
`broker-unreachable`, `tls-expiring`.
"""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from chopmark.mesh.broker import DEFAULT_LIMITS, Broker, BrokerAwayError, Counters, Fault, Tls
from chopmark.mesh.strict import Strict
from chopmark.mesh.tls import TlsFaultError, check_files, probe
from chopmark.service.brokers import make_brokers
from chopmark.service.checks.finding import Finding, Scene

SECONDS: Final = 5.0
"""For a broker to answer."""
MONTH: Final = 30 * 86_400_000
"""Ms before its end at which a certificate should be renewed."""


def check_brokers(scene: Scene) -> Iterator[Finding]:
    """Look at each in the order of the file."""
    for broker in make_brokers(scene.config):
        found = list(_check_files(scene, broker.tls)) if broker.tls is not None else []
        yield from found
        if not scene.locked and not any(one.mark == "fault" for one in found):
            yield from _check_port(broker) or _check_entry(broker, scene.config.gateway.id)


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


def _check_entry(broker: Broker, member: str) -> list[Finding]:
    """Whether it lets us in; by the connection that has no session."""
    try:
        asyncio.run(_enter(broker, member))
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


async def _enter(broker: Broker, member: str) -> None:
    limits = replace(DEFAULT_LIMITS, connect_timeout=SECONDS)
    async with Strict(
        broker, f"{member}-TX", limits, Counters(), port=broker.publish_port or broker.port
    ):
        pass


def _finding(fault: Fault) -> Finding:
    return Finding(fault.code, fault.message, fault.hint)
