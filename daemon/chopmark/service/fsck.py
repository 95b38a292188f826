"""Checking every ledger of a gateway from the bytes on its disk (`chopmark fsck`).

What must have signed a peer's log is what the configuration says. Our own keys are those for which
the ledger was made: the HSM is not asked, and the daemon compares them when it starts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chopmark.core.errors import ForbiddenError, InternalError, MissingError
from chopmark.core.keys import VerifierKey
from chopmark.ledger.audit_check import check_audit
from chopmark.ledger.fsck import Finding, check_store
from chopmark.ledger.store import read_keys
from chopmark.service.config_model import Config
from chopmark.service.places import index_path, log_path, replica_path

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One ledger to check: whose log, its files, and the keys that must have signed it.

    `keys` is None for our own: those for which the ledger was made. `pruned` gets the runs of
    entries [start, end) of a replica whose bodies were taken out by rule, which is no damage.
    """

    member: str
    path: Path
    index: Path
    keys: tuple[VerifierKey, VerifierKey] | None = None
    pruned: list[tuple[int, int]] = field(default_factory=list)

    def run(self, progress: Progress | None = None) -> list[Finding]:
        """Check it; `progress` is told (entries checked, entries in all)."""
        try:
            log_key, cosigner_key = self.keys or read_keys(self.path)
        except InternalError as error:  # so damaged that it does not say whose it is
            return [Finding("unreadable", error.message)]
        pruned = self.pruned if self.keys else None  # our own log is never pruned
        found = check_store(self.path, self.index, log_key, cosigner_key, progress, pruned)
        return found if self.keys else found + check_audit(self.path).findings


def plan_checks(config: Config, member: str | None = None) -> list[Check]:
    """The checks to run: of the log of one member, or of every ledger that is there.

    Raises:
        MissingError: `no-ledger` if our own ledger or that of the member is not there;
            `no-such-member`.
        ForbiddenError: `ledger-forbidden`.
    """
    state, own = config.gateway.state, config.gateway.id
    checks = {own: Check(own, log_path(state), index_path(state, own))}
    for peer in config.peers:
        path, keys = replica_path(state, peer.id), (peer.log_key, peer.cosigner_key)
        checks[peer.id] = Check(peer.id, path, index_path(state, peer.id), keys)
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
