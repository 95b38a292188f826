"""Where a command gets the token's PIN from."""

import os
import sys
from collections.abc import Callable
from getpass import getpass

from chopmark.core.errors import ConfigurationError
from chopmark.hsm.pin import Pin, PinPad
from chopmark.service.config_model import Config
from chopmark.service.credentials import DIRECTORY_VARIABLE, read_pin


def pin_source(config: Config) -> Callable[[], Pin]:
    """From its file, the device, or asked for; never the command line, which every user can read.

    Raises:
        ConfigurationError: `pin-missing`: there is neither a file nor a terminal.
    """
    if config.hsm.pin == "pad":
        return PinPad
    if config.hsm.pin == "file" or os.environ.get(DIRECTORY_VARIABLE):
        return lambda: read_pin(config)
    if not sys.stdin.isatty():
        hint = f"put it into $CREDENTIALS_DIRECTORY/{config.hsm.pin_credential}, or use a terminal"
        raise ConfigurationError("pin-missing", "nowhere to get the token's PIN from", hint=hint)
    return lambda: ask_pin(config.hsm.token_label or config.hsm.token_serial or "")


def ask_pin(token: str) -> str:
    """Ask for a token's PIN on the terminal, without showing it."""
    return getpass(f"PIN of token {token}: ")
