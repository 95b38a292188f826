"""Consents, uses and traces, as the API asks for them, with notes in the audit log."""

from dataclasses import dataclass
from typing import Any

from chopmark.api.dealings import ConsentAsked, Made, TraceAsked, UseAsked
from chopmark.core.draft import Asking
from chopmark.core.ports import AuditSink
from chopmark.service.auditing import noted
from chopmark.service.consents import Consents
from chopmark.service.traces import Traces
from chopmark.service.uses import Uses


@dataclass(frozen=True, slots=True)
class Dealings:
    """Implements `api.dealings.Dealings`. The audit log learns neither receiver nor purpose."""

    consents: Consents
    uses: Uses
    traces: Traces
    audit: AuditSink

    async def consent(self, asked: ConsentAsked, seconds: float, asking: Asking) -> Made:
        """See `Consents.give`."""
        work = self.consents.give(asked, seconds, asking)
        return await noted(self.audit, "consent", work, index=asked.index)

    async def use(self, asked: UseAsked, seconds: float, asking: Asking) -> Made:
        """See `Uses.record`."""
        return await noted(self.audit, "use", self.uses.record(asked, seconds, asking))

    async def trace(self, asked: TraceAsked) -> dict[str, Any]:
        """See `Traces.trace`."""
        return await self.traces.trace(asked)
