"""What timers do beside the daemon, and what it makes of that."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from chopmark.core.errors import ChopmarkError
from chopmark.service.backup import back_up_scheduled
from chopmark.service.places import scheduled_path
from chopmark.service.scheduled import STALE, Scheduled, note_ended, read_ended
from ledgers import attestations, make_store, sign
from leftout import leave_out

NOW = 1_796_000_000_000
DAY = 86_400_000
OWNER = 65_534
"""Anybody but root."""


def configured(state: Path, folder: Path | None, keep: int = 2) -> SimpleNamespace:
    backup = None if folder is None else SimpleNamespace(folder=folder, keep=keep)
    return SimpleNamespace(gateway=SimpleNamespace(state=state, id="hk-1"), backup=backup)


def alarms(config: SimpleNamespace, now: int = NOW) -> dict[str, str]:
    scheduled = Scheduled(config, lambda: now)  # type: ignore[arg-type]  # what is looked at
    scheduled._look()
    return {one["code"]: one["message"] for one in scheduled.alarms()}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    store = make_store(made / "log.db", attestations(3))
    sign(store)
    store.close()
    return made


def test_nothing_that_was_done_yet_is_no_alarm(state: Path, tmp_path: Path) -> None:
    assert alarms(configured(state, tmp_path)) == {}


def test_findings_of_fsck_are_an_alarm_until_a_check_finds_none(state: Path) -> None:
    config = configured(state, None)
    note_ended(state, "fsck", NOW, "findings: hk-1 (2)", good=False)
    assert alarms(config) == {"ledger-damaged": "findings: hk-1 (2)"}
    note_ended(state, "fsck", NOW, "all is well", good=True)
    assert alarms(config) == {}
    assert scheduled_path(state, "fsck").stat().st_mode & 0o777 == 0o600


def test_copies_are_made_and_the_oldest_go(state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    other = folder / "chopmark-sz-1-2026.log.db"
    other.touch()
    config = configured(state, folder)
    made = [back_up_scheduled(config, NOW + n * DAY) for n in range(3)]  # type: ignore[arg-type]
    assert sorted(folder.iterdir()) == sorted([*filter(None, made[1:]), other])
    ended = read_ended(state, "backup")
    assert ended is not None
    assert (ended.good, ended.last_good) == (True, NOW + 2 * DAY)
    assert alarms(config, NOW + 2 * DAY + STALE) == {}
    assert "last copy" in alarms(config, NOW + 2 * DAY + STALE + 1)["backup-failed"]


def test_copy_that_fails_is_an_alarm_and_keeps_those_that_there_are(
    state: Path, tmp_path: Path
) -> None:
    config = configured(state, tmp_path / "gone")
    with pytest.raises(ChopmarkError):
        back_up_scheduled(config, NOW)  # type: ignore[arg-type]
    assert "not copied" in alarms(config)["backup-failed"]
    config.backup = None
    assert alarms(config) == {}, "nobody wants copies any more"
    assert back_up_scheduled(config, NOW) is None  # type: ignore[arg-type]


@pytest.fixture
def others() -> Iterator[Path]:
    """A state folder that is not root's, in a place that its owner may get to."""
    if os.geteuid() != 0:
        leave_out("files of two users need root")
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Path(folder) / "state"
        made.mkdir(mode=0o700)
        os.chown(made, OWNER, OWNER)
        yield made


def test_what_root_notes_is_the_daemons(others: Path) -> None:
    before = (os.geteuid(), os.getegid(), os.getgroups())
    note_ended(others, "fsck", NOW, "all is well", good=True)
    note_ended(others, "fsck", NOW + 1, "x", good=False)
    path = scheduled_path(others, "fsck")
    owners = {(one.stat().st_uid, one.stat().st_gid) for one in (path, path.parent)}
    assert owners == {(OWNER, OWNER)}
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    ended = read_ended(others, "fsck")
    assert ended is not None
    assert (ended.good, ended.last_good) == (False, NOW)


def test_link_of_the_daemons_leads_root_nowhere(others: Path) -> None:
    roots = others.with_name("roots")
    roots.mkdir(mode=0o755)
    scheduled_path(others, "fsck").parent.symlink_to(roots)
    with pytest.raises(ChopmarkError):
        note_ended(others, "fsck", NOW, "all is well", good=True)
    assert list(roots.iterdir()) == []
    assert roots.stat().st_uid == 0
    assert os.geteuid() == 0


def test_note_that_cannot_be_read_is_as_none(state: Path) -> None:
    note_ended(state, "fsck", NOW, "x", good=False)
    scheduled_path(state, "fsck").write_text("{")
    assert read_ended(state, "fsck") is None
