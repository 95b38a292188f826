"""The PIN of the HSM: from a file that systemd (or the operator) puts in place, nowhere else.

No message, and no exception that one could be chained to, carries any part of the PIN.
"""

import os
import stat
from pathlib import Path
from typing import Final

from chopmark.core.errors import ConfigurationError
from chopmark.service.config_model import Config

DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
MAX_PIN: Final = 255
"""Bytes: more than any token takes."""


def read_pin(config: Config) -> str:
    """Read the PIN from `$CREDENTIALS_DIRECTORY/<pin_credential>`, less one closing newline.

    Raises:
        ConfigurationError: `pin-missing`, `pin-exposed` (others than owner and group may read or
            write the file) or `pin-malformed` (empty, too long, not one line of UTF-8).
    """
    path = _locate(config.hsm.pin_credential)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _check_mode(path, os.fstat(descriptor).st_mode)
            data = file.read(MAX_PIN + 3)
    except OSError as error:
        raise _missing(f"cannot read the PIN's file {path}: {error.strerror}") from error
    pin = _decode(data)
    if pin is None:
        message = f"{path} does not hold one line of 1 to {MAX_PIN} bytes"
        hint = "write it with printf '%s', without a line ending of another system"
        raise ConfigurationError("pin-malformed", message, hint=hint)
    return pin


def _locate(name: str) -> Path:
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        raise _missing(f"no PIN for the HSM: {DIRECTORY_VARIABLE} is not set")
    return Path(directory) / name


def _missing(message: str) -> ConfigurationError:
    hint = (
        "the unit's LoadCredential= provides it (systemd/README.md);"
        f" by hand, set {DIRECTORY_VARIABLE} to the folder of the PIN's file"
    )
    return ConfigurationError("pin-missing", message, hint=hint)


def _check_mode(path: Path, mode: int) -> None:
    """Group bits are let pass: systemd shows the mask of an ACL there."""
    if not stat.S_ISREG(mode):
        raise _missing(f"the PIN's file {path} is not a regular file")
    if mode & stat.S_IRWXO:
        message = f"every user of this machine may open the PIN's file {path}"
        raise ConfigurationError("pin-exposed", message, hint=f"chmod 0400 {path}; change the PIN")


def _decode(data: bytes) -> str | None:
    """The PIN, or None; `replace`, because a UnicodeDecodeError would carry the bytes along."""
    text = data.removesuffix(b"\n").decode("utf-8", errors="replace")
    good = (
        0 < len(text.encode()) <= MAX_PIN
        and text.isprintable()
        and "\N{REPLACEMENT CHARACTER}" not in text
    )
    return text if good else None
