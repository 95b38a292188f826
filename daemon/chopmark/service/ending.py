"""A gateway that is given up: what would be lost, its last day of audit, and its keys destroyed.

Each function is for a command beside the daemon, as the daemon's user.
"""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from chopmark.core.audit import AUDIT
from chopmark.core.entry import Adoption, Commitment, parse_entry
from chopmark.core.errors import ExistsError, MalformedError
from chopmark.core.policy import NONE
from chopmark.core.text import encode_base64
from chopmark.hsm.ending import destroy_all
from chopmark.hsm.listing import list_keys, list_pairs
from chopmark.hsm.pin import Source
from chopmark.ledger import audit as table
from chopmark.ledger.reader import Reader
from chopmark.ledger.schema import connect, damage_named
from chopmark.ledger.store import LogState, read_keys, read_state
from chopmark.service.audit_local import add_note, changing
from chopmark.service.config_model import Config
from chopmark.service.keylist import find_witness, know_keys, list_made
from chopmark.service.locking import is_locked
from chopmark.service.membership import read_membership
from chopmark.service.places import log_path
from chopmark.service.token import hsm_config
from chopmark.service.trust import policies_of

PAGE: Final = 256
"""Entries of a page."""
_STEP: Final = 4096


def look(config: Config) -> dict[str, Any]:
    """What there is, as JSON: `there` is false without a ledger; it is read only.

    `floor` is the index from which entries are not witnessed; without a quorum, not signed.

    Raises:
        ChopmarkError: the ledger cannot be read.
    """
    path = log_path(config.gateway.state)
    about = {"origin": config.gateway.origin, "running": is_locked(config.gateway.state)}
    if not path.exists():
        return {**about, "there": False, "entries": 0, "floor": 0, "waiting": 0, "last": 0}
    state = _read_state(config)
    floor = _floor(config, state)
    waiting, last = _count_waiting(config, floor, state.size)
    fields = {"entries": state.size, "floor": floor, "waiting": waiting, "last": last}
    return {**about, "there": True, **fields}


def read_waiting(config: Config, start: int) -> dict[str, Any]:
    """A page of the entries from an index on: `entries` as [index, base64], and `next`."""
    state = _read_state(config)
    end = min(state.size, start + PAGE)
    with closing(Reader(log_path(config.gateway.state))) as reader:
        found = reader.entries(start, end) if start < end else []
    entries = [[start + at, encode_base64(one)] for at, one in enumerate(found)]
    return {"entries": entries, "next": start + len(found), "size": state.size}


def close_audit(config: Config, action: str) -> int:
    """Note the end in the audit log, and end its day; gives the day's number.

    A daemon that runs puts the day's root into the ledger within a minute.

    Raises:
        TryAgainError: `not-noted`.
    """
    with changing(log_path(config.gateway.state)) as db:
        add_note(db, action)
        table.close_day(db)
        return max(one.day.number for one in table.read_days(db))


def is_published(config: Config, day: int) -> bool:
    """Whether a day of the audit log is witnessed in the ledger, or signed without a quorum."""
    path = log_path(config.gateway.state)
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        entry = next((one.entry for one in table.read_days(db) if one.day.number == day), None)
    state = _read_state(config)
    return entry is not None and entry < _floor(config, state)


def destroy_token(config: Config, pin: Source) -> dict[str, Any]:
    """Destroy our keys, salt keys and head mark in the token; again is harmless.

    Raises:
        ExistsError: `already-running`: the daemon must be stopped.
        ConfigurationError, TryAgainError: as `hsm.ending.destroy_all`.
    """
    if is_locked(config.gateway.state):
        raise ExistsError("already-running", "the gateway is running", hint="stop it first")
    path = log_path(config.gateway.state)
    if not path.exists():
        return {"keys": [], "kept": []}
    log_key, cosigner_key = read_keys(path)
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        made = list_made(db)
    hsm, token, origin = config.hsm, hsm_config(config), config.gateway.origin
    own = read_membership(config, log_key, cosigner_key).own
    witness = find_witness(list_pairs(token), hsm.witness_label, origin)
    first = {"log": hsm.log_label, "cosigner": hsm.cosigner_label}
    known = know_keys(own, hsm, made, witness)
    keys = [(one.label or first.get(one.role, ""), one.key) for one in known]
    done = destroy_all(token, origin, pin, keys)
    return {"keys": list(done.keys), "kept": list(done.kept)}


def destroy_labelled(config: Config, pin: Source) -> dict[str, Any]:
    """As `destroy_token`, of a gateway whose ledger cannot be read: all under its labels.

    Raises: as `destroy_token`.
    """
    if is_locked(config.gateway.state):
        raise ExistsError("already-running", "the gateway is running", hint="stop it first")
    hsm, token, origin = config.hsm, hsm_config(config), config.gateway.origin
    found = list_keys(token, origin)
    keys = [(one.label, one.key) for one in (*found.log, *found.cosigner)]
    witness = find_witness(list_pairs(token), hsm.witness_label, origin)
    keys += [] if witness is None else [(hsm.witness_label, witness)]
    done = destroy_all(token, origin, pin, keys)
    return {"keys": list(done.keys), "kept": list(done.kept)}


def remove_state(config: Config) -> None:
    """Remove all that lies in the state folder; the folder stays. Again is harmless."""
    empty_folder(config.gateway.state)


def empty_folder(state: Path) -> None:
    """Remove all that lies in a folder; the folder stays."""
    for one in state.iterdir() if state.is_dir() else ():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def _read_state(config: Config) -> LogState:
    path = log_path(config.gateway.state)
    with closing(connect(path, read_only=True)) as db, damage_named(path):
        return read_state(db)


def _floor(config: Config, state: LogState) -> int:
    membership = read_membership(config, *read_keys(log_path(config.gateway.state)))
    policy = policies_of(membership, config)[config.gateway.origin].policy
    return state.head.size if policy.quorum == NONE else state.witnessed_size


def _count_waiting(config: Config, floor: int, size: int) -> tuple[int, int]:
    """How many entries of people's are not witnessed, and the index behind the last of them."""
    count = last = 0
    with closing(Reader(log_path(config.gateway.state))) as reader:
        for start in range(floor, size, _STEP):
            for at, data in enumerate(reader.entries(start, min(size, start + _STEP)), start):
                if not _is_ours(data):
                    count, last = count + 1, at + 1
    return count, last


def _is_ours(data: bytes) -> bool:
    """Whether an entry is the gateway's own: nobody has been given a proof of it."""
    try:
        entry = parse_entry(data)
    except MalformedError:
        return False
    audit = isinstance(entry, Commitment) and entry.type == AUDIT
    return audit or isinstance(entry, Adoption)
