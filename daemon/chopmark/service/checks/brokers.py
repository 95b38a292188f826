"""Each broker: our certificate for it, whether something listens, TLS, and whether it lets us in.

Where the gateway runs it is not asked to let us in: a second connection would cut its own off, and
`check_running` says what it knows. If it says that a broker is away, port and TLS are looked at.
The session at the broker stays, with all that waits in it.

Codes: those of `mesh.tls` and `mesh.words` (`tls-expired`, `tls-wrong-cn`, `broker-refused` …),
`broker-unreachable`, `tls-expiring`, `acl-refused`, `acl-silent`, `broker-plain`.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

from chopmark.core.errors import RefusedError
from chopmark.mesh.broker import DEFAULT_LIMITS, Broker, BrokerAwayError, Counters, Fault, Tls
from chopmark.mesh.strict import Strict
from chopmark.mesh.tls import TlsFaultError, check_files, probe
from chopmark.mesh.topics import reply, request, subscriptions
from chopmark.service.brokers import make_brokers
from chopmark.service.checks.finding import Finding, Scene

SECONDS: Final = 5.0
"""For a broker to answer."""
_KINDS: Final = ("cosignature", "evidence", "roster")
"""Kinds of topic that a gateway reads besides the usual ones."""
MONTH: Final = 30 * 86_400_000
"""Ms before its end at which a certificate should be renewed."""


class _DisplacedError(Exception):
    """The broker has ended our first connection when the second came."""


def check_brokers(scene: Scene) -> Iterator[Finding]:
    """Look at each in the order of the file."""
    for broker in make_brokers(scene.config):
        looking = _check_plain(broker) if broker.tls is None else _check_files(scene, broker.tls)
        found = list(looking)
        yield from found
        if any(one.mark != "warning" for one in found):
            continue
        if scene.status is not None:
            if _is_away(broker, scene.status):
                yield from check_port(broker) or _check_handshake(broker)
        elif scene.locked:
            reason = f"a gateway may run, and {broker} would cut off either it or us"
            yield Finding.unseen(reason, "`running` says more")
        else:
            yield from check_port(broker) or _check_entry(broker, scene)


def _is_away(broker: Broker, status: Mapping[str, Any]) -> bool:
    """Whether the gateway that runs has no connection to it."""
    where = (broker.host, broker.port)
    told = [one for one in status.get("brokers") or () if isinstance(one, dict)]
    states = [one["state"] for one in told if (one.get("host"), one.get("port")) == where]
    return "away" in states


def _check_handshake(broker: Broker) -> list[Finding]:
    """What TLS says, if there is something to say."""
    port = broker.publish_port or broker.port
    fault = None if broker.tls is None else probe(broker, broker.tls, port, SECONDS)
    return [] if fault is None else [_finding(fault)]


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
        forbidden = isinstance(error.__cause__, PermissionError) and not scene.sees_all
        yield scene.barred(error.fault.message) if forbidden else _finding(error.fault)
        return
    end = int(ours.not_valid_after_utc.timestamp() * 1000)
    if end - scene.now < MONTH:
        past = "has ended" if end <= scene.now else "ends"
        finding = f"our certificate {tls.certificate} {past} on {ours.not_valid_after_utc:%Y-%m-%d}"
        remedy = "have a new one made and put it there; no restart is needed"
        expired = end <= scene.now
        code, mark = ("tls-expired", "fault") if expired else ("tls-expiring", "warning")
        yield Finding(code, finding, remedy, mark)  # type: ignore[arg-type]  # a mark is chosen


def check_port(broker: Broker) -> list[Finding]:
    """Whether something listens."""
    found = []
    for port in dict.fromkeys((broker.port, broker.publish_port or broker.port)):
        try:
            socket.create_connection((broker.host, port), timeout=SECONDS).close()
        except (socket.gaierror, UnicodeError):
            reason = f"without an address of {broker.host} it cannot be asked"
            return [Finding.unseen(reason, "`names` says what to do about it")]
        except OSError as error:
            finding = f"nothing answers at {broker.host}:{port}: {error.strerror or error}"
            remedy = "does the broker run there, and do firewalls on the way let us pass?"
            found.append(Finding("broker-unreachable", finding, remedy))
    return found


def _check_entry(broker: Broker, scene: Scene) -> list[Finding]:
    """Whether it lets us in, by both connections, and read what we must."""
    peers = [peer.id for peer in scene.config.peer]
    try:
        heard = asyncio.run(_enter(broker, scene.config.gateway.id, peers))
    except RefusedError as error:
        remedy = "have its operator renew the access list: `chopmark roster export-acl`"
        return [Finding("acl-refused", error.message, remedy)]
    except _DisplacedError:
        return [_displaced(broker)]
    except BrokerAwayError as error:
        port = broker.publish_port or broker.port
        tls = broker.tls
        fault = error.fault or (tls and probe(broker, tls, port, SECONDS))
        told = f"the broker {broker}: "
        if fault:
            return [_finding(replace(fault, message=told + fault.message))]
        remedy = "ask its operator what stands in the broker's log"
        return [Finding("broker-refused", told + error.reason, remedy)]
    return [] if heard else [_unheard(broker, scene.config.gateway.id)]


async def _enter(broker: Broker, member: str, peers: list[str]) -> bool:
    """Come and go as the link does; what is waiting for us there stays, unacknowledged.

    Both connections stand at once: a broker that gives them one client id ends the first. What is
    written without a right to is refused. But many brokers refuse no subscription and pass nothing
    on instead, so questions to ourselves, which nobody else reads and which are gone in seconds,
    must come back.

    Returns:
        Whether they came back.
    """
    limits = replace(DEFAULT_LIMITS, connect_timeout=SECONDS)
    port, stays = broker.publish_port or broker.port, limits.session_expiry
    own = {request(member, member), reply(member, member)}
    async with Strict(broker, member, limits, Counters(), session_expiry=stays) as inbound:
        await inbound.subscribe_all(subscriptions(member, peers, _KINDS))
        async with Strict(broker, f"{member}-TX", limits, Counters(), port=port) as outbound:
            try:
                for topic in sorted(own):
                    expiry = int(SECONDS)
                    await outbound.send(topic, b"", retain=False, correlation=None, expiry=expiry)
                return await _hear(inbound, own, limits.unacknowledged)
            except BrokerAwayError as error:
                if inbound.ended.done() and not outbound.ended.done():
                    raise _DisplacedError from error
                raise


async def _hear(inbound: Strict, topics: set[str], most: int) -> bool:
    """Whether messages of all these topics come; as many others as we may hold will do."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            for _ in range(most):
                message = await inbound.receive()
                if message is None:
                    raise inbound.away()
                topics = topics - {message.topic}
                if not topics:
                    break
            return True
    return False


def _displaced(broker: Broker) -> Finding:
    finding = f"the two connections that we have to {broker} throw each other out: it gives both "
    finding += "one client id"
    if broker.publish_port in (None, broker.port):
        remedy = "set `publish_port` in the [[broker]]: the port where it takes another client id "
        remedy += "from the certificate (8884 is usual)"
    else:
        remedy = f"let it take another client id from the certificate at port {broker.publish_port}"
    return Finding("broker-same-id", finding, f"{remedy}: docs/operations/brokers.md")


def _unheard(broker: Broker, member: str) -> Finding:
    finding = f"{broker} takes our subscriptions and messages, and passes nothing on to us: what "
    finding += f"we sent to ourselves has not come back within {SECONDS:g} s"
    remedy = f"its access list must let the user {member} read, too: have its operator renew it "
    return Finding("acl-silent", finding, remedy + "(`chopmark roster export-acl`)")


def _finding(fault: Fault) -> Finding:
    return Finding(fault.code, fault.message, fault.hint)
