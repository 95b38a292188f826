"""The PIN comes from one file, and shows up nowhere."""

import os
import traceback
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from chopmark.core.errors import ConfigurationError, MalformedError
from chopmark.hsm.pin import PinAwaitedError, PinPad
from chopmark.service import unlocking
from chopmark.service.config import parse_config
from chopmark.service.credentials import AFTER_START, PinSource, read_pin
from chopmark.service.unlocking import BOOT_VARIABLE, Unlocked, open_unlocked
from configs import BASE

CONFIG = parse_config(BASE.encode())


@pytest.fixture
def pin_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "hsm-pin"
    path.touch(0o400)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("data", "pin"),
    [
        (b"1234", "1234"),
        (b"1234\n", "1234"),
        (b" 12 34 ", " 12 34 "),
        ("密碼".encode(), "密碼"),
        (b"9" * 255 + b"\n", "9" * 255),
    ],
)
def test_read_pin_gives_the_line(pin_file: Path, data: bytes, pin: str) -> None:
    pin_file.write_bytes(data)
    assert read_pin(CONFIG) == pin


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"1234\n\n", b"1234\r\n", b"12\n34", b"1234\x00", b"1234\xff", b"9" * 256],
)
def test_read_pin_refuses_without_showing_it(pin_file: Path, data: bytes) -> None:
    pin_file.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        read_pin(CONFIG)
    assert caught.value.code == "pin-malformed"
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value))
    assert "1234" not in shown
    assert "999" not in shown


def test_read_pin_refuses_a_file_open_to_all(pin_file: Path) -> None:
    pin_file.write_bytes(b"1234")
    pin_file.chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        read_pin(CONFIG)
    assert caught.value.code == "pin-exposed"
    pin_file.chmod(0o440)  # what systemd shows for a file with an ACL
    assert read_pin(CONFIG) == "1234"


def test_read_pin_names_a_missing_file(pin_file: Path) -> None:
    pin_file.unlink()
    with pytest.raises(ConfigurationError, match="hsm-pin: No such file") as caught:
        read_pin(CONFIG)
    assert caught.value.code == "pin-missing"


def test_read_pin_does_not_wait_for_a_pipe(pin_file: Path) -> None:
    pin_file.unlink()
    os.mkfifo(pin_file, 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        read_pin(CONFIG)


def test_read_pin_needs_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigurationError, match="CREDENTIALS_DIRECTORY") as caught:
        read_pin(CONFIG)
    assert caught.value.hint


def test_read_pin_names_a_file_that_the_disk_does_not_give(pin_file: Path) -> None:
    pin_file.unlink(missing_ok=True)
    pin_file.symlink_to("/proc/self/mem")  # opens, and reading its first byte is an error
    with pytest.raises(ConfigurationError, match="Input/output error") as caught:
        read_pin(CONFIG)
    assert caught.value.code == "pin-missing"


def test_file_of_ones_own_is_read_where_the_configuration_says(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.touch(0o600)
    path.write_text("1234\n")
    hsm = msgspec.structs.replace(CONFIG.hsm, pin="file", pin_file=path)
    config = msgspec.structs.replace(CONFIG, hsm=hsm)
    assert PinSource(config)() == "1234"
    path.chmod(0o640)
    with pytest.raises(ConfigurationError) as caught:
        PinSource(config)()
    assert caught.value.code == "pin-exposed"


def source(pin: Literal["pad", "socket", "credential"]) -> PinSource:
    hsm = msgspec.structs.replace(CONFIG.hsm, pin=pin)
    return PinSource(msgspec.structs.replace(CONFIG, hsm=hsm))


def test_pin_at_the_device_is_no_text() -> None:
    assert isinstance(source("pad")(), PinPad)


def test_pin_by_socket_is_awaited_given_and_forgotten() -> None:
    pins = source("socket")
    with pytest.raises(PinAwaitedError):
        pins()
    pins.take("4711")
    assert pins() == "4711"
    assert "4711" not in repr(pins)
    pins.forget()
    with pytest.raises(PinAwaitedError):
        pins()


@pytest.mark.parametrize("pin", ["", "47\n11", "4711\n", "9" * 256, "\ud800"])
def test_pin_that_is_none_is_not_taken(pin: str) -> None:
    pins = source("socket")
    with pytest.raises(MalformedError) as caught:
        pins.take(pin)
    assert caught.value.code == "malformed-pin"
    assert "4711" not in str(caught.value)
    with pytest.raises(PinAwaitedError):
        pins()


def attended(folder: Path, **changes: object) -> tuple[PinSource, Unlocked]:
    hsm = msgspec.structs.replace(CONFIG.hsm, **{"unlock": "attended", **changes})
    api = msgspec.structs.replace(CONFIG.api, socket=folder / "api.sock")
    config = msgspec.structs.replace(CONFIG, hsm=hsm, api=api)
    unlocked = open_unlocked(config)
    return PinSource(config, unlocked), unlocked


def test_pin_in_place_is_not_taken_before_one_was_given_in_this_boot(
    pin_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin_file.write_bytes(b"1234")
    pins, _ = attended(tmp_path)
    with pytest.raises(PinAwaitedError) as caught:
        pins()
    assert caught.value.message == AFTER_START
    pins.take("1234")
    assert pins.is_in_place("1234")
    assert not pins.is_in_place("4321")
    pins.accepted()
    assert attended(tmp_path)[0]() == "1234", "a restart of the daemon asks nobody"
    monkeypatch.setenv(BOOT_VARIABLE, "another boot")
    with pytest.raises(PinAwaitedError):
        attended(tmp_path)[0]()


def test_pin_in_place_is_taken_where_nobody_need_be_there(pin_file: Path, tmp_path: Path) -> None:
    pin_file.write_bytes(b"1234")
    assert attended(tmp_path, unlock="auto")[0]() == "1234"
    assert CONFIG.hsm.unlock == "auto", "gateways that were set up before go on as they did"


@pytest.mark.parametrize("fault", ["others may write it", "a link", "another's", "no boot"])
def test_note_that_somebody_else_may_have_made_does_not_count(
    pin_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    pin_file.write_bytes(b"1234")
    pins, unlocked = attended(tmp_path)
    unlocked.write()
    assert unlocked.stands
    if fault == "others may write it":
        unlocked.path.chmod(0o646)
    elif fault == "a link":
        unlocked.path.rename(tmp_path / "real")
        unlocked.path.symlink_to(tmp_path / "real")
    elif fault == "another's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(unlocked.path, 65534, -1)
    else:
        unlocked.path.write_text("")
        monkeypatch.setattr(unlocking, "read_boot", lambda: "")
    assert not unlocked.stands
    with pytest.raises(PinAwaitedError):
        pins()


def test_note_is_removed_and_a_folder_that_takes_none_is_no_fault(tmp_path: Path) -> None:
    _, unlocked = attended(tmp_path)
    unlocked.write()
    unlocked.forget()
    assert not unlocked.stands
    _, nowhere = attended(tmp_path / "missing")
    nowhere.write()
    assert not nowhere.stands


@pytest.mark.parametrize("left", [None, b"", b"\n"])
def test_daemon_waits_for_a_pin_that_is_missing_or_was_not_decrypted(
    pin_file: Path, tmp_path: Path, left: bytes | None
) -> None:
    if left is None:
        pin_file.unlink()
    else:
        pin_file.write_bytes(left)
    pins, _ = attended(tmp_path, unlock="auto")
    with pytest.raises(PinAwaitedError) as caught:
        pins()
    assert caught.value.__cause__ is None
    assert ("decrypt" in caught.value.message) == (left is not None)
    pins.take("1234")
    assert pins() == "1234"


def test_pin_that_is_wrong_in_form_is_no_pin_to_wait_for(pin_file: Path, tmp_path: Path) -> None:
    pin_file.write_bytes(b"12\n34")
    with pytest.raises(ConfigurationError):
        attended(tmp_path, unlock="auto")[0]()
