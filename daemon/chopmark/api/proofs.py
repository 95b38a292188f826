"""`GET /v1/proofs/{id}/{index}`: the `.tlog-proof` of an entry of our log or of a replica."""

from litestar import MediaType, get
from litestar.params import FromPath

from chopmark.api.wiring import GatewayDep
from chopmark.core.text import parse_decimal


@get("/v1/proofs/{member:str}/{index:str}", media_type=MediaType.TEXT)
async def read_proof_of(member: FromPath[str], index: FromPath[str], gateway: GatewayDep) -> bytes:
    """The proof as text."""
    return await gateway.proof(member, parse_decimal(index, "the index"))
