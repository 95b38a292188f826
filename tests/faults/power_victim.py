"""What runs while the power is cut: `power_victim.py gateway|init FOLDER SEED ROUNDS [BUG]`.

FOLDER has the mounted disk (`disk`), the token (`hsm`), the disk's counter, and gets the file
`shown`: one JSON line for each thing that somebody outside was told, with the number of disk
events by then. It is the gateway's own code from `build` on, and the HSM is SoftHSM.
"""

import asyncio
import ctypes
import json
import mmap
import os
import random
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.extend(str(Path(__file__).resolve().parents[n]) for n in (0, 1))

from blockdev import COUNT
from power_bugs import BUGS, checkpoint_often

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.draft import Draft
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.core.note import Note, Signature
from chopmark.core.ports import MarkKeeper, Signer
from chopmark.ledger import tail
from chopmark.ledger.replica import Replica
from chopmark.service.access import open_access
from chopmark.service.config import Config, parse_config
from chopmark.service.credentials import read_pin
from chopmark.service.heartbeat import make_heartbeat
from chopmark.service.initialise import initialise
from chopmark.service.places import index_path, log_path
from chopmark.service.token import create_token_keys
from chopmark.service.wiring import Parts, build
from configs import BASE, peer_block
from ledgers import COSIGNER, LOG, Source, attestations, revocation

SIZES: Final = (1, 1, 2, 5, 40, 300)
"""Entries of one append: within a bundle, over its end, and more than one."""
PEER_ENTRIES: Final = 1200
WAIT: Final = 240.0
"""Seconds within which anything must be recorded, or signed."""


def make_config(folder: Path, *, peer: bool = True) -> Config:
    """The gateway's configuration, with its state on the disk that is cut off."""
    block = peer_block(
        log_vkey=f'"{LOG.vkey.encode()}"', cosigner_vkey=f'"{COSIGNER.vkey.encode()}"'
    )
    more = '[start]\nalone = true\n\n[clock]\nrequire = "none"'
    state = f'state = "{folder / "disk" / "state"}"\n\n{more}\n\n[hsm]'
    return parse_config((BASE.replace("[hsm]", state) + (block if peer else "")).encode())


def make_peer_log() -> Source:
    """The log of the peer, of which the gateway keeps a replica."""
    entries = attestations(PEER_ENTRIES)
    entries[700] = revocation(3, reason=4)
    return Source(entries)


class Shown:
    """Writes down what was shown outside, and after which event of the disk."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "shown").open("a")
        with (folder / "counter").open("rb") as file:
            self._counter = mmap.mmap(file.fileno(), COUNT.size, prot=mmap.PROT_READ)

    def __call__(self, what: str, **values: Any) -> None:
        """What was shown has been shown: the count is taken afterwards."""
        (events,) = COUNT.unpack(self._counter[:])
        self._file.write(json.dumps({"events": events, "what": what, **values}) + "\n")
        self._file.flush()


@dataclass
class ShowingSigner:
    """The HSM's signer; each head that it has signed counts as shown, whatever becomes of it."""

    real: Signer
    shown: Shown

    @property
    def cosigner_key(self) -> VerifierKey:
        return self.real.cosigner_key

    async def sign_checkpoint(self, checkpoint: Checkpoint) -> Signature:
        signature = await self.real.sign_checkpoint(checkpoint)
        self.shown("head", note=Note(checkpoint.encode(), (signature,)).encode().decode())
        return signature

    async def cosign(
        self,
        checkpoint: Checkpoint,
        time: int,
        *,
        refresh: bool = False,
    ) -> Signature:
        return await self.real.cosign(checkpoint, time, refresh=refresh)


class Tokens:
    """Copies of the token, one for each head mark: of the time of a cut it has not the last one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self) -> int:
        """Copy the token as it is now; gives the copy's number."""
        number = len(list(self._folder.glob("token-*")))
        shutil.copytree(self._folder / "hsm" / "tokens", self._folder / f"token-{number}")
        return number

    def put(self, shown: Sequence[dict[str, Any]]) -> None:
        """Bring back the one of the newest mark that was written by then."""
        number = max((one["number"] for one in shown if one["what"] == "mark"), default=0)
        shutil.rmtree(self._folder / "hsm" / "tokens")
        shutil.copytree(self._folder / f"token-{number}", self._folder / "hsm" / "tokens")


@dataclass
class ShowingKeeper:
    """The token's head mark; each one written counts as shown."""

    real: MarkKeeper
    shown: Shown
    tokens: Tokens

    async def read_mark(self) -> HeadMark | None:
        return await self.real.read_mark()

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        await self.real.write_mark(mark, after)
        self.shown("mark", number=self.tokens.keep())


class Victim:
    """One run of the gateway."""

    def __init__(
        self, parts: Parts, shown: Shown, source: Source, rng: random.Random, tokens: Tokens
    ) -> None:
        self._parts = parts
        marks = parts.standing._marks
        marks._keeper = ShowingKeeper(marks._keeper, shown, tokens)
        self._shown = shown
        self._source = source
        self._rng = rng
        self._replica: Replica = parts.report._replicas[0]
        self._signer = ShowingSigner(parts.sequencer._signer, shown)
        parts.sequencer._signer = self._signer  # type: ignore[assignment]
        parts.trust.cosigner._signer = self._signer  # type: ignore[assignment]

    async def run(self, rounds: int) -> None:
        """Do what a gateway does, over and over."""
        standing = asyncio.create_task(self._parts.standing.run())
        await self._parts.standing.permitted()
        sequencer = asyncio.create_task(self._parts.sequencer.run())
        try:
            for _ in range(rounds):
                await self._attest()
                await self._revoke()
                await self._replicate()
                await self._beat()
        finally:
            for task in (sequencer, standing):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _attest(self) -> None:
        await self._record(self._drafts(self._rng.choice(SIZES)))
        async with asyncio.TaskGroup() as tasks:  # several callers, some in one transaction
            for _ in range(3):
                tasks.create_task(self._record(self._drafts(self._rng.choice(SIZES))))

    def _drafts(self, count: int) -> list[Draft]:
        return [Draft(self._rng.randbytes(32), kind="bank-statement") for _ in range(count)]

    async def _revoke(self) -> None:
        target = self._rng.randrange(self._parts.log.state.size)
        await self._record([(target, self._rng.randrange(6))])

    async def _record(self, items: Sequence[Draft] | list[tuple[int, int]]) -> None:
        made = await self._parts.sequencer.record(items, WAIT)
        says = [item.sha256.hex() if isinstance(item, Draft) else item for item in items]
        self._shown("recorded", index=made.start, says=says)
        assert await self._parts.sequencer.wait_signed(made.start + made.count - 1, WAIT)
        self._shown("signed", index=made.start, says=says)

    async def _replicate(self) -> None:
        """Take one to three packages, and a heartbeat for what they lead to."""
        size = self._replica.size
        end = min(size + self._rng.choice((3, 30, 200, 600)), len(self._source.entries))
        await self._replica.ingest(self._source.packages(size, end))
        self._shown("replica", size=self._replica.size)
        time = 1_700_000_000 + end
        await self._replica.observe_cosignature(self._source.note(end, time))
        self._shown("seen", time=self._replica.log.state.seen_time)

    async def _beat(self) -> None:
        cosigner = self._parts.trust.cosigner
        note = await make_heartbeat(self._parts.log, cosigner, self._parts.report._clock)
        self._shown("head", note=note.decode())


@contextmanager
def writing_back(config: Config) -> Iterator[None]:
    """What the kernel does now and then: write out the pages of the index, without a flush."""
    stopped = threading.Event()

    def write() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        while not stopped.wait(0.01):
            for path in index_path(config.gateway.state, "x").parent.glob("*/*"):
                with suppress(FileNotFoundError), path.open("rb") as file:
                    libc.sync_file_range(file.fileno(), ctypes.c_int64(0), ctypes.c_int64(0), 7)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def run_init(folder: Path, shown: Shown) -> Config:
    """Set the gateway up as `chopmark init` does."""
    place = folder / "disk" / "etc" / "gateway.toml"
    config = make_config(folder, peer=False)
    made = initialise(place, config, lambda: create_token_keys(config, lambda: read_pin(config)))
    shown("made", log=made.log_key.encode(), cosigner=made.cosigner_key.encode())
    return make_config(folder)


async def run_gateway(folder: Path, shown: Shown, rng: random.Random, rounds: int) -> None:
    """Two runs, with a stop in order between them."""
    config, source, tokens = make_config(folder), make_peer_log(), Tokens(folder)
    tokens.keep()
    with writing_back(config):
        for _ in range(2):
            async with AsyncExitStack() as stack:
                victim = Victim(
                    await build(config, stack, open_access(config)), shown, source, rng, tokens
                )
                await victim.run(rounds)
                wal = log_path(config.gateway.state).with_name("log.db-wal").read_bytes()
                shown("wrapped", times=int.from_bytes(wal[12:16], "big"))


def _plant(bugs: Sequence[str]) -> None:
    for name in bugs:
        BUGS[name]()


def main() -> None:
    scenario, place, seed, rounds, *bug = sys.argv[1:]
    folder = Path(place)
    os.environ["SOFTHSM2_CONF"] = str(folder / "hsm" / "softhsm2.conf")
    os.environ["CREDENTIALS_DIRECTORY"] = str(folder / "hsm")
    tail.CHUNK = 128  # type: ignore[misc]  # the index is written while the gateway runs
    checkpoint_often()
    shown = Shown(folder)
    if scenario == "init":
        _plant(bug)
    run_init(folder, shown)
    if scenario == "gateway":
        _plant(bug)
        rng = random.Random(int(seed))  # noqa: S311 - to be repeated, not to be secret
        asyncio.run(run_gateway(folder, shown, rng, int(rounds)))


if __name__ == "__main__":
    main()
