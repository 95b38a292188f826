"""The disk: a table of partitions and what is in them, put into one file at their places."""

import shutil
from pathlib import Path
from typing import Final

from imagebuild.description import FOLDER, Layout, Profile
from imagebuild.slot import make_fat
from imagebuild.tools import named_uuid, run, say

_ESP: Final = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_DATA: Final = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
GRUB_MODULES: Final = (
    *("part_gpt", "fat", "normal", "linux", "loadenv", "test", "regexp", "echo", "sleep", "reboot"),
    *("configfile", "minicmd", "boot", "true"),
)
# `source` and `set` are in `normal` and the kernel of GRUB.
FACTORY: Final = {"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}
_START: Final = 1
"""MiB before the first partition, and after the last."""


def partitions(layout: Layout) -> list[tuple[str, int, str]]:
    """Name, MiB and type of each partition, in their order on the disk."""
    return [
        ("esp", layout.esp, _ESP),
        ("boot-a", layout.boot, _DATA),
        ("boot-b", layout.boot, _DATA),
        ("system-a", layout.system, _DATA),
        ("system-b", layout.system, _DATA),
        ("data", layout.data, _DATA),
    ]


def make_esp(layout: Layout, profile: Profile, output: Path) -> None:
    """The ESP: GRUB, its configuration, and which slot is due."""
    work = output.parent / "esp"
    shutil.rmtree(work, ignore_errors=True)
    loader = work / profile.boot.file
    loader.parent.mkdir(parents=True)
    (work / "grub").mkdir()
    shutil.copy(FOLDER / "boot/grub.cfg", work / "grub/grub.cfg")
    words = ("-O", profile.boot.target, "-p", "/grub", "-o", loader)
    run("grub-mkimage", *words, *GRUB_MODULES)
    environment = work / "grub/grubenv"
    run("grub-editenv", environment, "create")
    run("grub-editenv", environment, "set", *(f"{key}={value}" for key, value in FACTORY.items()))
    make_fat(output, layout.esp, "esp", work)


def make_data(layout: Layout, output: Path) -> None:
    """The data partition, with nothing in it."""
    output.unlink(missing_ok=True)
    words = (
        "-q",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-i",
        "16384",
        "-L",
        "data",
        "-U",
        named_uuid("data"),
        "-m",
        "2",
    )
    journal = ("-J", "size=32", "-E", f"hash_seed={named_uuid('hash')},lazy_itable_init=0")
    run("mke2fs", *words, *journal, output, f"{layout.data}M")


def make_disk(layout: Layout, contents: dict[str, Path], output: Path) -> None:
    """One file for all: partitions that `contents` does not name stay empty."""
    say("the disk")
    output.unlink(missing_ok=True)
    parts = partitions(layout)
    total = 2 * _START + sum(size for _, size, _ in parts)
    with output.open("wb") as file:
        file.truncate(total << 20)
    lines = ["label: gpt", f"label-id: {named_uuid('disk')}", f"first-lba: {_START * 2048}"]
    start = _START
    for name, size, kind in parts:
        place = f"start={start * 2048}, size={size * 2048}"
        lines.append(f'{place}, type={kind}, uuid={named_uuid(name)}, name="{name}"')
        start += size
    run("sfdisk", "--quiet", output, input="\n".join(lines) + "\n")
    start = _START
    for name, size, _ in parts:
        if name in contents:
            place = ("bs=1M", f"seek={start}", "conv=notrunc,sparse", "status=none")
            run("dd", f"if={contents[name]}", f"of={output}", *place)
        start += size
