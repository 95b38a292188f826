"""The first attestation of a gateway: a text that says what it is, good for a day.

The technician's console has it made when it commissions a box. Its text is fixed: whoever may ask
for it cannot have anything else attested.
"""

import time
from hashlib import sha256
from typing import Any, Final

from chopmark.client.gateway import GatewayClient
from chopmark.core.draft import Draft
from chopmark.service.config_model import Config

VALID: Final = 86_400_000
"""Milliseconds."""
_WAIT: Final = 5.0
"""Seconds for its signature: the console looks whether it is witnessed."""


def first_text(origin: str) -> str:
    """What is attested."""
    return f"first attestation of {origin}, made at its commissioning\n"


def attest_first(config: Config, kind: str) -> dict[str, Any]:
    """Have the gateway that runs attest it; gives its `index`. Again is harmless.

    Raises:
        ChopmarkError: what the gateway says, or that none answers.
    """
    digest = sha256(first_text(config.gateway.origin).encode()).digest()
    until = time.time_ns() // 1_000_000 // 1000 * 1000 + VALID
    with GatewayClient(f"unix:{config.api.socket}") as gateway:
        done = gateway.attest(Draft(digest, kind, valid_until=until), _WAIT)
    return {"index": done.index}
