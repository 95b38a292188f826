"""`POST /v1/console/records`: the technicians' console hands its audit records over.

On the unix socket alone: the kernel says which user it is, and that user is who a record is by.
Which technician sat there is the console's word.
"""

from typing import Annotated, Final, Protocol

import msgspec
from litestar.handlers import ASGIRouteHandler

from chopmark.api.identity import require_unix
from chopmark.api.limits import ApiLimits
from chopmark.api.models import read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer, post_json
from chopmark.core.text import MAX_INT

MOST: Final = 64
"""Records in one request."""
_Text = Annotated[str, msgspec.Meta(max_length=256)]


class ConsoleRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of the console's."""

    number: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT)]
    at: Annotated[str, msgspec.Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
    technician: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    action: Annotated[str, msgspec.Meta(pattern=r"\Aconsole\.[a-z0-9._-]{1,40}\Z")]
    outcome: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,47}\Z")]
    about: Annotated[dict[str, _Text], msgspec.Meta(max_length=12)] = {}


class ConsoleRecordsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records in the order of their numbers."""

    source: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    records: Annotated[list[ConsoleRecord], msgspec.Meta(min_length=1, max_length=MOST)]


class ConsoleTaken(msgspec.Struct):
    """Up to which number all records of this source are durable in the audit log."""

    taken: int


class ConsoleRecords(Protocol):
    """Takes records into the audit log; `service` provides it."""

    async def take(self, source: str, records: list[ConsoleRecord]) -> int:
        """Take those that were not taken before; gives the highest number that is there.

        Raises:
            MalformedError: `malformed-record`; TryAgainError: `not-recorded`, `storage-full`.
        """
        ...


def make_console_route(
    taker: ConsoleRecords, gateway: Gateway, limits: ApiLimits | None = None
) -> ASGIRouteHandler:
    """The route in front of it."""

    async def take(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        require_unix("the console's records are taken")
        asked = read_body(body, ConsoleRecordsBody)
        return Answer(200, ConsoleTaken(await taker.take(asked.source, asked.records)))

    return post_json("/v1/console/records", take, gateway, limits or ApiLimits())
