"""Setting the gateway up: the PIN put in place, and `chopmark init` run as the daemon's user.

`chopmark init` writes the configuration into a folder of its own below ours, from where it is put
in place; the daemon's user may not write in /etc. Whatever breaks off, the next call goes on:
`init` with the keys that it made, and here with the configuration that it wrote.
"""

import asyncio
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from chopmark.admin.candidate import CONFIG_MODE
from chopmark.admin.problems import describe_error
from chopmark.admin.programs import PIN_NAME, Programs
from chopmark.admin.requests import Init, Token
from chopmark.admin.settings import Settings, find_person
from chopmark.api.identity import Role
from chopmark.client.files import (
    check_creatable,
    make_folder,
    replace_file,
    write_new,
)
from chopmark.client.problem import error_from_problem
from chopmark.core.errors import ChopmarkError, ConfigurationError, ExistsError, InternalError
from chopmark.service.config import MAX_CONFIG, parse_config
from chopmark.service.config_model import Config
from chopmark.service.config_model_api import ApiUser
from chopmark.service.config_text import render_config
from chopmark.service.console_records import CONSOLE_ROLES

_PROGRAM: Final = ("-m", "chopmark.cli.main", "--json")


@dataclass(frozen=True, slots=True)
class SettingUp:
    """Makes the gateway that is not there yet."""

    programs: Programs

    def look(self) -> dict[str, Any]:
        """What there is already, and what there might be; nothing of it is secret."""
        settings, folder = self.programs.settings, self.programs.settings.credentials
        encrypted, plain = (folder / f"{PIN_NAME}.cred").exists(), (folder / PIN_NAME).exists()
        return {
            "configured": settings.config.exists(),
            "pin": "encrypted" if encrypted else "plain" if plain else "missing",
            "modules": sorted(settings.modules),
            "clock": settings.clock,
        }

    async def look_at_token(self, asked: Token) -> Any:
        """What a token says of itself without the PIN, and whether it has refused that.

        Raises:
            ChopmarkError: `no-hsm-module`, `no-such-token` (with those that there are), `hsm-away`.
        """
        return await self.programs.first("token-look", self._named(asked))

    async def look_at_tokens(self) -> dict[str, Any]:
        """Each module with its tokens, or why it has none: `{"modules": {name: …}}`.

        Each is asked by a process of its own, all at once: one that hangs costs the others nothing.
        """
        modules = sorted(self.programs.settings.modules.items())
        asked = [self._list_tokens(path) for _, path in modules]
        told = await asyncio.gather(*asked)
        return {"modules": {name: one for (name, _), one in zip(modules, told, strict=True)}}

    async def _list_tokens(self, module: Path) -> Any:
        values = {"module": str(module), "state": str(self.programs.settings.state)}
        try:
            return {**await self.programs.first("tokens", values), "error": None}
        except ChopmarkError as error:
            return {"tokens": [], "error": describe_error(error)}

    async def look_at_tries(self) -> Any:
        """The same of the token that the configuration names; raises as `look_at_token`."""
        return await self.programs.beside("tries")

    async def try_pin(self, asked: Token) -> dict[str, Any]:
        """Have the token take the PIN in place: once, and never again if it refuses.

        Raises:
            ConfigurationError: `pin-missing`, `pin-refused`.
        """
        self._make_folders()
        await self.programs.first("pin-try", self._named(asked), pin=True)
        return {}

    async def put_pin(self, pin: str) -> None:
        """Have this PIN used from the daemon's next start on.

        Before there is a gateway nobody else can say that it is another one than the one that was
        refused: it may be tried. A gateway that is there has its own way for that.

        Raises:
            ExistsError: `pin-encrypted`: one that only this machine can read is in place.
        """
        folder = self.programs.settings.credentials
        if (folder / f"{PIN_NAME}.cred").exists():
            message = "the PIN in place is one that systemd decrypts: it is not replaced from here"
            hint = "systemd/README.md says how it is encrypted again"
            raise ExistsError("pin-encrypted", message, hint=hint)
        make_folder(folder, 0o700)
        replace_file(folder / PIN_NAME, pin.encode(), 0o400)
        settings = self.programs.settings
        if not settings.config.exists() and settings.state.is_dir():
            await self.programs.first("pin-allow", {"state": str(settings.state)})

    async def init(self, asked: Init) -> dict[str, Any]:
        """Make keys, ledger and configuration.

        Raises:
            ExistsError: `file-exists`: the gateway is set up already.
            ConfigurationError: `no-such-module`, with those that there are.
            ChopmarkError: what `chopmark init` says.
        """
        settings = self.programs.settings
        check_creatable(settings.config)
        made = self._folder / settings.config.name
        if made.exists():  # it was written, and we were cut off
            return self._put_in_place(made)
        module = self._find_module(asked.module)
        self._make_folders()
        options = {
            "--config": made,
            "--id": asked.member,
            "--origin": asked.origin,
            "--institution": asked.institution,
            "--jurisdiction": asked.jurisdiction,
            "--module": module,
            "--token-label": asked.token_label,
            "--cosigner-key": asked.cosigner_key,
            "--state": settings.state,
            "--socket": settings.api,
            "--metrics": settings.metrics,
            "--broker": _address(asked.broker),
            "--clock": settings.clock,
        }
        words = [f"{name}={value}" for name, value in options.items()]
        ended = await self.programs.as_daemon(*_PROGRAM, "init", *words, pin=True)
        if ended.code != 0:
            raise _explain(ended.code, ended.err)
        return self._put_in_place(made)

    def _find_module(self, name: str) -> Path:
        modules = self.programs.settings.modules
        if name not in modules:
            hint = f"one of: {', '.join(sorted(modules))}"
            message = f"there is no module {name!r} here"
            raise ConfigurationError("no-such-module", message, hint=hint)
        return modules[name]

    def _named(self, asked: Token) -> dict[str, str]:
        module, state = self._find_module(asked.module), self.programs.settings.state
        return {"module": str(module), "label": asked.token_label, "state": str(state)}

    @property
    def _folder(self) -> Path:
        return self.programs.settings.folder / "init"

    def _make_folders(self) -> None:
        """The daemon's user may write in two: its state, and where `init` leaves its file."""
        daemon, settings = self.programs.daemon, self.programs.settings
        make_folder(settings.folder, 0o711)
        for folder in (self._folder, settings.state):
            if not folder.is_dir():
                make_folder(folder, 0o700)
                os.chown(folder, daemon.uid, daemon.gid)

    def _put_in_place(self, made: Path) -> dict[str, Any]:
        settings = self.programs.settings
        text = _read_regular(made)
        config = parse_config(text)
        if config.gateway.state != settings.state:
            message = f"{made} names another state folder than {settings.state}"
            raise InternalError("program-failed", message)
        if not config.api.user:
            text = _with_users(config, settings).encode()
        make_folder(settings.config.parent, 0o755)
        write_new(settings.config, text, CONFIG_MODE)
        shutil.rmtree(self._folder)
        return {"id": config.gateway.id, "origin": config.gateway.origin}


def _read_regular(path: Path) -> bytes:
    """A file in a folder of another user's: no link is followed, and nothing is waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read(MAX_CONFIG + 1)
    except OSError as error:
        raise InternalError("program-failed", f"cannot read {path}: {error.strerror}") from error
    raise InternalError("program-failed", f"{path} is no regular file")


def _with_users(config: Config, settings: Settings) -> str:
    """The console may do what it needs, and no more; others in the daemon's group all, as ever."""
    group = (
        str(find_person(settings.daemon).gid) if settings.daemon.isdecimal() else settings.daemon
    )
    users = (
        ApiUser(user=settings.console, roles=CONSOLE_ROLES),
        ApiUser(group=group, roles=get_args(Role)),
    )
    api = msgspec.structs.replace(config.api, user=users)
    return render_config(msgspec.structs.replace(config, api=api))


def _address(broker: tuple[str, int]) -> str:
    host, port = broker
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _explain(code: int, said: bytes) -> ChopmarkError:
    """What a command of ours says of its failure on standard error, as problem details."""
    try:
        problem = msgspec.json.decode(said[said.index(b"{") :], type=dict[str, Any])
        return error_from_problem(int(problem["status"]), problem, None)
    except (ValueError, KeyError, TypeError):
        return InternalError("program-failed", f"`chopmark init` ended with {code}")
