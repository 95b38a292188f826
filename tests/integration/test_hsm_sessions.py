"""What really reaches the module, as OpenSC's spy module sees it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.hsm_box import ORIGIN, Box
from rig.patience import PATIENCE

SPY = next(Path("/usr/lib").glob("*/pkcs11/pkcs11-spy.so"))
FAILED_LOGINS = """
import asyncio, sys
from chopmark.core.errors import ChopmarkError
from chopmark.hsm import HsmConfig, create_keys, open_signer

config = HsmConfig(sys.argv[1], token_label="hk-1")
for _ in range(5):
    try:
        create_keys(config, sys.argv[2], lambda: "not-the-pin")
    except ChopmarkError as error:
        assert error.code == "pin-refused", error

async def latched():
    signer = await open_signer(config, sys.argv[2], lambda: "not-the-pin")
    assert signer.state == "latched"
    for _ in range(3):
        try:
            await signer._thread.call(signer._device.sign, "log", b"")
        except ChopmarkError as error:
            assert error.code == "pin-latched", error
    await signer.close()

asyncio.run(latched())
"""
OUTAGES = """
import asyncio, sys
from chopmark.core.checkpoint import Checkpoint
from chopmark.hsm import HsmConfig, open_signer

async def main():
    config = HsmConfig(sys.argv[1], token_label="hk-1")
    signer = await open_signer(config, sys.argv[2], lambda: sys.stdin.readline().rstrip())
    for _ in range(5):
        await signer._thread.call(signer._device._ladder.module.restart)
        await signer.sign_checkpoint(Checkpoint(sys.argv[2], 5, bytes(32)))
    assert signer.state == "ready"
    await signer.close()

asyncio.run(main())
"""


@dataclass
class Calls:
    """Counts of a run: logins, and the most sessions that were open at one time."""

    logins: int = 0
    open: int = 0
    most: int = 0


def test_failed_logins_leak_no_session_and_are_not_repeated(box: Box, tmp_path: Path) -> None:
    calls = _spy(box, tmp_path, FAILED_LOGINS)
    assert calls.logins == 6  # one for each of five ceremonies, one for the signer
    assert (calls.most, calls.open) == (1, 0)


def test_outages_leak_no_session(box: Box, tmp_path: Path) -> None:
    calls = _spy(box, tmp_path, OUTAGES)
    assert calls.logins == 6  # one for the start, one for each of five outages
    assert (calls.most, calls.open) == (2, 0)  # one that holds the login, one that works


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box.make(tmp_path, monkeypatch)
    made.create()
    return made


def _spy(box: Box, folder: Path, script: str) -> Calls:
    output = folder / "spy.txt"
    environment = {**os.environ, "PKCS11SPY": box.token.module, "PKCS11SPY_OUTPUT": str(output)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    subprocess.run(
        [sys.executable, "-c", script, str(SPY), ORIGIN],
        env=environment,
        input=f"{box.token.read_pin()}\n" * 6,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return _count(output.read_text())


def _count(text: str) -> Calls:
    calls = Calls()
    for line in text.splitlines():
        match line.split(": ")[1:]:
            case ["C_Login"]:
                calls.logins += 1
            case ["C_OpenSession"]:
                calls.open += 1
                calls.most = max(calls.most, calls.open)
            case ["C_CloseSession"]:
                calls.open -= 1
            case ["C_Finalize"]:
                calls.open = 0
    return calls
