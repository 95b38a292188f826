"""What all steps share: running programs, times that do not depend on the day, digests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NoReturn
from uuid import UUID, uuid5

_SPACE: Final = UUID("5bd1a3f6-5f0c-4b0a-9d0e-6d6f706d6172")
_ALONE: Final = "IMAGEBUILD_ALONE"
NEEDS: Final = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "veritysetup": "cryptsetup-bin",
    "mformat": "mtools",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "grub-mkimage": "grub-common",
    "cpio": "cpio",
    "zstd": "zstd",
}


def die(message: str, hint: str = "") -> NoReturn:
    """End with a message for a person."""
    sys.stderr.write(f"image: {message}\n" + (f"hint: {hint}\n" if hint else ""))
    raise SystemExit(1)


def say(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"image: {text}\n")


def run(*words: str | Path, **given: Any) -> str:
    """Run a program to its end; what it says is shown only if it fails."""
    command = [str(word) for word in words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(), **given
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-3000:])
        die(f"{command[0]} failed with {done.returncode}", " ".join(command)[:500])
    return done.stdout


def stay_alone() -> None:
    """Go on in mounts of our own: however we end, nothing that we mount stays behind."""
    if os.environ.get(_ALONE):
        return
    command = ("unshare", "--mount", "--propagation", "private", *sys.orig_argv)
    os.execvpe(command[0], command, os.environ | {_ALONE: "1"})  # noqa: S606 - ourselves again


def remove_tree(folder: Path) -> None:
    """Remove a folder; never through something that is mounted in it, such as our own /dev."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    if mounted := [one for one in places if Path(one).is_relative_to(folder.absolute())]:
        die(f"mounted in {folder}: {' '.join(mounted)}", f"umount {' '.join(reversed(mounted))}")
    if folder.exists():
        shutil.rmtree(folder)


def environment() -> dict[str, str]:
    """For programs: a path with sbin, English, UTC, and no memory of who runs it."""
    kept = {key: os.environ[key] for key in ("HOME", "TMPDIR") if key in os.environ}
    kept |= {key: value for key, value in os.environ.items() if key.endswith("_proxy")}
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    epoch = os.environ["SOURCE_DATE_EPOCH"]
    fixed = {"PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": epoch}
    return kept | fixed | {"E2FSPROGS_FAKE_TIME": epoch, "MTOOLS_SKIP_CHECK": "1", "INITRD": "No"}


def require_tools(needs: dict[str, str]) -> None:
    """End with the packages to install where programs are missing."""
    path = environment()["PATH"]
    missing = sorted({pack for tool, pack in needs.items() if not shutil.which(tool, path=path)})
    if missing:
        die(f"not installed: {' '.join(missing)}", "./setup.sh image")


def named_uuid(name: str) -> str:
    """A UUID that is the same in each build."""
    return str(uuid5(_SPACE, name))


def digest_of(parts: Iterable[str | bytes]) -> str:
    """SHA-256 over parts, in hexadecimal."""
    whole = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file."""
    whole = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            whole.update(chunk)
    return whole.hexdigest()


def set_times(root: Path) -> None:
    """No file is younger than the source."""
    epoch = environment()["SOURCE_DATE_EPOCH"]
    run(
        "find",
        root,
        "-xdev",
        "-newermt",
        f"@{epoch}",
        "-exec",
        "touch",
        "-hd",
        f"@{epoch}",
        "{}",
        "+",
    )


def source_date(folder: Path) -> str:
    """Seconds of the last commit, or what SOURCE_DATE_EPOCH says."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    command: Sequence[str] = ("git", "-C", str(folder), "log", "-1", "--format=%ct")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "1767225600"
