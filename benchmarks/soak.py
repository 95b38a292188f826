"""`make soak`: whether memory and sessions stay flat over many signatures and many losses.

Each run is a process of its own that signs through the whole signer: SoftHSM and a TPM without a
fault; then SoftHSM whose files go away and come back, and a module in another process, behind
p11-kit's RPC, that is killed and started again. The exit code is 1 if anything grows.
"""

import argparse
import asyncio
import gc
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Any, Final, Never

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))  # where `rig` is

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

import tokens
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import TryAgainError
from chopmark.hsm import HsmConfig, HsmSigner, open_signer
from hsmcost import read_pin, sign_all
from rig.remote import Remote
from rig.token import Token
from sessions import count_sessions

PARTS: Final = 40
"""Looks at memory and sessions; the first quarter is the warm-up."""
GROWTH: Final = 1024 * 1024
"""Bytes that a run may grow after its warm-up, by the line through what was seen. What SoftHSM
leaks for each Ed25519 signature, 64 bytes, would be ten times that."""
_CAPTION: Final = """\
MiB: resident after the warm-up, which is a quarter of the run, and at its end
KiB: grown since, and B each: for one signature or loss; of a line through all
sess.: sessions, as the module tells; files: open ones
flat: grown by 1,024 KiB at most, as many files and sessions at the end"""
_YES: Final = {True: "yes", False: "NO"}
HEAD: Final = Checkpoint(tokens.ORIGIN, 1, bytes(32))


@dataclass(frozen=True, slots=True)
class Run:
    """What is done: so many signatures, or so many losses of the token."""

    name: str
    signatures: int
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """At a process: resident bytes, open files, and sessions where the module tells, or None."""

    rss: int
    files: int
    sessions: int | None


class Clock:
    """Monotonic, and further by some seconds at each loss: nobody waits for the next try."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return time.monotonic() + self.ahead


def main() -> int:
    """Run all, print the table; 0 if all of it is flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signatures", type=int, default=200_000, help="by SoftHSM")
    parser.add_argument("--tpm", type=int, default=5000, help="signatures by the TPM")
    parser.add_argument("--losses", type=int, default=500, help="of each of two tokens")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    if arguments.one:
        module, label, tokens_folder, signatures, losses = arguments.one
        run = Run("", int(signatures), int(losses))
        looks = asyncio.run(_soak(HsmConfig(module, label), Path(tokens_folder), run))
        json.dump([asdict(look) for look in looks], sys.stdout)
        return 0
    runs = (
        Run("SoftHSM", arguments.signatures),
        Run("TPM", arguments.tpm),
        Run("SoftHSM unplugged", 0, arguments.losses),
        Run("p11-kit killed", 0, arguments.losses),
    )
    with tempfile.TemporaryDirectory(prefix="chopmark-soak-") as folder:
        rows = [_run(Path(folder) / str(number), run) for number, run in enumerate(runs)]
    _print([cells for cells, _ in rows])
    return 0 if all(flat for _, flat in rows) else 1


def _run(folder: Path, run: Run) -> tuple[tuple[str, ...], bool]:
    """One line of the table, and whether it is flat."""
    with ExitStack() as stack:
        folder.mkdir()
        losable = Path()
        token: Token
        if run.name == "TPM":
            token = stack.enter_context(tokens.tpm(folder / "tpm"))
        else:
            soft = tokens.soft(folder / "hsm")
            token, losable = soft, soft.tokens
        if run.name.startswith("p11-kit"):
            remote = Remote(folder / "p11", token.module, token.environment)
            token, losable = remote.client(token), folder / "p11"
        looks = _start(token, losable, run)
    warm = looks[len(looks) // 4 :]
    slope, _ = linear_regression(range(len(warm)), [look.rss for look in warm])
    growth = slope * (len(warm) - 1)
    done = (run.losses or run.signatures) * (len(warm) - 1) / len(looks)
    ranges = [{getattr(look, name) for look in warm} for name in ("files", "sessions")]
    flat = growth <= GROWTH and all(len(seen) == 1 for seen in ranges)
    size = f"{warm[0].rss / 2**20:.1f}", f"{warm[-1].rss / 2**20:.1f}", f"{growth / 1024:,.0f}"
    count, files, sessions = f"{run.losses or run.signatures:,}", *map(_show, ranges)
    each = f"{growth / done:.1f}"
    cells = (run.name, count, *size, each, files, sessions, _YES[flat])
    return cells, flat


def _show(seen: set[int | None]) -> str:
    return "/".join("-" if one is None else str(one) for one in sorted(seen, key=str))


def _start(token: Token, losable: Path, run: Run) -> list[Look]:
    command = [sys.executable, __file__, "--one", token.module, token.label, str(losable)]
    done = subprocess.run(
        [*command, str(run.signatures), str(run.losses)],
        env=tokens.environment(token),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if run.losses else None,  # a line of the log for each outage
        check=True,
    )
    return [Look(**look) for look in json.loads(done.stdout)]


async def _soak(config: HsmConfig, losable: Path, run: Run) -> list[Look]:
    """Sign, or lose the token, and look after each part."""
    clock = Clock()
    with ExitStack() as stack:
        lose, restore = _losing(losable, stack)
        signer = await open_signer(config, HEAD.origin, read_pin, monotonic=clock)
        looks = []
        for _ in range(PARTS):
            if run.losses:
                for _ in range(run.losses // PARTS):
                    await _lose(signer, clock, lose, restore)
            else:
                await sign_all(signer, HEAD.origin, run.signatures // PARTS)
            gc.collect()
            looks.append(_look(await count_sessions(signer)))
        await signer.close()
        return looks


async def _lose(
    signer: HsmSigner, clock: Clock, lose: Callable[[], None], restore: Callable[[], None]
) -> None:
    lose()
    try:
        await signer.sign_checkpoint(HEAD)
    except TryAgainError:
        restore()
    else:
        raise RuntimeError("it signed without its token")
    for _ in range(100):
        clock.ahead += 60
        try:
            await signer.sign_checkpoint(HEAD)
        except TryAgainError:
            continue
        return
    raise RuntimeError("it does not come back")


def _losing(losable: Path, stack: ExitStack) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """How to take the token away, and how to give it back."""
    if losable.name == "p11":
        soft = losable.with_name("hsm")
        environment = {"SOFTHSM2_CONF": str(soft / "softhsm2.conf")}
        remote = stack.enter_context(Remote(losable, tokens.MODULE, environment, tokens.LABEL))
        return remote.kill, remote.start
    away = losable.parent / "unplugged"

    def restore() -> None:
        losable.rmdir()
        away.rename(losable)

    def lose() -> None:
        losable.rename(away)
        losable.mkdir()

    return lose, restore


def _look(sessions: int | None) -> Look:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return Look(pages * 4096, files, sessions)


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=SIMPLE, pad_edge=False)
    heads = ("", "times", "MiB", "MiB", "KiB", "B each", "files", "sess.", "flat")
    for name in heads:
        left = name in ("", "flat")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table, _CAPTION)


def _stop(_number: int, _frame: object) -> Never:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
