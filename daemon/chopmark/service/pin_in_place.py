"""The PIN that the daemon finds by itself, for commands beside it."""

import os

from chopmark.hsm.pin import BookedPin, Source
from chopmark.service.config_model import Config
from chopmark.service.credentials import DIRECTORY_VARIABLE
from chopmark.service.token_book import open_book


def is_in_place(config: Config) -> bool:
    """Whether there is one that may be tried.

    While the daemon works with one that it was given, the one in place is the one that the token
    has refused: a command that tried it once more would burn a try, and lock the daemon out.
    """
    return _is_found(config) and not was_replaced(config)


def was_replaced(config: Config) -> bool:
    """Whether the token has refused the one in place, and the daemon was given another."""
    return open_book(config.gateway.state).given


def booked(config: Config, source: Source) -> Source:
    """Keep what the token says of the daemon's PIN where the daemon looks, once it has a place."""
    state = config.gateway.state
    return BookedPin(source, open_book(state)) if state.is_dir() else source


def _is_found(config: Config) -> bool:
    where = config.hsm.pin  # one that the daemon is given by its socket is nobody else's to find
    at_hand = where == "credential" and bool(os.environ.get(DIRECTORY_VARIABLE))
    return at_hand or where in ("file", "pad")
