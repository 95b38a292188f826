"""The clock's guard, with a kernel, a clock and peers that a test moves."""

import ctypes
import logging
from pathlib import Path
from typing import Any

import pytest

from chopmark.service import kernelclock
from chopmark.service.clockguard import CALM, HEARD, ClockGuard, read_boottime
from chopmark.service.kernelclock import Kernel, read_kernel
from ledgers import NOW, Clock, member
from softkeys import cosigner, log_key

GOOD = Kernel(synchronised=True)
BAD = Kernel(synchronised=False, reason="no time daemon keeps the system's clock")


class World:
    """A machine: its kernel, its wall clock, and the clock that nobody sets."""

    def __init__(self, require: str = "synchronised") -> None:
        self.clock = Clock()
        self.kernel = GOOD
        self.boot = 1000.0
        ask = lambda: self.kernel  # noqa: E731 - it says what the test has set last
        self.guard = ClockGuard(require, "Our bank", self.clock, ask, lambda: self.boot)
        self.guard.look()

    def wait(self, seconds: float, jump: float = 0.0) -> None:
        """Let time go on, and the wall clock jump."""
        self.boot += seconds
        self.clock.now += round((seconds + jump) * 1000)
        self.guard.look()

    def beat(self, name: str, ahead: float, institution: str = "") -> None:
        """A heartbeat of a peer whose clock is so far ahead of ours."""
        key = log_key(f"bank.example/{name}")
        second = cosigner(f"{key.name}/cosigner", 2)
        peer = member(key, second, institution=institution or f"Bank of {name}")
        self.guard.heard(peer, round(self.clock.now / 1000 + ahead))

    def beats(self, **ahead: float) -> None:
        """Two heartbeats of each, half a minute apart."""
        for _ in range(2):
            self.wait(30)
            for name, seconds in ahead.items():
                self.beat(name, seconds)
        self.guard.look()

    @property
    def codes(self) -> list[str]:
        return [alarm["code"] for alarm in self.guard.alarms()]

    @property
    def refused(self) -> str | None:
        error = self.guard.refuse(1)
        return error.code if error else None


@pytest.fixture
def world() -> World:
    return World()


def test_good_clock_stops_nothing(world: World) -> None:
    world.wait(3600)
    assert (world.guard.state, world.refused, world.codes) == ("ok", None, [])


def test_nothing_is_issued_before_the_first_look() -> None:
    guard = ClockGuard("synchronised", "Our bank", Clock(), lambda: GOOD)
    assert guard.refuse(1) is not None


def test_unsynchronised_clock_stops_issuing_and_heals(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    world.kernel = BAD
    for _ in range(5):
        world.wait(1)
    assert (world.guard.state, world.refused, world.codes) == (
        *("unsynchronised", "clock-wrong"),
        ["clock-wrong"],
    )
    assert len(caplog.records) == 1, "one line for each outage"
    world.kernel = GOOD
    world.wait(1)
    assert (world.refused, world.codes) == (None, [])
    assert len(caplog.records) == 2


def test_none_tells_and_stops_nothing() -> None:
    world = World("none")
    world.kernel = BAD
    world.wait(1, jump=3600)
    told = world.guard.describe()
    assert (told["guard"], told["state"], told["jumps"]) == ("none", "unsynchronised", 1)
    assert told["reason"] == BAD.reason
    assert (world.refused, world.codes) == (None, [])


@pytest.mark.parametrize("jump", [-3600, -6, 6, 86_400])
def test_jump_stops_issuing_until_it_is_calm(world: World, jump: float) -> None:
    world.wait(1, jump=jump)
    assert (world.guard.state, world.refused) == ("jumped", "clock-wrong")
    world.wait(CALM - 1)
    assert world.refused == "clock-wrong"
    world.wait(2)
    assert (world.refused, world.guard.jumps) == (None, 1)


@pytest.mark.parametrize("jump", [-4, 4])
def test_small_correction_is_no_jump(world: World, jump: float) -> None:
    for _ in range(5):
        world.wait(1, jump=jump)
    assert world.guard.jumps == 0


def test_sleep_of_the_machine_is_no_jump(world: World) -> None:
    world.wait(86_400)
    assert world.guard.jumps == 0


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_most_institutions_far_away_stop_issuing(world: World, ahead: float) -> None:
    world.beats(sz=ahead, mo=ahead, hk=0)
    assert (world.guard.state, world.refused) == ("ok", None), "two of four are not most"
    world = World()
    world.beats(sz=ahead, mo=ahead)
    assert (world.guard.state, world.refused) == ("far-from-others", "clock-wrong")
    assert world.codes == ["clock-wrong"]
    world.wait(HEARD + 1)
    assert world.refused is None, "nobody is heard any more"


def test_single_outlier_is_an_alarm_about_that_peer(world: World) -> None:
    world.beats(sz=3600, mo=1)
    assert (world.refused, world.codes) == (None, ["peer-clock"])
    assert "sz" in world.guard.alarms()[0]["message"]
    for _ in range(4):  # its clock is set back
        world.beats(sz=0, mo=1)
    assert world.codes == []
    assert world.guard.offsets["sz"] == pytest.approx(0, abs=1)


def test_only_peer_cannot_outvote_us(world: World) -> None:
    world.beats(sz=3600)
    assert (world.refused, world.codes) == (None, ["peer-clock"])


def test_gateways_of_one_institution_have_one_vote(world: World) -> None:
    for _ in range(2):
        world.wait(30)
        for name in ("sz-1", "sz-2", "sz-3"):
            world.beat(name, 3600, "Bank of Shenzhen")
    assert world.refused is None


def test_opposite_errors_are_no_majority(world: World) -> None:
    world.beats(sz=3600, mo=-3600)
    assert world.refused is None


def test_old_heartbeats_that_a_broker_hands_over_tell_nothing(world: World) -> None:
    for minutes in range(10, 0, -1):  # ten minutes' worth at once
        for name in ("sz", "mo"):
            world.beat(name, -60.0 * minutes)
    assert world.guard.offsets == {}
    assert world.refused is None


def test_replayed_heartbeat_tells_nothing(world: World) -> None:
    world.beats(sz=0, mo=0)
    for _ in range(3):
        world.wait(30)
        world.beat("sz", -120)
    assert world.guard.offsets["sz"] == pytest.approx(0, abs=1)


def test_offsets_from_before_a_jump_are_forgotten(world: World) -> None:
    world.beats(sz=0, mo=0)
    world.wait(1, jump=3600)
    world.wait(CALM + 1)
    assert (world.guard.offsets, world.refused) == ({}, None)
    world.beats(sz=-3600, mo=-3600)
    assert world.guard.state == "far-from-others", "the jump was wrong: they say so"


def test_state_is_told(world: World) -> None:
    world.beats(sz=2.0)
    told = world.guard.describe()
    assert told["now"].startswith("2027-01-15T")
    assert (told["state"], told["reason"], told["synchronised"]) == ("ok", None, True)
    assert told["offsets"]["sz"] == pytest.approx(2, abs=1)
    assert NOW


# The kernel


class Libc:
    """Stand-in for the C library: the real call only tells how this machine is."""

    def __init__(self, state: int, status: int = 0) -> None:
        self.state, self.status = state, status

    def adjtimex(self, pointer: Any) -> int:
        timex = pointer._obj
        assert timex.modes == 0, "a call that would change the clock"
        timex.status = self.status
        if self.state < 0:
            ctypes.set_errno(1)
        return self.state


@pytest.mark.parametrize(
    ("libc", "synchronised", "said"),
    [
        (Libc(0), True, ""),
        (Libc(1, 0x10), True, ""),
        (Libc(0, 0x40), False, "no time daemon"),
        (Libc(5), False, "no time daemon"),
        (Libc(-1), False, "not permitted"),
    ],
)
def test_kernel_says(
    monkeypatch: pytest.MonkeyPatch, libc: Libc, *, synchronised: bool, said: str
) -> None:
    monkeypatch.setattr(kernelclock.ctypes, "CDLL", lambda *_, **__: libc)
    kernel = read_kernel()
    assert kernel.synchronised is synchronised
    assert said in kernel.reason


def test_this_machines_kernel_answers() -> None:
    assert isinstance(read_kernel().synchronised, bool)
    assert read_boottime() > 0


def test_confined_process_hears_from_another_what_the_kernel_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "state"
    monkeypatch.setattr(kernelclock, "TOLD", told)
    libc = Libc(0)
    monkeypatch.setattr(kernelclock.ctypes, "CDLL", lambda *_, **__: libc)
    kernelclock.tell(told)
    assert told.stat().st_mode & 0o777 == 0o644, "for all to read"
    libc.state = -1
    assert read_kernel().synchronised
    monkeypatch.setattr(kernelclock, "_FRESH", -1.0)
    assert not read_kernel().synchronised, "what was told long ago counts no more"
    monkeypatch.undo()
    monkeypatch.setattr(kernelclock, "TOLD", told)
    monkeypatch.setattr(kernelclock.ctypes, "CDLL", lambda *_, **__: libc)
    kernelclock.tell(told)
    assert not read_kernel().synchronised, "who may not ask either must not repeat what was said"
    told.write_text("nonsense")
    assert "chopmark-clock.service" in read_kernel().reason


def test_units_let_one_process_ask_the_kernel_and_nobody_set_it() -> None:
    folder = Path(__file__).parents[3] / "systemd"
    clock = (folder / "chopmark-clock.service").read_text("utf-8").splitlines()
    assert "SystemCallFilter=adjtimex clock_adjtime" in clock
    assert {"CapabilityBoundingSet=", "PrivateNetwork=yes"} <= set(clock)
    daemon = (folder / "chopmark.service").read_text("utf-8").splitlines()
    assert {"ProtectClock=yes", "CapabilityBoundingSet="} <= set(daemon)
    assert not [line for line in daemon if "adjtimex" in line]
