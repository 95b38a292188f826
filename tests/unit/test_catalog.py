"""The journal's catalogue: each alarm is in it, in three languages, as journalctl reads it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chopmark.service import alarm_log, alarms
from chopmark.service.alarm_log import AlarmLog
from chopmark.service.logs import JournalHandler
from leftout import leave_out
from make_catalog import LANGUAGES, PATH, make_catalog

TEXT = PATH.read_text(encoding="utf-8")


def test_catalog_is_what_the_page_says() -> None:
    assert make_catalog() == TEXT, "run tests/make_catalog.py"


def test_every_alarm_has_a_name_of_its_own_and_an_entry_in_each_language() -> None:
    numbers = list(alarms.MESSAGE_IDS.values())
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in numbers)
    heads = re.findall(r"^-- ([0-9a-f]{32})(?: (\w+))?$", TEXT, re.MULTILINE)
    assert sorted(heads) == sorted((one, locale) for one in numbers for locale in LANGUAGES)


def test_journalctl_takes_the_catalog_and_knows_each_alarm(tmp_path: Path) -> None:
    program = shutil.which("journalctl")
    if program is None:
        leave_out("journalctl is not installed (apt install systemd)")
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(PATH, folder)
    root = f"--root={tmp_path}"
    made = subprocess.run(
        [program, root, "--update-catalog"], capture_output=True, text=True, check=True
    )
    assert made.stderr == ""
    listed = subprocess.run(
        [program, root, "--list-catalog"], capture_output=True, text=True, check=True
    )
    for code, number in alarms.MESSAGE_IDS.items():
        assert re.search(rf"^{number} chopmark: Alarm {code}: ", listed.stdout, re.MULTILINE), code


def test_alarm_is_logged_once_under_its_name_and_again_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, dict[str, object]]] = []
    handler = JournalHandler(lambda text, **fields: sent.append((text, fields)))
    monkeypatch.setattr(alarm_log.LOG, "propagate", False)
    monkeypatch.setattr(alarm_log.LOG, "handlers", [handler])
    standing = [{"code": "hsm-away", "message": "nothing is signed", "hint": "plug it in"}]
    log = AlarmLog(lambda: standing)
    log.look()
    log.look()
    assert [text for text, _ in sent] == ["ALARM hsm-away: nothing is signed: plug it in"]
    assert sent[0][1]["MESSAGE_ID"] == alarms.MESSAGE_IDS["hsm-away"]
    assert sent[0][1]["CHOPMARK_ALARM"] == "hsm-away"
    standing.append(dict(standing[0], message="another"))
    log.look()
    assert len(sent) == 2
    standing.clear()
    log.look()
    assert sent[-1][0] == "the alarm hsm-away is over"
    assert "MESSAGE_ID" not in sent[-1][1]
