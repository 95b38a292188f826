"""`python -m chopmark.admin.first VERB`: the token, before there is a gateway that has it.

Run as the daemon's user, as `beside` is: values as JSON on standard input, `{"done": …}` or
`{"error": …}` on standard output. What the token says of the PIN goes into the book of the state
folder, where `chopmark init` and the daemon look: one that was refused is never tried again.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from pkcs11.constants import TokenFlag
from pkcs11.types import Token

from chopmark.admin.problems import describe_error
from chopmark.core.errors import ChopmarkError
from chopmark.hsm.beside import in_session
from chopmark.hsm.errors import FAULTS, away, describe
from chopmark.hsm.module import Module
from chopmark.service.config_model import Broker, Config, Gateway, Hsm
from chopmark.service.credentials import PinSource
from chopmark.service.ending import empty_folder
from chopmark.service.pin_in_place import booked
from chopmark.service.runtime import forbid_core_files
from chopmark.service.token import hsm_config
from chopmark.service.token_book import open_book

_MAX_INPUT: Final = 65_536
_MOST_TOKENS: Final = 16
_MOST_FILES: Final = 500
_TRIES: Final = {
    "locked": TokenFlag.USER_PIN_LOCKED,
    "final": TokenFlag.USER_PIN_FINAL_TRY,
    "low": TokenFlag.USER_PIN_COUNT_LOW,
}


def _look(module: str, label: str, state: str) -> dict[str, Any]:
    return look_at(_config(module, label, state))


def look_at(config: Config) -> dict[str, Any]:
    """What the token says of itself, how many tries are left as it tells, and what was refused.

    No PIN is tried.

    Raises:
        ChopmarkError: `no-hsm-module`, `no-such-token`, `hsm-away`.
    """
    token = hsm_config(config)
    library = Module(token.module, token.init_string)
    try:
        told = _describe(library.find_token(token))
    except FAULTS as error:
        raise away(describe(error), error) from error
    finally:
        library.close()
    return {**told, "refused": open_book(config.gateway.state).refused}


def _tokens(module: str, state: str) -> dict[str, Any]:
    """The tokens of a module, the first of them; no PIN is tried."""
    token = hsm_config(_config(module, "any", state))
    library = Module(token.module, token.init_string)
    try:
        found = library.list_tokens()[:_MOST_TOKENS]
        return {"tokens": [{"label": _plain(one.label), **_describe(one)} for one in found]}
    except FAULTS as error:
        raise away(describe(error), error) from error
    finally:
        library.close()


def _describe(token: Token) -> dict[str, str]:
    tries = next((name for name, flag in _TRIES.items() if token.flags & flag), "full")
    named = {"maker": token.manufacturer_id, "model": token.model, "serial": token.serial}
    return {**{key: _plain(value) for key, value in named.items()}, "tries": tries}


def _try(module: str, label: str, state: str) -> dict[str, Any]:
    config = _config(module, label, state)
    pin = booked(config, PinSource(config))
    unable = ("the token cannot be logged in to", "`show log` says more")
    in_session(hsm_config(config), pin, lambda _session, _profile: None, unable, rw=False)
    return {}


def _allow(state: str) -> dict[str, Any]:
    open_book(Path(state)).allow()
    return {}


def _state(state: str) -> dict[str, Any]:
    """The disk of the state folder, and the sizes of what lies there; nothing of what is in it."""
    folder = Path(state)
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    found = os.statvfs(there)
    keys = ("f_frsize", "f_blocks", "f_bfree", "f_bavail")
    files: dict[str, int] = {}
    for path, _, names in os.walk(folder):
        for name in sorted(names)[: _MOST_FILES - len(files)]:
            one = Path(path) / name
            with suppress(OSError):  # gone since
                files[str(one.relative_to(folder))] = one.lstat().st_size
    disk = {key: getattr(found, key) for key in keys}
    return {"path": state, "disk": disk, "files": files}


def _empty(state: str) -> dict[str, Any]:
    empty_folder(Path(state))
    return {}


def _config(module: str, label: str, state: str) -> Config:
    """One that names the token; who the gateway will be is not asked here."""
    return Config(
        gateway=Gateway(
            id="new", origin="new", institution="new", jurisdiction="XX", state=Path(state)
        ),
        hsm=Hsm(module=Path(module), token_label=label),
        broker=(Broker(host="127.0.0.1"),),
    )


def _plain(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip("\0 ")


VERBS: Final[Mapping[str, Callable[..., Any]]] = {
    "token-look": _look,
    "tokens": _tokens,
    "pin-try": _try,
    "pin-allow": _allow,
    "state-look": _state,
    "state-empty": _empty,
}


def run() -> None:
    """Do one verb."""
    forbid_core_files()
    values = msgspec.json.decode(sys.stdin.buffer.read(_MAX_INPUT), type=dict[str, Any])
    try:
        answer = {"done": VERBS[sys.argv[1]](**values)}
    except ChopmarkError as error:
        answer = {"error": describe_error(error)}
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    run()
