"""Where a command gets the token's PIN from."""

import sys
from getpass import getpass

from chopmark.core.errors import ConfigurationError
from chopmark.hsm.pin import Source
from chopmark.service.config_model import Config
from chopmark.service.credentials import PinSource
from chopmark.service.pin_in_place import booked, is_in_place, was_replaced
from chopmark.service.runtime import forbid_core_files


def pin_source(config: Config) -> Source:
    """From its file, the device, or asked for; never the command line, which every user can read.

    One that the token has refused as the daemon's is not tried by a command either, nor the other
    way round; while the daemon works with another that it was given, it is asked for here.

    Raises:
        ConfigurationError: `pin-missing`: there is neither a file nor a terminal.
    """
    forbid_core_files()
    if is_in_place(config):
        return booked(config, PinSource(config))
    if not sys.stdin.isatty():
        hint = f"put it into $CREDENTIALS_DIRECTORY/{config.hsm.pin_credential}, or use a terminal"
        if was_replaced(config):
            hint = "put the right PIN in place, then `chopmark hsm unlatch`; or use a terminal"
        raise ConfigurationError("pin-missing", "nowhere to get the token's PIN from", hint=hint)
    return lambda: ask_pin(config.hsm.token_label or config.hsm.token_serial or "")


def typed_pin(token: str) -> Source:
    """Asked for, whatever PIN is in place for the gateway: the token is another one.

    Raises:
        ConfigurationError: `pin-missing`: there is no terminal.
    """
    if not sys.stdin.isatty():
        hint = "use a terminal: the gateway's PIN is not tried on a token that is named by hand"
        raise ConfigurationError("pin-missing", "nowhere to get the token's PIN from", hint=hint)
    return lambda: ask_pin(token)


def ask_pin(token: str) -> str:
    """Ask for a token's PIN on the terminal, without showing it."""
    forbid_core_files()
    return getpass(f"PIN of token {token}: ")
