"""`chopmark config`: whether the configuration holds."""

import os

from chopmark.cli.context import Given
from chopmark.cli.terminal import say, say_fields, say_json
from chopmark.core.inert import clean


def check(*, options: Given) -> int:
    """Tell whether the configuration holds; nothing is started, and no HSM is asked.

    If the ledger is there and may be read, it must be of the configured origin.
    """
    from chopmark.service.own_ledger import check_origin
    from chopmark.service.places import log_path

    path = options.config_path()
    config = options.load_config()
    if os.access(log_path(config.gateway.state), os.R_OK):
        check_origin(config)
    peers = [peer.id for peer in config.peer]
    if options.json:
        say_json({"ok": True, "path": str(path), "id": config.gateway.id, "peers": peers})
        return 0
    say(clean(path), ": ok")
    say_fields(
        [
            ("gateway", config.gateway.id),
            ("log", config.gateway.origin),
            ("state", config.gateway.state),
            ("peers", ", ".join(peers) or "none"),
        ]
    )
    return 0
