"""Root file systems of boxes: Debian by mmdebstrap, and over it the package that `make deb` builds.

Both are kept under build/appliance by what they are made of. What no longer counts is removed.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from boxneeds import PATH

REPOSITORY = Path(__file__).parents[2]
KEPT = REPOSITORY / "build" / "appliance"
SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "login", "iproute2", "procps"),
    *("python3.11", "libsystemd0", "zlib1g", "libstdc++6"),
    *("softhsm2", "mosquitto", "p11-kit", "p11-kit-modules", "lrzsz"),
)
SOURCES = ("daemon", "systemd", "locks", "firmware-config/deb", "softhsm", "pyproject.toml")
"""What the package is made of, but for its documents."""
NEXT = "+next"
"""Behind the version of the package that upgrades to."""


def layers() -> tuple[Path, Path]:
    """Debian, and what the package puts over it: two layers of an overlay."""
    with _alone():
        base = _base()
        return base, _installed(base, package())


def package() -> Path:
    """The package of this checkout, built if it was not; its next version lies beside it."""
    folder = KEPT / f"deb-{_digest(_sources())}"
    if not (folder / "next.deb").exists():
        _forget("deb-*")
        folder.mkdir(parents=True)
        # Pressed little: it is unpacked at once.
        build = (str(REPOSITORY / "firmware-config/deb/build.sh"), "+test")
        _run(*build, LEVEL="1")
        built = next((REPOSITORY / "build").glob("chopmark_*+test_*.deb"))
        built.rename(folder / "chopmark.deb")
        _raise_version(folder)
    return folder / "chopmark.deb"


def _raise_version(folder: Path) -> None:
    """The same package under the next version."""
    tree = folder / "tree"
    _run("dpkg-deb", "-R", str(folder / "chopmark.deb"), str(tree))
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("+test\n", f"+test{NEXT}\n"))
    made = folder / "next.part"
    _run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "-b", str(tree), str(made))
    shutil.rmtree(tree)
    made.rename(folder / "next.deb")


def _base() -> Path:
    made = KEPT / f"base-{_digest([SUITE.encode(), *(one.encode() for one in PACKAGES)])}"
    if not made.exists():
        _forget("base-*")
        part = KEPT / "base.part"
        shutil.rmtree(part, ignore_errors=True)
        without = [f"--dpkgopt=path-exclude=/usr/share/{one}/*" for one in ("man", "doc", "locale")]
        words = ("mmdebstrap", "--quiet", "--variant=minbase", *without)
        _run(*words, f"--include={','.join(PACKAGES)}", SUITE, str(part))
        part.rename(made)
    return made


def _installed(base: Path, deb: Path) -> Path:
    made = KEPT / f"installed-{base.name[-16:]}-{deb.parent.name[-16:]}"
    if not made.exists():
        _forget("installed-*")
        part = KEPT / "installed.part"
        shutil.rmtree(part, ignore_errors=True)
        for name in ("upper", "work", "merged"):
            (part / name).mkdir(parents=True)
        options = f"lowerdir={base},upperdir={part}/upper,workdir={part}/work"
        script = 'mount -t overlay overlay -o "$1" "$2"; mount -t proc proc "$2/proc"; '
        script += 'cp "$3" "$2/tmp/chopmark.deb"; '
        script += (
            'chroot "$2" dpkg --force-unsafe-io -i /tmp/chopmark.deb; rm "$2/tmp/chopmark.deb"'
        )
        words = ("unshare", "-m", "sh", "-ec", script, "sh", options, f"{part}/merged", str(deb))
        _run(*words)
        (part / "upper").rename(made)
        shutil.rmtree(part)
    return made


def _sources() -> Iterator[bytes]:
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES)
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in sorted(filter(None, names.split(b"\0"))):
        path = REPOSITORY / os.fsdecode(name)
        if path.is_file() and path.suffix != ".md":
            yield name + b"\0" + sha256(path.read_bytes()).digest()


def _digest(parts: Sequence[bytes] | Iterator[bytes]) -> str:
    return sha256(b"\0".join(parts)).hexdigest()[:16]


def _forget(pattern: str) -> None:
    for one in KEPT.glob(pattern):
        shutil.rmtree(one)


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time makes them."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*words: str, **environment: str) -> None:
    values = os.environ | {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"} | environment
    done = subprocess.run(words, env=values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
