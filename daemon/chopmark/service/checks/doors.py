"""Where the API and the metrics listen.

Codes: `socket-folder`, `socket-forbidden`, `port-taken`, `port-refused`.
"""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Final

from chopmark.service.checks.finding import Finding, Scene

_REMEDIES: Final = {
    errno.EADDRINUSE: "`ss -ltnp` says who does; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address: `ip address` lists its own",
    errno.EACCES: "ports below 1024 are for privileged programs: choose another one",
}
_OTHERWISE: Final = "choose another address or port"


def check_doors(scene: Scene) -> Iterator[Finding]:
    """See whether the daemon can listen, or, where it runs, whether this user may connect."""
    path, tls, page = scene.config.api.socket, scene.config.api.tls, scene.config.api.page
    if scene.status is not None:
        return
    if scene.locked:
        yield Finding.unseen("a gateway may run, and hold its ports", "`running` says more")
        return
    if not path.parent.is_dir():
        finding = f"there is no folder {path.parent} for the API's socket"
        remedy = "`RuntimeDirectory=chopmark` of the unit makes /run/chopmark"
        yield Finding("socket-folder", finding, remedy, "warning")
    elif path.exists() and not os.access(path, os.W_OK):
        finding = f"you may not open {path}"
        remedy = "add the user to the group chopmark, or run this as root"
        yield Finding("socket-forbidden", finding, remedy)
    for name, address in (
        ("api.listen", scene.config.api.listen_address),
        ("api.tls.listen", None if tls is None else tls.listen_address),
        ("api.page.listen", None if page is None else page.listen_address),
        ("metrics.listen", scene.config.metrics.listen_address),
    ):
        if address is not None:
            yield from _check_port(name, *address)


def _check_port(name: str, host: str, port: int) -> Iterator[Finding]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            code = "port-taken" if error.errno == errno.EADDRINUSE else "port-refused"
            finding = f"`{name}`: cannot listen on {host}:{port}: {error.strerror}"
            yield Finding(code, finding, _REMEDIES.get(error.errno or 0, _OTHERWISE))
