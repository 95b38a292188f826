"""What the service is installed with: `/etc/chopmark/admin.toml`, which need not be there."""

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from chopmark.core.errors import ConfigurationError
from chopmark.service.config_tree import convert_tree, parse_toml

DEFAULT_PATH: Final = Path("/etc/chopmark/admin.toml")
MAX_SETTINGS: Final = 16_384
ADMIN_FOLDER: Final = Path("/var/lib/chopmark-admin")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may call, and where things are. Root owns the file; no caller can change any of it.

    Attributes:
        console: name or number of the user whose processes may call.
        daemon: the daemon's user: under whom `chopmark` is run.
        config: the gateway's configuration.
        state: the gateway's state folder.
        copies: where copies of the ledger usually lie.
        api: unix socket of the gateway's API, for a gateway that is set up here.
        metrics: where a gateway that is set up here serves metrics; empty for nowhere.
        clock: what a gateway that is set up here asks of the clock.
        credentials: folder with the HSM's PIN, `hsm-pin`.
        broker: folder of what brokers are shown, of a gateway that is set up here.
        folder: what must outlive a crash: candidate, change to be confirmed, reset that has begun.
        runtime: what must not outlive a reboot: copies of the PIN for a program of the daemon's
            user.
        python: the interpreter that has chopmark.
        control: does `start UNIT`, `stop UNIT`, `try-restart UNIT`, `reboot`: systemctl, or a
            program that takes the same words where there is no systemd.
        modules: PKCS#11 modules by the names that a caller may give.
        image: is there where this is the appliance's image, which has slots and its own network.
        network: folder of networkd's files, of that image.
        environment: of programs of the daemon's user, as the module needs it.
        idle: seconds without a caller, and without anything that waits, after which a service that
            its socket has started ends.
    """

    console: str = "chopmark-console"
    daemon: str = "chopmark"
    config: Path = Path("/etc/chopmark/gateway.toml")
    state: Path = Path("/var/lib/chopmark")
    copies: Path = Path("/var/lib/chopmark-backup")
    api: Path = Path("/run/chopmark/api.sock")
    metrics: str = "127.0.0.1:9464"
    clock: str = "synchronised"
    credentials: Path = Path("/etc/chopmark/credentials")
    broker: Path = Path("/etc/chopmark/broker")
    folder: Path = ADMIN_FOLDER
    runtime: Path = Path("/run/chopmark-admin")
    python: Path = Path("/opt/chopmark/bin/python")
    control: tuple[str, ...] = ("/usr/bin/systemctl",)
    modules: dict[str, Path] = msgspec.field(
        default_factory=lambda: {
            "softhsm": Path("/usr/lib/softhsm/libsofthsm2.so"),
            "tpm2": Path("/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1"),
            "kept-apart": Path("/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"),
        }
    )
    environment: dict[str, str] = msgspec.field(
        default_factory=lambda: {"SOFTHSM2_CONF": "/etc/chopmark/softhsm2.conf"}
    )
    image: Path = Path("/etc/chopmark-image")
    network: Path = Path("/etc/systemd/network")
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the system: number, group, and name if it has one."""

    uid: int
    gid: int
    name: str | None


def load_settings(path: Path, *, needed: bool) -> Settings:
    """Read the settings; without a file they are the usual ones, unless it is `needed`.

    Raises:
        ConfigurationError: `config-missing`, `config-syntax`, `config-unknown-key`, `config-type`.
    """
    try:
        data = path.read_bytes()[: MAX_SETTINGS + 1]
    except FileNotFoundError:
        if needed:
            raise ConfigurationError("config-missing", f"there is no {path}") from None
        data = b""
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigurationError("config-missing", message) from error
    if len(data) > MAX_SETTINGS:
        raise ConfigurationError("config-syntax", f"{path} is longer than {MAX_SETTINGS} bytes")
    table: Mapping[str, object] = parse_toml(data)
    return convert_tree(table, Settings)


def find_person(user: str) -> Person:
    """The user of a name or number.

    Raises:
        ConfigurationError: `no-such-user`.
    """
    try:
        found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal():
            return Person(int(user), int(user), None)
        hint = "systemd-sysusers makes it, from the file that comes with chopmark"
        message = f"there is no user {user!r}"
        raise ConfigurationError("no-such-user", message, hint=hint) from None
    return Person(found.pw_uid, found.pw_gid, found.pw_name)
