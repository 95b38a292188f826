"""`GET /v1/openapi.json`: the document, made when it is first asked for."""

from functools import lru_cache

import msgspec
from litestar import MediaType, Response, get

from chopmark.api.spec.build import build


@get("/v1/openapi.json")
async def read_openapi() -> Response[bytes]:
    """The API described for machines."""
    return Response(document(), media_type=MediaType.JSON)


@lru_cache(maxsize=1)
def document() -> bytes:
    """The document as JSON: some milliseconds of work, once."""
    return msgspec.json.encode(build())
