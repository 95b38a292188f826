"""Finding the attestations of a document: in the gateway's own log, or by its proof."""

from pathlib import Path
from typing import TYPE_CHECKING

from chopmark.client.files import read_proof
from chopmark.client.messages import Query
from chopmark.client.proofs import names_document
from chopmark.client.verdicts import AttestationReport
from chopmark.core.check import read_attestation
from chopmark.core.digest import Digests
from chopmark.core.errors import MalformedError, MissingError
from chopmark.core.proof import Proof, parse_extra, parse_proof

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient


def find_own(gateway: "GatewayClient", digests: Digests) -> list[AttestationReport]:
    """The gateway's own attestations of a document, newest first; at least one.

    Raises:
        MissingError: `no-such-attestation`.
    """
    origin = gateway.export()["origin"]
    found = gateway.verify(Query(digests))["attestations"]
    own = [attestation for attestation in found if attestation["origin"] == origin]
    if not own:
        message = f"{origin} has no attestation of this document"
        hint = (
            "a blinded attestation is found by the proof beside its document, or by its index "
            "(`chopmark proof ID INDEX`); one of another gateway is not found here"
        )
        raise MissingError("no-such-attestation", message, hint=hint)
    return own


def find_blinded(path: Path, digests: Digests) -> Proof | None:
    """The proof that lies there, if it is that of a blinded attestation of this document.

    Only by it can such an attestation be told from others.
    """
    try:
        proof = parse_proof(read_proof(path)) if path.exists() else None
        if proof is None:
            return None
        entry, _ = read_attestation(parse_extra(proof.extra).entry)
        hidden = entry is not None and entry.blinded
        return proof if hidden and names_document(proof, digests) else None
    except MalformedError:
        return None


def member_of(gateway: "GatewayClient", origin: str) -> str:
    """Member id of the gateway whose log has this origin.

    Raises:
        MissingError: `no-such-member`.
    """
    known = [gateway.export(), *gateway.peers()]
    found = next((str(one["id"]) for one in known if one.get("origin") == origin), None)
    if found is None:
        raise MissingError("no-such-member", f"the gateway knows no log {origin}")
    return found


def origin_of(gateway: "GatewayClient", name: str) -> str:
    """Origin of the gateway that somebody calls by its member id, institution or origin.

    Of an institution with several it is that of the first one, as in a consent; what is no name
    here is taken for an origin.
    """
    known = sorted([gateway.export(), *gateway.peers()], key=lambda one: str(one["id"]))
    names = (str(one["origin"]) for one in known if name in (one["id"], one.get("institution")))
    return next(names, name)
