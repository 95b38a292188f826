"""The rows of the table: a figure, its limit from the same run, and the design's goal."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should reach: at least (rates, ratios) or at most (times, sizes) a number."""

    unit: str
    number: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a figure reaches it."""
        return value >= self.number if self.at_least else value <= self.number

    def encode(self) -> str:
        """As the table shows it."""
        return f"{'≥' if self.at_least else '≤'} {_show(self.number)}"


def _rate(number: float) -> Goal:
    return Goal("1/s", number, at_least=True)


GOALS: Final = {
    "attest.bulk": _rate(200_000),
    "attest.compact": _rate(350_000),
    "attest.blinded": _rate(100_000),
    "attest.slow_hsm": Goal("", 0.8, at_least=True),
    "client.million": _rate(10_000),
    "client.million.growth": Goal("", 1.25),
    "attest.single.p50": Goal("ms", 10),
    "attest.single.p99": Goal("ms", 30),
    "attest.clients64": _rate(3_000),
    "attest.clients64.p99": Goal("ms", 100),
    "attest.bulk.tls": Goal("", 0.7, at_least=True),
    "attest.compact.tls": Goal("", 0.7, at_least=True),
    "attest.clients64.tls": Goal("", 0.7, at_least=True),
    "verify.digest.tls": Goal("", 0.7, at_least=True),
    "witness.quorum.p50": Goal("ms", 50),
    "witness.quorum.p99": Goal("ms", 200),
    "replica.live": _rate(100_000),
    "replica.catchup": _rate(100_000),
    "verify.proof": Goal("ms", 1),
    "verify.cli": Goal("ms", 300),
    "verify.digest": _rate(5_000),
    "verify.digest.p99": Goal("ms", 10),
    "trace.ms": Goal("ms", 200),
    "ledger.search": Goal("ms", 100),
    "console.prompt": Goal("ms", 100),
    "console.status.healthy": Goal("s", 1),
    "console.status.dead": Goal("s", 3),
    "page.ms": Goal("ms", 1000),
    "page.hash": Goal("MB/s", 180, at_least=True),
    "page.hash.whole": Goal("MB/s", 300, at_least=True),
    "anchor.follow": _rate(500),
    "anchor.cost": Goal("", 0.95, at_least=True),
    "disk.bytes": Goal("B", 200),
    "memory.rss": Goal("MB", 150),
    "start.seconds": Goal("s", 2),
    "growth.ratio": Goal("", 1.2),
    "hsm.ratio": Goal("", 0.8, at_least=True),
    "hsm.lag.p99": Goal("ms", 5),
    "console.zmodem": Goal("s", 104.7),
}
"""By name, in the order of the table; what each row means stands in docs/performance.md."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and the least or most that the same machine could do just then."""

    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; without a figure it says what kept it from being measured."""

    name: str
    figure: Figure | None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row as `--json` writes it; `problem` is there only if there is no value."""
        goal, figure = GOALS[self.name], self.figure
        row: dict[str, Any] = {
            "name": self.name,
            "value": figure and figure.value,
            "unit": goal.unit,
            "limit": figure and figure.limit,
            "ratio": figure and figure.value / figure.limit,
            "goal": goal.number,
            "met": figure is not None and goal.is_met(figure.value),
        }
        return row if figure else row | {"problem": self.problem}


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as a JSON array."""
    path.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")


def print_table(rows: Sequence[Row], caption: str) -> None:
    """Print the table on standard output."""
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("name", "value", "unit", "limit", "ratio", "goal", "met"):
        right = name in ("value", "limit", "ratio", "goal")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, _cells(row)))
    console = Console()
    console.print(table, Text(caption), soft_wrap=True)
    for row in rows:
        if row.figure is None:
            console.print(Text(f"{row.name} was not measured: {row.problem}"), soft_wrap=True)


def _cells(row: Row) -> tuple[str, ...]:
    goal, figure = GOALS[row.name], row.figure
    if figure is None:
        return row.name, "-", goal.unit, "-", "-", goal.encode(), "?"
    met = "yes" if goal.is_met(figure.value) else "no"
    ratio = f"{figure.value / figure.limit:.2f}"
    value, limit = _show(figure.value), _show(figure.limit)
    return row.name, value, goal.unit, limit, ratio, goal.encode(), met


def _show(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
