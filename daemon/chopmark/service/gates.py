"""Several reasons not to issue, looked at in order."""

from collections.abc import Callable

from chopmark.core.errors import ChopmarkError

Gate = Callable[[int], ChopmarkError | None]
"""Why entries that wait may not be recorded, or None; for `Sequencer.refuse`."""


def first_refusal(*gates: Gate) -> Gate:
    """The first refusal of several gates, if any."""

    def refuse(waiting: int) -> ChopmarkError | None:
        return next((error for gate in gates if (error := gate(waiting)) is not None), None)

    return refuse
