"""Whether somebody listens at a unix socket."""

from pathlib import Path


def is_listening(path: Path) -> bool:
    """As the kernel says, unasked (`__SO_ACCEPTCON`): a file is there before it can be called."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return any(row[3] == "00010000" and row[-1] == str(path) for row in rows)
