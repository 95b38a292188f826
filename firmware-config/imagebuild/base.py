"""Debian's packages, by mmdebstrap: a tar file that is kept, under a digest of all it came from."""

from pathlib import Path
from typing import Final

from imagebuild.accounts import essential_hook
from imagebuild.description import Description, Profile
from imagebuild.tools import die, digest_of, run, say

KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


def packages_of(description: Description, profile: Profile) -> list[str]:
    """Names of all packages that are asked for, in order."""
    groups = [*description.packages.values(), profile.packages]
    return sorted({name for group in groups for name in group})


def make_base(description: Description, profile: Profile, cache: Path, *, fresh: bool) -> Path:
    """The packages' root as a tar file."""
    path = base_path(description, profile, cache)
    if path.exists() and not fresh:
        return path
    say(f"Debian packages of {description.image.suite} (some minutes; kept in {cache})")
    cache.mkdir(parents=True, exist_ok=True)
    part, list_ = path.with_suffix(".part.tar"), path.with_suffix(".list")
    list_.write_text("\n".join(_sources(description)) + "\n")
    run("mmdebstrap", *_options(description, profile), description.image.suite, part, list_)
    part.replace(path)
    return path


def base_path(description: Description, profile: Profile, cache: Path) -> Path:
    """Where a base is kept: its name has a digest of all options and sources."""
    parts = [*_options(description, profile), *_sources(description)]
    return cache / f"base-{profile.name}-{digest_of(parts)[:16]}.tar"


def check_versions(found: list[str], lock: Path, *, pinned: bool) -> None:
    """Compare what was installed (`name=version`) with the list that is kept beside the source."""
    known = set(lock.read_text().split()) if lock.exists() else set()
    other = sorted(set(found) ^ known)
    if not other:
        return
    said = f"{len(set(found) - known)} packages are not of the versions in {lock.name}"
    if pinned:
        hint = "a mirror of that day (snapshot.debian.org) as MIRROR, or `make image RELOCK=1`"
        die(f"{said}: {' '.join(other[:20])}", hint)
    say(f"{said}; the SBOM names those that are in the image (PINNED=1 makes this an error)")


def _sources(description: Description) -> list[str]:
    image = description.image
    begin = f"deb [signed-by={KEYS}]"
    return [
        f"{begin} {image.mirror} {image.suite} main",
        f"{begin} {image.mirror} {image.suite}-updates main",
        f"{begin} {image.security} {image.suite}-security main",
    ]


def _options(description: Description, profile: Profile) -> list[str]:
    excluded = [f"--dpkgopt=path-exclude={path}" for path in description.exclude.paths]
    return [
        "--mode=root",
        "--variant=minbase",
        f"--architectures={profile.architecture}",
        '--aptopt=APT::Install-Recommends "false"',
        "--include=" + ",".join(packages_of(description, profile)),
        # Its text is among what the base is kept under: other numbers make another base.
        f"--essential-hook={essential_hook(description.accounts)}",
        *excluded,
    ]
