"""The routes of a witness (C2SP tlog-witness): `add-checkpoint`, and what it has cosigned last."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from litestar import MediaType, Response, get
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer, post_json
from chopmark.core.submission import MAX_SUBMISSION, StaleSizeError

_TEXT: Final = b"text/plain; charset=utf-8"
_SIZE: Final = b"text/x.tlog.size"


class Witness(Protocol):
    """Cosigns checkpoints; `service` provides it. Errors have the protocol's statuses."""

    async def add(self, body: bytes) -> bytes:
        """Cosign what a request asks for; gives signature lines."""
        ...

    async def latest(self, origin_hash: str) -> bytes:
        """The newest checkpoint cosigned of a log, as a note (`not-cosigned`)."""
        ...


def make_witness_routes(
    witness: Witness, gateway: Gateway, limits: ApiLimits | None = None
) -> Sequence[BaseRouteHandler]:
    """`POST /add-checkpoint` and `GET /witness/{origin_hash}/checkpoint`."""
    bounds = replace(limits or ApiLimits(), body=MAX_SUBMISSION)

    async def add_checkpoint(body: bytes, _gateway: Gateway, _limits: ApiLimits) -> Answer:
        try:
            lines = await witness.add(body)
        except StaleSizeError as error:
            return Answer(409, b"%d\n" % error.size, media_type=_SIZE)
        return Answer(200, lines, media_type=_TEXT)

    @get("/witness/{origin_hash:str}/checkpoint")
    async def read_cosigned(origin_hash: FromPath[str]) -> Response[bytes]:
        """The newest checkpoint that was cosigned of a log."""
        return Response(await witness.latest(origin_hash), media_type=MediaType.TEXT)

    return [post_json("/add-checkpoint", add_checkpoint, gateway, bounds), read_cosigned]
