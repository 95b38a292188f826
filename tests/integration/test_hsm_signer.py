import asyncio
import logging
import threading
import traceback
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from pkcs11.constants import Attribute, MechanismFlag
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Session, SignMixin

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import (
    ConfigurationError,
    MalformedError,
    MissingError,
    TryAgainError,
)
from chopmark.core.keys import COSIGNATURE, ECDSA_P256, ED25519, parse_vkey
from chopmark.core.note import Note, Verified, verify_note
from chopmark.core.roster import Roster
from chopmark.core.roster_text import encode_roster
from chopmark.core.text import MAX_INT
from chopmark.hsm import HsmConfig, device, ladder, open_signer
from chopmark.hsm.errors import TokenFaultError
from chopmark.hsm.keys import ED25519_PARAMS, HsmKey
from integration.hsm_box import HEAD, ORIGIN, Box
from rosters import HK, founding

TIME = 1_795_352_400


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box.make(tmp_path, monkeypatch)
    made.create()
    return made


async def test_signatures_verify_as_a_note(box: Box) -> None:
    async with box.signer() as signer:
        note = Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),))
        note = note.with_signature(await signer.cosign(HEAD, TIME))
        log, cosigner = signer.log_key, signer.cosigner_key
        assert signer.counts["checkpoints"] == signer.counts["cosignatures"] == 1
    assert (log, cosigner) == box.keys
    assert verify_note(note, box.keys) == (Verified(log, 0), Verified(cosigner, TIME))
    assert (log.type, cosigner.type) == (ECDSA_P256, COSIGNATURE)
    assert (log.name, cosigner.name) == (ORIGIN, f"{ORIGIN}/cosigner")
    assert parse_vkey(log.encode()) == log
    assert parse_vkey(cosigner.encode()) == cosigner


async def test_many_callers_get_their_own_signatures(box: Box) -> None:
    heads = [replace(HEAD, size=size) for size in range(1, 200)]
    async with box.signer() as signer:
        signatures = await asyncio.gather(*(signer.sign_checkpoint(head) for head in heads))
    for head, signature in zip(heads, signatures, strict=True):
        assert verify_note(Note(head.encode(), (signature,)), box.keys)


async def test_status_of_a_ready_signer(box: Box) -> None:
    async with box.signer() as signer:
        assert (signer.state, signer.reason) == ("ready", None)
        assert (signer.module, signer.token_label) == (box.token.module, "hk-1")
        assert signer.warning is not None
        assert "rollback" in signer.warning


async def test_cosigns_other_logs(box: Box) -> None:
    head = replace(HEAD, origin="bank-sz.example/sz-1")
    async with box.signer() as signer:
        signature = await signer.cosign(head, TIME)
        assert signer.cosigner_key.verify(head.encode().encode(), signature.payload) == TIME


async def test_log_key_may_be_ed25519(box: Box) -> None:
    with box.session() as session:
        _make_ed25519_key(session, "ed-log")
    box.config = replace(box.config, log_label="ed-log")
    async with box.signer() as signer:
        signature = await signer.sign_checkpoint(HEAD)
        assert signer.log_key.type == ED25519
        assert verify_note(Note(HEAD.encode(), (signature,)), (signer.log_key,))


async def test_sign_checkpoint_refuses_other_logs(box: Box) -> None:
    async with box.signer() as signer:
        with pytest.raises(ValueError, match="no other log"):
            await signer.sign_checkpoint(replace(HEAD, origin="bank-sz.example/sz-1"))


async def test_rosters_are_signed_by_the_log_key(box: Box) -> None:
    async with box.signer() as signer:
        roster = founding((HK,))
        note = Note(encode_roster(roster), (await signer.sign_roster(roster),))
        assert signer.counts["rosters"] == 1
    assert verify_note(note, box.keys) == (Verified(box.keys[0], 0),)


class _Draft(Roster, frozen=True, kw_only=True):
    pass


async def test_only_rosters_that_read_back_are_signed(box: Box) -> None:
    good = founding((HK,))
    late = msgspec.structs.replace(good, issued=good.issued.replace(microsecond=1))
    disguised = _Draft(**msgspec.structs.asdict(good))
    async with box.signer() as signer:
        for thing in (encode_roster(good), HEAD, disguised):
            with pytest.raises(TypeError):
                await signer.sign_roster(thing)
        with pytest.raises(ValueError, match="does not read back"):
            await signer.sign_roster(late)
        assert signer.counts["rosters"] == 0


async def test_further_keys_are_made_and_destroyed_beside_those_in_use(box: Box) -> None:
    async with box.signer() as signer:
        label, log = await signer.generate("log", ORIGIN, "chopmark-log")
        other, second = await signer.generate("cosigner", f"{ORIGIN}/cosigner-2", "cosigner")
        assert (label, other) == ("chopmark-log-2", "cosigner-2")
        assert (log.type, second.type) == (ECDSA_P256, COSIGNATURE)
        assert len({key.public for key in (*box.keys, log, second)}) == 4
        assert (await signer.generate("log", ORIGIN, "chopmark-log"))[0] == "chopmark-log-3"
        with pytest.raises(MissingError):
            await signer.destroy(label, box.keys[0])
        await signer.destroy(label, log)
        await signer.destroy(label, log)
        await signer.destroy(other, second)
        assert (await signer.generate("cosigner", second.name, "cosigner"))[0] == other
        assert (await signer.generate("log", ORIGIN, "chopmark-log"))[0] == label
        with pytest.raises(ValueError, match="in use"):
            await signer.destroy(box.config.log_label, box.keys[0])
        await signer.sign_checkpoint(HEAD)


class _Disguise(Checkpoint):
    def encode(self) -> str:
        return "chopmark/roster/v1\nversion = 1\n"


@pytest.mark.parametrize(
    "thing", [b"bytes", "text", HEAD.encode(), None, _Disguise(ORIGIN, 5, b"\1" * 32)]
)
async def test_only_checkpoints_are_signed(box: Box, thing: object) -> None:
    async with box.signer() as signer:
        with pytest.raises(TypeError):
            await signer.sign_checkpoint(thing)  # type: ignore[arg-type]  # that is the point
        with pytest.raises(TypeError):
            await signer.cosign(thing, TIME)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    "head",
    [
        replace(HEAD, origin="chopmark/roster/v1\nversion = 1"),
        replace(HEAD, origin="chopmark/roster/v1"),
        replace(HEAD, size=-1),
        replace(HEAD, size=True),
        replace(HEAD, root=b"\1" * 31),
    ],
)
async def test_crafted_checkpoints_are_not_signed(box: Box, head: Checkpoint) -> None:
    async with box.signer() as signer:
        with pytest.raises(MalformedError):
            await signer.sign_checkpoint(head)
        with pytest.raises(MalformedError):
            await signer.cosign(head, TIME)


@pytest.mark.parametrize("time", [0, -1, MAX_INT + 1])
async def test_cosign_refuses_impossible_times(box: Box, time: int) -> None:
    async with box.signer() as signer:
        with pytest.raises(ValueError, match="not a time"):
            await signer.cosign(HEAD, time)


async def test_wrong_pin_is_tried_once_and_latched(box: Box) -> None:
    box.pin = "not-the-pin"
    async with box.signer() as signer:
        assert signer.state == "latched"
        box.pin = None  # the right one would now be given, and is not asked for
        for _ in range(3):
            box.clock.now += 3600
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
            assert (caught.value.code, caught.value.retry_after) == ("pin-latched", None)
        assert box.pins_given == 1
        assert (signer.log_key, signer.cosigner_key) == box.keys
    async with box.signer() as signer:
        assert signer.state == "ready"


async def test_pin_refused_while_healing_is_latched(box: Box) -> None:
    async with box.signer() as signer:
        _hide(box)
        with pytest.raises(TryAgainError, match="away"):
            await signer.sign_checkpoint(HEAD)
        _show(box)
        box.pin, box.pins_given = "not-the-pin", 0
        for _ in range(3):
            box.clock.now += 5
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
            assert caught.value.code == "pin-latched"
        assert (signer.state, box.pins_given) == ("latched", 1)
        # The failed login's session is closed by C_Finalize, or stays till the end.
        module = signer._device._ladder.module
        assert module is not None
        assert not module.is_running


async def test_lost_token_is_away_then_heals(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chopmark.hsm")
    async with box.signer() as signer:
        await signer.sign_checkpoint(HEAD)
        _hide(box)
        for _ in range(3):
            box.clock.now += 5
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
            assert (caught.value.code, caught.value.retry_after) == ("hsm-away", 1)
        assert signer.state == "away"
        assert signer.reason
        _show(box)
        box.clock.now += 1
        signature = await signer.sign_checkpoint(HEAD)
        assert verify_note(Note(HEAD.encode(), (signature,)), box.keys)
        assert (await signer.cosign(HEAD, TIME)).name == signer.cosigner_key.name
        assert (signer.state, signer.reason, signer.counts["outages"]) == ("ready", None, 1)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("the HSM is away: ")
    assert lines[1] == "the HSM is back after 11.0 s"


async def test_token_is_opened_anew_at_once(box: Box) -> None:
    async with box.signer() as signer:
        module = signer._device._ladder.module
        assert module is not None
        await signer._thread.call(module.restart)  # all handles are dead now
        signature = await signer.sign_checkpoint(HEAD)
        assert verify_note(Note(HEAD.encode(), (signature,)), box.keys)
        assert (signer.state, signer.counts["outages"], box.pins_given) == ("ready", 1, 2)


async def test_opening_anew_is_tried_once_a_second(box: Box) -> None:
    async with box.signer() as signer:
        _hide(box)
        with pytest.raises(TryAgainError):
            await signer.sign_checkpoint(HEAD)
        _show(box)
        box.clock.now += 0.9
        with pytest.raises(TryAgainError):
            await signer.sign_checkpoint(HEAD)
        box.clock.now += 0.1
        assert await signer.sign_checkpoint(HEAD)


async def test_token_with_other_keys_does_not_heal(box: Box) -> None:
    async with box.signer() as signer:
        _hide(box)
        with pytest.raises(TryAgainError):
            await signer.sign_checkpoint(HEAD)
        _show(box)
        signer._device.log_key = replace(box.keys[0], public=b"another")
        box.clock.now += 1
        with pytest.raises(TryAgainError, match="other keys"):
            await signer.sign_checkpoint(HEAD)
        assert signer.state == "away"


async def test_bad_signature_is_made_again(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, times=1)
    async with box.signer() as signer:
        box.clock.now += 5
        signature = await signer.sign_checkpoint(HEAD)
        assert verify_note(Note(HEAD.encode(), (signature,)), box.keys)
        assert signer.counts["bad_signatures"] == 1


async def test_bad_signatures_never_leave(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, times=1000)
    async with box.signer() as signer:
        for call in (lambda: signer.sign_checkpoint(HEAD), lambda: signer.cosign(HEAD, TIME)):
            box.clock.now += 5
            with pytest.raises(TryAgainError) as caught:
                await call()
            assert caught.value.code == "hsm-away"
        assert signer.counts["checkpoints"] == signer.counts["cosignatures"] == 0
        assert signer.state == "away"


async def test_short_signature_is_an_outage(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(SignMixin):
        def sign(self, *_: object, **__: object) -> bytes:
            return b"short"

    real = ladder.open_token

    def opened(*args: object) -> object:
        token = real(*args)  # type: ignore[arg-type]  # passed through
        keys = token.keys
        return replace(token, keys=keys._replace(log=replace(keys.log, private=Short())))

    monkeypatch.setattr(ladder, "open_token", opened)
    async with box.signer() as signer:
        for outages in (1, 1):
            with pytest.raises(TryAgainError, match="5 bytes"):
                await signer.sign_checkpoint(HEAD)
            assert (signer.state, signer.counts["outages"]) == ("away", outages)
            box.clock.now += 1
        assert await signer.cosign(HEAD, TIME)
        assert signer.state == "ready"


async def test_nothing_shows_the_pin(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    for pin in ("a-wrong-but-secret-pin", box.token.read_pin()):
        box.pin = pin
        async with box.signer() as signer:
            _hide(box)
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
            _show(box)
            seen += [repr(caught.value), caught.value.hint, *_format_with_locals(caught.value)]
            seen += [repr(signer), repr(signer._device), repr(signer._config), str(signer.reason)]
    text = "".join(seen) + caplog.text
    assert "chopmark/hsm/device.py" in text
    assert "a-wrong-but-secret-pin" not in text
    assert box.token.read_pin() not in text


async def test_calls_from_another_thread_are_refused(box: Box) -> None:
    async with box.signer() as signer:
        assert threading.current_thread() is threading.main_thread()
        with pytest.raises(RuntimeError, match="only the thread"):
            signer._device.sign("log", b"message")
        with pytest.raises(RuntimeError, match="only the thread"):
            signer._device.close()


async def test_module_is_not_opened_twice(box: Box) -> None:
    async with box.signer() as signer:
        with pytest.raises(TryAgainError, match="in use") as caught:
            await open_signer(box.config, ORIGIN, box.give_pin)
        assert caught.value.code == "hsm-stuck"
        assert await signer.sign_checkpoint(HEAD)


async def test_closed_signer_signs_nothing(box: Box) -> None:
    async with box.signer() as signer:
        pass
    with pytest.raises(RuntimeError, match="stopped"):
        await signer.sign_checkpoint(HEAD)


async def test_calls_queued_behind_the_close_sign_nothing(box: Box) -> None:
    signer = await open_signer(box.config, ORIGIN, box.give_pin)
    before, closed, after = await asyncio.gather(
        signer.sign_checkpoint(HEAD),
        signer.close(),
        signer.sign_checkpoint(HEAD),
        return_exceptions=True,
    )
    assert verify_note(Note(HEAD.encode(), (before,)), box.keys)  # type: ignore[arg-type]  # signed
    assert closed is None
    assert isinstance(after, RuntimeError)


@pytest.mark.parametrize("path", ["/no/such/module.so", "/etc/passwd", "/etc"])
async def test_what_is_no_module_is_refused(box: Box, path: str) -> None:
    config = replace(box.config, module=path)
    with pytest.raises(ConfigurationError) as caught:
        await open_signer(config, ORIGIN, box.give_pin)
    assert caught.value.code == "no-hsm-module"
    assert path in caught.value.message


async def test_module_that_does_not_start_is_away(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", "/no/such/softhsm2.conf")
    with pytest.raises(TryAgainError) as caught:
        await open_signer(box.config, ORIGIN, box.give_pin)
    assert caught.value.code == "hsm-away"
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.token.conf))
    async with box.signer() as signer:
        assert await signer.sign_checkpoint(HEAD)


async def test_failing_pin_source_is_told_and_no_login_is_tried(box: Box) -> None:
    def no_pin() -> str:
        raise ConfigurationError("no-pin", "the credential is not there")

    with pytest.raises(ConfigurationError, match="credential"):
        await open_signer(box.config, ORIGIN, no_pin)
    async with box.signer() as signer:
        assert signer.state == "ready"


async def test_missing_token_lists_those_there(box: Box) -> None:
    config = replace(box.config, token_label="elsewhere")
    with pytest.raises(ConfigurationError, match=r"'elsewhere'.*'hk-1'") as caught:
        await open_signer(config, ORIGIN, box.give_pin)
    assert caught.value.code == "no-such-token"
    assert box.pins_given == 0


async def test_token_that_comes_late_is_an_outage_where_the_keys_are_known(box: Box) -> None:
    _hide(box)
    signer = await open_signer(
        box.config, ORIGIN, box.give_pin, known=box.keys, monotonic=box.clock
    )
    try:
        assert (signer.state, signer.log_key, signer.cosigner_key) == ("away", *box.keys)
        with pytest.raises(TryAgainError, match="away"):
            await signer.sign_checkpoint(HEAD)
        _show(box)
        box.clock.now += 1
        assert verify_note(Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),)), box.keys)
        assert (signer.state, signer.reason, signer.token_label) == ("ready", None, "hk-1")
        assert signer.warning
    finally:
        await signer.close()


async def test_token_that_is_not_in_any_slot_is_an_outage_where_the_keys_are_known(
    box: Box,
) -> None:
    config = replace(box.config, token_label="elsewhere")
    signer = await open_signer(config, ORIGIN, box.give_pin, known=box.keys)
    try:
        assert signer.state == "away"
        assert "'elsewhere'" in (signer.reason or "")
        assert box.pins_given == 0
    finally:
        await signer.close()


async def test_refused_pin_is_latched_though_the_public_keys_cannot_be_read(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def need_login(*_: object) -> None:
        raise TokenFaultError("no objects without a login")

    monkeypatch.setattr(ladder, "read_public", need_login)
    box.pin = "wrong"
    signer = await open_signer(box.config, ORIGIN, box.give_pin, known=box.keys)
    try:
        assert (signer.state, signer.log_key, box.pins_given) == ("latched", box.keys[0], 1)
    finally:
        await signer.close()


async def test_missing_key_names_the_remedy(box: Box) -> None:
    config = replace(box.config, cosigner_label="unmade")
    with pytest.raises(MissingError, match="'unmade'") as caught:
        await open_signer(config, ORIGIN, box.give_pin)
    assert "chopmark init" in caught.value.hint
    async with box.signer() as signer:  # the failure left nothing behind
        assert await signer.sign_checkpoint(HEAD)


@pytest.mark.parametrize(
    "fields",
    [
        {"module": "libsofthsm2.so", "token_label": "hk-1"},
        {"module": "/m.so"},
        {"module": "/m.so", "token_label": "hk-1", "log_label": ""},
        {"module": "/m.so", "token_label": "hk-1", "log_label": "a", "cosigner_label": "a"},
    ],
)
def test_config_that_cannot_work_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HsmConfig(**fields)
    assert caught.value.code == "malformed-hsm-config"


def _make_ed25519_key(session: Session, label: str) -> None:
    params = {Attribute.EC_PARAMS: ED25519_PARAMS}
    domain = session.create_domain_parameters(KeyType.EC_EDWARDS, params, local=True)
    domain.generate_keypair(
        label=label,
        store=True,
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _hide(box: Box) -> None:
    box.token.tokens.rename(box.token.tokens.with_name("unplugged"))
    box.token.tokens.mkdir()


def _show(box: Box) -> None:
    box.token.tokens.rmdir()
    box.token.tokens.with_name("unplugged").rename(box.token.tokens)


def _format_with_locals(error: BaseException | None) -> list[str]:
    """What a tracing tool would show of our frames: each with the repr of its variables."""
    lines = []
    while error is not None:
        lines += [str(error), repr(error)]
        for frame, line in traceback.walk_tb(error.__traceback__):
            name = frame.f_code.co_filename
            if "chopmark/hsm" in name:
                lines += [f"{name}:{line}", *(repr(value) for value in frame.f_locals.values())]
        error = error.__cause__
    return lines


def _spoil(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    real, left = device._sign, [times]

    def spoiled(key: HsmKey, message: bytes) -> bytes:
        signature = real(key, message)
        if not left[0]:
            return signature
        left[0] -= 1
        return signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]

    monkeypatch.setattr(device, "_sign", spoiled)
