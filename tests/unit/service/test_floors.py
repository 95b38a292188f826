"""Logs of others after a recovery: not cosigned below what they once were, whatever was lost."""

import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from test_submissions import FOREIGN, NOW, ORIGIN, WITNESS, body, check, head, opened

import trees
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.text import encode_base64
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.replace import put_epochs, replace_ledger
from chopmark.ledger.store import create_store
from chopmark.service.config import parse_config
from chopmark.service.config_model import Config, WitnessLog
from chopmark.service.floors import confirm_floor, read_newest, tell_lost
from configs import BASE
from softkeys import ed25519_key, sign_head

VKEY = WITNESS.vkey.encode()
FORKED = trees.numbered(40, seed=9)


def config_of(folder: Path, pin: str = "") -> Config:
    """The configuration of the gateway whose ledger `opened` has in a folder."""
    text = BASE.replace('jurisdiction = "HK"', f'jurisdiction = "HK"\nstate = "{folder}"')
    text += f'[[witness.log]]\norigin = "{ORIGIN}"\nvkey = "{FOREIGN.vkey.encode()}"\n'
    return parse_config((text + pin).encode())


def lose(path: Path, vkey: str = VKEY) -> None:
    put_epochs(path, Epochs(), (), vkey)


def audited(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM audit_record").fetchone()[0])


async def test_log_is_refused_after_a_loss_until_its_floor_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, config = tmp_path / "log.db", config_of(tmp_path)
    async with opened(tmp_path) as box:
        check(await box.add(body(0, 5)), 5)
        lose(path)
        for asked in (body(5, 9), body(0, 9), body(0, 3, FORKED)):
            answer = await box.add(asked)
            assert (answer.status_code, answer.json()["code"]) == (503, "floor-unknown")
            assert int(answer.headers["retry-after"]) > 0
            assert "chopmark witness floor" in answer.json()["hint"]
        assert len(box.hsm.foreign) == 1
        told = [one for one in caplog.records if getattr(one, "code", "") == "floor-unknown"]
        assert len(told) == 1, "once, however often they come"
        confirm_floor(config, head(20))
        assert (await box.add(body(5, 30))).text == "20\n", "the daemon goes by it at once"
        assert (await box.add(body(20, 30, FORKED))).status_code == 422
        check(await box.add(body(20, 30)), 30)
        assert await box.row() == (30, NOW)
    assert audited(path) == 1


async def test_refused_before_the_clients_fault_only_where_the_floor_matters(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as box:
        lose(tmp_path / "log.db")
        stranger = body(0, 3, key=ed25519_key(ORIGIN, 99))
        assert (await box.add(stranger)).status_code == 403
        assert (await box.add(body(3, 2))).status_code == 400


async def test_same_head_as_the_floor_is_cosigned_and_served(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        lose(tmp_path / "log.db")
        confirm_floor(config_of(tmp_path), head(8))
        check(await box.add(body(8, 8)), 8)
        assert await box.row() == (8, NOW)


async def test_log_that_was_never_cosigned_begins_at_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        lose(tmp_path / "log.db")
        with pytest.raises(ChopmarkError) as caught:
            confirm_floor(config_of(tmp_path), Checkpoint(ORIGIN, 0, bytes(32)))
        assert caught.value.code == "bad-root"
        confirm_floor(config_of(tmp_path), Checkpoint(ORIGIN, 0, EMPTY_ROOT))
        check(await box.add(body(0, 3)), 3)


async def test_floor_never_lowers_what_is_known_and_can_be_corrected(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with opened(tmp_path) as box:
        check(await box.add(body(0, 9)), 9)
        lose(path)
        for wrong, code in (
            (head(8), "floor-too-low"),
            (head(9, FORKED), "floor-other-root"),
            (head(9, origin="other.example/log"), "unknown-log"),
        ):
            with pytest.raises(ChopmarkError) as caught:
                confirm_floor(config_of(tmp_path), wrong)
            assert caught.value.code == code
        confirm_floor(config_of(tmp_path), head(40, FORKED))
        confirm_floor(config_of(tmp_path), head(20))
        pinned = config_of(tmp_path, f'size = 30\nroot = "{encode_base64(head(30).root)}"\n')
        with pytest.raises(ChopmarkError) as caught:
            confirm_floor(pinned, head(20))
        assert caught.value.code == "floor-too-low"
        check(await box.add(body(20, 25)), 25)
        with pytest.raises(ChopmarkError, match="25 already"):
            confirm_floor(config_of(tmp_path), head(20))


async def test_another_loss_needs_the_floor_again_and_another_key_needs_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    async with opened(tmp_path) as box:
        lose(path)
        confirm_floor(config_of(tmp_path), head(8))
        lose(path)
        assert (await box.add(body(8, 9))).json()["code"] == "floor-unknown"
        box.hsm.third = replace(WITNESS, seed=99)
        check(await box.add(body(0, 9)), 9, box.hsm.third)


def test_nothing_lost_needs_no_floor(tmp_path: Path) -> None:
    create_store(tmp_path / "log.db", FOREIGN.vkey, WITNESS.vkey)
    with pytest.raises(ChopmarkError) as caught:
        confirm_floor(config_of(tmp_path), head(8))
    assert caught.value.code == "floor-not-lost"


async def test_start_says_which_logs_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = config_of(tmp_path)
    async with opened(tmp_path) as box:
        await tell_lost(box.log, config.witness.log)
        lose(tmp_path / "log.db")
        caplog.set_level(logging.ERROR)
        await tell_lost(box.log, config.witness.log)
        confirm_floor(config, head(8))
        await tell_lost(box.log, config.witness.log)
    assert [ORIGIN in one.getMessage() for one in caplog.records] == [True]


def test_lost_rows_stay_lost_where_an_old_database_is_taken_over(tmp_path: Path) -> None:
    """An older copy has rows and floors, and both are too old."""
    old, new = tmp_path / "log.db", tmp_path / "fresh.db"
    for path in (old, new):
        create_store(path, FOREIGN.vkey, WITNESS.vkey)
    lose(old)
    confirm_floor(config_of(tmp_path), head(8))
    replace_ledger(old, new, Epochs(), tmp_path / "index", (), VKEY)
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT vkey FROM floors_lost").fetchall() == [(VKEY,)]
        assert db.execute("SELECT * FROM floor").fetchall() == []


def test_newest_checkpoint_must_be_the_logs_own() -> None:
    log = WitnessLog(origin=ORIGIN, vkey=FOREIGN.vkey.encode())
    assert read_newest(log, sign_head(head(8), FOREIGN)) == head(8)
    other = ed25519_key("other.example/log", 3)
    for note in (
        sign_head(head(8), ed25519_key(ORIGIN, 99)),
        sign_head(head(8, origin=other.name), other),
        sign_head(head(8), FOREIGN).replace(b"\n8\n", b"\n9\n"),
        b"8\n",
    ):
        with pytest.raises(ChopmarkError):
            read_newest(log, note)
