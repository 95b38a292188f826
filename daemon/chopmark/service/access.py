"""How a process gets at its token: made once, and kept while the gateway's parts are made anew."""

from dataclasses import dataclass, field

from chopmark.hsm.pin import PinGuard
from chopmark.service.config_model import Config
from chopmark.service.credentials import PinSource
from chopmark.service.token_book import FileBook, open_book
from chopmark.service.unlocking import open_unlocked


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """Access to the gateway's token.

    Attributes:
        pins: gives the PIN.
        guard: gives none that was refused in this process.
        book: what is known of it from starts before.
    """

    pins: PinSource
    guard: PinGuard = field(repr=False)
    book: FileBook

    def enter(self) -> None:
        """The state is ours: a PIN that was given to a daemon before us went with it."""
        if not self.pins.is_given:
            self.book.forget_given()


def open_access(config: Config) -> TokenAccess:
    """The access of the gateway with this configuration."""
    pins = PinSource(config, open_unlocked(config))
    return TokenAccess(pins, PinGuard(pins), open_book(config.gateway.state))
