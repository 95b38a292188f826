"""An HSM that does not answer: the real thread and signer, with a stand-in for the device."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import TryAgainError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.hsm import HsmConfig, HsmSigner, calls
from chopmark.hsm.meter import Meter
from chopmark.hsm.thread import HsmThread
from meshes import until
from rig.patience import PATIENCE
from softkeys import SoftKey, cosigner, ed25519_of

ORIGIN = "bank-sz.example/sz-1"
HEAD = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
KEY: SoftKey = cosigner(f"{ORIGIN}/cosigner", 2)


class SilentDevice:
    """Stand-in for a device whose module hangs in a call until it is let go."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.log_key = self.cosigner_key = KEY.vkey
        self.state, self.reason, self.hint, self.outages = "ready", None, None, 0
        self.meter = Meter()

    def sign(self, role: str, message: bytes) -> bytes:
        assert self.free.wait(10 * PATIENCE), role
        signed: bytes = ed25519_of(KEY.seed).sign(message)
        return signed

    def close(self) -> None:
        assert self.free.wait(10 * PATIENCE)


@pytest.fixture
async def silent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SilentDevice, HsmSigner]]:
    monkeypatch.setattr(calls, "ANSWER", 0.05)
    device: Any = SilentDevice()
    config = HsmConfig("/module", "token")
    yield device, HsmSigner(HsmThread(), device, config)
    device.free.set()


async def test_call_that_hangs_is_an_hsm_that_is_away(
    silent: tuple[SilentDevice, HsmSigner],
) -> None:
    _, signer = silent
    with pytest.raises(TryAgainError) as caught:
        await signer.cosign(HEAD, 1)
    assert caught.value.code == "hsm-away"
    await until(lambda: signer.state == "away")  # the thread began a moment after the caller
    assert (signer.state, signer.reason) == ("away", "it does not answer")


async def test_hsm_that_answers_again_is_ready(
    silent: tuple[SilentDevice, HsmSigner], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, signer = silent
    with pytest.raises(TryAgainError):
        await signer.cosign(HEAD, 1)
    device.free.set()
    monkeypatch.setattr(calls, "ANSWER", PATIENCE)
    assert (await signer.cosign(HEAD, 1)).name == KEY.vkey.name
    assert signer.state == "ready"


async def test_closing_does_not_wait_for_a_call_that_hangs(
    silent: tuple[SilentDevice, HsmSigner],
) -> None:
    _, signer = silent
    await asyncio.wait_for(signer.close(), PATIENCE)
