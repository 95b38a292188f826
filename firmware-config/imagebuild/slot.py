"""What an update replaces, and GRUB chooses between: `system` and `boot`.

`system` is a squashfs with its hash tree, `boot` has kernel, initial root and command line. The
root hash lies in the initial root, so that a kernel starts its own root file system or none.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imagebuild.description import FOLDER, Description, Profile
from imagebuild.tools import die, digest_of, named_uuid, run, say, set_times

BLOCK: Final = 4096
_LIBRARIES: Final = "lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Tree:
    """The hash tree: blocks of data before it, its root and salt."""

    blocks: int
    root: str
    salt: str


def make_system(root: Path, output: Path, size: int, level: int) -> Tree:
    """The squashfs of a root with its hash tree behind; at most `size` MiB."""
    output.unlink(missing_ok=True)
    say("squashfs and hash tree")
    options = (
        "-comp",
        "zstd",
        "-Xcompression-level",
        str(level),
        "-b",
        "256K",
        "-no-progress",
        "-noappend",
    )
    run("mksquashfs", root, output, *options, "-no-exports", "-xattrs", "-quiet")
    length = -(-output.stat().st_size // BLOCK) * BLOCK
    with output.open("r+b") as file:
        file.truncate(length)
    salt = digest_of(["salt", output.name])
    said = run(
        *("veritysetup", "format", output, output, f"--hash-offset={length}"),
        *(
            f"--data-block-size={BLOCK}",
            f"--hash-block-size={BLOCK}",
            f"--data-blocks={length // BLOCK}",
        ),
        *(f"--salt={salt}", f"--uuid={named_uuid('verity')}"),
    )
    if output.stat().st_size > size << 20:
        die(f"a root file system of {output.stat().st_size >> 20} MiB; {size} are in [layout]")
    found = next(line.split()[-1] for line in said.splitlines() if line.startswith("Root hash"))
    return Tree(length // BLOCK, found, salt)


def make_boot(
    root: Path,
    kernel: tuple[Path, str],
    tree: Tree,
    output: Path,
    parts: tuple[Description, Profile],
) -> None:
    """The boot partition: FAT, which GRUB reads, and RAUC writes as it is."""
    description, profile = parts
    work = output.parent / "work/boot-files"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(kernel[0], work / "vmlinuz")
    make_initrd(root, kernel[1], tree, profile.initrd.modules, work / "initrd")
    consoles = [f"console={name}" for name in profile.consoles.kernel]
    line = " ".join([*description.kernel.arguments, *consoles])
    slot = f"linux /vmlinuz rauc.slot=$slot {line}\ninitrd /initrd\n"
    (work / "slot.cfg").write_text(slot)
    make_fat(output, description.layout.boot, "boot", work)


def make_fat(output: Path, size: int, name: str, folder: Path) -> None:
    """A FAT file system of so many MiB with all that is in a folder."""
    output.unlink(missing_ok=True)
    with output.open("wb") as file:
        file.truncate(size << 20)
    set_times(folder)
    serial = digest_of([name])[:8]
    run("mformat", "-i", output, "-N", serial, "-h", "64", "-s", "32", "-T", str(size * 2048), "::")
    for path in sorted(folder.iterdir()):
        run("mcopy", "-i", output, "-s", "-m", path, "::/")


def make_initrd(root: Path, version: str, tree: Tree, modules: list[str], output: Path) -> None:
    """The initial root: busybox, dmsetup, the modules in the order of their dependencies."""
    folder = output.parent.parent / "initrd-files"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "run", "root", "modules", _LIBRARIES, "lib64"):
        (folder / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", folder / "bin/busybox")
    _copy_program(root, "sbin/dmsetup", folder)
    order = []
    for path in _ordered(root, version, modules):
        shutil.copy(root / f"lib/modules/{version}" / path, folder / "modules" / Path(path).name)
        order.append(Path(path).name)
    (folder / "modules/order").write_text("".join(f"{name}\n" for name in order))
    values = {
        "SECTORS": tree.blocks * BLOCK // 512,
        "BLOCKS": tree.blocks,
        "HASH_START": tree.blocks + 1,  # its superblock is one
        "ROOT_HASH": tree.root,
        "SALT": tree.salt,
    }
    (folder / "verity").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    shutil.copy(FOLDER / "boot/init", folder / "init")
    (folder / "init").chmod(0o755)
    set_times(folder)
    cpio = "cpio -0 -o -H newc --quiet --reproducible -R 0:0"
    pack = f"find . -print0 | LC_ALL=C sort -z | {cpio} | zstd -q -12 -T1"
    run("sh", "-c", f"cd {folder} && {{ {pack}; }} >{output}")


def _copy_program(root: Path, name: str, folder: Path) -> None:
    """A program with the libraries that it is linked with."""
    shutil.copy(root / name, folder / "bin")
    said = run("chroot", root, "ldd", f"/{name}")
    for word in said.split():
        if word.startswith("/"):
            found = (root / word[1:]).resolve()
            target = (
                folder / ("lib64" if word.startswith("/lib64") else _LIBRARIES) / Path(word).name
            )
            shutil.copy(found, target)


def _ordered(root: Path, version: str, modules: list[str]) -> list[str]:
    """Paths of the modules, each after what it needs; one that is built in needs nothing."""
    folder = root / f"lib/modules/{version}"
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    names = {_name(path): path for path in needs}
    inside = {_name(path) for path in (folder / "modules.builtin").read_text().split()}
    order: list[str] = []
    for module in modules:
        if module in inside:
            continue
        if module not in names:
            die(f"the kernel {version} has no module {module}", "mend [initrd] of the profile")
        for path in (*reversed(needs[names[module]]), names[module]):
            if path not in order:
                order.append(path)
    return order


def _name(path: str) -> str:
    return Path(path).name.partition(".ko")[0].replace("-", "_")
