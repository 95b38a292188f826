"""What the measurements share: the gateways, how much was attested, and where to say so."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import limits
from client import Where
from load import LoadFailedError, attest_lines, make_lines
from rig.gateway import HONG_KONG, MACAO, SHENZHEN, Cluster, Gateway
from rows import Figure

Figures = dict[str, Figure]
MAX_STREAM: Final = 1_000_000
"""Lines made before the clock starts (80 MB)."""
LINES: Final = 1000
"""Lines in one piece."""
SLOWEST: Final = 2000
"""Entries a second below which a measurement is given up."""


@dataclass(slots=True)
class Interval:
    """From the first line sent until the last answer was read."""

    start: float
    seconds: float


@dataclass
class Bench:
    """One run: `issuer` attests, `follower` keeps its replica.

    Attributes:
        folder: everything is in it.
        scale: entries that the log has in the end.
        used: digests handed out; those below it are in the issuer's log.
        small_cost: of an entry while the log was small; see growth.py.
    """

    folder: Path
    scale: int
    used: int = field(default=0, init=False)
    small_cost: float = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.folder / "gateways", (SHENZHEN, HONG_KONG))

    @property
    def issuer(self) -> Gateway:
        """The gateway whose log is filled."""
        return self.cluster[SHENZHEN.id]

    @property
    def follower(self) -> Gateway:
        """The gateway with the replica of that log."""
        return self.cluster[HONG_KONG.id]

    @property
    def half(self) -> int:
        """Entries of one big stream: the log is filled by two of them, or some more."""
        return min(MAX_STREAM, self.scale // 2)

    @cached_property
    def bare_rate(self) -> float:
        """Entries a second of the bare loop."""
        return limits.bare_rate(self.folder, min(self.scale, 400_000))

    @property
    def burst(self) -> range:
        """Numbers of the digests of one burst."""
        return range(min(MAX_STREAM, self.scale))

    @contextmanager
    def lonely(self, prepare: Callable[[Gateway], None] = lambda _: None) -> Iterator[Gateway]:
        """A gateway with an empty log, which nobody follows; afterwards it is gone."""
        folder = self.folder / "lonely"
        gateway = Gateway(folder, MACAO, self.cluster.broker)
        prepare(gateway)
        try:
            yield gateway.start()
        finally:
            gateway.stop()
            shutil.rmtree(folder)

    def take(self, count: int) -> range:
        """Numbers of digests that nobody has attested yet."""
        self.used += count
        return range(self.used - count, self.used)

    async def attest(self, count: int) -> Interval:
        """Attest new digests in one stream.

        Raises:
            LoadFailedError: not every line was recorded and signed.
        """
        return await attest_stream(self.issuer, self.take(count))

    def time_hsm(self, rounds: int) -> list[float]:
        """Times in ms of a bare signature and two durable writes, ascending."""
        times: list[float] = self._cost("durable", rounds)
        return sorted(times)

    def rate_hsm(self, what: str, rounds: int) -> float:
        """Signatures a second, `bare` or by `ours`; see hsmcost.py."""
        rate: float = self._cost(what, rounds)
        return rate

    def _cost(self, what: str, rounds: int) -> Any:
        token, origin = self.issuer.token, self.issuer.who.origin
        arguments = (what, token.module, token.label, origin, str(self.folder), str(rounds))
        return hsm_cost(arguments, self.issuer.environment())


@dataclass(frozen=True, slots=True)
class Step:
    """Rows that are measured together."""

    rows: tuple[str, ...]
    measure: Callable[[Bench], Figures]


def patience(count: int) -> float:
    """Seconds after which something that takes in so many entries is given up."""
    return 60 + count / SLOWEST


def hsm_cost(arguments: Sequence[str], environment: dict[str, str]) -> Any:
    """What hsmcost.py prints, from a process of its own."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hsmcost.py")), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


async def attest_stream(gateway: Gateway, numbers: range, where: Where | None = None) -> Interval:
    """Attest the digests of these numbers in one stream, by its socket unless told where.

    Raises:
        LoadFailedError: not every line was recorded and signed.
    """
    pieces = [
        make_lines(first, min(LINES, numbers.stop - first))
        for first in range(numbers.start, numbers.stop, LINES)
    ]
    start = time.perf_counter()
    signed = await attest_lines(where or gateway.socket, pieces, patience(len(numbers)))
    if signed != len(numbers):
        raise LoadFailedError(f"{signed} of {len(numbers)} lines were answered")
    return Interval(start, time.perf_counter() - start)
