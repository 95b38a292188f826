"""Pinning: an operator puts a version of the roster in force, by its fingerprint.

By a running gateway, or without one in the state that it will start with.
"""

import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chopmark.core.errors import RefusedError
from chopmark.core.note import parse_note
from chopmark.core.roster import Fingerprint
from chopmark.core.roster_follow import SignedRoster, open_roster
from chopmark.core.roster_text import parse_roster
from chopmark.ledger import rosters as table
from chopmark.ledger.rosters import Held
from chopmark.ledger.store import read_keys
from chopmark.service.audit_local import add_note, changing
from chopmark.service.config import Config
from chopmark.service.locking import lock_state
from chopmark.service.membership import form_membership, open_held
from chopmark.service.places import log_path
from chopmark.service.roster_report import Alarm, conflict, expiry, show

Chain = Mapping[int, SignedRoster]
"""The versions that are held, by number."""


def open_pinned(data: bytes, fingerprint: str, chain: Chain, held: Held) -> SignedRoster:
    """Check a version that an operator pins: by the one before it where that is held.

    Raises:
        MalformedError, RefusedError: it breaks a rule of rosters; `wrong-fingerprint`;
            `roster-older`.
    """
    text = parse_note(data).text
    if not Fingerprint(text).matches(fingerprint):
        hint = f"it is {Fingerprint(text).words}; ask the one who sent it, by another way"
        raise RefusedError("wrong-fingerprint", "the fingerprint is another one", hint=hint)
    before = chain.get(parse_roster(text).version - 1)
    signed = open_roster(data, None if before is None else before.roster)
    newest = max(chain, default=0)
    if signed.roster.version < newest and signed.roster.version != held.conflict:
        raise RefusedError("roster-older", f"version {newest} is in force: it never goes back")
    return signed


def store_pinned(
    db: sqlite3.Connection, signed: SignedRoster, chain: Chain, held: Held, now: int
) -> None:
    """Put a version in force, as of `now` in seconds; what followed a rival of it is forgotten."""
    version = signed.roster.version
    other = chain.get(version, signed)
    if version == held.conflict and other.digest != signed.digest:
        table.forget_above(db, version)
    table.keep(db, version, signed.digest, signed.encode())
    table.pin(db, version, signed.digest, now)


def pin_offline(config: Config, data: bytes, fingerprint: str) -> dict[str, Any]:
    """Pin in the state of a gateway that does not run; gives what `GET /v1/roster` would.

    Raises:
        ExistsError: `already-running`.
        MissingError: `no-ledger`.
        MalformedError, RefusedError: see `open_pinned`.
        TryAgainError: the disk refused; nothing was changed.
    """
    path, now = log_path(config.gateway.state), int(time.time())
    keys = read_keys(path)
    with lock_state(config.gateway.state), changing(path) as db:
        held = table.read_held(db)
        chain = {one.roster.version: one for one in map(open_held, held.notes)}
        signed = open_pinned(data, fingerprint, chain, held)
        store_pinned(db, signed, chain, held, now)
        version, digest = signed.roster.version, signed.digest.hex()
        add_note(db, "roster.adopted", version=version, digest=digest)
        after = table.read_held(db)
    membership = form_membership(config, *keys, after)
    left = signed.roster.expires_in(datetime.fromtimestamp(now, UTC))
    alarms: list[Alarm | None] = [expiry(left), conflict(after)]
    if (refusal := membership.refusal) is not None:
        alarms.append({"code": refusal.code, "message": refusal.message, "hint": refusal.hint})
    return show(membership.signed, membership.own, after, [one for one in alarms if one])
