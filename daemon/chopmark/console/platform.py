"""What needs the appliance's image, or its hardware, and so is not on every platform."""

from typing import Final

from chopmark.core.errors import RefusedError

CODE: Final = "not-on-this-platform"


def not_here(what: str) -> RefusedError:
    """The error for something that this platform does not have."""
    hint = "nothing: it comes with the appliance"
    return RefusedError(CODE, f"{what}: not on this platform", hint=hint)
