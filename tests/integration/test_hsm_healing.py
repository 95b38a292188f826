"""How a token is opened again: each rung of the ladder, and what is known after a restart."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pkcs11 import exceptions as ck

from chopmark.core.errors import MissingError, TryAgainError
from chopmark.core.note import Note, verify_note
from chopmark.core.selftest import SelfTest
from chopmark.hsm import HsmSigner, calls, open_signer, watch
from chopmark.hsm import device as device_module
from chopmark.hsm.book import Unkept
from chopmark.hsm.keys import HsmKey
from chopmark.hsm.meter import BLOCK
from chopmark.hsm.pin import BookedPin, PinAwaitedError, PinGuard
from chopmark.service.config_model import Hsm
from chopmark.service.hsm_state import describe_hsm
from chopmark.service.token_book import FileBook
from integration.hsm_box import HEAD, ORIGIN, Box
from integration.hsm_kinds import Shelf
from meshes import until
from rig.patience import PATIENCE


@pytest.fixture
def box(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Box:
    return shelf.box("softhsm", monkeypatch)


@pytest.fixture
def book(tmp_path: Path) -> FileBook:
    return FileBook(tmp_path / "hsm")


async def on_thread(signer: HsmSigner, call: Callable[[], object]) -> None:
    await signer._thread.call(call)


def opened(signer: HsmSigner) -> device_module.OpenToken:
    token = signer._device._token
    assert token is not None
    return token


async def check_good(signer: HsmSigner, box: Box) -> None:
    note = Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),))
    assert verify_note(note, box.keys)


async def test_session_that_was_closed_is_opened_again_without_the_pin(box: Box) -> None:
    async with box.signer() as signer:
        await on_thread(signer, opened(signer).session.close)
        await check_good(signer, box)
        assert signer.meter.healed == {"session": 1}
        assert (signer.state, signer.counts["outages"], box.pins_given) == ("ready", 1, 1)


async def test_token_that_logged_us_out_is_logged_in_to_again(box: Box) -> None:
    async with box.signer() as signer:
        await on_thread(signer, opened(signer).entrance.close)  # logs the process out
        await check_good(signer, box)
        assert signer.meter.healed == {"login": 1}
        assert (signer.state, box.pins_given) == ("ready", 2)


async def test_module_that_was_restarted_is_opened_again(box: Box) -> None:
    async with box.signer() as signer:
        module = signer._device._ladder.module
        assert module is not None
        await on_thread(signer, module.restart)
        await check_good(signer, box)
        assert sum(signer.meter.healed.values()) == 1
        assert signer.sessions == 2


async def test_error_is_counted_by_its_name_and_told_with_what_to_do(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chopmark.hsm")
    async with box.signer() as signer:
        box.lose()
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert signer.meter.errors["CKR_OBJECT_HANDLE_INVALID"] == 1
        assert signer.hint == caught.value.hint
        assert signer.hint
        box.restore()
    assert "CKR_OBJECT_HANDLE_INVALID" in caplog.text
    assert len(caplog.records) == 1


async def test_error_that_only_a_new_process_can_heal_ends_the_daemon(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a module whose locks are broken says it; that it says so is put on by hand."""
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)

        def broken(_key: HsmKey, _message: bytes) -> bytes:
            raise ck.DeviceError

        def fatal() -> None:
            raise ck.PKCS11Error("Unmapped error code 0x1a0")

        monkeypatch.setattr(device_module, "_sign", broken)
        module = signer._device._ladder.module
        assert module is not None
        monkeypatch.setattr(module, "restart", fatal)
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "hsm-away"
        with pytest.raises(TryAgainError) as ended:
            await asyncio.wait_for(signer.watch(lambda: 1), PATIENCE)
        assert ended.value.code == "hsm-broken"
        assert "CKR_MUTEX_BAD" in ended.value.message


async def test_self_test_is_made_after_a_minute_without_a_signature(box: Box) -> None:
    async with box.signer() as signer:
        assert signer.since_good is None
        watching = asyncio.create_task(signer.watch(lambda: 1_795_352_400_000))
        await until(lambda: signer.counts["self_tests"])
        watching.cancel()
        assert signer.since_good == 0.0
        box.clock.now += watch.KEEP_ALIVE - 1
        assert not signer._watch._test_due()
        box.clock.now += 1
        assert signer._watch._test_due()


async def test_self_tests_of_other_logs_are_not_signed(box: Box) -> None:
    async with box.signer() as signer:
        with pytest.raises(ValueError, match="no other log"):
            await signer.self_test(SelfTest("bank-sz.example/sz-1", 1))
        with pytest.raises(TypeError):
            await signer.self_test(HEAD)  # type: ignore[arg-type]  # that is the point
        assert signer.counts["self_tests"] == 0


async def test_refused_pin_stays_latched_through_restarts_till_an_operator_says_so(
    box: Box, book: FileBook
) -> None:
    box.pin = "not-the-pin"
    for _ in range(3):
        async with box.signer(book) as signer:
            assert signer.state == "latched"
            assert (signer.log_key, signer.cosigner_key) == box.keys
    assert box.pins_given == 1
    box.pin = None
    book.allow()
    async with box.signer(book) as signer:
        await check_good(signer, box)
    assert (book.refused, book.unfinished) == (None, 0)


async def test_unlatching_tries_no_pin_that_was_refused_before(box: Box, book: FileBook) -> None:
    box.pin = "not-the-pin"
    async with box.signer(book) as signer:
        with pytest.raises(TryAgainError, match="still the one") as caught:
            await signer.unlatch()
        assert caught.value.code == "pin-latched"
        assert signer.state == "latched"
        box.pin = None
        await signer.unlatch()
        await check_good(signer, box)


async def test_login_that_was_cut_off_is_not_repeated_if_the_token_counted_a_wrong_try(
    box: Box, book: FileBook
) -> None:
    """The daemon was killed after the token had refused the PIN, and before that was noted."""
    box.pin = "not-the-pin"
    async with box.signer():
        pass
    book.begin_login()
    box.pin, box.pins_given = None, 0
    async with box.signer(book) as signer:
        assert (signer.state, box.pins_given) == ("latched", 0)
        assert "wrong try" in (signer.reason or "")
    assert book.refused


async def test_login_that_was_cut_off_is_repeated_if_the_pin_was_not_wrong(
    box: Box, book: FileBook
) -> None:
    book.begin_login()
    async with box.signer(book) as signer:
        await check_good(signer, box)
    assert book.unfinished == 0


async def test_pin_that_is_to_be_given_is_awaited(box: Box) -> None:
    pins: list[str] = []

    def give() -> str:
        if not pins:
            raise PinAwaitedError
        return pins[0]

    signer = await open_signer(box.config, ORIGIN, give, monotonic=box.clock)
    try:
        assert signer.state == "locked"
        assert (signer.log_key, signer.cosigner_key) == box.keys
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "pin-awaited"
        pins.append(box.token.read_pin())
        await signer.unlatch()
        await check_good(signer, box)
    finally:
        await signer.close()


async def test_maintenance_lets_go_of_the_module_and_outlasts_a_restart(
    box: Box, book: FileBook
) -> None:
    async with box.signer(book) as signer:
        await signer.maintain(on=True)
        assert (signer.state, signer.sessions) == ("maintenance", 0)
        module = signer._device._ladder.module
        assert module is not None
        assert not module.is_running
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "hsm-maintenance"
    box.pins_given = 0
    signer = await open_signer(
        *(box.config, ORIGIN, box.give_pin), known=box.keys, book=book, monotonic=box.clock
    )
    try:
        assert (signer.state, box.pins_given) == ("maintenance", 0)
        await signer.maintain(on=False)
        await check_good(signer, box)
        assert signer.state == "ready"
        assert not book.maintenance
    finally:
        await signer.close()


async def test_key_makes_no_more_signatures_than_its_limit_through_restarts(
    box: Box, book: FileBook
) -> None:
    box.config = replace(box.config, usage_limit=5)
    for _ in range(2):
        async with box.signer(book) as signer:
            await signer.sign_checkpoint(HEAD)
            await signer.sign_checkpoint(HEAD)
    async with box.signer(book) as signer:
        assert signer.used["log"] == 4
        await signer.sign_checkpoint(HEAD)
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "key-worn-out"
        assert (signer.state, signer.used["log"]) == ("ready", 5)
        await signer.cosign(HEAD, 1_795_352_400)


async def test_what_was_reserved_and_not_made_is_given_back(box: Box, book: FileBook) -> None:
    box.config = replace(box.config, usage_limit=10_000_000)
    for count in (1, 2):
        async with box.signer(book) as signer:
            await signer.sign_checkpoint(HEAD)
        assert book.reserved(box.keys[0].encode()) == count
    async with box.signer(book) as signer:
        await signer.sign_checkpoint(HEAD)
        assert book.reserved(box.keys[0].encode()) == 2 + BLOCK  # as a crash would leave it


async def test_damaged_count_stops_signing_and_no_status(box: Box, book: FileBook) -> None:
    box.config = replace(box.config, usage_limit=5)
    book.reserve("key", 1)
    (book.folder / "usage.json").write_text("{")
    async with box.signer(book) as signer:
        assert describe_hsm(signer, Hsm(module=Path("/module")))["used"] == {}
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "not-counted"


async def test_login_looks_at_the_token_anew_before_it_tries_the_pin(
    box: Box, book: FileBook
) -> None:
    """What it said when it was found is no more true: somebody has typed a wrong PIN since."""
    async with box.signer(book) as signer:
        book.begin_login()
        wrong = threading.Thread(target=mistype, args=(box,))
        wrong.start()
        await asyncio.to_thread(wrong.join)
        await on_thread(signer, opened(signer).entrance.close)
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "pin-latched"
        assert box.pins_given == 1


def mistype(box: Box) -> None:
    """Another program does; it has a login of its own."""
    script = (
        "import sys, pkcs11\n"
        "token = pkcs11.lib(sys.argv[1]).get_token(token_label='hk-1')\n"
        "try: token.open(user_pin='not-the-pin')\n"
        "except pkcs11.PinIncorrect: sys.exit(7)\n"
    )
    command = [sys.executable, "-c", script, box.token.module]
    assert subprocess.run(command, check=False, timeout=PATIENCE).returncode == 7


async def test_refused_pin_is_not_tried_again_by_parts_made_anew(box: Box) -> None:
    guard, book = PinGuard(box.give_pin), Unkept()
    box.pin = "not-the-pin"
    for _ in range(3):
        signer = await open_signer(box.config, ORIGIN, guard, monotonic=box.clock)
        assert signer.state == "latched"
        await signer.close()
        assert book.refused is None
    assert box.pins_given == 3  # it is asked for, seen to be the same, and not tried
    assert guard_refusals(guard) == 1


def guard_refusals(guard: PinGuard) -> int:
    return len(guard._refused)


async def test_pin_that_is_the_daemons_too_is_kept_in_its_book(box: Box, book: FileBook) -> None:
    box.pin = "not-the-pin"
    for _ in range(2):
        signer = await open_signer(box.config, ORIGIN, BookedPin(box.give_pin, book))
        assert signer.state == "latched"
        await signer.close()
    assert box.pins_given == 1
    assert FileBook(book.folder).refused


async def test_start_that_fails_late_tells_why(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow() -> str:
        assert go_on.wait(PATIENCE)
        return box.token.read_pin()

    monkeypatch.setattr(calls, "ANSWER", 0.1)
    config = replace(box.config, cosigner_label="unmade")
    signer = await open_signer(config, ORIGIN, slow, known=box.keys, monotonic=box.clock)
    try:
        assert signer.state == "away"
        monkeypatch.setattr(calls, "ANSWER", 15.0)
        go_on.set()
        with pytest.raises(MissingError, match="'unmade'"):
            await asyncio.wait_for(signer.watch(lambda: 1), PATIENCE)
    finally:
        await signer.close()
