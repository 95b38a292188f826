"""`GET /v1/proofs/{id}/{index}`: the `.tlog-proof` of an entry of our log or of a replica."""

from typing import Any

from litestar import MediaType, Request, get
from litestar.params import FromPath

from chopmark.api.models import ProofQuery, read_query
from chopmark.api.roles import TAKES_QUERY
from chopmark.api.wiring import GatewayDep
from chopmark.core.text import parse_decimal


@get("/v1/proofs/{member:str}/{index:str}", opt=TAKES_QUERY, media_type=MediaType.TEXT)
async def read_proof_of(
    request: Request[Any, Any, Any],
    member: FromPath[str],
    index: FromPath[str],
    gateway: GatewayDep,
) -> bytes:
    """The proof as text; the salt of a blinded attestation is for whoever had it attested."""
    query = read_query(request.scope["query_string"], ProofQuery)
    return await gateway.proof(member, parse_decimal(index, "the index"), bare=query.bare)
