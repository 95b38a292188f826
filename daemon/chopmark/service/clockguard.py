"""Guards the clock: `made at` and validity rest on it, and nobody else can correct it later.

1. The kernel must say that its clock is synchronised, by whatever time daemon.
2. The time of day must not jump: what it gains or loses against the clock that counts since the
   machine was started, from one look to the next, is at most `JUMP`. After a jump `CALM` seconds
   must pass without another one.
3. More than half of the institutions that are heard, ours among them, must not be more than `FAR`
   away on one side. One that is far away alone is an alarm about that peer.
4. What breaks a rule stops issuing, and ends by itself; verification goes on. With `require` set
   to `none` everything is looked at and told, and nothing is stopped.

An institution is heard by the heartbeats of its gateways, whose times are signed. One counts only
if it came as long after the one before as their times say: brokers may hand over old ones.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chopmark.core.errors import TryAgainError
from chopmark.core.member import Member
from chopmark.core.ports import Clock
from chopmark.core.wording import format_time
from chopmark.service.kernelclock import Kernel, read_kernel

LOG: Final = logging.getLogger("chopmark.clock")

LOOK: Final = 1.0
"""Seconds between two looks."""
JUMP: Final = 5.0
"""Seconds by which the clock may be moved at once. Daemons that slew do 0.5 ms in a second."""
CALM: Final = 60.0
"""Seconds without a jump after which it is over."""
FAR: Final = 60.0
"""Seconds of difference from others that are too much; what lies so far ahead is refused too."""
HEARD: Final = 120.0
"""Seconds for which what was heard of a peer counts: four heartbeats."""
LIVE: Final = 10.0
"""Seconds by which the time between two heartbeats may differ from what they say."""
RETRY_AFTER: Final = 30
NONE: Final = "none"


def read_boottime() -> float:
    """Seconds since the machine was started, also while it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class _Peer:
    """What was heard of one gateway: its newest time, and when; how far from ours, if it counts."""

    member: Member
    time: int
    at: float
    offset: float | None = None


class ClockGuard:
    """Looks after the clock.

    Args:
        require: `synchronised` or `none`.
        institution: ours.
        clock: the clock that is guarded.
        kernel: asks the kernel.
        boottime: seconds of a clock that nobody sets.

    Attributes:
        jumps: how often the clock has jumped since start.
    """

    def __init__(
        self,
        require: str,
        institution: str,
        clock: Clock,
        kernel: Callable[[], Kernel] = read_kernel,
        boottime: Callable[[], float] = read_boottime,
    ) -> None:
        self.require = require
        self.jumps = 0
        self._institution = institution
        self._clock, self._ask, self._boottime = clock, kernel, boottime
        self._kernel = Kernel(synchronised=False, reason="not looked at yet")
        self._difference: float | None = None
        self._jumped_at: float | None = None
        self._jump = 0.0
        self._peers: dict[str, _Peer] = {}
        self._told: set[str] = set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Look now; what is new is logged, once."""
        now = self._boottime()
        self._kernel = self._ask()
        difference = self._clock.now_ms() / 1000 - now
        if self._difference is not None and abs(difference - self._difference) > JUMP:
            self._jump, self._jumped_at = difference - self._difference, now
            self.jumps += 1
            self._peers.clear()  # what was far away may be near now, and the other way round
            LOG.warning("the clock jumped by %+.0f s", self._jump, extra={"code": "clock-jumped"})
        elif self._jumped_at is not None and now - self._jumped_at > CALM:
            self._jumped_at = None
        self._difference = difference
        self._tell()

    def heard(self, member: Member, seconds: int) -> None:
        """Take the signed time of a peer's heartbeat that has just come."""
        now = self._boottime()
        before = self._peers.get(member.id)
        if before is not None and now - before.at > HEARD:
            before = None  # its clock may have been set back meanwhile
        if before is not None and seconds <= before.time:
            return
        peer = _Peer(member, seconds, now)
        if before is not None and abs(seconds - before.time - (now - before.at)) <= LIVE:
            peer.offset = seconds - self._clock.now_ms() / 1000
        self._peers[member.id] = peer

    @property
    def state(self) -> str:
        """`ok`, `unsynchronised`, `jumped` or `far-from-others`."""
        if not self._kernel.synchronised:
            return "unsynchronised"
        if self._jumped_at is not None:
            return "jumped"
        return "ok" if self._majority is None else "far-from-others"

    @property
    def reason(self) -> str:
        """What is wrong, in words; empty if nothing is."""
        reasons = {
            "unsynchronised": self._kernel.reason,
            "jumped": f"it jumped by {self._jump:+.0f} s less than {CALM:.0f} s ago",
            "far-from-others": f"most institutions say {self._majority or 0:+.0f} s",
        }
        return reasons.get(self.state, "")

    @property
    def synchronised(self) -> bool:
        """Whether the kernel says so."""
        return self._kernel.synchronised

    @property
    def offsets(self) -> Mapping[str, float]:
        """By member id, seconds by which peers that are heard are ahead of us."""
        oldest = self._boottime() - HEARD
        heard = self._peers.items()
        return {name: p.offset for name, p in heard if p.offset is not None and p.at >= oldest}

    def refuse(self, _waiting: int) -> TryAgainError | None:
        """Why nothing may be issued, if so; for `Sequencer.refuse`."""
        if self.require == NONE or self.state == "ok":
            return None
        hint = "see to the time daemon (chronyc tracking, timedatectl); issuing goes on by itself"
        message = f"the clock cannot be relied on: {self.reason}; nothing was recorded"
        return TryAgainError("clock-wrong", message, hint=hint, retry_after=RETRY_AFTER)

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must know, as JSON."""
        return [alarm for _, alarm in self._alarms()]

    def describe(self) -> dict[str, Any]:
        """The state as JSON."""
        return {
            "now": format_time(self._clock.now_ms()),
            "guard": self.require,
            "state": self.state,
            "reason": self.reason or None,
            "synchronised": self.synchronised,
            "jumps": self.jumps,
            "offsets": {name: round(offset, 1) for name, offset in self.offsets.items()},
        }

    @property
    def _majority(self) -> float | None:
        """By how much most institutions are away from us, if they are."""
        nearest = {self._institution: 0.0}
        for name, offset in self.offsets.items():
            institution = self._peers[name].member.institution
            if abs(offset) < abs(nearest.setdefault(institution, offset)):
                nearest[institution] = offset
        for sign in (1, -1):
            away = sorted(offset for offset in nearest.values() if sign * offset > FAR)
            if 2 * len(away) > len(nearest):
                return away[len(away) // 2]
        return None

    def _outliers(self) -> list[str]:
        return [name for name, offset in self.offsets.items() if abs(offset) > FAR]

    def _alarms(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Alarms, and what each is about."""
        if self.require != NONE and self.state != "ok":
            message = f"the clock cannot be relied on: {self.reason}: nothing is issued"
            hint = "see to the time daemon: chronyc tracking, timedatectl"
            yield "this gateway", {"code": "clock-wrong", "message": message, "hint": hint}
        if self._majority is None:
            for name in self._outliers():
                message = f"the clock of {name} is {self.offsets[name]:+.0f} s away from ours"
                hint = "call its operator; others are near us"
                yield name, {"code": "peer-clock", "message": message, "hint": hint}

    def _tell(self) -> None:
        """One line for each alarm that begins or ends."""
        alarms = dict(self._alarms())
        for about in alarms.keys() - self._told:
            code = alarms[about]["code"]
            LOG.error("%(message)s (%(hint)s)", alarms[about], extra={"code": code})
        for about in self._told - alarms.keys():
            LOG.warning("the clock of %s is right again", about, extra={"code": "clock-right"})
        self._told = set(alarms)
