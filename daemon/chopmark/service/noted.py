"""What operators do to roster and keys through the gateway, each with its note in the audit log."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from chopmark.api.identity import CALLER
from chopmark.api.ports import Forks, Keys, Rosters
from chopmark.core.errors import ChopmarkError
from chopmark.core.ports import AuditSink
from chopmark.service.auditing import noted
from chopmark.service.rosters import read_note


@dataclass(frozen=True, slots=True)
class NotedRosters:
    """Implements `api.ports.Rosters` by another one."""

    rosters: Rosters
    audit: AuditSink

    def show(self) -> dict[str, Any]:
        """The version in force."""
        return self.rosters.show()

    async def sign(self, data: bytes, *, confirmed: bool = False) -> bytes:
        """See `Rosters.sign`."""
        work = self.rosters.sign(data, confirmed=confirmed)
        about = {"lost": "confirmed"} if confirmed else {}
        return await noted(self.audit, "roster.signed", work, digest=_digest(data), **about)

    async def publish(self, data: bytes) -> dict[str, Any]:
        """See `Rosters.publish`."""
        work = self.rosters.publish(data)
        return await noted(self.audit, "roster.published", work, digest=_digest(data))

    async def pin(self, data: bytes, fingerprint: str) -> dict[str, Any]:
        """See `Rosters.pin`."""
        work = self.rosters.pin(data, fingerprint)
        return await noted(self.audit, "roster.pinned", work, digest=_digest(data))


@dataclass(frozen=True, slots=True)
class NotedKeys:
    """Implements `api.ports.Keys` by another one."""

    inner: Keys
    audit: AuditSink

    async def keys(self) -> list[dict[str, Any]]:
        """Those in use and those made after them."""
        return await self.inner.keys()

    async def generate(self, role: Literal["log", "cosigner"]) -> dict[str, Any]:
        """See `Keys.generate`."""
        return await noted(self.audit, "key.generated", self.inner.generate(role), role=role)

    async def activate(self, vkey: str) -> list[dict[str, Any]]:
        """See `Keys.activate`."""
        return await noted(self.audit, "key.activated", self.inner.activate(vkey), vkey=vkey)

    async def retire(self, vkey: str) -> list[dict[str, Any]]:
        """See `Keys.retire`."""
        return await noted(self.audit, "key.retired", self.inner.retire(vkey), vkey=vkey)

    async def destroy(self, label: str, fingerprint: str) -> list[dict[str, Any]]:
        """See `Keys.destroy`."""
        about = {"label": label, "fingerprint": fingerprint}
        work = self.inner.destroy(label, fingerprint)
        return await noted(self.audit, "key.destroyed", work, **about)


@dataclass(frozen=True, slots=True)
class NotedForks:
    """Implements `api.ports.Forks` by another one, which notes releases itself."""

    inner: Forks
    audit: AuditSink

    def describe(self) -> list[dict[str, Any]]:
        """See `Forks.describe`, with a note of who has seen some."""
        found = self.inner.describe()
        if found:  # where there is none, a look at it is no event
            actor = CALLER.get().client or "unknown"
            self.audit.note("evidence.shown", actor=actor, count=len(found))
        return found

    async def release(self, data: bytes) -> dict[str, Any]:
        """See `Forks.release`."""
        return await self.inner.release(data)


def _digest(data: bytes) -> str:
    """SHA-256 of the text that is meant, as its fingerprint is."""
    try:
        text = read_note(data).text.encode()
    except ChopmarkError:
        text = data
    return sha256(text).hexdigest()
