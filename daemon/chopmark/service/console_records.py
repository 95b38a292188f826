"""Takes the records of the technicians' console into the audit log (docs/operations/audit.md).

They come when they can: the record's time is when it was taken, as the days of the audit log need
it; when it happened, by the console, is in `about`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from chopmark.api.console import ConsoleRecord
from chopmark.api.identity import CALLER, Role
from chopmark.core.audit import SALT, Record, shorten
from chopmark.core.errors import MalformedError
from chopmark.ledger.audit_taken import Handed, take
from chopmark.service.auditing import Auditing

CONSOLE_USER: Final = "chopmark-console"
"""Under whom the console's unit runs."""
CONSOLE_ROLES: Final[tuple[Role, ...]] = ("operator", "auditor")
"""What the console needs: it attests and revokes nothing."""


@dataclass(frozen=True, slots=True)
class ConsoleBook:
    """Implements `api.console.ConsoleRecords` on our own log."""

    audit: Auditing

    async def take(self, source: str, records: list[ConsoleRecord]) -> int:
        """Take them; see `ConsoleRecords.take`."""
        numbers = [one.number for one in records]
        if numbers != sorted(set(numbers)):
            message = "the numbers of the records do not go up"
            raise MalformedError("malformed-request", message)
        actor, now = CALLER.get().client or "unknown", max(0, self.audit.clock.now_ms())
        handed = [
            Handed(one.number, _write(one, actor, now), self.audit.random(SALT)) for one in records
        ]
        work = partial(take, source=source, records=handed)
        taken: int = await self.audit.log.write(lambda store: store.change(work))
        return taken


def _write(one: ConsoleRecord, actor: str, now: int) -> Record:
    about = {name: shorten(text) for name, text in one.about.items()}
    said = {"technician": one.technician, "at": one.at}
    return Record(now, actor, one.action, one.outcome, about | said)
