"""The root file system of a slot: Debian's packages, the chopmark package, the files in `root/`."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imagebuild.accounts import check_accounts
from imagebuild.description import FOLDER, Description, Profile
from imagebuild.hsm import install_hsm, units_of
from imagebuild.release import PUBLIC
from imagebuild.tools import remove_tree, run, say, set_times

FILES: Final = FOLDER / "root"
_PROGRAMS: Final = (
    "data-up",
    "data-key",
    "stage",
    "make-token",
    "firewall",
    "update",
    "slot-watch",
    "grub-editenv",
)
_GONE: Final = (
    *("boot", "initrd.img", "initrd.img.old", "vmlinuz", "vmlinuz.old"),
    *("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/cache/ldconfig", "var/log"),
    *("var/lib/dbus/machine-id", "var/lib/systemd/random-seed"),
    *("etc/machine-id", "etc/resolv.conf", "etc/.pwd.lock", "etc/apt/apt.conf.d/99mmdebstrap"),
    *("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/ssl/private"),
)
"""What differs from build to build, or belongs to one machine."""


@dataclass(frozen=True)
class Parts:
    """What a root is made of: Debian's packages, ours, and the folder of the release keys."""

    base: Path
    package: Path
    keys: Path


def make_root(parts: Parts, description: Description, profile: Profile, root: Path) -> None:
    """Put it together in the folder `root`, which is made anew."""
    remove_tree(root)
    root.mkdir(parents=True, mode=0o755)
    say("the root file system")
    run("tar", "-C", root, "--numeric-owner", "-xf", parts.base)
    with _programs_of(root):
        for package in (parts.package, *_packages_of_makers(profile)):
            _install(root, package)
        _copy_files(root, profile)
        install_hsm(root, profile)
        for name, place in PUBLIC.items():
            _copy_one(parts.keys / name, root / place, {})
        _set_units(root, description, profile)
        _compile(root)
    check_accounts(root, description.accounts)
    _finish(root)
    set_times(root)


def kernel_of(base: Path, folder: Path) -> tuple[Path, str]:
    """The kernel out of the base, and its version."""
    names = run("tar", "-tf", base, "--wildcards", "./boot/vmlinuz-*").split()
    run("tar", "-C", folder, "-xf", base, names[-1])
    return folder / names[-1], names[-1].rpartition("vmlinuz-")[2]


def versions_of(root: Path) -> list[str]:
    """`name=version` of each package."""
    form = "${Package}=${Version}\\n"
    return sorted(run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", form).split())


@contextmanager
def _programs_of(root: Path) -> Iterator[None]:
    """What scripts of packages need in a chroot; no service starts there."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    run("mount", "--bind", "/dev", root / "dev")
    run("mount", "-t", "proc", "proc", root / "proc")
    try:
        yield
    finally:
        run("umount", root / "proc")
        run("umount", root / "dev")
        policy.unlink()


def _packages_of_makers(profile: Profile) -> list[Path]:
    return [] if profile.hsm is None else [FOLDER / "profiles" / one for one in profile.hsm.debs]


def _install(root: Path, package: Path) -> None:
    shutil.copy(package, root / "package.deb")
    run("chroot", root, "dpkg", "--install", "--force-confnew", "/package.deb")
    (root / "package.deb").unlink()


def _copy_files(root: Path, profile: Profile) -> None:
    said = {
        "@WATCHDOG@": str(profile.hardware.watchdog_seconds),
        "@PROFILE@": profile.name,
        "@PORT@": next(iter(profile.consoles.technician), "chopmark-console"),
    }
    for path in sorted(FILES.rglob("*")):
        target = root / path.relative_to(FILES)
        if path.is_dir():
            target.mkdir(mode=0o755, exist_ok=True)
        else:
            _copy_one(path, target, said)
    _copy_one(FOLDER.parent / "softhsm/provision.py", root / "usr/lib/chopmark/provision.py", {})
    conf = (FOLDER.parent / "softhsm/softhsm2.conf").read_text()
    (root / "usr/lib/chopmark/softhsm2.conf").write_text(conf)
    broker = FOLDER / "mosquitto/chopmark.conf"
    strict = {"tls_version tlsv1.2": "tls_version tlsv1.3"}
    _copy_one(broker, root / "etc/mosquitto/conf.d/chopmark.conf", strict)
    for path in sorted((FOLDER / "mosquitto").glob("chopmark-mosquitto-crl.*")):
        _copy_one(path, root / "usr/lib/systemd/system" / path.name, {})
    (root / "etc/chopmark-image").write_text(f"profile={profile.name}\n")
    for folder in (
        "data",
        "esp",
        "etc/mosquitto/chopmark",
        "etc/systemd/network",
        "etc/chopmark",
        "boot",
    ):
        (root / folder).mkdir(exist_ok=True)


def _copy_one(path: Path, target: Path, said: Mapping[str, str]) -> None:
    text = path.read_text()
    for mark, value in said.items():
        text = text.replace(mark, value)
    target.unlink(missing_ok=True)
    target.write_text(text)
    program = path.parent.name in ("chopmark", "bin") and path.name in _PROGRAMS
    target.chmod(0o755 if program else 0o644)


def _set_units(root: Path, description: Description, profile: Profile) -> None:
    system = root / "etc/systemd/system"
    run("systemctl", f"--root={root}", "preset-all")
    units = [*description.units.enable, *units_of(profile)]
    consoles = [f"chopmark-console@{port}.service" for port in profile.consoles.technician]
    run("systemctl", f"--root={root}", "enable", *units, *consoles)
    for unit in description.units.mask:
        link = system / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    generators = root / "etc/systemd/system-generators"
    generators.mkdir(exist_ok=True)
    _remove(generators / "systemd-getty-generator")
    (generators / "systemd-getty-generator").symlink_to("/dev/null")


def _compile(root: Path) -> None:
    """Byte code, checked against nothing since no file can change; the journal's catalogue."""
    places = ["/opt/chopmark/lib", "/usr/lib/python3.11", "/usr/lib/python3/dist-packages"]
    there = [place for place in places if (root / place[1:]).is_dir()]
    options = ("-q", "-f", "-j1", "--invalidation-mode", "unchecked-hash")
    run("chroot", root, "/usr/bin/python3", "-m", "compileall", *options, *there)
    run("chroot", root, "journalctl", "--update-catalog")


def _finish(root: Path) -> None:
    for name in _GONE:
        _remove(root / name)
    for folder in ("run", "tmp", "var/tmp"):
        for path in (root / folder).iterdir():
            _remove(path)
    for folder in ("boot", "var/log", "var/cache/apt", "var/log/journal"):
        (root / folder).mkdir(mode=0o755, exist_ok=True)
    (root / "etc/machine-id").touch(mode=0o444)
    # Nothing is to be brought up to date at the first start (systemd-update-done.service).
    for name in ("etc/.updated", "var/.updated"):
        (root / name).touch()
    _remove(root / "etc/resolv.conf")
    (root / "etc/resolv.conf").symlink_to("/run/systemd/resolve/resolv.conf")
    shadow = root / "etc/shadow"
    locked = [
        ":".join([line.split(":")[0], "!*", "20000", *line.split(":")[3:]])
        for line in shadow.read_text().splitlines()
    ]
    shadow.write_text("\n".join(locked) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
