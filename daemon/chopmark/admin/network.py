"""The box's own network, changed for a time, and kept only if that is confirmed.

Rules, as of the configuration (`candidate`):
1. `network.json` has what is in force; none is the image's own way, DHCP.
2. Before a file of networkd is touched, `network.before` has what was in force, durable. As long as
   that is there the change is not confirmed.
3. To confirm is to remove `network.before`. To take back is: the files of before, networkd started
   again, `network.before` removed. Doing that twice is harmless.
4. A service that starts and finds `network.before` takes back at once.
5. Each file says for which interface it was chosen, and is taken back for that one: when the box
   starts no interface has a cable yet.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from chopmark.admin.netfiles import NAMES, Chosen, render
from chopmark.admin.requests import Network as Asked
from chopmark.client.files import make_folder, read_bounded, replace_file, sync_folder
from chopmark.core.errors import ExistsError, MissingError
from chopmark.service.platform import not_here

LOG: Final = logging.getLogger("chopmark.admin")
NETWORKD: Final = "systemd-networkd.service"
_CLASS: Final = Path("/sys/class/net")
_MAX: Final = 4096
_FIELDS: Final = ("method", "address", "gateway", "vlan", "dns", "ntp")


@dataclass(frozen=True, slots=True)
class Networks:
    """The network in force, and the one before a change that nobody has confirmed yet.

    Attributes:
        files: folder of networkd's files.
        folder: of the service; nobody else may write there.
        restart: has networkd take the files.
        links: the kernel's list of interfaces.
    """

    files: Path
    folder: Path
    restart: Callable[[], Awaitable[None]]
    links: Path = _CLASS

    @property
    def applied(self) -> Chosen | None:
        """What was in force before the change that is not confirmed, if there is one."""
        return self._load(self._before)

    def state(self) -> dict[str, Any]:
        """What is in force, and whether it is confirmed."""
        now = self._load(self._now) or Chosen()
        return {**msgspec.structs.asdict(now), "confirmed": self.applied is None}

    async def apply(self, asked: Asked) -> None:
        """Put a change in force, to be confirmed.

        Raises:
            ExistsError: `commit-pending`.
            UsageError: `console-value`.
            MissingError: `no-such-link`: the box has no wired interface.
            InternalError: `unit-failed`: networkd does not start with it. It was taken back.
        """
        if asked.proxy is not None:
            raise not_here("a proxy", hint="brokers are reached directly, or by a bridge (brokers)")
        if self.applied is not None:
            hint = "`configure network confirm`, or `configure network rollback`"
            raise ExistsError("commit-pending", "a change is not confirmed yet", hint=hint)
        before = self._at_link(self._load(self._now) or Chosen())
        wanted = self._change(before, asked)
        if wanted == before:
            raise MissingError("no-candidate", "the network is like that already")
        made = render(wanted)
        self._keep(self._before, before)
        self._keep(self._now, wanted)
        try:
            self._write(made)
            await self.restart()
        except Exception:
            await self.take_back()
            raise

    def confirm(self) -> None:
        """Keep what was applied; raises `nothing-to-confirm`."""
        self._require()
        _remove(self._before)

    async def take_back(self) -> None:
        """Have what was in force before (rule 3); raises `nothing-to-confirm`."""
        before = self._at_link(self._require())
        self._write(render(before))
        self._keep(self._now, before)
        await self.restart()
        _remove(self._before)

    def _require(self) -> Chosen:
        before = self.applied
        if before is None:
            message = "there is no change that waits for a confirmation"
            hint = "it was confirmed, or taken back: `show network` tells"
            raise MissingError("nothing-to-confirm", message, hint=hint)
        return before

    def _write(self, made: dict[str, str]) -> None:
        """All our files as they should be; somebody else's are left alone."""
        for name in NAMES:
            if name in made:
                replace_file(self.files / name, made[name].encode(), 0o644)
            else:
                _remove(self.files / name)

    def _change(self, before: Chosen, asked: Asked) -> Chosen:
        """What is asked for, at the interface that has a cable now."""
        given = {name: getattr(asked, name) for name in _FIELDS}
        said = {name: value for name, value in given.items() if value is not None}
        if said.get("method") == "dhcp":
            said |= {"address": "", "gateway": ""}
        wanted = msgspec.structs.replace(before, link="", **said)
        return self._at_link(wanted, before.link)

    def _at_link(self, chosen: Chosen, usual: str = "") -> Chosen:
        """With an interface, if it has none and needs one: older notes do not say theirs."""
        link = "" if chosen.is_image else chosen.link or self._find_link(usual)
        return msgspec.structs.replace(chosen, link=link)

    def _find_link(self, usual: str) -> str:
        """The wired interface: one with a cable first, then the usual one, then by name."""
        found = [one for one in sorted(self.links.glob("*")) if (one / "device").exists()]
        wired = [one for one in found if not (one / "wireless").exists()]
        if not wired:
            raise MissingError("no-such-link", "this box has no wired interface")
        return min(wired, key=lambda one: (not _has_cable(one), one.name != usual, one.name)).name

    def _keep(self, path: Path, chosen: Chosen) -> None:
        make_folder(self.folder, 0o711)
        replace_file(path, msgspec.json.encode(chosen), 0o600)

    def _load(self, path: Path) -> Chosen | None:
        """What was kept; what is damaged is set aside, and the network stays as it is."""
        try:
            return msgspec.json.decode(read_bounded(path, _MAX), type=Chosen)
        except MissingError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            LOG.error("%s is damaged; it is set aside", path)  # noqa: TRY400 - the file is what tells
            path.replace(path.with_suffix(".damaged"))
            sync_folder(path.parent)
            return None

    @property
    def _now(self) -> Path:
        return self.folder / "network.json"

    @property
    def _before(self) -> Path:
        return self.folder / "network.before"


def _has_cable(link: Path) -> bool:
    try:
        return (link / "carrier").read_text().strip() == "1"
    except OSError:  # a link that is down does not tell
        return False


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)
