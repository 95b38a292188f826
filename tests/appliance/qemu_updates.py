"""Updates for a box, on a stick: good ones, ones that do not work, ones that must be refused."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from qemu_lab import find

from chopmark.ledger.schema import VERSION as LEDGER
from imagebuild.description import FOLDER, load_description, load_profile
from imagebuild.release import ensure_keys, make_bundle, make_note
from imagebuild.slot import make_boot, make_system
from imagebuild.tools import run

ABOUT = ("chopmark-x86-64", "0.1.0+next")
NEWER = "0.1.1"
"""Of a release that comes by network or line, which bring only what is newer than what runs."""
_UNITS = "etc/systemd/system"
_UNWELL = {
    f"{_UNITS}/chopmark.service.d/unwell.conf": "[Service]\nExecStart=\nExecStart=/bin/false\n",
    # Its gate waits for less than five minutes, which would be asked of it three times.
    f"{_UNITS}/chopmark-health.service.d/soon.conf": (
        "[Service]\nExecStart=\nExecStart=/opt/chopmark/bin/chopmark health --wait 20\n"
    ),
}
"""A release that starts, and whose gateway does not."""


@dataclass(frozen=True)
class Stick:
    """Where updates are put together, and become the file system of a stick."""

    folder: Path
    image: Path
    keys: Path

    def make(self) -> Path:
        """All updates of the tests, as an ext4 image."""
        # As of the image itself: a bundle's bytes hang on it.
        os.environ.setdefault("SOURCE_DATE_EPOCH", str(int(self.image.stat().st_mtime)))
        root = self.folder / "stick"
        root.mkdir(parents=True)
        slot = {name: self.image.with_suffix(f".{name}") for name in ("system", "boot")}
        self._put(root, "good", slot, self.keys)
        strange = self.folder / "strange-keys"
        ensure_keys(strange)
        # Signed by strangers: the bundle, or the note alone.
        self._put(root, "foreign", {**slot, "system": self._small()}, strange)
        shutil.copy(root / "foreign.raucb", root / "half.raucb")
        note = make_note(root / "half.raucb", ABOUT, LEDGER, self.keys)
        (root / "half.note").write_bytes(note)
        shutil.copy(root / "good.note", root / "other.note")
        old = make_note(root / "good.raucb", ABOUT, 1, self.keys)
        (root / "old.note").write_bytes(old)
        # Its kernel and its root do not belong together: it cannot start.
        self._put(root, "bad", {**slot, "system": self._small()}, self.keys)
        alone = self.folder / "alone"
        alone.mkdir()
        for end in ("raucb", "note"):
            (alone / f"good.{end}").hardlink_to(root / f"good.{end}")
        self._write(alone, self.folder / "good.img")
        served = self.folder / "newer/chopmark"
        served.mkdir(parents=True)
        self._put(served, ABOUT[0], slot, self.keys, NEWER)
        self._make_line(strange)
        self._make_unwell()
        return self._write(root, self.folder / "stick.img")

    def _make_line(self, strange: Path) -> None:
        """Short enough for a serial line: its note is right, and its bundle is a stranger's."""
        sent = self.folder / "line"
        sent.mkdir()
        name = f"chopmark-{NEWER}-x86-64"
        self._put(sent, name, dict.fromkeys(("system", "boot"), self._small()), strange, NEWER)
        bundle = sent / f"{name}.raucb"
        note = make_note(bundle, (ABOUT[0], NEWER), LEDGER, self.keys)
        bundle.with_suffix(".note").write_bytes(note)

    def _make_unwell(self) -> None:
        work = self.folder / "unwell/work"
        work.mkdir(parents=True)
        root, kernel, slot = work / "root", work / "vmlinuz", work.parent
        given = self.image.with_suffix(".system")
        run("unsquashfs", "-quiet", "-no-progress", "-d", root, given)
        run("mcopy", "-n", "-i", self.image.with_suffix(".boot"), "::/vmlinuz", kernel)
        for name, text in _UNWELL.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        parts = load_description(), load_profile(FOLDER / "profiles/x86-64.toml")
        tree = make_system(root, slot / "system", parts[0].layout.system, 1)
        [version] = (root / "lib/modules").iterdir()
        make_boot(root, (kernel, version.name), tree, slot / "boot", parts)
        sent = self.folder / "unwell/stick"
        sent.mkdir()
        self._put(sent, "unwell", {name: slot / name for name in ("system", "boot")}, self.keys)
        self._write(sent, self.folder / "unwell.img")
        shutil.rmtree(work)

    def _write(self, root: Path, target: Path) -> Path:
        program = find("mke2fs") or "mke2fs"
        size = f"{sum(path.stat().st_size for path in root.iterdir()) // 10**6 * 12 // 10 + 64}M"
        command = [program, "-q", "-t", "ext4", "-d", root, target, size]
        subprocess.run(command, check=True, capture_output=True)
        return target

    def _put(
        self, root: Path, name: str, slot: dict[str, Path], keys: Path, version: str = ABOUT[1]
    ) -> None:
        bundle = root / f"{name}.raucb"
        work = self.folder / "making" / name
        work.mkdir(parents=True)
        made = work / bundle.name
        about = (ABOUT[0], version)
        make_bundle(slot, about, keys, made)
        made.rename(bundle)
        shutil.rmtree(work)
        bundle.with_suffix(".note").write_bytes(make_note(bundle, about, LEDGER, keys))

    def _small(self) -> Path:
        path = self.folder / "small.img"
        path.write_bytes(bytes(range(256)) * 4096)
        return path
