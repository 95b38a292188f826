"""A copy of a ledger that is being written to."""

from pathlib import Path

import pytest

import ledgers
from chopmark.core.errors import ExistsError, InternalError, MissingError
from chopmark.ledger.backup import copy_store
from chopmark.ledger.fsck import check_store
from chopmark.ledger.store import Store
from chopmark.service.backup import back_up, check_backup
from chopmark.service.config import parse_config
from chopmark.service.config_model import Config
from configs import BASE


@pytest.fixture
def config(tmp_path: Path) -> Config:
    state = tmp_path / "state"
    state.mkdir()
    line = f'jurisdiction = "HK"\nstate = "{state}"'
    return parse_config(BASE.replace('jurisdiction = "HK"', line).encode())


def signed_store(config: Config, count: int) -> Store:
    store = ledgers.make_store(config.gateway.state / "log.db", ledgers.attestations(count))
    ledgers.sign(store)
    return store


def test_copy_is_the_moment_it_began_though_each_step_sees_new_entries(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is appended between two steps neither gets in, nor makes SQLite begin again."""
    monkeypatch.setattr("chopmark.ledger.backup._PAGES", 16)
    store = signed_store(config, 8_000)
    steps: list[tuple[int, int]] = []

    def grow(done: int, total: int) -> None:
        steps.append((done, total))
        ledgers.append(store, ledgers.attestations(300, store.size))
        ledgers.sign(store)

    target = tmp_path / "copy.db"
    made = back_up(config, target, grow)
    assert len(steps) > 1
    assert steps == sorted(set(steps)), "no step was done twice"
    assert store.size == 8_000 + 300 * len(steps)
    assert (made.state.size, made.state.head.size) == (8_000, 8_000)
    assert check_backup(target) == (ledgers.ORIGIN, [])
    assert made.size == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["copy.db"]
    store.close()
    copy = Store(target)
    assert copy.size == 8_000
    copy.close()


def test_nothing_is_overwritten(config: Config, tmp_path: Path) -> None:
    signed_store(config, 3).close()
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(ExistsError):
        back_up(config, target)
    assert target.read_text() == "precious"


def test_copy_that_breaks_off_leaves_nothing(config: Config, tmp_path: Path) -> None:
    signed_store(config, 3).close()

    def fail(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(config, tmp_path / "copy.db", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_full_disk_is_told(config: Config) -> None:
    signed_store(config, 3).close()
    with pytest.raises(InternalError) as caught:
        copy_store(config.gateway.state / "log.db", Path("/dev/full"))
    assert caught.value.code == "not-copied"


def test_no_ledger_and_no_backup_are_told(config: Config, tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        back_up(config, tmp_path / "copy.db")
    assert caught.value.code == "no-ledger"
    with pytest.raises(MissingError):
        check_backup(tmp_path / "copy.db")


@pytest.mark.parametrize("sought", [b"SQLite", ledgers.digest(300), b"CREATE TABLE tile"])
def test_damaged_backup_has_findings(config: Config, tmp_path: Path, sought: bytes) -> None:
    signed_store(config, 600).close()
    target = tmp_path / "copy.db"
    back_up(config, target)
    data = bytearray(target.read_bytes())
    data[data.index(sought)] ^= 0x40
    target.write_bytes(data)
    assert check_backup(target)[1]


def test_backup_of_an_empty_ledger_is_sound(config: Config, tmp_path: Path) -> None:
    ledgers.make_store(config.gateway.state / "log.db").close()
    back_up(config, tmp_path / "copy.db")
    assert check_store(tmp_path / "copy.db", None, *ledgers.KEYS) == []
