"""Several reasons not to issue, looked at in order."""

from collections.abc import Callable

from chopmark.core.errors import ChopmarkError
from chopmark.hsm.errors import in_maintenance, latched, locked
from chopmark.hsm.signer import HsmSigner

Gate = Callable[[int], ChopmarkError | None]
"""Why entries that wait may not be recorded, or None; for `Sequencer.refuse`."""


def first_refusal(*gates: Gate) -> Gate:
    """The first refusal of several gates, if any."""

    def refuse(waiting: int) -> ChopmarkError | None:
        return next((error for gate in gates if (error := gate(waiting)) is not None), None)

    return refuse


def hsm_gate(signer: HsmSigner) -> Gate:
    """Nothing is recorded that only an operator's act would let be signed.

    An HSM that is away is another thing: it comes back, and the sequencer sees it first.
    """

    def refuse(_waiting: int) -> ChopmarkError | None:
        state = signer.state
        if state == "latched":
            return latched(signer.reason or "")
        if state == "locked":
            return locked(signer.reason)
        return in_maintenance() if state == "maintenance" else None

    return refuse
