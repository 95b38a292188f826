"""The PIN: where the configuration says, closed to others, and not refused.

Codes: `pin-missing`, `pin-exposed`, `pin-malformed`, `pin-latched`.
"""

import os
from collections.abc import Iterator

from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.credentials import DIRECTORY_VARIABLE, read_pin
from chopmark.service.token_book import open_book


def check_pin(scene: Scene) -> Iterator[Finding]:
    """Look at the PIN's file and at what is known of the last tries; none is made."""
    hsm = scene.config.hsm
    here = hsm.pin == "file" or (hsm.pin == "credential" and DIRECTORY_VARIABLE in os.environ)
    if here:
        try:
            read_pin(scene.config)
        except ConfigurationError as error:
            yield Finding.of(error, "`chopmark hsm status` says more")
    if not scene.locked:
        yield from _check_book(scene)


def _check_book(scene: Scene) -> Iterator[Finding]:
    try:
        refused = open_book(scene.config.gateway.state).refused
    except ChopmarkError as error:
        yield Finding.of(error, "`chopmark hsm status` says more")
        return
    except OSError:
        return  # no state folder
    if refused is not None:
        finding = f"the token has refused the PIN: {refused}"
        remedy = "put the right PIN in place, then `chopmark hsm unlatch`"
        yield Finding("pin-latched", finding, remedy)
