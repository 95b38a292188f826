"""`chopmark config`: whether the configuration holds."""

from chopmark.cli.context import Given
from chopmark.cli.terminal import clean, say, say_fields, say_json


def check(*, options: Given) -> int:
    """Tell whether the configuration holds; nothing is started, and no HSM is asked."""
    path = options.config_path()
    config = options.load_config()
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
