"""`make image`: builds `build/image/chopmark-VERSION-PROFILE.img.zst` and what goes with it.

| file | what |
| --- | --- |
| `….img.zst` | the disk, to be written to a box's |
| `….system`, `….boot` | what a slot holds: an update is made of them |
| `….cdx.json` | SBOM (CycloneDX) |
| `….raucb`, `….note` | with `--bundle`: the update that gives a box this slot |
| `….sha256` | of all of these, and of the disk unpacked |
"""

import argparse
import os
import tomllib
from pathlib import Path
from typing import Final

from chopmark.ledger.schema import VERSION as LEDGER
from imagebuild.base import check_versions, make_base
from imagebuild.description import FOLDER, load_description, load_profile
from imagebuild.disk import make_data, make_disk, make_esp
from imagebuild.release import ensure_keys, make_bundle, make_note
from imagebuild.root import Parts, kernel_of, make_root, versions_of
from imagebuild.sbom import make_sbom
from imagebuild.slot import make_boot, make_system
from imagebuild.tools import (
    NEEDS,
    die,
    digest_of_file,
    remove_tree,
    require_tools,
    run,
    say,
    source_date,
    stay_alone,
)

TOP: Final = FOLDER.parent
LEVEL: Final = 15
"""Of zstd, for what is given away; `--quick` is for who tries things out."""


def build(given: argparse.Namespace) -> Path:
    """All steps; gives the compressed disk."""
    description = load_description()
    profile = load_profile(FOLDER / f"profiles/{given.profile}.toml")
    if not profile.built:
        die(f"the profile {profile.name} is data only: nobody has ever built or started it")
    output, cache, parts = given.output, given.cache, (description, profile)
    version = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
    stem = f"chopmark-{version}-{profile.name}"
    output.mkdir(parents=True, exist_ok=True)
    work: Path = output / "work"
    work.mkdir(exist_ok=True)

    base = make_base(description, profile, cache, fresh=given.fresh)
    root = work / "root"
    ensure_keys(given.keys)
    make_root(Parts(base, given.package, given.keys), description, profile, root)
    _compare_versions(root, profile.name, given)
    kernel = kernel_of(base, work)
    files = {name: output / f"{stem}.{name}" for name in ("system", "boot", "cdx.json", "img")}
    tree = make_system(
        root, files["system"], description.layout.system, 1 if given.quick else LEVEL
    )
    make_boot(root, kernel, tree, files["boot"], parts)
    make_esp(description.layout, profile, work / "esp.fat")
    make_data(description.layout, work / "data.ext4")
    lock, epoch = TOP / "locks/run.txt", int(os.environ["SOURCE_DATE_EPOCH"])
    files["cdx.json"].write_text(make_sbom(root, lock, version, epoch))
    contents = {
        "esp": work / "esp.fat",
        "boot-a": files["boot"],
        "system-a": files["system"],
        "data": work / "data.ext4",
    }
    make_disk(description.layout, contents, files["img"])
    if given.bundle:
        slot = {name: files[name] for name in ("system", "boot")}
        bundle, about = output / f"{stem}.raucb", (f"chopmark-{profile.name}", version)
        make_bundle(slot, about, given.keys, bundle)
        note = make_note(bundle, about, LEDGER, given.keys)
        bundle.with_suffix(".note").write_bytes(note)
    return _pack(files, output / f"{stem}.sha256")


def build_again(given: argparse.Namespace) -> None:
    """A second build must give the same bytes, but for a bundle, whose signature is another."""
    first = given.output
    given.output = first / "again"
    build(given)
    for path in sorted((given.output).glob("*.sha256")):
        if path.read_text() != (first / path.name).read_text():
            die(f"the second build differs: compare {path} with the first", "diffoscope says where")
    remove_tree(given.output)
    say("the second build gave the same bytes")


def _compare_versions(root: Path, profile: str, given: argparse.Namespace) -> None:
    """All but our own package, whose version is the source's."""
    found = [one for one in versions_of(root) if not one.startswith("chopmark=")]
    lock = FOLDER / f"profiles/{profile}.lock"
    if given.lock:
        lock.write_text("\n".join(found) + "\n")
    check_versions(found, lock, pinned=given.pinned)


def _pack(files: dict[str, Path], sums: Path) -> Path:
    say("compressing")
    disk = files["img"]
    packed = disk.with_suffix(".img.zst")
    run("zstd", "-q", "-f", "-10", "-T2", "--no-check", disk, "-o", packed)
    all_ = [*files.values(), packed]
    sums.write_text("".join(f"{digest_of_file(one)}  {one.name}\n" for one in all_))
    say(f"{packed} ({packed.stat().st_size / 1e6:.0f} MB)")
    return packed


def main() -> None:
    """Read the command line, and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="x86-64")
    parser.add_argument("--package", type=Path, required=True, help="the chopmark .deb")
    parser.add_argument("--output", type=Path, default=TOP / "build/image")
    parser.add_argument("--cache", type=Path, default=TOP / "build/cache")
    parser.add_argument("--keys", type=Path, default=TOP / "build/keys", help="release keys")
    parser.add_argument("--bundle", action="store_true", help="make an update, too")
    parser.add_argument("--fresh", action="store_true", help="get Debian's packages anew")
    parser.add_argument("--pinned", action="store_true", help="other versions are an error")
    parser.add_argument("--lock", action="store_true", help="write the list of versions anew")
    parser.add_argument("--twice", action="store_true", help="build again, and compare")
    parser.add_argument("--quick", action="store_true", help="larger, and sooner done")
    given = parser.parse_args()
    if os.geteuid() != 0:
        die("this needs root: owners of files are set, and packages run their scripts", "sudo")
    os.environ["SOURCE_DATE_EPOCH"] = source_date(TOP)
    os.umask(0o022)
    require_tools(NEEDS | ({"rauc": "rauc"} if given.bundle else {}))
    stay_alone()
    build(given)
    if given.twice:
        build_again(given)


if __name__ == "__main__":
    main()
