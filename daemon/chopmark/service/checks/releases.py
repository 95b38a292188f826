"""Where releases come from: our CA file for it, whether it is there, and who it shows itself as.

Codes: `tls-files-wrong`, `firmware-source-away`, `firmware-source-wrong`.

Behind a proxy only that is looked at. Whether the source lets our certificate in takes a key that
only `chopmark-fetch.service` has: `firmware fetch` tells.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from chopmark.service.checks.finding import Finding, Scene

SECONDS: Final = 5.0


def check_releases(scene: Scene) -> Iterator[Finding]:
    """Connect, and ask for nothing; nothing without `[firmware]`."""
    firmware = scene.config.firmware
    if firmware is None:
        return
    try:
        context = ssl.create_default_context(cafile=firmware.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    except OSError as error:  # SSLError is one
        message = f"[firmware] ca {firmware.ca}: {error}"
        yield Finding("tls-files-wrong", message, "`configure firmware ca` puts a PEM file there")
        return
    parts = urlsplit(f"//{firmware.proxy}" if firmware.proxy else firmware.source)
    where = (parts.hostname or "", parts.port or 443)
    name = f"{'the proxy' if firmware.proxy else 'the source'} of releases at {where[0]}:{where[1]}"
    try:
        with socket.create_connection(where, SECONDS) as connection:
            if not firmware.proxy:
                context.wrap_socket(connection, server_hostname=where[0]).close()
    except ssl.SSLCertVerificationError as error:
        remedy = "its certificate must be by the CA in `ca`, and for that name"
        yield Finding("firmware-source-wrong", f"{name}: {error.verify_message}", remedy)
    except OSError as error:
        remedy = "does it run, and do firewalls let us pass?"
        yield Finding("firmware-source-away", f"nothing answers as {name}: {error}", remedy)
