"""One suite for all PKCS#11 modules that run here: what a gateway needs of any of them."""

import asyncio
import logging
from dataclasses import replace

import pytest
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import Mechanism

from chopmark.core.blinding import SaltKey
from chopmark.core.errors import ConfigurationError, ExistsError, TryAgainError
from chopmark.core.keys import COSIGNATURE, ECDSA_P256, OTHER
from chopmark.core.mark import HeadMark
from chopmark.core.note import Note, Verified, verify_note
from chopmark.hsm import create_keys, open_signer
from chopmark.hsm.listing import list_keys
from chopmark.hsm.witness_key import create_witness_key
from integration.hsm_box import HEAD, ORIGIN, Box
from integration.hsm_kinds import KINDS, Shelf

TIME = 1_795_352_400
MARK = HeadMark(HEAD, 1, b"e" * 16, clean=False)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def box(kind: str, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Box:
    return shelf.box(kind, monkeypatch)


def test_keys_are_kept_in_the_token_and_only_sign(box: Box) -> None:
    signs = {"chopmark-log": Mechanism.ECDSA}
    signs["chopmark-cosigner"] = Mechanism.EDDSA if box.cosigner == "ed25519" else Mechanism.ECDSA
    with box.session() as session:
        privates = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
        assert {key[Attribute.LABEL] for key in privates} == set(signs)
        for key in privates:
            for yes in ("TOKEN", "PRIVATE", "SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE"):
                assert key[Attribute[yes]] is True, yes
            assert (key[Attribute.LOCAL], key[Attribute.SIGN]) == (True, True)
            for no in ("EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE", "SIGN_RECOVER"):
                assert key[Attribute[no]] is False, no
            assert key[Attribute.ALLOWED_MECHANISMS] == (signs[key[Attribute.LABEL]],)


def test_keys_cannot_be_loosened_or_read(box: Box, kind: str) -> None:
    if kind == "tpm2-pkcs11":
        pytest.skip("its attributes are rows that a login may change: see test_hsm_tpm")
    with box.session() as session:
        for key in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
            for name, value in (("EXTRACTABLE", True), ("SENSITIVE", False)):
                with pytest.raises(PKCS11Error):
                    key[Attribute[name]] = value
            with pytest.raises(PKCS11Error):
                key[Attribute.VALUE]


def test_keys_sign_by_no_other_mechanism(box: Box) -> None:
    with box.session() as session:
        for key in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
            with pytest.raises(PKCS11Error):
                key.sign(b"\1" * 32, mechanism=Mechanism.ECDSA_SHA256)


def test_existing_keys_are_refused_and_kept(box: Box) -> None:
    with pytest.raises(ExistsError):
        create_keys(box.config, ORIGIN, box.give_pin, box.cosigner)
    with box.session() as session:
        assert len(list(session.get_objects())) == 4


def test_missing_mechanism_is_told_and_leaves_nothing(
    kind: str, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "softhsm":
        pytest.skip("SoftHSM has all mechanisms")
    box = shelf.empty_box(kind, monkeypatch)
    with pytest.raises(ConfigurationError) as caught:
        create_keys(box.config, ORIGIN, box.give_pin, "ed25519")
    assert caught.value.code == "no-such-mechanism"
    assert "--cosigner-key p256" in caught.value.hint
    with box.session() as session:
        assert list(session.get_objects()) == []


def test_witness_key_is_made_or_its_mechanism_is_missing(box: Box) -> None:
    if box.cosigner == "ed25519":
        key = create_witness_key(box.config, ORIGIN, box.give_pin)
        assert key.type == COSIGNATURE
        return
    with pytest.raises(ConfigurationError) as caught:
        create_witness_key(box.config, ORIGIN, box.give_pin)
    assert caught.value.code == "no-such-mechanism"


def test_listing_names_each_key_once(box: Box) -> None:
    keys = list_keys(box.config, ORIGIN)
    assert [(one.label, one.key) for one in keys.log] == [("chopmark-log", box.keys[0])]
    assert [(one.label, one.key) for one in keys.cosigner] == [("chopmark-cosigner", box.keys[1])]


async def test_signatures_verify_as_a_note(box: Box) -> None:
    async with box.signer() as signer:
        note = Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),))
        note = note.with_signature(await signer.cosign(HEAD, TIME))
        log, cosigner = signer.log_key, signer.cosigner_key
        assert (signer.state, signer.reason, signer.token_label) == ("ready", None, "hk-1")
    assert (log, cosigner) == box.keys
    assert log.type == ECDSA_P256
    assert cosigner.type == (COSIGNATURE if box.cosigner == "ed25519" else OTHER)
    assert verify_note(note, box.keys) == (Verified(log, 0), Verified(cosigner, TIME))


async def test_many_callers_get_their_own_signatures(box: Box) -> None:
    heads = [replace(HEAD, size=size) for size in range(1, 100)]
    async with box.signer() as signer:
        signatures = await asyncio.gather(*(signer.sign_checkpoint(head) for head in heads))
    for head, signature in zip(heads, signatures, strict=True):
        assert verify_note(Note(head.encode(), (signature,)), box.keys)


async def test_objects_on_disk_are_warned_of(box: Box) -> None:
    async with box.signer() as signer:
        assert "rollback" in (signer.warning or "")


async def test_head_mark_lasts_and_the_newer_one_takes_its_place(box: Box) -> None:
    newer = replace(MARK, counter=2)
    async with box.signer() as signer:
        assert await signer.read_mark() is None
        await signer.write_mark(MARK, None)
        await signer.write_mark(newer, MARK)
    async with box.signer() as signer:
        assert await signer.read_mark() == newer
    with box.session() as session:
        assert len(list(session.get_objects({Attribute.CLASS: ObjectClass.DATA}))) == 1


async def test_token_keeps_salt_keys_and_gives_random_numbers(box: Box) -> None:
    old, new = (SaltKey(ORIGIN, since, bytes([since]) * 32) for since in (1, 2))
    async with box.signer() as signer:
        assert len({await signer.random(32) for _ in range(5)}) == 5
        for key in (new, old, old):
            await signer.write_salt_key(key)
    async with box.signer() as signer:
        assert await signer.read_salt_keys() == (old, new)
        assert await signer.destroy_salt_keys(2) == 1
        assert await signer.destroy_salt_keys(2) == 0
    async with box.signer() as signer:
        assert await signer.read_salt_keys() == (new,)
    with box.session() as session:
        assert len(list(session.get_objects({Attribute.CLASS: ObjectClass.DATA}))) == 1


async def test_further_keys_are_made_and_destroyed_beside_those_in_use(box: Box) -> None:
    async with box.signer() as signer:
        label, log = await signer.generate("log", ORIGIN, "chopmark-log")
        other, second = await signer.generate("cosigner", f"{ORIGIN}/cosigner-2", "cosigner")
        assert (label, other) == ("chopmark-log-2", "cosigner-2")
        assert len({key.public for key in (*box.keys, log, second)}) == 4
        await signer.destroy(label, log)
        await signer.destroy(other, second)
        assert await signer.sign_checkpoint(HEAD)
    with box.session() as session:
        assert len(list(session.get_objects())) == 4


async def test_wrong_pin_is_tried_once_and_the_right_one_works_after(
    box: Box, kind: str, shelf: Shelf
) -> None:
    box.pin = "not-the-pin"
    async with box.signer() as signer:
        assert signer.state == "latched"
        box.pin = None  # the right one would now be given, and is not asked for
        for _ in range(5):
            box.clock.now += 3600
            with pytest.raises(TryAgainError, match="locked to us"):
                await signer.sign_checkpoint(HEAD)
        assert box.pins_given == 1
        assert (signer.log_key, signer.cosigner_key) == box.keys
    if kind == "tpm2-pkcs11":
        assert shelf.tpm.count_failures() == 1
        shelf.tpm.clear_lockout()
    async with box.signer() as signer:
        assert signer.state == "ready"
        assert await signer.sign_checkpoint(HEAD)


async def test_lost_token_is_away_then_heals(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chopmark.hsm")
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        box.lose()
        for _ in range(3):
            box.clock.now += 5
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
            assert caught.value.code == "hsm-away"
        assert signer.state == "away"
        box.restore()
        box.clock.now += 5
        signature = await signer.sign_checkpoint(HEAD)
        assert verify_note(Note(HEAD.encode(), (signature,)), box.keys)
        assert (await signer.cosign(HEAD, TIME)).name == signer.cosigner_key.name
        assert (signer.state, signer.reason, signer.counts["outages"]) == ("ready", None, 1)
    lines = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(lines) == 2


async def test_token_that_comes_late_is_an_outage_where_the_keys_are_known(box: Box) -> None:
    box.lose()
    signer = await open_signer(
        box.config, ORIGIN, box.give_pin, known=box.keys, monotonic=box.clock
    )
    try:
        assert (signer.state, signer.log_key) == ("away", box.keys[0])
        box.restore()
        box.clock.now += 5
        assert verify_note(Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),)), box.keys)
        assert "rollback" in (signer.warning or "")
    finally:
        await signer.close()


async def test_nothing_that_the_module_or_we_say_shows_the_pin(
    box: Box,
    kind: str,
    shelf: Shelf,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("TSS2_LOG", raising=False)
    box.pin = "a-wrong-but-secret-pin"
    async with box.signer() as signer:
        with pytest.raises(TryAgainError) as caught:
            await signer.sign_checkpoint(HEAD)
    box.pin = None
    async with box.signer() as signer:
        assert await signer.sign_checkpoint(HEAD)
    if kind == "tpm2-pkcs11":
        shelf.tpm.clear_lockout()
    output = capfd.readouterr()
    text = caplog.text + output.out + output.err + repr(caught.value) + caught.value.hint
    assert "a-wrong-but-secret-pin" not in text
    assert box.token.read_pin() not in text
