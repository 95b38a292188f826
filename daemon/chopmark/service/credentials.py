"""The PIN of the HSM: where `[hsm] pin` says, and nowhere else.

`credential`: a file that systemd puts in place; `file`: one that an operator does; `pad`: typed at
the device; `socket`: given through the daemon's socket (`chopmark hsm unlock`), kept in memory.

No message, and no exception that one could be chained to, carries any part of the PIN.
"""

import os
import stat
from pathlib import Path
from typing import Final

from chopmark.core.errors import ConfigurationError, MalformedError
from chopmark.hsm.pin import Pin, PinAwaitedError, PinPad
from chopmark.service.config_model import Config
from chopmark.service.unlocking import Unlocked

DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
AFTER_START: Final = (
    "the HSM is locked: the box was started, and nobody has given the PIN since"
    ' ([hsm] unlock = "attended")'
)
UNSEALED: Final = (
    "the HSM is locked: systemd has found no PIN, or could not decrypt it on this machine"
    " (systemctl status 'chopmark-pin@*'); nobody has given it since"
)
MAX_PIN: Final = 255
"""Bytes: more than any token takes."""
_WORDS: Final = {"pin": "PIN", "secret": "secret"}


class PinSource:
    """Gives the PIN at each login; nothing of it is kept here but one that was given by socket.

    Args:
        config: says where it is.
        unlocked: for the daemon: whether somebody has given the PIN since the machine was started,
            without which it may wait for that; and one that cannot be read, it waits for too.

    Raises (when called):
        PinAwaitedError: it is to be given, and was not yet.
        ConfigurationError: as `read_pin`.
    """

    def __init__(self, config: Config, unlocked: Unlocked | None = None) -> None:
        self._config = config
        self._unlocked = unlocked
        self._given: str | None = None

    def __repr__(self) -> str:
        return f"PinSource({self._config.hsm.pin})"

    def __call__(self) -> Pin:
        """The PIN."""
        if self._given is not None:
            return self._given
        if self._config.hsm.pin == "pad":
            return PinPad()
        if self._config.hsm.pin == "socket":
            raise PinAwaitedError
        return read_pin(self._config) if self._unlocked is None else self._read(self._unlocked)

    def _read(self, unlocked: Unlocked) -> str:
        if self._config.hsm.unlock == "attended" and not unlocked.stands:
            raise PinAwaitedError(AFTER_START)
        try:
            return read_pin(self._config)
        except ConfigurationError as error:
            if _is_blank(self._config):
                raise PinAwaitedError(UNSEALED) from None
            if error.code != "pin-missing":
                raise
            message = f"the HSM is locked: nobody has given the PIN, and {error.message}"
            raise PinAwaitedError(message) from None

    def take(self, pin: str) -> None:
        """Use this one from now on, whatever the configuration says.

        Raises:
            MalformedError: `malformed-pin`.
        """
        if _decode(pin.encode("utf-8", "replace")) != pin:
            message = f"a PIN is one line of 1 to {MAX_PIN} bytes"
            raise MalformedError("malformed-pin", message)
        self._given = pin

    def is_in_place(self, pin: str) -> bool:
        """Whether this is the one that would be read, had none been given."""
        if self._config.hsm.pin not in ("credential", "file"):
            return False
        try:
            return read_pin(self._config) == pin
        except ConfigurationError:
            return False

    def accepted(self) -> None:
        """The token has taken the one that was given: until the next boot nobody is asked."""
        if self._unlocked is not None:
            self._unlocked.write()

    @property
    def is_given(self) -> bool:
        """Whether one was given that is used in the place of the other."""
        return self._given is not None

    def forget(self) -> None:
        """Use the one that was given no more."""
        self._given = None


def read_pin(config: Config) -> str:
    """Read the PIN from the file that the configuration names, less one closing newline.

    Raises:
        ConfigurationError: `pin-missing`, `pin-exposed` (others than its owner may read or write
            the file; of a credential: others than owner and group) or `pin-malformed` (empty, too
            long, not one line of UTF-8).
    """
    hsm = config.hsm
    if hsm.pin == "file":
        path, closed = hsm.pin_file or Path(), stat.S_IRWXG | stat.S_IRWXO
    else:
        path, closed = _locate(hsm.pin_credential, "PIN for the HSM"), stat.S_IRWXO
    return _read_line(path, closed, "pin")


def _is_blank(config: Config) -> bool:
    """Whether the unit put nothing in the place of a PIN that it could not read or decrypt."""
    if config.hsm.pin != "credential":
        return False
    try:
        return not _locate(config.hsm.pin_credential, "PIN for the HSM").read_bytes()[:2].strip()
    except (OSError, ConfigurationError):
        return False


def read_secret(name: str) -> str:
    """Read the secret of the OpenID client from a credential, as `read_pin` does.

    Raises:
        ConfigurationError: `secret-missing`, `secret-exposed`, `secret-malformed`.
    """
    path = _locate(name, "secret for the OpenID provider", "secret")
    return _read_line(path, stat.S_IRWXO, "secret")


def _read_line(path: Path, closed: int, kind: str) -> str:
    what = _WORDS[kind]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _check_mode(path, os.fstat(descriptor).st_mode, closed, kind)
            data = file.read(MAX_PIN + 3)
    except OSError as error:
        message = f"cannot read the {what}'s file {path}: {error.strerror}"
        raise _missing(message, kind) from error
    pin = _decode(data)
    if pin is None:
        message = f"{path} does not hold one line of 1 to {MAX_PIN} bytes"
        hint = "write it with printf '%s', without a line ending of another system"
        raise ConfigurationError(f"{kind}-malformed", message, hint=hint)
    return pin


def _locate(name: str, what: str, kind: str = "pin") -> Path:
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        raise _missing(f"no {what}: {DIRECTORY_VARIABLE} is not set", kind)
    return Path(directory) / name


def _missing(message: str, kind: str) -> ConfigurationError:
    hint = (
        "the unit's LoadCredential= provides it (systemd/README.md);"
        f" by hand, set {DIRECTORY_VARIABLE} to the folder of the {_WORDS[kind]}'s file"
    )
    return ConfigurationError(f"{kind}-missing", message, hint=hint)


def _check_mode(path: Path, mode: int, closed: int, kind: str) -> None:
    """A credential's group bits are let pass: systemd shows the mask of an ACL there."""
    if not stat.S_ISREG(mode):
        raise _missing(f"the {_WORDS[kind]}'s file {path} is not a regular file", kind)
    if mode & closed:
        message = f"others than its owner may open the {_WORDS[kind]}'s file {path}"
        hint = f"chmod 0400 {path}; change the {_WORDS[kind]}"
        raise ConfigurationError(f"{kind}-exposed", message, hint=hint)


def _decode(data: bytes) -> str | None:
    """The PIN, or None; `replace`, because a UnicodeDecodeError would carry the bytes along."""
    text = data.removesuffix(b"\n").decode("utf-8", errors="replace")
    good = (
        0 < len(text.encode()) <= MAX_PIN
        and text.isprintable()
        and "\N{REPLACEMENT CHARACTER}" not in text
    )
    return text if good else None
