"""Running programs: of root's the one that controls units; all others as the daemon's user.

What belongs to the daemon's user is never opened by root: a program of that user does it. No shell,
no environment of ours, no terminal; each has its time, and what it says is bounded.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from chopmark.admin.settings import Person, Settings, find_person
from chopmark.client.problem import error_from_problem
from chopmark.core.errors import ConfigurationError, InternalError, TryAgainError
from chopmark.core.inert import clean
from chopmark.service.unlocking import BOOT_VARIABLE

MAX_OUTPUT: Final = 1 << 20
"""Bytes of what a program says."""
UNIT_SECONDS: Final = 150.0
"""A unit may take 90 s to start, after 30 s to stop."""
CHILD_SECONDS: Final = 120.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN: Final = {"PATH": _PATH, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
"""Of every program's environment; `chopmark init` asks which boot this is, too."""
PIN_NAME: Final = "hsm-pin"
_LENT: Final = "pin-"
_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it said."""

    code: int
    out: bytes
    err: bytes


class Programs:
    """Runs them as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def daemon(self) -> Person:
        """The daemon's user."""
        return find_person(self.settings.daemon)

    async def control(self, *words: str, seconds: float | None = UNIT_SECONDS) -> None:
        """Have units started, stopped, or the box started again; `seconds` None waits for ever.

        Raises:
            InternalError: `unit-failed`.
        """
        ended = await _run((*self.settings.control, *words), None, {}, b"", seconds)
        if ended.code != 0:
            said = _line(ended.err, 0)  # systemctl says the reason first
            message = f"{' '.join(words)}: exit {ended.code}{said and f': {said}'}"
            hint = "`show services` and `show log` of the console say more"
            raise InternalError("unit-failed", message, hint=hint)

    async def beside(self, verb: str, *, pin: bool = False, **values: Any) -> Any:
        """Have a program of the daemon's user do something beside the daemon (`beside`).

        Raises:
            ChopmarkError: what it said.
        """
        words = ("chopmark.admin.beside", verb, str(self.settings.config))
        return await self._have_said(verb, words, values, pin=pin)

    async def first(self, verb: str, values: Mapping[str, Any], *, pin: bool = False) -> Any:
        """The same before there is a configuration (`first`)."""
        return await self._have_said(verb, ("chopmark.admin.first", verb), values, pin=pin)

    async def _have_said(
        self, verb: str, words: Sequence[str], values: Mapping[str, Any], *, pin: bool
    ) -> Any:
        ended = await self.as_daemon("-m", *words, data=msgspec.json.encode(values), pin=pin)
        try:
            answer = msgspec.json.decode(ended.out, type=dict[str, Any])
        except msgspec.DecodeError:
            message = f"{verb} ended with {ended.code}: {_line(ended.err, -1)}"
            raise InternalError("program-failed", message) from None
        if "error" in answer:
            error = answer["error"]
            raise error_from_problem(error.get("status", 500), error, None)
        return answer["done"]

    async def as_daemon(self, *words: str, data: bytes = b"", pin: bool = False) -> Ended:
        """Run our interpreter as the daemon's user; with a PIN it finds it as the daemon would."""
        with self._lent_pin() if pin else nullcontext() as folder:
            lent = {} if folder is None else {"CREDENTIALS_DIRECTORY": str(folder)}
            environment = {**self.settings.environment, **lent}
            command = (str(self.settings.python), *words)
            return await _run(command, self.daemon, environment, data, CHILD_SECONDS)

    @asynccontextmanager
    async def started_as_daemon(
        self, *words: str, pin: bool = False
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The same, while the block runs; with `pin` it finds that as far as it is in place."""
        with self._lent_pin(needed=False) if pin else nullcontext() as folder:
            lent = {} if folder is None else {"CREDENTIALS_DIRECTORY": str(folder)}
            environment = {**self.settings.environment, **lent}
            command = (str(self.settings.python), *words)
            async with _started(command, self.daemon, environment, given=False) as process:
                yield process

    def forget_pins(self) -> None:
        """Remove the copies of the PIN that a service before this one was killed over."""
        for folder in self.settings.runtime.glob(f"{_LENT}*"):
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _lent_pin(self, *, needed: bool = True) -> Iterator[Path | None]:
        """A folder with a copy of the PIN that the daemon's user may read, in memory (/run).

        Where it is not `needed` the folder is empty without a PIN, and there is none at all where
        only systemd can decrypt it.
        """
        if not needed and (self.settings.credentials / f"{PIN_NAME}.cred").exists():
            yield None
            return
        secret = self._read_pin() if needed else self._find_pin()
        daemon, folder = self.daemon, None
        try:
            folder = Path(tempfile.mkdtemp(prefix=_LENT, dir=self.settings.runtime))
            if secret is not None:
                file = folder / PIN_NAME
                file.touch(mode=0o600)
                file.write_bytes(secret)
                file.chmod(0o400)
                os.chown(file, daemon.uid, daemon.gid)
            os.chown(folder, daemon.uid, daemon.gid)
            yield folder
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _find_pin(self) -> bytes | None:
        try:
            return self._read_pin()
        except ConfigurationError:
            return None

    def _read_pin(self) -> bytes:
        try:
            return (self.settings.credentials / PIN_NAME).read_bytes()[:1024]
        except OSError as error:
            message = f"cannot read the PIN: {error.strerror}"
            hint = "put it in place first (`commission` does), as a plain file"
            raise ConfigurationError("pin-missing", message, hint=hint) from error


async def _run(
    command: Sequence[str],
    person: Person | None,
    environment: Mapping[str, str],
    data: bytes,
    seconds: float | None,
) -> Ended:
    async with _started(command, person, environment) as process:
        try:
            async with asyncio.timeout(seconds):
                parts = (_give(process, data), _read(process.stdout), _read(process.stderr))
                _, out, err = await asyncio.gather(*parts)
                return Ended(await process.wait(), out, err)
        except TimeoutError:
            message = f"{Path(command[0]).name} takes longer than {seconds:.0f} s"
            raise TryAgainError("program-late", message, hint="try again") from None


@asynccontextmanager
async def _started(
    command: Sequence[str],
    person: Person | None,
    environment: Mapping[str, str],
    *,
    given: bool = True,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs while the block does, in a group of processes of its own."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=pipe if given else nothing,
        stdout=pipe,
        stderr=pipe,
        env={**_OWN, BOOT_VARIABLE: os.environ.get(BOOT_VARIABLE, ""), **environment},
        cwd="/",
        start_new_session=True,
        **_identity(person),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _identity(person: Person | None) -> dict[str, Any]:
    if person is None or person.uid == os.geteuid():
        return {}
    groups = [] if person.name is None else os.getgrouplist(person.name, person.gid)
    return {"user": person.uid, "group": person.gid, "extra_groups": groups, "umask": 0o077}


async def _give(process: asyncio.subprocess.Process, data: bytes) -> None:
    stdin = process.stdin
    if stdin is None:
        return
    with suppress(ConnectionError):
        stdin.write(data)
        await stdin.drain()
        stdin.close()


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    """All of a stream, of which no more than the bound is kept."""
    kept = b""
    while stream is not None and (part := await stream.read(65_536)):
        kept = (kept + part)[:MAX_OUTPUT]
    return kept


def _line(data: bytes, which: int) -> str:
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return clean(lines[which] if lines else "")[:_SHOWN]
