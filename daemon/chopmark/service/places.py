"""Where a gateway keeps what: the files below its state folder."""

from pathlib import Path


def log_path(state: Path) -> Path:
    """Database of our own log."""
    return state / "log.db"


def replica_path(state: Path, member: str) -> Path:
    """Database of a replica."""
    return state / "replica" / f"{member}.db"


def index_path(state: Path, member: str) -> Path:
    """Folder of the digest index of a log."""
    return state / "index" / member


def old_index_files(state: Path, member: str) -> list[Path]:
    """Where it was kept in SQLite at first: derived data, of no use any more."""
    folder = state / "index"
    return [folder / f"{member}.db{suffix}" for suffix in ("", "-wal", "-shm")]


def recovery_path(state: Path) -> Path:
    """Database of our own log while it is taken back from the peers."""
    return state / "recovery" / "log.db"


def pending_path(state: Path) -> Path:
    """Note of an `init` that is not finished."""
    return state / "init.pending"


def accounts_path(state: Path) -> Path:
    """Who signs in at the page with a password."""
    return state / "accounts.json"


def scheduled_path(state: Path, name: str) -> Path:
    """How work that a timer starts has ended last: `backup`, `fsck`, `health`."""
    return state / "scheduled" / f"{name}.json"


def token_folder(state: Path) -> Path:
    """What is kept about the token, beside it: see `token_book`."""
    return state / "hsm"
