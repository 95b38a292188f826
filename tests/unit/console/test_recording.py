"""Records of the console: durable, in order, each taken once, bounded, inert."""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.console import recording, spool
from chopmark.console.recording import BATCH, ROUTE, ConsoleRecorder
from chopmark.console.spool import MOST, MOST_ALIKE, Spool, aside_of, count_aside
from chopmark.core.errors import (
    ForbiddenError,
    InternalError,
    MalformedError,
    UnreachableError,
)
from consoledesk import MemoryGateway
from rig.patience import PATIENCE

NOW = 1_795_305_600.123
AT = "2026-11-22T00:00:00.123Z"


class Daemon:
    """STAND-IN for the daemon's route; `away`: it fails before or after it has taken them."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.away = ""
        self.got = asyncio.Event()

    def take(self, body: Any) -> Any:
        if self.away == "before":
            return UnreachableError("gateway-unreachable", "away")
        last = self.taken[-1]["number"] if self.taken else -1
        self.taken += [one for one in body["records"] if one["number"] > last]
        self.got.set()
        if self.away == "after":
            return UnreachableError("gateway-unreachable", "away")
        return {"taken": self.taken[-1]["number"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records"


def recorder(path: Path, daemon: Daemon) -> ConsoleRecorder:
    gateway = MemoryGateway(posts={ROUTE: daemon.take})
    return ConsoleRecorder(Spool(path), gateway, lambda: NOW)


@asynccontextmanager
async def running(made: ConsoleRecorder) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until_empty(made: ConsoleRecorder) -> None:
    async with asyncio.timeout(PATIENCE):
        while made.spool.first(1):  # noqa: ASYNC110 - the file is not ours to signal
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "SOONEST", 0.01)


def junk(path: Path) -> None:
    """A record in the spool that the daemon never takes: it was written by another version."""
    one = json.loads(path.read_bytes().splitlines()[1])
    bad = {**one, "number": one["number"], "outcome": "Not A Code"}
    lines = path.read_bytes().splitlines()
    lines[1] = json.dumps(bad).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")


class StrictDaemon(Daemon):
    """STAND-IN for the daemon's route, with its rule for outcomes."""

    def take(self, body: Any) -> Any:
        if any(" " in one["outcome"] for one in body["records"]):
            return MalformedError("malformed-request", "records[0].outcome is not what it may be")
        return super().take(body)


@pytest.mark.parametrize("behind", [0, 1, 70])
async def test_record_that_is_refused_for_good_holds_up_nothing_behind_it(
    path: Path, caplog: pytest.LogCaptureFixture, behind: int
) -> None:
    daemon = StrictDaemon()
    made = recorder(path, daemon)
    for number in range(1 + behind):
        await made.record("chan", f"a{number}", "done")
    junk(path)
    made = recorder(path, daemon)
    async with running(made):
        while not daemon.taken or daemon.taken[-1]["action"] != "console.refused":
            await asyncio.wait_for(daemon.got.wait(), PATIENCE)  # the spool is empty for a moment
            daemon.got.clear()
        await until_empty(made)
    assert [one["action"] for one in daemon.taken] == [
        *(f"console.a{number + 1}" for number in range(behind)),
        "console.refused",
    ]
    assert daemon.taken[-1]["about"] == {"number": "0", "action": "console.a0"}
    (kept,) = (json.loads(line) for line in aside_of(path).read_bytes().splitlines())
    assert (kept["action"], kept["outcome"]) == ("console.a0", "Not A Code")
    assert count_aside(path.parent) == 1
    assert "set aside" in caplog.text
    assert aside_of(path).stat().st_mode & 0o777 == 0o600


async def test_what_is_refused_for_now_waits(path: Path) -> None:
    made = recorder(path, Daemon())
    await made.record("chan", "a", "done")
    forbidding = MemoryGateway(posts={ROUTE: lambda _: ForbiddenError("role-missing", "no")})
    made = ConsoleRecorder(Spool(path), forbidding, lambda: NOW)
    with pytest.raises(ForbiddenError):
        await made._hand_over()
    assert len(made.spool.first(9)) == 1
    assert not aside_of(path).exists()


async def test_records_reach_the_daemon_in_order_with_the_time_when_it_happened(
    path: Path,
) -> None:
    daemon = Daemon()
    made = recorder(path, daemon)
    for number in range(BATCH + 7):
        await made.record("chan", "login", "done", number=str(number))
    async with running(made):
        await until_empty(made)
    assert [one["about"]["number"] for one in daemon.taken] == [str(n) for n in range(BATCH + 7)]
    first = daemon.taken[0]
    assert (first["at"], first["action"]) == ("2026-11-22T00:00:00.123Z", "console.login")


@pytest.mark.parametrize("answer", [{}, {"taken": None}, {"taken": "many"}, None])
async def test_answer_that_says_nothing_does_not_end_the_handing_over(
    path: Path, answer: Any
) -> None:
    daemon = Daemon()
    answers = [answer]
    posts = {ROUTE: lambda body: answers.pop() if answers else daemon.take(body)}
    made = ConsoleRecorder(Spool(path), MemoryGateway(posts=posts), lambda: NOW)
    await made.record("chan", "console.login", "done")
    async with running(made):
        await until_empty(made)
    assert [one["action"] for one in daemon.taken] == ["console.login"]


@pytest.mark.parametrize("away", ["before", "after"])
async def test_records_wait_while_the_daemon_is_down_and_over_a_restart(
    path: Path, away: str
) -> None:
    daemon = Daemon()
    daemon.away = away
    made = recorder(path, daemon)
    await made.record("chan", "console.login", "done")
    if away == "after":
        async with running(made):
            await daemon.got.wait()
    again = recorder(path, daemon)
    await again.record("chan", "console.logout", "done")
    daemon.away = ""
    async with running(again):
        await until_empty(again)
    assert [(one["number"], one["action"]) for one in daemon.taken] == [
        (0, "console.login"),
        (1, "console.logout"),
    ]
    assert recorder(path, daemon).spool.source == again.spool.source
    await again.record("chan", "console.login", "done")
    assert Spool(path).first(9)[0].number == 2, "numbers go on"


async def test_records_that_the_daemon_refuses_wait_and_the_journal_says_why(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused = ForbiddenError("role-missing", "needs the role operator")
    made = ConsoleRecorder(Spool(path), MemoryGateway(posts={ROUTE: lambda _: refused}))
    await made.record("chan", "login", "done")
    async with running(made), asyncio.timeout(PATIENCE):
        while "records wait" not in caplog.text:  # noqa: ASYNC110 - the log is not ours to signal
            await asyncio.sleep(0.01)
    assert "needs the role operator" in caplog.text
    assert len(made.spool.first(9)) == 1


def test_last_line_cut_in_two_by_the_power_is_left_out(path: Path) -> None:
    made = Spool(path)
    for action in ("console.login", "console.logout"):
        made.add(AT, "chan", action, "done", {})
    whole = path.read_bytes()
    for length in range(whole.rindex(b"\n", 0, -1) + 1, len(whole)):
        path.write_bytes(whole[:length])
        left = Spool(path)
        assert [one.action for one in left.first(9)] == ["console.login"]
        left.add(AT, "lee", "console.x", "done", {})
        assert [one.number for one in Spool(path).first(9)] == [0, 1]


def test_half_a_line_is_gone_before_the_next_record_also_if_the_disk_was_full(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spool(path).add(AT, "chan", "console.login", "done", {})
    with path.open("ab") as file:
        file.write(b'{"number":1,"at')
    with monkeypatch.context() as context:
        context.setattr(spool, "replace_file", full)
        made = Spool(path)
    made.add(AT, "chan", "console.logout", "done", {})
    assert [one.action for one in Spool(path).first(9)] == ["console.login", "console.logout"]


def test_line_that_is_damaged_takes_no_other_record_with_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Spool(path)
    for action in ("console.login", "console.command", "console.logout"):
        made.add(AT, "chan", action, "done", {})
    path.write_bytes(path.read_bytes().replace(b'{"number":1', b"\0" * 11))
    left = Spool(path)
    assert [one.action for one in left.first(9)] == ["console.login", "console.logout"]
    assert left.source == made.source
    assert "damaged" in caplog.text


def test_record_that_the_disk_did_not_take_shares_its_number_with_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Spool(path)
    with monkeypatch.context() as context:
        context.setattr(spool.os, "fsync", fails)
        with pytest.raises(OSError, match="broken"):
            made.add(AT, "chan", "console.login", "done", {})
    made.add(AT, "chan", "console.logout", "done", {})
    assert [(one.number, one.action) for one in Spool(path).first(9)] == [(0, "console.logout")]


def full(*_: object) -> None:
    raise InternalError("write-failed", "no space left")


def fails(*_: object) -> None:
    raise OSError("broken")


async def test_record_of_whoever_is_broken_off_is_written_before_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may, append = threading.Event(), threading.Event(), spool._append

    def slowly(*given: Any) -> None:
        began.set()
        assert may.wait(20)
        append(*given)

    monkeypatch.setattr(spool, "_append", slowly)
    made = recorder(path, Daemon())
    first = asyncio.create_task(made.record("chan", "login", "login-refused"))
    assert await asyncio.to_thread(began.wait, 20)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(made.record("chan", "login", "done"))
    await asyncio.sleep(0)
    may.set()
    await second
    found = [(one.number, one.outcome) for one in Spool(path).first(9)]
    assert found == [(0, "login-refused"), (1, "done")]


def test_spool_on_a_disk_that_was_full_begins_once_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setattr(spool, "replace_file", full)
        made = Spool(path)
        with pytest.raises(InternalError):
            made.add(AT, "chan", "console.login", "done", {})
    made.add(AT, "chan", "console.login", "done", {})
    assert Spool(path).first(9) == made.first(9) != []


@pytest.mark.parametrize("junk", [b"", b"\n", b"x\n", b"{}\n", b'{"source":1}\n', b"\xff\n"])
def test_damaged_file_begins_another_source(path: Path, junk: bytes) -> None:
    path.write_bytes(junk)
    made = Spool(path)
    assert len(made.source) == 32
    assert Spool(path).source == made.source


@given(st.binary(max_size=300))
def test_whatever_is_in_the_file_a_spool_begins(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records"
        path.write_bytes(Spool(path).source.encode() + data)
        made = Spool(path)
        made.add(AT, "chan", "console.login", "done", {})
        assert Spool(path).first(9) == made.first(9)


def test_ten_thousand_refusals_leave_room_for_what_matters(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool.os, "fsync", lambda _: None)
    made = Spool(path)
    for _ in range(10_000):
        made.add(AT, "x", "console.login", "login-refused", {})
    size = path.stat().st_size
    assert len(made.first(MOST)) == MOST_ALIKE
    made.add(AT, "chan", "console.reboot", "done", {})
    assert path.stat().st_size < size + 300
    assert made.first(MOST)[-1].action == "console.reboot"
    assert "console.login" in json.loads(path.read_bytes().splitlines()[0])["beyond"]
    assert made.take_beyond() == {"console.login": 10_000 - MOST_ALIKE}
    assert made.take_beyond() == {}


async def test_what_had_no_room_is_told_once_there_is_some(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_ALIKE", 2)
    daemon = Daemon()
    made = recorder(path, daemon)
    for _ in range(5):
        await made.record("unknown", "console.login", "login-refused")
    async with running(made):
        async with asyncio.timeout(PATIENCE):
            while len(daemon.taken) < 3:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert daemon.taken[2]["action"] == "console.beyond"
    assert daemon.taken[2]["about"] == {"console.login": "3"}


async def test_record_never_fails_and_nothing_in_it_is_alive(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon()
    made = recorder(path, daemon)
    await made.record("chan\x1b[2J", "Configure Network!", "E 7", **{"File name": "a\nb\x07" * 99})
    one = made.spool.first(1)[0]
    assert (one.action, one.outcome) == ("console.configure-network", "e-7")
    assert one.technician.isprintable()
    assert one.about["file-name"].isprintable()
    assert len(one.about["file-name"].encode()) <= 256
    assert "\x1b" not in caplog.text

    monkeypatch.setattr(spool, "_append", fails)
    await made.record("chan", "console.login", "done")
    assert "in the journal alone" in caplog.text


async def test_each_port_has_a_spool_of_its_own(tmp_path: Path) -> None:
    ports = ["ttyS0", "ttyUSB1", "../x"]
    made = [recording.open_recorder(tmp_path, port, MemoryGateway()) for port in ports]
    await made[0].record("chan", "console.login", "done")
    assert [len(one.spool.first(9)) for one in made] == [1, 0, 0]
    assert len({one.spool.source for one in made}) == 3


async def test_journal_has_fields(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await recorder(path, Daemon()).record("chan", "console.login", "done", role="service")
    line = caplog.records[0]
    told = (line.technician, line.action, line.outcome, line.about)  # type: ignore[attr-defined]
    assert told == ("chan", "console.login", "done", "role=service")
