"""What only the appliance's image has: said in one way, by whoever is asked for it."""

from typing import Final

from chopmark.core.errors import ChopmarkError

CODE: Final = "not-on-this-platform"
HINT: Final = "it comes with the appliance's image"


class NotHereError(ChopmarkError):
    """It needs the appliance's image."""

    status = 501


def not_here(what: str, *, message: str = "", hint: str = HINT) -> NotHereError:
    """The error for something that this platform does not have.

    Args:
        what: in words.
        message: of whoever speaks another language.
        hint: likewise.
    """
    return NotHereError(CODE, message or f"{what}: not on this platform", hint=hint)
