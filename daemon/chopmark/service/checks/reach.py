"""What the network lets us reach, seen without any secret: names, ports, and brokers' certificates.

For a process that may not have the gateway's key. What takes the key is *not looked at*: whether a
broker lets us in. No broker's session is touched, so that the gateway may run beside it.
"""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chopmark.core.errors import ConfigurationError
from chopmark.mesh.broker import Broker, Tls
from chopmark.mesh.tls import explain
from chopmark.service.brokers import make_brokers
from chopmark.service.checks.brokers import SECONDS, check_port
from chopmark.service.checks.chain import check_chain
from chopmark.service.checks.finding import UNSEEN, Finding, Scene
from chopmark.service.checks.names import check_names
from chopmark.service.checks.releases import check_releases
from chopmark.service.config import load_config

_PLAIN: Final = frozenset(("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "RECORD_LAYER_FAILURE"))
"""What OpenSSL calls an answer that is no TLS, or none of a version that is taken."""
_SYSLOG: Final = "audit log's receiver"


def check_reach(path: Path) -> Iterator[dict[str, Any]]:
    """Each check as `chopmark doctor` tells programs of it: `check`, `result` and `findings`.

    Args:
        path: of the configuration. If it cannot be used nothing else is looked at.
    """
    try:
        config = load_config(path)
    except ConfigurationError as error:
        yield _told("configuration", [Finding.of(error, "see docs/configuration.md")])
        return
    scene = Scene(path, config, 0, None, locked=True, uid=-1)
    checks: Mapping[str, Callable[[Scene], Iterator[Finding]]] = {
        "names": check_names,
        "brokers": _check_brokers,
        "syslog": _check_syslog,
        "chain": check_chain,
        "releases": check_releases,
    }
    for name, check in checks.items():
        yield _told(name, list(check(scene)))


def _check_brokers(scene: Scene) -> Iterator[Finding]:
    for broker in make_brokers(scene.config):
        found = check_port(broker)
        yield from found
        if found or broker.tls is None:
            continue
        for port in dict.fromkeys((broker.port, broker.publish_port or broker.port)):
            yield from _check_certificate(broker, broker.tls, port)


def _check_certificate(broker: Broker, tls: Tls, port: int) -> Iterator[Finding]:
    """Whether the broker is who it should be; it hears no certificate of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    where = f"the broker {broker.host}:{port}"
    try:
        context.load_verify_locations(tls.ca)
    except OSError as error:
        yield Finding.unseen(f"{where}, without its CA {tls.ca}: {error}", "see that it is there")
        return
    try:
        with (
            socket.create_connection((broker.host, port), SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=tls.name),
        ):
            pass
    except OSError as error:
        fault = explain(error, tls) if _is_theirs(error) else None
        if fault is not None:
            yield Finding(fault.code, f"{where}: {fault.message}", fault.hint)
            return
        if not isinstance(error, ssl.SSLError):
            yield Finding("broker-unreachable", f"{where}: {error}", "does it speak TLS there?")
            return
    yield Finding.unseen(f"whether {where} lets us in: our key is not here", "start the gateway")


def _is_theirs(error: OSError) -> bool:
    """Whether it is the broker's fault: that it wants a certificate of ours is none."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    return isinstance(error, ssl.SSLError) and error.reason in _PLAIN


def _check_syslog(scene: Scene) -> Iterator[Finding]:
    syslog = scene.config.audit.syslog
    if syslog is None:
        return
    where = (syslog.host, syslog.port)
    try:
        socket.create_connection(where, SECONDS).close()
    except OSError as error:
        finding = f"nothing answers at {syslog.host}:{syslog.port}, the {_SYSLOG}: {error}"
        yield Finding("syslog-away", finding, "does it run, and do firewalls let us pass?")


def _told(name: str, findings: list[Finding]) -> dict[str, Any]:
    marks = {one.mark for one in findings}
    grave = next((mark for mark in ("fault", "warning", UNSEEN) if mark in marks), "ok")
    fields = ("code", "finding", "remedy", "mark")
    told = [{key: getattr(one, key) for key in fields} for one in findings]
    return {"check": name, "result": grave, "findings": told}
