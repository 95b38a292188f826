"""Floors of logs of others after a recovery: what an operator says, and whom it is told.

See `ledger.floors` for the rules.
"""

import logging
import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from chopmark.core.checkpoint import Checkpoint, read_checkpoint
from chopmark.core.errors import MalformedError, MissingError, RefusedError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import parse_note, verify_note
from chopmark.ledger.floors import lacks_floor, lost_keys, set_floor
from chopmark.ledger.log import Log
from chopmark.service.audit_local import add_note, changing
from chopmark.service.config_model import Config, WitnessLog
from chopmark.service.places import log_path

LOG: Final = logging.getLogger("chopmark.witness")


def find_log(config: Config, origin: str) -> WitnessLog:
    """The block of a log of others.

    Raises:
        MissingError: `unknown-log`.
    """
    found = next((one for one in config.witness.log if one.origin == origin), None)
    if found is None:
        hint = "[[witness.log]] in the configuration names the logs of others that are cosigned"
        raise MissingError("unknown-log", f"{origin} is not configured", hint=hint)
    return found


def read_newest(log: WitnessLog, note: bytes) -> Checkpoint:
    """The head in a checkpoint note that the log has signed.

    Raises:
        MalformedError: it is no checkpoint, or of another log.
        RefusedError: `bad-signature`, `no-known-signature`.
    """
    parsed = parse_note(note)
    head = read_checkpoint(parsed.text)
    if head.origin != log.origin:
        message = f"this is a checkpoint of {head.origin}, not of {log.origin}"
        raise MalformedError("malformed-checkpoint", message)
    verify_note(parsed, (log.log_key,))
    return head


def confirm_floor(config: Config, head: Checkpoint) -> None:
    """Say from which head on a log of others is cosigned again; the daemon may run beside it.

    Raises:
        MissingError: `unknown-log`, `no-ledger`.
        MalformedError: `bad-root`: an empty log has one root only.
        RefusedError: `floor-not-lost`, `floor-too-low`, `floor-other-root`.
        TryAgainError: `not-noted`: the disk refused.
    """
    log = find_log(config, head.origin)
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise MalformedError("bad-root", "an empty log has another root than given")
    if log.pin is not None and head.size < log.pin[0]:
        message = f"the configuration pins {head.origin} at {log.pin[0]}, beyond {head.size}"
        raise RefusedError("floor-too-low", message)
    with changing(log_path(config.gateway.state)) as db:
        keys = lost_keys(db)
        if not keys:
            message = "nothing is lost of what this gateway has cosigned"
            raise RefusedError("floor-not-lost", message, hint="its rows say from where it goes on")
        for vkey in keys:
            set_floor(db, head.origin, vkey, (head.size, head.root), int(time.time()))
        root = head.root.hex()
        add_note(db, "witness.floor", origin=head.origin, size=head.size, root=root)


async def tell_lost(log: Log, others: Sequence[WitnessLog]) -> None:
    """Say of each log of others that it is not cosigned, and what to do."""
    origins = [other.origin for other in others]
    for origin in await log.read(lambda reader, _: reader.look(_find_lost, origins)):
        message = (
            "%s is not cosigned: how far it was is lost with a disk; ask its operator for its"
            " newest checkpoint, and give it to `chopmark witness floor`"
        )
        LOG.error(message, origin, extra={"code": "floor-unknown"})


def _find_lost(db: sqlite3.Connection, origins: Sequence[str]) -> list[str]:
    keys = lost_keys(db)
    return [origin for origin in origins if any(lacks_floor(db, origin, key) for key in keys)]
