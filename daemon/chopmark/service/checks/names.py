"""Names of machines in the configuration: whether they can be resolved.

Codes: `name-unknown`, `name-slow`.
"""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from typing import Final

from chopmark.service.checks.finding import Finding, Scene

_SECONDS: Final = 5.0
"""What a look-up may take, as in a default resolv.conf(5)."""


def check_names(scene: Scene) -> Iterator[Finding]:
    """Look up each broker, all at once."""
    hosts = sorted({broker.host for broker in scene.config.broker})
    pool = ThreadPoolExecutor(len(hosts), thread_name_prefix="names")
    try:
        asked = {host: pool.submit(socket.getaddrinfo, host, None) for host in hosts}
        for host, answer in asked.items():
            try:
                answer.result(_SECONDS)
            except LateError:
                finding = f"no answer about the name {host} within {_SECONDS:.0f} s"
                yield Finding("name-slow", finding, "`resolvectl status`: is a name server there?")
            except (OSError, UnicodeError) as error:
                finding = f"the broker's name {host} cannot be resolved: {_explain(error)}"
                remedy = "check `[[broker]] host`, and the name server in /etc/resolv.conf"
                yield Finding("name-unknown", finding, remedy)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _explain(error: OSError | UnicodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or "no such name"
