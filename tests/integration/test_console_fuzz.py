"""Anything that can come from a line, typed at the whole console, for some seconds.

`CONSOLE_FUZZ=1200 pytest -s` makes it 20 minutes, from another seed each time, which it tells.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adminbox import AdminBox
from consolefuzz import Fuzz
from rig.token import MODULE

ROUNDS = 25
SECONDS = float(os.environ.get("CONSOLE_FUZZ", "0"))


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminBox]:
    made = AdminBox(tmp_path_factory.mktemp("b")).start()
    try:
        made.init()
        made.do("unit-start", unit="gateway")
        made.wait_for(made.is_up, "the daemon to answer")
        yield made
    finally:
        made.close()


async def test_console_holds_whatever_is_typed_and_the_gateway_is_none_the_worse(
    box: AdminBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "console"))
    seed = time.time_ns() % 2**32 if SECONDS else 8
    async with Fuzz(tmp_path, box, seed) as fuzz:
        end = time.monotonic() + SECONDS
        while fuzz.rounds < ROUNDS or time.monotonic() < end:
            await fuzz.round()
    sys.stdout.write(f"seed {seed}: {fuzz.report}\n")
    assert fuzz.sessions
    await asyncio.to_thread(box.ask, "unit-start", unit="gateway")
    await asyncio.to_thread(box.wait_for, box.is_up, "the daemon to answer")
    assert MODULE in box.config.read_text()
