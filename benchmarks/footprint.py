"""The rows `memory.rss`, `disk.bytes` and `start.seconds`: what a filled gateway takes."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Final

import limits
from bench import Bench, Figures, patience
from client import Connection
from load import LoadFailedError
from rig.gateway import Gateway
from rows import Figure

_DAEMON: Final = "import chopmark.service.main"
POLL: Final = 0.005


def memory(bench: Bench) -> Figures:
    """The most that either daemon has held; the limit is the program before it does anything."""
    peak = max(_peak_rss(gateway) for gateway in (bench.issuer, bench.follower))
    return {"memory.rss": Figure(peak, limits.python_rss(_DAEMON))}


def disk(bench: Bench) -> Figures:
    """Bytes for each entry after a checkpoint of the WAL: own log or replica, the larger one."""
    size = bench.issuer.get("/v1/status")["size"]
    held = bench.follower.peer(bench.issuer)["head_size"]
    if held != size:
        raise LoadFailedError(f"the replica has {held} of {size} entries")
    bench.issuer.stop()
    bench.follower.stop()
    member = bench.issuer.who.id
    own = _disk_bytes(bench.issuer.state, Path("log.db"), member)
    replica = _disk_bytes(bench.follower.state, Path("replica", f"{member}.db"), member)
    return {"disk.bytes": Figure(max(own, replica) / size, limits.entry_bytes())}


def start(bench: Bench) -> Figures:
    """From the start of the process until /readyz says so; the slower of the two gateways."""
    for gateway in (bench.issuer, bench.follower):
        gateway.stop()
    limit = limits.python_ms(_DAEMON) / 1000  # while neither of them runs
    seconds = max(_time_start(gateway) for gateway in (bench.issuer, bench.follower))
    return {"start.seconds": Figure(seconds, limit)}


def _peak_rss(gateway: Gateway) -> float:
    """MB, from the kernel's high-water mark."""
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _disk_bytes(state: Path, name: Path, member: str) -> int:
    """Bytes of a database, of all that stands beside it under its name, and of its index."""
    db = sqlite3.connect(state / name)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    files = [*(state / name).parent.glob(f"{name.name}*"), *(state / "index" / member).iterdir()]
    return sum(file.stat().st_size for file in files)


def _time_start(gateway: Gateway) -> float:
    gateway.socket.unlink(missing_ok=True)
    begun = time.perf_counter()
    gateway.launch()
    while not asyncio.run(_is_ready(gateway)):
        if time.perf_counter() - begun > patience(0):
            raise LoadFailedError(f"{gateway.who.id} did not become ready")
        time.sleep(POLL)
    seconds = time.perf_counter() - begun
    gateway.stop()
    return seconds


async def _is_ready(gateway: Gateway) -> bool:
    try:
        connection = await Connection.open(gateway.socket)
    except OSError:
        return False
    answer = await connection.request("GET", "/readyz")
    connection.close()
    return answer.status == 200
