"""What must hold for `[firmware]`.

1. The source is an HTTPS URL of a folder, with `/` last: a host, and neither user, password, query
   nor fragment. Nothing but HTTPS is spoken.
2. A proxy is a host and a port.
3. CA and certificate have absolute paths.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from chopmark.service.config_doors import check_absolute, check_end, check_host
from chopmark.service.config_model import Firmware
from chopmark.service.config_tree import wrong_value

_URL: Final = re.compile(r"[!-~]{1,1000}", re.ASCII)
_HINT: Final = "such as https://updates.bank-hk.example/chopmark/"
_PROXY_HINT: Final = "such as proxy.bank-hk.example:3128"


def check_firmware(firmware: Firmware) -> None:
    """Apply the rules.

    Raises:
        ConfigurationError: `config-value`.
    """
    _check_source(firmware.source)
    if firmware.proxy is not None:
        check_end("firmware.proxy", firmware.proxy, port=True, hint=_PROXY_HINT)
    for key, path in (("ca", firmware.ca), ("certificate", firmware.certificate)):
        if path is not None:
            check_absolute(f"firmware.{key}", path)


def _check_source(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong_value("firmware.source", "not an address of a folder", hint=_HINT) from None
    if not _URL.fullmatch(url) or parts.scheme != "https" or not parts.hostname or port == 0:
        raise wrong_value("firmware.source", "not an HTTPS address of a folder", hint=_HINT)
    check_host("firmware.source", parts.hostname)
    if "@" in parts.netloc or "?" in url or "#" in url:
        message = "an address holds no user, password, query or fragment: it is shown in logs"
        raise wrong_value("firmware.source", message, hint=_HINT)
    if not parts.path.endswith("/"):
        raise wrong_value("firmware.source", "a folder's address has / last", hint=_HINT)
