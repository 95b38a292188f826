"""Figures of the digest index: `python benchmarks/index_figures.py COUNT` (decision 6)."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "daemon"))

from chopmark.ledger.index import DigestIndex

BATCH: Final = 4096
ASKED: Final = 20_000
SALT: Final = os.urandom(32 * BATCH)
"""Random bytes; each batch turns them into other digests, cheaply."""


def digests(start: int) -> list[bytes | None]:
    """Digests of the batch that begins there; the same each time."""
    turn = (int.from_bytes(SALT, "big") ^ start * 0x9E3779B97F4A7C15F39CC0605CEDC834) << 8
    data = (turn * (2 * start + 1) & (1 << 256 * BATCH) - 1).to_bytes(32 * BATCH, "big")
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def rss() -> int:
    """MB that this process holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) // 1024


def fill(index: DigestIndex, count: int) -> None:
    """Fill it as a writer would, and print what that took."""
    caller = making = 0.0
    begun, used = time.perf_counter(), time.process_time()
    for start in range(0, count, BATCH):
        before = time.thread_time()
        batch = digests(start)
        between = time.thread_time()
        index.wait_for_room()
        index.put_many(start, batch)
        making += between - before
        caller += time.thread_time() - between
    wait(index)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used - making
    print(f"fill: {count / (seconds - making):,.0f}/s until all is merged and safe on the disk")
    print(f"  CPU per entry: {caller / count * 1e6:.3f} us in the writer's thread,")
    print(f"  {cpu / count * 1e6:.3f} us in all threads, nearly all of it outside the interpreter")


def wait(index: DigestIndex) -> None:
    """Until nothing is left to write or merge."""
    while index._has_work():  # noqa: SLF001 - nobody else wants to know
        time.sleep(0.001)


def look(index: DigestIndex, count: int) -> None:
    """Look for what is there, and for what is not."""
    starts = range(0, count, max(BATCH, count // 20 // BATCH * BATCH))
    hits = [one for start in starts for one in digests(start)[:1000] if one is not None]
    for name, asked in (("hits", hits), ("misses", [os.urandom(32) for _ in range(ASKED)])):
        begun = time.thread_time()
        found = sum(bool(index.find(one)) for one in asked)
        print(f"{name}: {len(asked) / (time.thread_time() - begun):,.0f} for a second of CPU")
        assert found == (len(hits) if name == "hits" else 0)


def main() -> None:
    """Fill an index, look things up, open it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="entries")
    count = -(-parser.parse_args().count // BATCH) * BATCH
    before = rss()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "index")
        index = DigestIndex(folder)
        fill(index, count)
        index.settle(lambda: count)
        look(index, count)
        print(f"memory: {rss() - before} MB more than before, the figures' own included")
        index.close()
        files = list(folder.iterdir())
        size = sum(file.stat().st_size for file in files)
        print(f"disk: {size / count:.2f} B/entry in {len(files)} files")
        begun = time.perf_counter()
        index = DigestIndex(folder)
        print(f"open: {(time.perf_counter() - begun) * 1000:.1f} ms")
        assert index.position == count
        index.close()


if __name__ == "__main__":
    main()
