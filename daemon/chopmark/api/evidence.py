"""Evidence of forks: looked at by everybody here; what it freezes is released by two officers."""

from typing import Any

import msgspec
from litestar import get

from chopmark.api.limits import ApiLimits
from chopmark.api.models import read_body
from chopmark.api.ports import Gateway
from chopmark.api.posts import Answer
from chopmark.api.wiring import GatewayDep


class ReleaseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release with its signatures (docs/formats/release.md)."""

    release: str


@get("/v1/evidence")
async def read_evidence(gateway: GatewayDep) -> list[dict[str, Any]]:
    """Evidence of forks that this gateway holds."""
    return gateway.forks.describe()


async def release_fork(body: bytes, gateway: Gateway, _limits: ApiLimits) -> Answer:
    """Follow a forked log again: `POST /v1/evidence/releases`."""
    release = read_body(body, ReleaseBody).release
    return Answer(200, await gateway.forks.release(release.encode()))
