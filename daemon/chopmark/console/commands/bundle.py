"""`diagnose bundle`: all that support needs, without secrets, encrypted to head office's key.

The key lies beside the configuration, and so is there when the configuration does not hold. The
bundle is put among the console's files, from which `transfer` sends it.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from chopmark.client.bundle import MAX_KEY, key_id, parse_public, seal
from chopmark.console.collecting import Collected, collect, encode
from chopmark.console.command import Command, Role, Surroundings
from chopmark.console.commands.testing import hangs
from chopmark.console.place import find_files
from chopmark.console.redaction import Redactor, read_secrets
from chopmark.console.showing import Screen
from chopmark.console.snapshot import read_config
from chopmark.console.transfer.folder import Folder
from chopmark.core.errors import MissingError
from chopmark.service.config_model import Config

KEY_NAME: Final = "support.pem"
"""Head office's public key, beside gateway.toml."""
_CREDENTIALS: Final = Path("/etc/chopmark/credentials")


async def bundle(given: Surroundings, _: Mapping[str, str]) -> None:
    """Collect, redact, encrypt, keep."""
    screen, key = Screen(given.desk), _read_key(given.config.parent / KEY_NAME)
    found = read_config(given.config)
    config = found if isinstance(found, Config) else None
    await screen.say([screen.t("bundle.working")])
    collected = await collect(given, config, offline=await hangs(given))
    redactor = Redactor(await asyncio.to_thread(_secrets, config))
    files = await asyncio.to_thread(_redact, redactor, collected)
    parts = ", ".join(f"{name} {len(text):,}" for name, text in files.items())
    await screen.prose(screen.t("bundle.parts", parts=parts))
    data = seal(files, key)
    name = _name(config)
    await asyncio.to_thread(Folder(find_files()).add, name, data)
    digest = hashlib.sha256(data).hexdigest()
    await given.recorder.record(given.who, "console.bundle", "made", file=name, sha256=digest)
    shown = key_id(key).hex()
    await screen.say([screen.t("bundle.secret", count=redactor.count)])
    await screen.prose(screen.t("bundle.made", name=name, size=len(data), short=shown))
    await screen.prose(f"SHA-256 {digest}")
    await screen.prose(screen.t("bundle.next", name=name))


def _read_key(path: Path) -> X25519PublicKey:
    try:
        with path.open("rb") as file:
            return parse_public(file.read(MAX_KEY))
    except OSError as error:
        message = f"head office's key is not here: {path}: {error.strerror}"
        hint = "without it nobody could read a bundle: have head office send its public key"
        raise MissingError("support-key-missing", message, hint=hint) from error


def _redact(redactor: Redactor, collected: Collected) -> dict[str, str]:
    """Each text without secrets: the one way by which anything gets into a bundle."""
    return {name: _redact_one(redactor, value) for name, value in collected.items()}


def _redact_one(redactor: Redactor, value: Any) -> str:
    if isinstance(value, bytes):
        return encode(redactor.config(value))
    return encode(redactor.text(value) if isinstance(value, str) else redactor.json(value))


def _secrets(config: Config | None) -> list[str]:
    """What this process can read of this box's secrets: wherever else it stands, it goes."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [_CREDENTIALS, *([Path(given)] if given else [])]
    found = read_secrets(folders, [] if config is None else _secret_files(config))
    return [one for one in found if not one.startswith("-----")]


def _secret_files(config: Config) -> list[Path]:
    api, syslog = config.api, config.audit.syslog
    files = [config.hsm.pin_file, *(one.tls.key for one in config.broker if one.tls)]
    files += [one.key for one in (api.tls, api.page) if one is not None]
    files += [] if syslog is None else [syslog.key]
    files += [] if config.anchor is None else [config.anchor.key_file]
    return [one for one in files if one is not None]


def _name(config: Config | None) -> str:
    who = "gateway" if config is None else config.gateway.id
    return f"{who}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.bundle"


COMMANDS = (Command(("diagnose", "bundle"), "help.diagnose.bundle", Role.SERVICE, bundle),)
