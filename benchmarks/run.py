"""`make bench`: the numbers of the design, each beside its limit, on real parts.

Real gateways, each with its own SoftHSM token, and a real Mosquitto broker, on this machine alone.
What the rows mean stands in docs/performance.md. Progress goes to standard error.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Never

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))  # where `rig` is

import anchor
import attest
import console
import footprint
import growth
import hsm
import million
import page
import replica
import secured
import timelines
import transfers
import verify
import witness
from bench import Bench, Figures, Step
from machine import describe_machine, file_system
from rows import GOALS, Row, print_table, write_json

SCALE: Final = 1_000_000
MIN_SCALE: Final = 1000

STEPS: Final = (
    Step(("hsm.ratio",), hsm.ratio),
    Step(("hsm.lag.p99",), hsm.lag),
    Step(("console.zmodem",), transfers.zmodem_out),
    Step(("attest.single.p50", "attest.single.p99"), attest.single),
    Step(("attest.clients64", "attest.clients64.p99"), attest.clients),
    Step(("witness.quorum.p50", "witness.quorum.p99"), witness.quorum),
    Step(("attest.bulk",), attest.bulk),
    Step(("attest.compact",), attest.compact),
    Step(("attest.blinded",), attest.blinded),
    Step(("attest.slow_hsm",), attest.slow_hsm),
    Step(("client.million", "client.million.growth"), million.million),
    Step(secured.ROWS, secured.all_rows),
    Step(("replica.catchup",), replica.catchup),
    Step(("replica.live",), replica.live),
    Step(("verify.digest", "verify.digest.p99"), verify.digest),
    Step(("verify.proof",), verify.proof),
    Step(("verify.cli",), verify.cli),
    Step(("trace.ms",), timelines.trace),
    Step(("ledger.search",), page.search),
    Step(("console.prompt",), console.prompt),
    Step(console.ROWS, console.both),
    Step(("page.ms",), page.visit),
    Step(("page.hash", "page.hash.whole"), page.hashing),
    Step(anchor.ROWS, anchor.both),
    Step(("memory.rss",), footprint.memory),
    Step(("disk.bytes",), footprint.disk),
    Step(("start.seconds",), footprint.start),
    Step(("growth.ratio",), growth.ratio),
)
"""In this order: each fills the log further, or needs what those before it have filled."""


def main() -> None:
    """Measure, print, and write the rows if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=_scale, default=SCALE, help="entries in the log at the end")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)  # so that the folder and the daemons go away then, too
    folder = Path(tempfile.mkdtemp(prefix="chopmark-bench-"))
    try:
        caption = f"{arguments.scale:,} entries; {describe_machine(folder)}"
        rows = _measure(folder, arguments.scale)
    finally:
        shutil.rmtree(folder)
    print_table(rows, caption)
    if arguments.json:
        write_json(arguments.json, rows)


def _measure(folder: Path, scale: int) -> list[Row]:
    if file_system(folder) in ("tmpfs", "ramfs"):
        _say(f"{folder} is in memory: nothing will wait for a disk; set TMPDIR to a folder on one")
    _say("two gateways and a broker are being set up")
    bench = Bench(folder, scale)
    try:
        rows = [row for step in STEPS for row in _run(bench, step)]
    finally:
        bench.cluster.stop()
    order = list(GOALS)
    return sorted(rows, key=lambda row: order.index(row.name))


def _run(bench: Bench, step: Step) -> Iterator[Row]:
    """A step's rows; one that fails says why, and the others go on."""
    start = time.perf_counter()
    figures: Figures = {}
    problem = ""
    try:
        figures = step.measure(bench)
    except (Exception, ExceptionGroup) as error:  # noqa: BLE001 - whatever it is, the rows say it
        problem = _explain(error)
    words = [f"{name} {figure.value:,.4g}" for name, figure in figures.items()] or [problem]
    _say(f"{step.rows[0]} took {time.perf_counter() - start:.1f} s: {', '.join(words)}")
    for name in step.rows:
        yield Row(name, figures.get(name), problem)


def _explain(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = str(error).strip() or "no more is known"
    return f"{type(error).__name__}: {text[-1500:]}"


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _scale(text: str) -> int:
    value = int(text.replace("_", "").replace(",", ""))
    if value < MIN_SCALE:
        raise argparse.ArgumentTypeError(f"at least {MIN_SCALE}")
    return value


def _stop(_number: int, _frame: object) -> Never:
    sys.exit(143)


if __name__ == "__main__":
    main()
