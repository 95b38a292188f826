"""What `chopmark-diagnose@` tells stands in place of what the console's own process would find."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chopmark.console import diagnosing, reaching
from chopmark.core.errors import UnreachableError


@asynccontextmanager
async def telling(path: Path, said: bytes, *, ends: bool = True) -> AsyncIterator[None]:
    """A STAND-IN for the unit: it says that, and ends."""

    over = asyncio.Event()

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        if not ends:
            await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(tell, path)
    try:
        yield
    finally:
        over.set()
        server.close()
        await asyncio.sleep(0)


def line(check: str, *marks: str) -> bytes:
    fields = {"code": "broker-unreachable", "finding": "gone", "remedy": "look"}
    findings: list[Mapping[str, Any]] = [{**fields, "mark": mark} for mark in marks]
    return json.dumps({"check": check, "findings": findings}).encode() + b"\n"


async def test_where_there_is_no_such_unit_nothing_is_told(tmp_path: Path) -> None:
    assert await reaching.reach(tmp_path / "none") == {}


@pytest.mark.parametrize("said", [b"nonsense\n", b"[]\n", b'{"x":1}\n', b"x" * 2_000_000])
async def test_what_cannot_be_read_is_an_error(tmp_path: Path, said: bytes) -> None:
    async with telling(tmp_path / "s", said):
        with pytest.raises(UnreachableError):
            await reaching.reach(tmp_path / "s")


async def test_unit_that_hangs_costs_its_time(tmp_path: Path) -> None:
    async with telling(tmp_path / "s", b"", ends=False):
        with pytest.raises(UnreachableError, match="it is late"):
            await reaching.reach(tmp_path / "s", 0.05)


@pytest.mark.parametrize(("offline", "marks"), [(True, 2), (False, 1)])
async def test_its_findings_stand_in_place_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool, marks: int
) -> None:
    monkeypatch.setattr(reaching, "SOCKET", tmp_path / "s")
    doctor = "import sys; sys.stdout.write(sys.argv[1])"
    own = (line("brokers", "fault", "fault", "fault") + line("clock", "warning")).decode()
    monkeypatch.setattr(diagnosing, "CHOPMARK", (diagnosing.CHOPMARK[0], "-c", doctor, own))
    async with telling(tmp_path / "s", line("brokers", "fault", "not-looked-at")):
        found = [one async for one in diagnosing.diagnose(tmp_path, offline=offline)]
    assert [(one.name, len(one.findings)) for one in found] == [("brokers", marks), ("clock", 1)]
