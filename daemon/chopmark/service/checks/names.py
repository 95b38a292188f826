"""Names of machines in the configuration: whether they can be resolved.

Codes: `name-unknown`, `name-slow`.
"""

import socket
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final

from chopmark.service.checks.finding import Finding, Scene

_SECONDS: Final = 5.0
"""What all look-ups may take, as one in a default resolv.conf(5)."""
_Answer = tuple[str, str]
"""A name, and why it cannot be resolved; empty if it can."""


def check_names(scene: Scene) -> Iterator[Finding]:
    """Look up brokers and the receiver of the audit log, all at once."""
    hosts = {broker.host for broker in scene.config.broker}
    if scene.config.audit.syslog is not None:
        hosts.add(scene.config.audit.syslog.host)
    answers: SimpleQueue[_Answer] = SimpleQueue()
    for host in hosts:  # daemons: a look-up cannot be broken off, and must keep nobody
        Thread(target=_look_up, args=(host, answers), name="names", daemon=True).start()
    found = dict(_collect(answers, len(hosts)))
    for host in sorted(hosts):
        if host not in found:
            finding = f"no answer about the name {host} within {_SECONDS:g} s"
            yield Finding("name-slow", finding, "`resolvectl status`: is a name server there?")
        elif found[host]:
            finding = f"the name {host} cannot be resolved: {found[host]}"
            remedy = "check `host` in the configuration, and the name server in /etc/resolv.conf"
            yield Finding("name-unknown", finding, remedy)


def _look_up(host: str, answers: "SimpleQueue[_Answer]") -> None:
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        answers.put((host, error.strerror or "no such name"))
    except UnicodeError:
        answers.put((host, "it is no name"))
    else:
        answers.put((host, ""))


def _collect(answers: "SimpleQueue[_Answer]", count: int) -> Iterator[_Answer]:
    """What comes in time."""
    end = monotonic() + _SECONDS
    for _ in range(count):
        try:
            yield answers.get(timeout=max(0.0, end - monotonic()))
        except Empty:
            return
