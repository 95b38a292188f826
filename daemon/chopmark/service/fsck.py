"""Checking every ledger of a gateway from the bytes on its disk (`chopmark fsck`).

What must have signed a peer's log is what the roster says, or without one the configuration. Our
own keys are those for which the ledger was made: the HSM is not asked, and the daemon compares
them when it starts.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from chopmark.core.errors import ChopmarkError, ForbiddenError, InternalError, MissingError
from chopmark.core.keys import VerifierKey
from chopmark.ledger.audit_check import check_audit
from chopmark.ledger.cosigned_check import check_cosigned
from chopmark.ledger.fsck import Finding, check_store
from chopmark.ledger.rosters import read_held
from chopmark.ledger.rotation import list_keys
from chopmark.ledger.schema import connect
from chopmark.ledger.store import read_keys
from chopmark.ledger.tail_check import check_tail
from chopmark.service.config_model import Config
from chopmark.service.membership import open_held, read_peers
from chopmark.service.places import index_path, log_path, replica_path

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One ledger to check: whose log, its files, and the keys that must have signed it.

    `keys` is None for our own: those for which the ledger was made. Of a peer whose keys have
    changed it was made for some of `also`. `pruned` gets the runs of entries [start, end) of a
    replica whose bodies were taken out by rule, which is no damage. `others`, beside our own, are
    the logs that our cosigners' rows may be of.
    """

    member: str
    path: Path
    index: Path
    keys: tuple[VerifierKey, VerifierKey] | None = None
    also: tuple[VerifierKey, ...] = ()
    pruned: list[tuple[int, int]] = field(default_factory=list)
    others: Mapping[str, "Other"] = field(default_factory=dict)

    def run(self, progress: Progress | None = None) -> list[Finding]:
        """Check it; `progress` is told (entries checked, entries in all)."""
        try:
            log_key, cosigner_key = self._choose_keys()
        except InternalError as error:  # so damaged that it does not say whose it is
            return [Finding("unreadable", error.message)]
        also, pruned = (*(self.keys or ()), *self.also), self.pruned if self.keys else None
        found = check_store(  # our own log is never pruned
            self.path, self.index, log_key, cosigner_key, progress, pruned, also=also
        )
        return found if self.keys else found + self._check_beside()

    def run_tail(self, count: int) -> list[Finding]:
        """Check the signed notes and the newest entries alone; see `check_tail`."""
        try:
            keys = self._choose_keys()
        except InternalError as error:
            return [Finding("unreadable", error.message)]
        return check_tail(self.path, keys, (*(self.keys or ()), *self.also), count)

    def _check_beside(self) -> list[Finding]:
        """What stands beside our own log in its database."""
        keys = {origin: other.keys for origin, other in self.others.items()}
        held = {origin: one.replica for origin, one in self.others.items() if one.replica}
        cosigned = check_cosigned(self.path, merge_keys(read_listed(self.path), keys), held)
        return check_audit(self.path).findings + cosigned

    def _choose_keys(self) -> tuple[VerifierKey, VerifierKey]:
        stored = read_keys(self.path) if self.also or not self.keys else self.keys
        known = {*(self.keys or stored), *self.also}
        return stored if known.issuperset(stored) else self.keys or stored


@dataclass(frozen=True, slots=True)
class Other:
    """A log that we cosign: the keys of which one must have signed, and its replica, if any."""

    keys: tuple[VerifierKey, ...]
    replica: Path | None = None


def read_listed(path: Path) -> dict[str, tuple[VerifierKey, ...]]:
    """By origin the log keys that a ledger's own file knows: its own, and those of its rosters.

    Of an own log whose keys have changed without a roster not all are known: it is left out.
    """
    try:
        own = read_keys(path)[0]
        with closing(connect(path, read_only=True)) as db:
            rosters = [open_held(note).roster for note in read_held(db).notes]
            changed = any(role == "log" for _, role, _ in list_keys(db))
    except (ChopmarkError, sqlite3.Error):
        return {}
    listed = [{one.origin: one.log_keys for one in roster.members()} for roster in rosters]
    keys = merge_keys(*listed)
    if changed and own.name not in keys:
        return keys
    return merge_keys(keys, {own.name: (own,)})


def merge_keys(
    *known: Mapping[str, tuple[VerifierKey, ...]],
) -> dict[str, tuple[VerifierKey, ...]]:
    """All the keys of each origin."""
    merged: dict[str, tuple[VerifierKey, ...]] = {}
    for one in known:
        for origin, keys in one.items():
            merged[origin] = tuple(dict.fromkeys((*merged.get(origin, ()), *keys)))
    return merged


def plan_checks(config: Config, member: str | None = None) -> list[Check]:
    """The checks to run: of the log of one member, or of every ledger that is there.

    Raises:
        MissingError: `no-ledger` if our own ledger or that of the member is not there;
            `no-such-member`.
        ForbiddenError: `ledger-forbidden`.
    """
    state, own = config.gateway.state, config.gateway.id
    peers = read_peers(config)
    others = {one.origin: Other((one.log_key,)) for one in config.witness.log}
    others |= {one.origin: Other(one.log_keys, replica_path(state, one.id)) for one in peers}
    checks = {own: Check(own, log_path(state), index_path(state, own), others=others)}
    for peer in peers:
        path, keys = replica_path(state, peer.id), (peer.log_key, peer.cosigner_key)
        also = tuple({*peer.log_keys, *peer.known_cosigner_keys}.difference(keys))
        checks[peer.id] = Check(peer.id, path, index_path(state, peer.id), keys, also)
    if member is not None and member not in checks:
        hint = f"known here: {', '.join(checks)}"
        raise MissingError("no-such-member", f"no member {member!r} is known here", hint=hint)
    chosen = checks[member or own]
    if not _is_there(chosen.path):
        raise MissingError("no-ledger", f"there is no ledger at {chosen.path}")
    if member is not None:
        return [chosen]
    # A peer that this gateway has not met yet has no replica.
    return [check for check in checks.values() if _is_there(check.path)]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:
        hint = "call it as root, or as the daemon's user"
        raise ForbiddenError("ledger-forbidden", f"you may not read {path}", hint=hint) from error
