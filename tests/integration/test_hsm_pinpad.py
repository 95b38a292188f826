"""A PIN that is typed at the device: SoftHSM with a stand-in for the pad (`pinpad.c`)."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from documents import attest, some_document

from chopmark.core.errors import TryAgainError
from chopmark.core.note import Note, verify_note
from chopmark.hsm import HsmConfig, HsmSigner, calls, open_signer, watch
from chopmark.hsm.diagnosis import Need, diagnose
from chopmark.hsm.doctor import examine
from chopmark.hsm.pin import PinPad
from chopmark.hsm.trial import Clocks
from integration.hsm_box import HEAD, ORIGIN, Box
from integration.hsm_kinds import Shelf
from meshes import until
from rig.broker import Broker
from rig.gateway import HONG_KONG, Gateway
from rig.remote import Remote
from rig.token import MODULE, provision_token

CLOCKS = Clocks(lambda: time.time_ns() // 1_000_000, time.monotonic)
SOURCE = Path(__file__).with_name("pinpad.c")


def type_at(pad: Path, pin: str) -> bool:
    """Type a PIN, and whether one was asked for."""
    try:
        pipe = os.open(pad, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads: nobody is asked
        return False
    os.write(pipe, pin.encode())
    os.close(pipe)
    return True


@dataclass
class Pad:
    """Where somebody types."""

    pipe: Path
    box: Box
    config: HsmConfig

    def type(self, pin: str) -> bool:
        """As `type_at`."""
        return type_at(self.pipe, pin)

    async def open(self) -> HsmSigner:
        """A signer that asks for the PIN at the device."""
        return await open_signer(
            self.config, ORIGIN, PinPad, known=self.box.keys, monotonic=self.box.clock
        )


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    built = tmp_path_factory.mktemp("pad") / "pinpad.so"
    where = f'-DMODULE="{MODULE}"'
    subprocess.run(["gcc", "-shared", "-fPIC", where, "-o", built, SOURCE], check=True)
    return str(built)


@pytest.fixture
def pad(module: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pad:
    box = shelf.box("softhsm", monkeypatch)
    os.mkfifo(tmp_path / "pad", 0o600)
    monkeypatch.setenv("PIN_PAD", str(tmp_path / "pad"))
    return Pad(tmp_path / "pad", box, HsmConfig(module, "hk-1"))


async def test_token_is_opened_once_its_pin_was_typed(pad: Pad) -> None:
    opening = asyncio.create_task(pad.open())
    await until(lambda: pad.type(pad.box.token.read_pin()))
    signer = await opening
    try:
        signature = await signer.sign_checkpoint(HEAD)
        assert verify_note(Note(HEAD.encode(), (signature,)), pad.box.keys)
        assert (signer.state, pad.type("4711")) == ("ready", False)
    finally:
        await signer.close()


async def test_typing_may_take_longer_than_the_hsm_may(
    pad: Pad, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def look() -> int:
        looks.append(1)
        return 1

    with monkeypatch.context() as patched:
        patched.setattr(calls, "ANSWER", 0.05)
        for name in ("STUCK", "STUCK_BEFORE", "LOOK"):
            patched.setattr(watch, name, 0.01)
        signer = await pad.open()
        assert signer.state == "away"
        watching = asyncio.create_task(signer.watch(look))
        await until(lambda: len(looks) > 5 or watching.done())
        assert not watching.done()
        watching.cancel()
    await until(lambda: pad.type(pad.box.token.read_pin()))
    await until(lambda: signer.state == "ready")
    assert await signer.sign_checkpoint(HEAD)
    await signer.close()


async def test_wrong_pin_is_asked_for_again_when_an_operator_says_so_only(pad: Pad) -> None:
    opening = asyncio.create_task(pad.open())
    await until(lambda: pad.type("not-the-pin"))
    signer = await opening
    try:
        for _ in range(3):
            pad.box.clock.now += 3600
            with pytest.raises(TryAgainError) as caught:
                await signer.sign_checkpoint(HEAD)
            assert (caught.value.code, signer.state) == ("pin-latched", "latched")
        unlatching = asyncio.create_task(signer.unlatch())
        await until(lambda: pad.type(pad.box.token.read_pin()))
        await unlatching
        assert await signer.sign_checkpoint(HEAD)
    finally:
        await signer.close()


def test_doctor_names_the_pad_and_signs_with_what_is_typed_there(pad: Pad) -> None:
    need = Need((("log", "chopmark-log"), ("cosigner", "chopmark-cosigner")), ed25519=True)
    ended = threading.Event()

    def type_it() -> None:
        while not pad.type(pad.box.token.read_pin()) and not ended.wait(0.01):
            pass

    typing = threading.Thread(target=type_it)
    typing.start()
    try:
        facts = examine(pad.config.module, pad.config, origin=ORIGIN, pin=PinPad, clocks=CLOCKS)
    finally:
        ended.set()
        typing.join()
    lines = {line.name: line for line in diagnose(facts, need)}
    assert (lines["PIN pad"].mark, facts.keeps_data) == ("ok", "kept")


def test_gateway_asks_at_the_device_again_after_its_modules_process_was_killed(
    module: str, tmp_path: Path
) -> None:
    soft = provision_token(tmp_path / "soft", HONG_KONG.id)
    pin, pipe = soft.read_pin(), tmp_path / "pad"
    os.mkfifo(pipe, 0o600)
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(tmp_path / "b"))
        with Remote(tmp_path / "s", MODULE, soft.environment) as plain:
            token = plain.client(soft)
            gateway = Gateway(tmp_path / "hk", HONG_KONG, broker, token=token, cosigner="p256")
        config = gateway.config.read_text()
        assert 'pin = "credential"' in config
        gateway.config.write_text(config.replace('pin = "credential"', 'pin = "pad"'))
        environment = {**soft.environment, "PIN_PAD": str(pipe)}
        remote = stack.enter_context(Remote(tmp_path / "s", module, environment))
        stack.callback(gateway.stop)
        gateway.launch()
        gateway.wait_for(lambda: type_at(pipe, pin), "to ask for the PIN")
        gateway.wait_for(gateway.is_ready, "to be ready")
        attest(gateway, some_document("typed"))
        for pid in remote.children():
            os.kill(pid, signal.SIGKILL)
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(attest, gateway, some_document("typed again"))
            gateway.wait_for(lambda: type_at(pipe, pin), "to ask for the PIN again")
            assert made.result()["index"] == 1
        assert pin not in gateway.log.read_text()
