"""`GET /v1/audit`: the audit log, and the proof of one of its records.

It says who did what, so the loopback port does not show it, which anybody on the machine may open.
"""

from datetime import date
from typing import Any, Final, Protocol

import msgspec
from litestar import MediaType, Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from chopmark.api.identity import require_known
from chopmark.api.models import AuditQuery, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.core.errors import MalformedError
from chopmark.core.text import parse_decimal

_SHOWN: Final = "the audit log is shown"


class RecordOut(msgspec.Struct):
    """One record; `chain` is that of the record, in hexadecimal."""

    number: int
    time: str
    actor: str
    action: str
    outcome: str
    about: dict[str, str | int]
    chain: str


class DayOut(msgspec.Struct):
    """A day that is over; `entry` is the index of its entry in our log, once that is there."""

    number: int
    date: str
    first: int
    count: int
    root: str
    chain: str
    value: str
    entry: int | None
    pruned: bool


class AuditOut(msgspec.Struct):
    """Records in their order, the days that they or the date asked for belong to, and the end.

    `next` is the number that the next record will have, `chain` that of the newest one.
    """

    records: list[RecordOut]
    days: list[DayOut]
    next: int
    chain: str


class AuditBook(Protocol):
    """The audit log, to be read; `service` provides it."""

    async def page(self, date: str | None, after: int, limit: int) -> AuditOut:
        """Records with a number above `after`, of one date or of all, at most `limit`."""
        ...

    async def proof(self, number: int) -> bytes:
        """The proof of a record (docs/formats/audit.md).

        Raises:
            MissingError: `no-such-record`, `day-not-logged`, `record-pruned`, `not-signed`.
        """
        ...


def make_audit_routes(book: AuditBook) -> list[HTTPRouteHandler]:
    """The routes in front of an audit log."""

    @get("/v1/audit", opt=TAKES_QUERY)
    async def read_audit(request: Request[Any, Any, Any]) -> AuditOut:
        """Records of a day, or from a number on."""
        require_known(_SHOWN)
        query = read_query(request.scope["query_string"], AuditQuery)
        if query.day:
            _check_day(query.day)
        return await book.page(query.day or None, query.after, query.limit)

    @get("/v1/audit/proofs/{number:str}", media_type=MediaType.TEXT)
    async def read_audit_proof(number: FromPath[str]) -> bytes:
        """The proof of one record as text."""
        require_known(_SHOWN)
        return await book.proof(parse_decimal(number, "the number of a record"))

    return [read_audit, read_audit_proof]


def _check_day(text: str) -> None:
    """Refuse what only looks like a date.

    Raises:
        MalformedError: `malformed-request`.
    """
    try:
        date.fromisoformat(text)
    except ValueError:
        raise MalformedError("malformed-request", f"`day` is no date: {text}") from None
