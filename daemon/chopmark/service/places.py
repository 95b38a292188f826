"""Where a gateway keeps what: the files below its state folder."""

from pathlib import Path


def log_path(state: Path) -> Path:
    """Database of our own log."""
    return state / "log.db"


def replica_path(state: Path, member: str) -> Path:
    """Database of a replica."""
    return state / "replica" / f"{member}.db"


def index_path(state: Path, member: str) -> Path:
    """Digest index of a log."""
    return state / "index" / f"{member}.db"


def pending_path(state: Path) -> Path:
    """Note of an `init` that is not finished."""
    return state / "init.pending"
