"""`chopmark hsm`: new keys for old ones, in the token of a gateway that runs."""

from typing import Any, Literal

from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_json, say_table


def keys(*, options: Given) -> int:
    """Show the keys in use and those made after them, with what the roster says of each."""
    with options.connect() as gateway:
        return _show(gateway.keys(), options)


def generate(role: Literal["log", "cosigner"], /, *, options: Given) -> int:
    """Make a key in the token, and print its vkey. It signs nothing until it is activated.

    Args:
        role: What it is for: log or cosigner.
    """
    with options.connect() as gateway:
        made = gateway.generate_key(role)
    say_json(made) if options.json else say(made["vkey"])
    return 0


def activate(vkey: str, /, *, options: Given) -> int:
    """Let a key sign, and the one before it no more. The roster must name it.

    Args:
        vkey: The key, as `generate` printed it.
    """
    with options.connect() as gateway:
        return _show(gateway.activate_key(vkey), options)


def retire(vkey: str, /, *, options: Given) -> int:
    """Destroy a key in the token, for good, after the roster has ended it.

    Args:
        vkey: The key.
    """
    with options.connect() as gateway:
        return _show(gateway.retire_key(vkey), options)


def _show(found: list[dict[str, Any]], options: Options) -> int:
    if options.json:
        say_json(found)
    else:
        rows = [
            [
                one["role"],
                "in use" if one["in_use"] else "",
                one["roster"] or "not named",
                one["vkey"],
            ]
            for one in found
        ]
        say_table(("role", "here", "roster", "vkey"), rows, whole=("vkey",))
    return 0
