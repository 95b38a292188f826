"""`python -m chopmark.admin.beside VERB CONFIG`: what the service has the daemon's user do.

Values come as JSON on standard input, the answer goes to standard output: `{"done": …}`, or
`{"error": …}` as problem details. It is no command for people.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chopmark.admin.first import look_at
from chopmark.admin.problems import describe_error
from chopmark.core.errors import ChopmarkError
from chopmark.service import ending
from chopmark.service.config import load_config
from chopmark.service.config_model import Config
from chopmark.service.credentials import PinSource
from chopmark.service.first_attestation import attest_first
from chopmark.service.identity import read_identity
from chopmark.service.pin_in_place import booked
from chopmark.service.runtime import forbid_core_files

_MAX_INPUT: Final = 65_536


def _destroy(config: Config) -> Any:
    return ending.destroy_token(config, booked(config, PinSource(config)))


def _destroy_labelled(config: Config) -> Any:
    return ending.destroy_labelled(config, booked(config, PinSource(config)))


VERBS: Final[Mapping[str, Callable[..., Any]]] = {
    "look": ending.look,
    "waiting": ending.read_waiting,
    "close-audit": ending.close_audit,
    "published": ending.is_published,
    "destroy": _destroy,
    "destroy-labelled": _destroy_labelled,
    "identity": read_identity,
    "tries": look_at,
    "attest-first": attest_first,
    "remove": ending.remove_state,
}


def run() -> None:
    """Do one verb."""
    forbid_core_files()
    verb, path = sys.argv[1:]
    values = msgspec.json.decode(sys.stdin.buffer.read(_MAX_INPUT), type=dict[str, Any])
    try:
        answer = {"done": VERBS[verb](load_config(Path(path)), **values)}
    except ChopmarkError as error:
        answer = {"error": describe_error(error)}
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    run()
