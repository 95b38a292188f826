"""The PIN: where the configuration says, closed to others, and not refused.

Codes: `pin-missing`, `pin-exposed`, `pin-malformed`, `pin-latched`.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chopmark.core.errors import ChopmarkError, ConfigurationError
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.credentials import DIRECTORY_VARIABLE, read_pin
from chopmark.service.token_book import open_book

_MORE: Final = "`chopmark hsm status` says more"


def check_pin(scene: Scene) -> Iterator[Finding]:
    """Look at the PIN's file and at what is known of the last tries; none is made."""
    hsm = scene.config.hsm
    here = hsm.pin == "file" or (hsm.pin == "credential" and DIRECTORY_VARIABLE in os.environ)
    if here:
        try:
            read_pin(scene.config)
        except ConfigurationError as error:
            yield scene.judge(error, _MORE)
    elif hsm.pin == "credential" and scene.status is None:
        finding = f"systemd gives the PIN to the daemon alone: {DIRECTORY_VARIABLE} is not set here"
        remedy = "look again once the daemon runs; `systemctl cat chopmark` shows LoadCredential="
        yield Finding.unseen(finding, remedy)
    if scene.status is not None:
        yield from _ask_gateway(scene.status)
    elif scene.sees_all:
        yield from _check_book(scene)
    else:
        yield scene.barred("what is known of the last tries of the PIN")


def _ask_gateway(status: Mapping[str, Any]) -> Iterator[Finding]:
    """What the gateway that runs has learnt of it: it alone has the one that is in use."""
    hsm = status.get("hsm")
    state = hsm.get("state") if isinstance(hsm, dict) else None
    if isinstance(hsm, dict) and state == "latched":
        yield _latched(hsm.get("reason"))
    elif state != "ready":
        finding = f"the HSM of the gateway is {state or 'not described'}: its PIN was not tried"
        yield Finding.unseen(finding, _MORE)


def _check_book(scene: Scene) -> Iterator[Finding]:
    try:
        refused = open_book(scene.config.gateway.state).refused
    except ChopmarkError as error:
        yield scene.judge(error, _MORE)
        return
    if refused is not None:
        yield _latched(refused)


def _latched(reason: object) -> Finding:
    remedy = "put the right PIN in place, then `chopmark hsm unlatch`"
    return Finding("pin-latched", f"the token has refused the PIN: {reason}", remedy)
