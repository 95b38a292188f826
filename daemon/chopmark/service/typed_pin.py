"""A PIN that is typed before the token is opened: nobody's typing counts as the token's time.

A token is opened on a thread of its own, which is abandoned where the token does not answer in time
(`hsm.calls`). A question that is put there would go on reading the terminal, and what is typed
next, as the answer to something else, would be tried as a PIN.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from chopmark.core.errors import TryAgainError
from chopmark.hsm.pin import BookedPin, Pin, Source


class Once:
    """Gives a PIN once, and knows nothing of it after that."""

    def __init__(self, source: Source) -> None:
        self._source: Source | None = source

    def __repr__(self) -> str:
        return "Once()"

    def __call__(self) -> Pin:
        """The PIN; a token that goes away and comes back asks nobody by itself.

        Raises:
            TryAgainError: `hsm-away`: it was given before, or forgotten.
        """
        source, self._source = self._source, None
        if source is None:
            message = "the token went away, and was not opened again"
            raise TryAgainError("hsm-away", message, hint="see that it is there, and try again")
        return source()

    def forget(self) -> None:
        """Know nothing of it any more."""
        self._source = None


@contextmanager
def asked_first(source: Source) -> Iterator[Source]:
    """Ask for a PIN now, in this thread; gives it once to what opens the token in this block.

    The daemon's own (`BookedPin`) is typed by nobody here, and is read as late as ever.
    """
    if isinstance(source, BookedPin):
        yield source
        return
    once = Once(_keep(source()))  # under no name here: it would be kept as long as the block
    try:
        yield once
    finally:
        once.forget()


def _keep(pin: Pin) -> Source:
    return lambda: pin
