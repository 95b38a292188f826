"""Where a command gets the token's PIN from."""

import os
import sys
from collections.abc import Callable
from getpass import getpass

from chopmark.core.errors import ConfigurationError
from chopmark.service.config_model import Config
from chopmark.service.credentials import DIRECTORY_VARIABLE, read_pin


def pin_source(config: Config) -> Callable[[], str]:
    """From its file, or asked for; never the command line, which every user can read.

    Raises:
        ConfigurationError: `pin-missing`: there is neither a file nor a terminal.
    """
    if os.environ.get(DIRECTORY_VARIABLE):
        return lambda: read_pin(config)
    if not sys.stdin.isatty():
        hint = f"put it into $CREDENTIALS_DIRECTORY/{config.hsm.pin_credential}, or use a terminal"
        raise ConfigurationError("pin-missing", "nowhere to get the token's PIN from", hint=hint)
    return lambda: getpass(f"PIN of token {config.hsm.token_label or config.hsm.token_serial}: ")
