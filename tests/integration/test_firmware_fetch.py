"""Releases over the network: a real HTTPS server, and what it may do to a box that asks."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256, shake_128
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chopmark.admin import downloading, fetching
from chopmark.admin.fetching import Place, fetch
from chopmark.admin.release import BUNDLE, MAX_BUNDLE, NOTE
from chopmark.console.words.numbers import number
from chopmark.core.errors import ChopmarkError
from chopmark.service.config import parse_config
from chopmark.service.storage import Space
from configs import BASE
from imagebuild.description import FOLDER
from releaseserver import SORT, ReleaseServer, Signer, proxying, serving
from rig.authority import Authority

MIB = 2**20
DATA = shake_128(b"a bundle").digest(3 * MIB)
DIGEST = sha256(DATA).hexdigest()


class Box:
    """A box without a release; `told` is what it said meanwhile."""

    def __init__(self, folder: Path, server: ReleaseServer, ca: Path) -> None:
        self.server, self.signer = server, Signer()
        self.folder, self.told = folder / "fetched", list[Any]()
        self.folder.mkdir()
        self.lines = [f'source = "{server.url}"', f'ca = "{ca}"']
        (folder / "note.vkey").write_text(self.signer.verifier.encode() + "\n")
        (folder / "system.conf").write_text(f"[system]\ncompatible={SORT}\nbootloader=grub\n")
        self.place = Place(
            self.folder, folder / "note.vkey", folder / "system.conf", running="0.1.0", pause=0
        )
        self.publish(self.signer.note(DIGEST))

    def publish(self, note: bytes, data: bytes = DATA) -> None:
        self.server.files = {f"{SORT}.note": note, f"{SORT}.raucb": data}

    @property
    def text(self) -> str:
        return "\n".join((BASE, "[firmware]", *self.lines, ""))

    def fetch(self) -> str:
        return fetch(parse_config(self.text.encode()), self.place, self.told.append).version

    def refused(self) -> ChopmarkError:
        """What it says of what it does not take; each has a number."""
        with pytest.raises(ChopmarkError) as caught:
            self.fetch()
        assert number(caught.value.code).startswith("E-19") or caught.value.code.startswith("tls-")
        return caught.value

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[tuple[Box, Authority]]:
    with serving(tmp_path) as (server, authority):
        yield Box(tmp_path, server, authority.path), authority


@pytest.fixture
def box(scene: tuple[Box, Authority]) -> Box:
    return scene[0]


def test_note_is_checked_and_then_the_bundle_fetched(box: Box) -> None:
    assert box.fetch() == "0.2.0"
    assert box.names == [NOTE, BUNDLE]
    assert (box.folder / BUNDLE).read_bytes() == DATA
    assert (box.folder / NOTE).read_bytes() == box.server.files[f"{SORT}.note"]
    assert box.server.asked == [(f"{SORT}.note", None), (f"{SORT}.raucb", None)]
    last = box.told[-1]
    assert (last["version"], last["have"], last["size"]) == ("0.2.0", len(DATA), len(DATA))
    assert last["rate"] > 0
    assert len(box.told) <= 101, "a line for each percent"


def test_release_that_is_here_is_not_fetched_again(box: Box) -> None:
    box.fetch()
    box.server.asked.clear()
    assert box.fetch() == "0.2.0"
    assert box.server.asked == [(f"{SORT}.note", None)]


def test_newer_release_takes_the_place_of_one_that_was_fetched(box: Box) -> None:
    box.fetch()
    box.publish(box.signer.note(sha256(b"next").hexdigest(), "0.3.0"), b"next")
    assert box.fetch() == "0.3.0"
    assert box.names == [NOTE, BUNDLE]
    assert (box.folder / BUNDLE).read_bytes() == b"next"


def test_connection_that_breaks_is_gone_on_with(box: Box) -> None:
    box.server.cuts = [MIB, 0, MIB]
    box.fetch()
    assert (box.folder / BUNDLE).read_bytes() == DATA
    parts = [wanted for name, wanted in box.server.asked if name.endswith("raucb")]
    assert parts == [None, f"bytes={MIB}-", f"bytes={MIB}-", f"bytes={2 * MIB}-"]


def test_source_that_is_away_for_long_leaves_the_part_for_the_next_fetch(box: Box) -> None:
    box.server.cuts = [MIB] + [0] * downloading.TRIES
    assert box.refused().code == "firmware-source-away"
    assert box.names == [f"{DIGEST}.part"]
    box.server.asked.clear()
    box.fetch()
    assert box.server.asked[-1] == (f"{SORT}.raucb", f"bytes={MIB}-")
    assert box.names == [NOTE, BUNDLE]


def test_source_without_parts_sends_all_again(box: Box) -> None:
    box.server.ranges, box.server.cuts = False, [MIB]
    box.fetch()
    assert (box.folder / BUNDLE).read_bytes() == DATA


def test_source_without_parts_that_breaks_each_time_is_given_up(box: Box) -> None:
    box.server.ranges, box.server.cuts = False, [MIB] * 100
    assert box.refused().code == "firmware-source-away"
    assert len(box.server.cuts) > 90, "no more than TRIES were made"


def test_part_that_is_whole_is_fetched_no_more(box: Box) -> None:
    (box.folder / f"{DIGEST}.part").write_bytes(DATA)
    box.fetch()
    assert box.server.asked == [(f"{SORT}.note", None)]


def test_part_that_is_too_long_begins_anew(box: Box) -> None:
    (box.folder / f"{DIGEST}.part").write_bytes(DATA + b"more")
    box.fetch()
    assert (box.folder / BUNDLE).read_bytes() == DATA


def test_part_of_another_release_goes(box: Box) -> None:
    (box.folder / f"{'0' * 64}.part").write_bytes(b"old")
    box.fetch()
    assert box.names == [NOTE, BUNDLE]


def changed(box: Box) -> bytes:
    return box.signer.note(DIGEST).replace(b"0.2.0", b"0.9.0")


def of_another_sort(box: Box) -> bytes:
    return box.signer.note(DIGEST, sort="chopmark-arm64")


def about_something_else(box: Box) -> bytes:
    return box.signer.note(DIGEST, text="chopmark/other/v1\n")


@pytest.mark.parametrize(
    "note",
    [
        lambda _: Signer().note(DIGEST),
        changed,
        of_another_sort,
        about_something_else,
        lambda _: b"no note",
        lambda _: b"",
    ],
)
def test_bundle_is_not_asked_for_where_the_note_is_not_right(box: Box, note: Any) -> None:
    box.publish(note(box))
    assert box.refused().code == "firmware-refused"
    assert box.server.asked == [(f"{SORT}.note", None)]
    assert box.names == []


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "0.1"])
def test_release_that_is_not_newer_is_refused_before_it_is_fetched(box: Box, version: str) -> None:
    if version == "0.1":
        box.place = replace(box.place, running="0.1.1")
    box.publish(box.signer.note(DIGEST, version))
    assert box.refused().code == "firmware-older"
    assert box.server.asked == [(f"{SORT}.note", None)]
    assert box.names == []


@pytest.mark.parametrize("version", ["0.1.0+next", "0.1.1", "0.10.0", "1"])
def test_release_that_is_newer_is_taken(box: Box, version: str) -> None:
    box.publish(box.signer.note(DIGEST, version))
    assert box.fetch() == version


@pytest.mark.parametrize(
    "data", [DATA[:-1], DATA + b"\0", DATA[:-1] + b"\0"], ids=["shorter", "longer", "other"]
)
def test_other_bundle_than_the_notes_leaves_nothing(box: Box, data: bytes) -> None:
    box.publish(box.signer.note(DIGEST), data)
    assert box.refused().code == "firmware-refused"
    assert box.names == []


def test_bundle_that_says_it_is_larger_than_any_is_refused_at_once(box: Box) -> None:
    box.server.claimed = {f"{SORT}.raucb": MAX_BUNDLE + 1}
    assert box.refused().code == "firmware-refused"
    assert box.names == []


def test_note_that_never_ends_is_refused(box: Box) -> None:
    box.publish(b"x" * MIB)
    assert box.refused().code == "firmware-source-wrong"


@pytest.mark.parametrize("file", ["note", "raucb"])
def test_redirect_is_not_followed(box: Box, file: str) -> None:
    there = {"Location": f"{box.server.url}elsewhere"}
    box.server.answer[f"{SORT}.{file}"] = (302, there)
    error = box.refused()
    assert error.code == "firmware-source-wrong"
    assert "elsewhere" in error.message
    assert "elsewhere" not in [name for name, _ in box.server.asked]
    assert box.names == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "firmware-source-wrong"),
        (404, "no-update"),
        (416, "firmware-source-wrong"),
        (503, "firmware-source-away"),
    ],
)
def test_status_is_told(box: Box, status: int, code: str) -> None:
    box.server.answer[f"{SORT}.raucb"] = (status, {})
    assert box.refused().code == code


def test_part_of_another_place_is_refused(box: Box) -> None:
    (box.folder / f"{DIGEST}.part").write_bytes(DATA[:MIB])
    box.server.answer[f"{SORT}.raucb"] = (206, {"Content-Range": f"bytes 0-9/{len(DATA)}"})
    assert box.refused().code == "firmware-source-wrong"


def test_source_by_another_ca_is_refused_before_it_is_asked(box: Box, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    box.lines[1] = f'ca = "{Authority(tmp_path / "other").path}"'
    error = box.refused()
    assert error.code == "firmware-source-wrong"
    assert "issuer" in error.message
    assert box.server.asked == []


def test_source_of_another_name_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, name="updates.example") as (server, authority):
        error = Box(tmp_path, server, authority.path).refused()
        assert error.code == "firmware-source-wrong"
        assert "localhost" in error.message
        assert server.asked == []


def test_source_that_is_not_there_is_told(box: Box) -> None:
    box.server.close()
    assert box.refused().code == "firmware-source-away"


def test_ca_that_is_missing_is_told(box: Box) -> None:
    box.lines[1] = 'ca = "/nowhere.pem"'
    error = box.refused()
    assert error.code == "tls-files-wrong"
    assert "[firmware]" in error.message


def test_box_without_a_source_says_so(box: Box) -> None:
    with pytest.raises(ChopmarkError) as caught:
        fetch(parse_config(BASE.encode()), box.place, box.told.append)
    assert number(caught.value.code) == "E-1914"


def test_disk_is_not_filled_beyond_its_alarm(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 10 * len(DATA)
    disk = Space(int(0.9 * room) - 2 * len(DATA) + 1, room - int(0.9 * room) + 2 * len(DATA) - 1)
    monkeypatch.setattr(downloading, "measure", lambda _: disk)
    assert box.refused().code == "firmware-no-room"
    assert box.names == []
    assert box.told == []
    disk = Space(disk.used - 1, disk.free + 1)
    assert box.fetch() == "0.2.0"


def test_disk_that_is_full_all_the_same_is_told_and_left_empty(tmp_path: Path) -> None:
    """The real thing: a file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        with serving(tmp_path) as (server, authority):
            scene = Box(small, server, authority.path)
            scene.lines.append("[storage]")
            scene.lines += ["alarm = 0.98", "stop = 0.99"]
            pretended = Space(0, 10**9)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(downloading, "measure", lambda _: pretended)
                assert scene.refused().code == "firmware-no-room"
            assert scene.names == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_proxy_is_asked_for_the_source_and_sees_no_more(box: Box) -> None:
    with proxying() as (port, asked):
        box.lines.append(f'proxy = "127.0.0.1:{port}"')
        assert box.fetch() == "0.2.0"
    assert set(asked) == {f"localhost:{box.server.port}"}


# Python 3.11 leaves what a proxy that refuses has said to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_proxy_that_refuses_is_told(box: Box) -> None:
    with proxying("403 Forbidden") as (port, _):
        box.lines.append(f'proxy = "127.0.0.1:{port}"')
        error = box.refused()
    assert error.code == "firmware-source-wrong"
    assert "proxy" in error.message
    assert box.server.asked == []
    del error
    gc.collect()


@pytest.mark.parametrize("known", [True, False])
def test_source_that_asks_for_a_certificate_gets_it(tmp_path: Path, *, known: bool) -> None:
    with serving(tmp_path, clients=True) as (server, authority):
        box = Box(tmp_path, server, authority.path)
        pair = authority.issue("hk-1")
        if known:
            box.lines.append(f'certificate = "{pair.certificate}"')
            box.place = replace(box.place, credential=pair.key)
            assert box.fetch() == "0.2.0"
        else:
            assert box.refused().code == "firmware-source-wrong"
            assert server.asked == []


def test_certificate_without_its_key_is_told(scene: tuple[Box, Authority]) -> None:
    box, authority = scene
    box.lines.append(f'certificate = "{authority.issue("hk-1").certificate}"')
    assert box.refused().code == "tls-files-wrong"


def test_what_was_fetched_is_what_root_installs(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image's own program, from the folder that was fetched into; RAUC is a STAND-IN."""
    box.fetch()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("firmware", str(FOLDER / "root/usr/lib/chopmark/firmware"))
    program: Any = module_from_spec(
        spec_from_loader("firmware", loader) or pytest.fail("no module")
    )
    loader.exec_module(program)
    (tmp_path / "cmdline").write_text("rauc.slot=A\n")
    (tmp_path / "block").mkdir()
    for name, value in (("FETCHED", box.folder), ("BLOCKS", tmp_path / "block")):
        monkeypatch.setattr(program, name, value)
    for name, value in (
        ("KEY", box.place.key),
        ("SYSTEM", box.place.system),
        ("CMDLINE", tmp_path / "cmdline"),
        ("NOTED", tmp_path / "rauc"),
        ("LEDGER", tmp_path / "log.db"),
    ):
        monkeypatch.setattr(program.update, name, value)
    seen: list[bytes] = []

    def rauc(command: list[str], **_: object) -> Any:
        seen.append(Path(command[-1]).read_bytes())
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(program.subprocess, "run", rauc)
    assert program.install() == {"version": "0.2.0", "slot": "B"}
    assert seen == [DATA]
    assert box.names == []


def test_program_ends_with_what_came_of_it(box: Box, tmp_path: Path) -> None:
    """As the unit runs it; this machine is no appliance, and has no second key."""
    if fetching.Place(tmp_path).key.exists():
        pytest.skip("this machine is an appliance")
    (tmp_path / "gateway.toml").write_text(box.text)
    given = {"CHOPMARK_CONFIG": str(tmp_path / "gateway.toml"), "STATE_DIRECTORY": str(box.folder)}
    command = [sys.executable, "-m", "chopmark.admin.fetching"]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["code"] == "not-on-this-platform"
