"""Faults at system calls, by strace: an error instead of the call, or a kill before it.

strace counts calls for each thread. So one thread is traced at a time, from its first step on:
then each call that it makes has a number, and the same number in every run.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from victims import Box, Ledger, Nursery, Victim

_CALL = re.compile(r"^(\w+)\(")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One system call of the write path: the n-th of its name in its thread, from 1."""

    thread: str
    call: str
    number: int


@dataclass(slots=True)
class Trace:
    """What strace wrote."""

    path: Path

    @property
    def hit(self) -> bool:
        """Whether the fault was injected at all."""
        text = self.path.read_text(errors="replace")
        return "(INJECTED)" in text or "killed by SIGKILL" in text

    def count(self) -> Counter[str]:
        lines = self.path.read_text(errors="replace").splitlines()
        return Counter(match[1] for line in lines if (match := _CALL.match(line)))


@contextmanager
def tracing(thread: int, path: Path, *options: str) -> Iterator[Trace]:
    """Trace one thread of a running process until it ends."""
    command = ["strace", "-o", str(path), *options, "-p", str(thread)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if b"attached" not in said:
            strace.kill()
            raise RuntimeError(said.decode() + strace.stderr.read().decode())
        yield Trace(path)
        strace.stderr.read()  # until it ends, which it does with the thread


def run_traced(
    nursery: Nursery, ledger: Ledger, thread: str, path: Path, options: Sequence[str], **job: object
) -> tuple[Victim, Trace]:
    """Run a victim to its end with one of its threads traced; its answers are kept."""
    victim = nursery.start(ledger.box, target=thread, **job)
    lines = victim.lines()
    for said in lines:
        ledger.hear(said)
        if said.get("waits"):
            with tracing(said["id"], path, *options) as trace:
                victim.go_on()
                for heard in lines:
                    ledger.hear(heard)
            return victim, trace
    raise RuntimeError(f"there is no thread {thread}: {victim.end} {victim.told}")


def find_points(
    nursery: Nursery, box: Box, thread: str, calls: Sequence[str], folder: Path
) -> list[Point]:
    """Every one of these calls that a thread makes in a run without faults."""
    ledger = Ledger(box.copy_to(folder))
    trace_of = ["-e", f"trace={','.join('?' + call for call in calls)}"]
    victim, trace = run_traced(nursery, ledger, thread, folder / "trace", trace_of)
    if victim.end != "done":
        raise RuntimeError(f"{victim.end} without any fault: {victim.told}")
    counts = trace.count()
    return [Point(thread, call, n + 1) for call in calls for n in range(counts[call])]


@dataclass(frozen=True, slots=True)
class Result:
    """One fault: how the victim ended, and what the oracle found afterwards."""

    point: Point
    fault: str
    end: str
    hit: bool
    faults: list[str]


def try_point(
    nursery: Nursery, box: Box, point: Point, fault: str, folder: Path, **job: object
) -> Result:
    """Run a victim with one fault, check what it leaves, start again and check once more."""
    ledger = Ledger(box.copy_to(folder))
    inject = f"inject={point.call}:{fault}:when={point.number}"
    options = ["-e", f"trace={point.call}", "-e", inject]
    victim, trace = run_traced(nursery, ledger, point.thread, folder / "trace", options, **job)
    faults = ledger.check(restarted=False, whole=False)
    if victim.end not in ("done", "failed", "killed"):
        faults.append(f"{victim.end}: {victim.told}")
    ledger.box.mend_token(box)
    faults += nursery.recover(ledger)
    return Result(point, fault, victim.end, trace.hit, faults)
