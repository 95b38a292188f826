"""Finding the attestations of a document in the gateway's own log."""

from typing import TYPE_CHECKING

from chopmark.client.messages import Query
from chopmark.client.verdicts import AttestationReport
from chopmark.core.digest import Digests
from chopmark.core.errors import MissingError

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
        hint = "blinded attestations, and those of other gateways, are not found by a document"
        raise MissingError("no-such-attestation", message, hint=hint)
    return own
