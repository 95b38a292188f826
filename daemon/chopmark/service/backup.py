"""`chopmark backup`: what no other gateway could give back, as one file.

That is `log.db`: our own log, what we have cosigned, epochs, members and evidence. Replicas and
indices fill themselves again. A backup is put back by `chopmark recover` and by nothing else: a
ledger of yesterday, just copied back, would sign other entries where today's stand with the peers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from chopmark.client.files import making_new
from chopmark.core.errors import ChopmarkError, InternalError, MissingError
from chopmark.core.wording import format_time
from chopmark.ledger.backup import Copied, copy_store
from chopmark.ledger.cosigned_check import check_cosigned
from chopmark.ledger.fsck import Finding, check_store
from chopmark.ledger.store import read_keys
from chopmark.service.audit_local import noting
from chopmark.service.config_model import Config
from chopmark.service.fsck import read_listed
from chopmark.service.places import log_path
from chopmark.service.scheduled import note_ended

MODE: Final = 0o600
"""No key is in it, but all that this institution has ever attested."""
_PREFIX: Final = "chopmark-"
_SUFFIX: Final = ".log.db"
Progress = Callable[[int, int], None]


def back_up(config: Config, target: Path, progress: Progress | None = None) -> Copied:
    """Copy the ledger into a new file, durable once this returns; the gateway may be running.

    Raises:
        ExistsError: `file-exists`; nothing is ever overwritten.
        MissingError: `no-ledger`, `no-such-folder`.
        ForbiddenError: `folder-forbidden`.
        InternalError: `not-copied`, `damaged-ledger`, `write-failed`.
    """
    path = log_path(config.gateway.state)
    if not path.exists():
        raise MissingError("no-ledger", f"there is no ledger at {path}")
    with noting(path, "ledger.copied", file=str(target)) as about:
        with making_new(target, MODE) as unfinished:
            made = copy_store(path, unfinished, progress)
        about["entries"] = made.state.size
    return made


def check_backup(path: Path, progress: Progress | None = None) -> tuple[str, list[Finding]]:
    """Check a backup by itself, under the keys that it names; gives the log's origin as well.

    Of what our cosigners' rows say of others' logs, it tells whether it is what was signed.

    Raises:
        MissingError: `no-such-file`.
    """
    if not path.is_file():
        raise MissingError("no-such-file", f"no such file: {path}")
    try:
        keys = read_keys(path)
    except InternalError as error:  # so damaged that it does not say whose it is
        return "unknown", [Finding("unreadable", error.message)]
    found = check_store(path, None, *keys, progress)
    return keys[0].name, found + check_cosigned(path, read_listed(path))


def back_up_scheduled(config: Config, now_ms: int) -> Path | None:
    """Make the copy of the day where the configuration says, and remove those that are too many.

    A copy that is too old goes only after the new one is durable. Nothing else in the folder is
    touched.

    Returns:
        The new copy; None if the configuration has no [backup].

    Raises:
        ChopmarkError: as `back_up`; it is noted for the daemon.
    """
    wanted = config.backup
    if wanted is None:
        return None
    state, day = config.gateway.state, format_time(now_ms).replace(":", "").replace(".", "")
    target = wanted.folder / f"{_PREFIX}{config.gateway.id}-{day}{_SUFFIX}"
    try:
        made = back_up(config, target)
        copies = sorted(wanted.folder.glob(f"{_PREFIX}{config.gateway.id}-*{_SUFFIX}"))
        for old in copies[: -wanted.keep]:
            old.unlink(missing_ok=True)
    except (ChopmarkError, OSError) as error:
        note_ended(state, "backup", now_ms, str(error), good=False)
        raise
    note_ended(state, "backup", now_ms, f"{made.state.size} entries in {target}", good=True)
    return target
