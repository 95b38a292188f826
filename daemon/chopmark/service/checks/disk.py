"""The disk with the ledger: room, and of a sort that keeps what it is told to.

Codes: `disk-full`, `disk-filling`, `inodes-short`, `disk-volatile`, `disk-remote`,
`disk-read-only`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.storage import measure

_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"})
_MOUNTS: Final = Path("/proc/self/mountinfo")
_FEW: Final = 1000
"""Files that a month of segments of the digest indices may need."""


def check_disk(scene: Scene) -> Iterator[Finding]:
    """Look at the file system that the state folder lies on."""
    state = scene.config.gateway.state
    try:
        space, found = measure(state), os.statvfs(state)
    except OSError as error:
        reason = f"{state} cannot be looked at: {error.strerror}"
        yield Finding.unseen(reason, "`folders` says what to do about it")
        return
    yield from _check_room(scene, space.part)
    if found.f_files and found.f_favail < _FEW:
        finding = f"only {found.f_favail} more files can be made on the disk of {state}"
        yield Finding("inodes-short", finding, "remove small files that nobody needs")
    if found.f_flag & os.ST_RDONLY:
        finding = f"the disk of {state} is mounted read-only"
        yield Finding("disk-read-only", finding, "`dmesg` says why; a bad disk must be replaced")
    yield from _check_sort(state, find_sort(state))


def _check_room(scene: Scene, part: float) -> Iterator[Finding]:
    storage, state = scene.config.storage, scene.config.gateway.state
    used = f"the disk of {state} is {part:.0%} full"
    stop, alarm = (f"[storage] {key} is {getattr(storage, key):.0%}" for key in ("stop", "alarm"))
    if part >= storage.stop:
        remedy = "make room, or move the ledger to a larger disk: nothing is issued until then"
        yield Finding("disk-full", f"{used}, and {stop}", remedy)
    elif part >= storage.alarm:
        remedy = f"make room; at {storage.stop:.0%} nothing more is issued"
        yield Finding("disk-filling", f"{used}, and {alarm}", remedy, "warning")


def _check_sort(state: Path, sort: str) -> Iterator[Finding]:
    if sort in _VOLATILE:
        finding = f"{state} lies in memory ({sort}): a restart of the machine loses the ledger"
        yield Finding("disk-volatile", finding, "move it to a disk", "warning")
    if sort in _REMOTE:
        finding = f"{state} lies on another machine ({sort}): what is synced there may be lost"
        yield Finding("disk-remote", finding, "move it to a disk of this machine")


def find_sort(path: Path) -> str:
    """The type of the file system with this path, such as `ext4`; empty if it is not known."""
    try:
        device = path.stat().st_dev
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        fields = line.split()
        if len(fields) > 2 and fields[2] == wanted and "-" in fields:
            return fields[fields.index("-") + 1]
    return ""
