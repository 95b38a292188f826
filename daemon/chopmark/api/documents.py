"""`GET /v1/documents/{alg}/{hex}`: what is known here of a document by one of its digests.

No verdict: nothing is judged here, neither the issuer's right to attest nor how fresh a replica is.
"""

import re
from typing import Any, Final

from litestar import Request, get
from litestar.params import FromPath

from chopmark.api.found import DocumentsOut
from chopmark.api.models import DocumentsQuery, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.wiring import GatewayDep
from chopmark.core.errors import MalformedError

_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@get("/v1/documents/{algorithm:str}/{digest:str}", opt=TAKES_QUERY)
async def read_document(
    request: Request[Any, Any, Any],
    algorithm: FromPath[str],
    digest: FromPath[str],
    gateway: GatewayDep,
) -> DocumentsOut:
    """All attestations of one digest, page by page."""
    query = read_query(request.scope["query_string"], DocumentsQuery)
    if algorithm not in ("sha256", "sm3") or not _DIGEST.fullmatch(digest):
        message = "what the path names is no digest"  # not quoted: it may be most of one
        hint = "write /v1/documents/sha256/ or /v1/documents/sm3/ and 64 lower-case hex digits"
        raise MalformedError("malformed-digest", message, hint=hint)
    with_sm3 = algorithm == "sm3"
    return await gateway.documents(
        bytes.fromhex(digest), query.after or None, query.limit, with_sm3=with_sm3
    )
