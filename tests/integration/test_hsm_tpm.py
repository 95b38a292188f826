"""What only a TPM shows: a PIN that really locks, and attributes that a login may set."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pkcs11
import pytest
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PinIncorrect, PinLocked, PKCS11Error

from chopmark.core.errors import ConfigurationError, TryAgainError
from chopmark.core.note import Note, verify_note
from chopmark.hsm import create_keys, open_signer
from chopmark.service.token_book import FileBook
from integration.hsm_box import HEAD, ORIGIN, Box
from integration.hsm_kinds import Shelf
from rig.patience import PATIENCE
from rig.tpm import Tpm

TRIES = 3
"""Wrong PINs after which this TPM locks all its tokens."""


@pytest.fixture
def tpm(shelf: Shelf) -> Tpm:
    return shelf.tpm


@pytest.fixture
def box(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = shelf.box("tpm2-pkcs11", monkeypatch)
    shelf.tpm.clear_lockout()
    return made


def lock(box: Box) -> None:
    """Somebody else, with a program that tries on, locks the token."""
    for expected in [PinIncorrect] * TRIES + [PinLocked]:
        library = pkcs11.lib(box.token.module)
        with pytest.raises(expected):
            library.get_token(token_label="hk-1").open(user_pin="not-the-pin")
        library.finalize()


async def test_outages_with_a_wrong_pin_spend_one_try(box: Box, tpm: Tpm) -> None:
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        box.pin = "not-the-pin"  # it was changed on the token meanwhile
        for _ in range(2 * TRIES):
            tpm.kill_manager()
            with pytest.raises(TryAgainError):
                await signer.sign_checkpoint(HEAD)
            tpm.start_manager()
            box.clock.now += 5
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
        assert caught.value.code == "pin-latched"
    assert tpm.count_failures() == 1
    box.pin = None
    async with box.signer() as signer:
        assert await signer.sign_checkpoint(HEAD)


def test_ceremony_with_a_wrong_pin_spends_one_try(box: Box, tpm: Tpm) -> None:
    box.pin = "not-the-pin"
    with pytest.raises(ConfigurationError) as caught:
        create_keys(box.config, ORIGIN, box.give_pin, "p256")
    assert (caught.value.code, box.pins_given, tpm.count_failures()) == ("pin-refused", 1, 1)


async def test_locked_token_is_latched_without_a_try_and_serves_once_it_is_cleared(
    box: Box, tpm: Tpm
) -> None:
    lock(box)
    async with box.signer() as signer:
        assert signer.state == "latched"
        assert (signer.log_key, signer.cosigner_key) == box.keys
    assert tpm.count_failures() == TRIES
    tpm.clear_lockout()
    async with box.signer() as signer:
        signature = await signer.sign_checkpoint(HEAD)
    assert verify_note(Note(HEAD.encode(), (signature,)), box.keys)


CUT_OFF = """
import asyncio, os, sys
from pathlib import Path
from chopmark.hsm import HsmConfig, open_signer
from chopmark.service.token_book import FileBook

FileBook.refuse = lambda *_: os._exit(9)  # the power goes before the refusal is noted
book = FileBook(Path(sys.argv[3]))
config = HsmConfig(sys.argv[1], token_label="hk-1")
asyncio.run(open_signer(config, sys.argv[2], lambda: "not-the-pin", book=book))
"""


async def test_wrong_pin_whose_refusal_is_never_noted_does_not_lock_the_token(
    box: Box, tpm: Tpm, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CUT_OFF, box.token.module, ORIGIN, str(tmp_path / "hsm")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, check=False, timeout=PATIENCE
        )
        assert done.returncode == 9
    for _ in range(3):
        async with box.signer(FileBook(tmp_path / "hsm")) as signer:
            assert signer.state == "latched"
    assert (box.pins_given, tpm.count_failures()) == (0, 2)


async def test_key_whose_attributes_were_loosened_is_refused(box: Box) -> None:
    with box.session() as session:
        (key,) = session.get_objects(
            {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "chopmark-log"}
        )
        key[Attribute.EXTRACTABLE] = True  # even though it is not MODIFIABLE
        with pytest.raises(PKCS11Error):
            key[Attribute.VALUE]  # but the TPM does not let it go
    with pytest.raises(ConfigurationError, match="EXTRACTABLE") as caught:
        await open_signer(box.config, ORIGIN, box.give_pin)
    assert caught.value.code == "key-not-protected"
