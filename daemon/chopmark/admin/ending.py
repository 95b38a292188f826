"""Taking everything off the box, in an order that a crash cannot turn round.

1. What would be lost is looked at: attestations that are not witnessed must have been handed out.
2. The end is noted in the audit log, and its last day goes into the ledger, while the gateway runs.
3. The gateway is stopped, and what came since the first look is looked at, too. As long as
   `stopping.json` stands alone, a service that starts has the gateway go on.
4. `wipe.json` says from here on that it has begun; a service that starts and finds it goes on: the
   gateway's keys are destroyed in the HSM.
5. The state goes, the copies of the ledger in their usual folder, what a set-up that was cut off
   has left, then the keys that brokers are shown, all credentials (the PIN, plain or encrypted),
   candidate and configuration, then `wipe.json`. What is the box's stays: its network above all.

Where configuration or ledger cannot be read, nobody can look (steps 1 and 2). Then it is done only
for who says that he knows. Keys are destroyed by their labels, or stay where these are unknown.
"""

import asyncio
import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from chopmark.admin.problems import describe_error
from chopmark.admin.programs import Programs
from chopmark.admin.requests import Wipe
from chopmark.client.files import make_folder, read_bounded, replace_file, sync_folder
from chopmark.core.errors import (
    ChopmarkError,
    ConfigurationError,
    MissingError,
    RefusedError,
    TryAgainError,
)
from chopmark.service.config import MAX_CONFIG, parse_config

LOG: Final = logging.getLogger("chopmark.admin")
PATIENCE: Final = 150.0
"""Seconds for the last day of the audit log: the daemon looks once a minute, then peers cosign."""
LOOK: Final = 4.0
_GONE: Final = frozenset(("hsm-away", "no-such-token", "no-hsm-module", "pin-missing"))
"""What a token that is not there any more is told by."""
_MAX_KEPT: Final = 4096
BACKUP: Final = "chopmark-backup.service"


class Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reset that has begun: of which log, and whether the token may be missing.

    Attributes:
        blind: configuration or ledger could not be read.
    """

    origin: str
    away: bool
    keys_done: bool = False
    blind: bool = False


class HandedOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries of a log were handed out: those of [start, end)."""

    origin: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ending:
    """Looks, hands out, and ends."""

    programs: Programs
    patience: float = field(default=PATIENCE)

    async def look(self) -> dict[str, Any]:
        """What would be lost (`service.ending.look`), and how much of it was handed out.

        `unreadable` is null, or says as problem details why nobody can look.
        """
        try:
            there = await self._look()
        except ChopmarkError as error:
            return {"unreadable": describe_error(error), "origin": self._origin}
        return {**there, "unreadable": None}

    async def _look(self) -> dict[str, Any]:
        there: dict[str, Any] = await self.programs.beside("look")
        handed = self._handed_out
        end = handed.end if handed and handed.origin == there["origin"] else 0
        start = handed.start if handed and end else 0
        covered = start <= there["floor"] and end >= there["last"]
        return {**there, "handed_out": bool(covered and there["waiting"])}

    async def hand_out(self, start: int) -> dict[str, Any]:
        """A page of entries that are not witnessed; the first begins at their `floor`."""
        there = await self.programs.beside("look")
        page: dict[str, Any] = await self.programs.beside("waiting", start=start)
        before = self._handed_out
        known = before is not None and before.origin == there["origin"]
        if before is not None and known and before.start <= start <= before.end:
            made = HandedOut(before.origin, before.start, max(before.end, page["next"]))
        else:
            made = HandedOut(there["origin"], start, page["next"])
        self._keep("exported.json", made)
        return page

    async def wipe(self, asked: Wipe) -> dict[str, Any]:
        """Take it all off; see the module.

        Raises:
            RefusedError: `other-log`; `unwitnessed`: what is not witnessed was not handed out;
                `ledger-readable`: it can be looked at, and that is not left out then.
            TryAgainError: `audit-unpublished`: the last day is not in the ledger.
            ChopmarkError: what the token says; call it again.
        """
        begun, away = self._begun, asked.keys == "left"
        if begun is None and asked.ledger == "unreadable":
            begun = await self._begin_blindly(away=away)
        elif begun is None:
            running = await self._check(asked)
            if asked.audit == "published":
                await self._publish()
            begun = Begun(asked.origin or "", away)
            if running:
                await self._stop(begun)
        self._keep("wipe.json", msgspec.structs.replace(begun, away=away))
        return await self.go_on()

    def check_empty(self) -> None:
        """See that no gateway is here, whose end nobody would hear of.

        Raises:
            RefusedError: `gateway-there`.
        """
        if self._begun is not None or self.programs.settings.config.exists():
            message = "a gateway is set up here, whose keys and ledger must end first"
            raise RefusedError("gateway-there", message, hint="`factory reset`, then this again")

    async def go_on(self) -> dict[str, Any]:
        """Go on with a reset that has begun; nothing if none has."""
        begun = self._begun
        if begun is None:
            await self._start_again()
            return {}
        await self.programs.control("stop", "chopmark.service")
        keys: dict[str, Any] = {"keys": [], "kept": []}
        if not begun.keys_done and self.programs.settings.config.exists():
            keys = await self._destroy(begun)
            begun = msgspec.structs.replace(begun, keys_done=True)
            self._keep("wipe.json", begun)
        await self._remove(blind=begun.blind)
        return keys

    async def _begin_blindly(self, *, away: bool) -> Begun:
        """The end of a gateway of which nobody knows what is lost with it."""
        reason: ChopmarkError
        try:
            await self._look()
        except ChopmarkError as error:
            reason = error
        else:
            message = "configuration and ledger can be read: what would be lost is looked at"
            raise RefusedError("ledger-readable", message, hint="`factory reset` again")
        LOG.warning("a reset without a look: %s", reason, extra={"code": reason.code})
        if not away and self.programs.settings.config.exists() and not self._origin:
            raise _keys_unknown(reason)
        return Begun(self._origin, away, blind=True)

    @property
    def _origin(self) -> str:
        """Of the log, if the configuration can be read."""
        try:
            return parse_config(
                read_bounded(self.programs.settings.config, MAX_CONFIG)
            ).gateway.origin
        except ChopmarkError:
            return ""

    async def _check(self, asked: Wipe) -> bool:
        """Step 1; gives whether the gateway runs."""
        there = await self._look()
        if there["origin"] != asked.origin:
            raise RefusedError("other-log", f"the log here is {there['origin']}")
        _check_waiting(there)
        if there["there"] and asked.audit == "published" and not there["running"]:
            message = "the gateway does not run, so that its audit log cannot be ended"
            hint = "start it; or say that it is impossible"
            raise TryAgainError("audit-unpublished", message, hint=hint)
        return bool(there["running"])

    async def _stop(self, begun: Begun) -> None:
        """Step 3; a gateway that is not given up after all goes on."""
        self._keep("stopping.json", begun)
        try:
            await self.programs.control("stop", "chopmark.service")
            _check_waiting(await self._look())
            self._keep("wipe.json", begun)
        except ChopmarkError:
            await self._start_again()
            raise

    async def _start_again(self) -> None:
        """Start a gateway that was stopped for a reset that has not begun."""
        path = self._path("stopping.json")
        if path.exists():
            LOG.warning("a reset was not begun: the gateway goes on", extra={"verb": "wipe"})
            await self.programs.control("start", "chopmark.service")
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    async def _publish(self) -> None:
        """Step 2."""
        if not (await self.programs.beside("look"))["there"]:
            return
        day = await self.programs.beside("close-audit", action="factory.reset")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience
        while not await self.programs.beside("published", day=day):
            if loop.time() > deadline:
                message = "the last day of the audit log is not witnessed in the ledger yet"
                hint = "try again once the gateway is `ready`; or say that it is impossible"
                raise TryAgainError("audit-unpublished", message, hint=hint)
            await asyncio.sleep(LOOK)

    async def _destroy(self, begun: Begun) -> dict[str, Any]:
        verb = "destroy-labelled" if begun.blind else "destroy"
        try:
            done: dict[str, Any] = await self.programs.beside(verb, pin=True)
        except ChopmarkError as error:
            if not (begun.away and (error.code in _GONE or begun.blind)):
                raise (_keys_unknown(error) if begun.blind else error) from error
            LOG.warning("keys stay in a token that is away: %s", error, extra={"code": error.code})
            return {"keys": [], "kept": ["*"]}
        return done

    async def _remove(self, *, blind: bool) -> None:
        settings = self.programs.settings
        if settings.config.exists() and (self._origin or not blind):
            await self.programs.beside("remove")
        if blind:
            await self._empty(settings.state)
        with suppress(ChopmarkError):  # where there is no such unit, nobody makes a copy now
            await self.programs.control("stop", BACKUP)
        await self._empty(settings.copies)
        if (begun := self._path("init")).is_dir():
            shutil.rmtree(begun)
        for path in (
            *self._made_for_brokers(),
            *self._credentials(),
            settings.folder / "candidate.json",
            settings.folder / "commit.json",
            settings.folder / "commit.damaged",
            settings.folder / "candidate.damaged",
            settings.folder / "exported.json",
            settings.folder / "stopping.json",
            settings.config,
            self._path("wipe.json"),
        ):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)

    async def _empty(self, folder: Path) -> None:
        """Have the daemon's user remove all in a folder of his, if there is one."""
        await self.programs.first("state-empty", {"state": str(folder)})

    def _credentials(self) -> list[Path]:
        """All in the folder of the PIN: plain or encrypted, and what else somebody keeps there."""
        found = sorted(self.programs.settings.credentials.rglob("*"))
        return [one for one in found if one.is_symlink() or not one.is_dir()]

    def _made_for_brokers(self) -> list[Path]:
        """Each key that is shown to brokers, its certificate, and last its request."""
        folder = self.programs.settings.broker
        names = sorted({one.stem for end in ("csr", "key") for one in folder.glob(f"*.{end}")})
        return [folder / f"{name}{end}" for name in names for end in (".key", ".pem", ".csr")]

    @property
    def _begun(self) -> Begun | None:
        """One that is damaged says all the same that it has begun."""
        begun: Begun | None = self._load("wipe.json", Begun, Begun("", away=False))
        return begun

    @property
    def _handed_out(self) -> HandedOut | None:
        """What was handed out is asked for again where that is damaged."""
        handed: HandedOut | None = self._load("exported.json", HandedOut, None)
        return handed

    def _load(self, name: str, kind: type[Any], instead: Any) -> Any:
        try:
            return msgspec.json.decode(read_bounded(self._path(name), _MAX_KEPT), type=kind)
        except MissingError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            LOG.error("%s is damaged: %s", self._path(name), error)  # noqa: TRY400 - the file is what tells
            return instead

    def _keep(self, name: str, value: msgspec.Struct) -> None:
        make_folder(self.programs.settings.folder, 0o711)
        replace_file(self._path(name), msgspec.json.encode(value), 0o600)

    def _path(self, name: str) -> Path:
        return self.programs.settings.folder / name


def _keys_unknown(error: ChopmarkError) -> ChopmarkError:
    message = f"the keys in the HSM are not destroyed: {error.message}"
    hint = error.hint or "they can still sign: only the roster ends them then"
    return ConfigurationError("keys-unknown", message, hint=hint)


def _check_waiting(there: Mapping[str, Any]) -> None:
    if there["waiting"] and not there["handed_out"]:
        message = f"{there['waiting']} entries are not witnessed, and were not handed out"
        hint = "wait for the quorum, or `factory export` them first"
        raise RefusedError("unwitnessed", message, hint=hint)
