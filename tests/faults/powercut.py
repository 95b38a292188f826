"""Cutting the power: record what a gateway writes, rebuild the disk as of any moment, start again.

A cut after flush number n leaves everything written before it, and of what was written after it
any part. The latest moment at which the disk can look so is just before flush n + 1 is done: so
whatever was shown outside until then must still be true.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from blockdev import Event, read_events, recorded
from mounts import make_ext4, mounted, tmpfs
from oracle import Answer, Heads, check_gateway
from power_victim import Tokens, make_config, make_peer_log

from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, ExistsError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.ledger.log import open_log
from chopmark.ledger.store import read_keys
from chopmark.ledger.worker import Worker
from chopmark.service.access import open_access
from chopmark.service.config import load_config
from chopmark.service.initialise import initialise
from chopmark.service.places import index_path, log_path, pending_path
from chopmark.service.wiring import Parts, build
from rig.token import provision_token
from softkeys import cosigner, log_key

DISK: Final = 24 << 20
"""Bytes of the disk that is cut off."""
BLOCK: Final = 4096
"""Bytes that a disk writes whole or not at all, which ext4 and SQLite rely on."""
WAIT: Final = 300
OTHER_KEYS: Final = (
    log_key("bank-hk.example/hk-1", 5).vkey,
    cosigner("bank-hk.example/hk-1/cosigner", 6).vkey,
)
"""What a token would make when `init` has to begin anew."""
PEER: Final = make_peer_log()

Check = Callable[["Recording", Sequence[dict[str, Any]]], list[str]]


@dataclass(frozen=True, slots=True)
class Cut:
    """A disk after the power was cut.

    Attributes:
        flush: number of the last flush that was done.
        seed: chooses which of the later writes got through; 0 for none of them.
        image: its bytes.
        shown: everything that had been shown outside by then.
    """

    flush: int
    seed: int
    image: bytes
    shown: Sequence[dict[str, Any]]

    def __str__(self) -> str:
        return f"cut {self.flush}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Recording:
    """What a victim wrote to its disk and showed outside; `folder` still has its token."""

    folder: Path
    base: bytes
    events: Sequence[Event]
    shown: Sequence[dict[str, Any]]

    @property
    def flushes(self) -> list[int]:
        """Numbers of the events that are flushes."""
        return [i for i, event in enumerate(self.events) if event.is_flush]

    def first(self, what: str) -> dict[str, Any]:
        """The first thing of this sort that was shown."""
        return next(one for one in self.shown if one["what"] == what)

    def cuts(self, seeds: int, start: int = 0, step: int = 1) -> Iterator[Cut]:
        """Cuts at flushes: with nothing of what was written after it, and with parts of that.

        Args:
            seeds: how often to cut with other parts.
            start: only where the next flush comes after this event.
            step: take every so manieth flush.
        """
        image, done, last = bytearray(self.base), 0, self.shown[-1]["events"]
        for number, (at, later) in enumerate(pairwise([*self.flushes, len(self.events)])):
            _apply(image, self.events[done:at])
            done = at
            if later <= start or at > last or number % step:
                continue
            shown = [one for one in self.shown if one["events"] <= later]
            pending = self.events[at + 1 : later]
            yield Cut(number, 0, bytes(image), shown)
            for seed in range(1, seeds + 1) if pending else ():
                rng = random.Random(number * 1000 + seed)  # noqa: S311 - to be repeated
                some = bytearray(image)
                _apply(some, _choose(pending, rng))
                yield Cut(number, seed, bytes(some), shown)

    def try_all(self, cuts: Iterable[Cut], check: Check) -> tuple[int, list[str]]:
        """Try cuts until something is wrong; gives how many were tried, and what is wrong."""
        count = 0
        for count, cut in enumerate(cuts, 1):
            faults = self.try_cut(cut, check)
            if faults:
                return count, faults
        return count, []

    def try_cut(self, cut: Cut, check: Check) -> list[str]:
        """What is wrong after this cut."""
        # A name of its own: the kernel lets go of a loop device late, and `mount` would use one
        # on the same file again, with what the cut before left in its cache.
        image = self.folder / f"{cut.flush}-{cut.seed}.img"
        image.write_bytes(cut.image)
        try:
            with mounted("-t", "ext4", "-o", "loop", image, self.folder / "disk"):
                return [f"{cut}: {fault}" for fault in check(self, cut.shown)]
        except RuntimeError as error:
            return [f"{cut}: {error}"]
        finally:
            image.unlink()


@contextmanager
def record(scenario: str, seed: int, rounds: int, bug: str | None = None) -> Iterator[Recording]:
    """Let a victim run on a disk that remembers."""
    with tmpfs("400m") as folder, _token_of(folder):
        base = folder / "base.img"
        make_ext4(base, DISK)
        (folder / "disk").mkdir()
        with recorded(base, folder, folder / "disk"):
            _run_victim(folder, scenario, str(seed), str(rounds), *([bug] if bug else []))
        shown = [json.loads(line) for line in (folder / "shown").read_text().splitlines()]
        yield Recording(folder, base.read_bytes(), read_events(folder / "events"), shown)


@contextmanager
def _token_of(folder: Path) -> Iterator[None]:
    """The token lies aside: its own files are not cut off."""
    token = provision_token(folder / "hsm", "hk-1")
    values = {"SOFTHSM2_CONF": str(token.conf), "CREDENTIALS_DIRECTORY": str(token.credentials)}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _run_victim(folder: Path, scenario: str, *rest: str) -> None:
    program = Path(__file__).with_name("power_victim.py")
    command = [sys.executable, program, scenario, folder, *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT)
    if done.returncode != 0:
        raise RuntimeError(f"the victim failed by itself: {done.stderr[-3000:]}")


def _apply(image: bytearray, events: Sequence[Event]) -> None:
    for event in events:
        image[event.offset : event.offset + len(event.data)] = event.data


def _choose(events: Sequence[Event], rng: random.Random) -> list[Event]:
    """Some blocks of what was written: any of them, or only the first, or all but a few."""
    blocks = [
        Event(event.offset + at, event.data[at : at + BLOCK])
        for event in events
        for at in range(0, len(event.data), BLOCK)
    ]
    if rng.random() < 0.3:
        return blocks[: rng.randrange(len(blocks) + 1)]
    share = rng.choice((0.1, 0.5, 0.5, 0.9))
    return [block for block in blocks if rng.random() < share]


def check_init(recording: Recording, shown: Sequence[dict[str, Any]]) -> list[str]:
    """Either all is there, or nothing that counts; and `chopmark init` can be repeated."""
    place = recording.folder / "disk" / "etc" / "gateway.toml"
    config = make_config(recording.folder, peer=False)
    state = config.gateway.state
    made = recording.first("made")
    keys = (parse_vkey(made["log"]), parse_vkey(made["cosigner"]))
    try:
        again = initialise(place, config, lambda: OTHER_KEYS)
    except ExistsError:
        pass  # then all must be there
    else:
        if any(one["what"] == "made" for one in shown):
            return ["it was said that the gateway is set up, and it is not"]
        keys = (again.log_key, again.cosigner_key)
    with suppress(ChopmarkError):
        initialise(place, config, lambda: OTHER_KEYS)
        return ["the gateway was set up twice"]
    return list(_check_set_up(place, state, keys))


def _check_set_up(place: Path, state: Path, keys: tuple[VerifierKey, VerifierKey]) -> Iterator[str]:
    if load_config(place).gateway.state != state:
        yield "the configuration is another one"
    if read_keys(log_path(state)) != keys:
        yield "the ledger is for other keys than those that were made"
    if pending_path(state).exists():
        yield "the note of the broken-off try is still there"
    asyncio.run(_open_and_close(state))
    yield from check_gateway(state)


async def _open_and_close(state: Path) -> None:
    reading = Worker("read")
    index = index_path(state, "hk-1")
    index.parent.mkdir(exist_ok=True)
    log = await open_log(log_path(state), index, reading)
    await log.close()
    reading.close()


def check_restart(recording: Recording, shown: Sequence[dict[str, Any]]) -> list[str]:
    """Start as the daemon does; nothing shown is lost, and everything goes on."""
    try:
        return asyncio.run(_restart(recording.folder, shown))
    except (ChopmarkError, AssertionError) as error:
        return [f"the gateway does not start again: {error!r}"]


async def _restart(folder: Path, shown: Sequence[dict[str, Any]]) -> list[str]:
    config = make_config(folder)
    Tokens(folder).put(shown)
    async with _running(folder) as parts:
        heads = Heads(read_keys(log_path(config.gateway.state))[0])
        for one in shown:
            if one["what"] == "head":
                heads.add(one["note"].encode())
        faults = list(_check_replica(parts, shown))
        answers = [*_answers(shown), *await _go_on(parts)]
        faults += await _check_found(parts, answers)
    return faults + check_gateway(config.gateway.state, answers, heads)


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[Parts]:
    """A gateway's parts, with the sequencer at work, as `main` runs them."""
    async with AsyncExitStack() as stack:
        parts = await build(config := make_config(folder), stack, open_access(config))
        running = [asyncio.create_task(one.run()) for one in (parts.standing, parts.sequencer)]
        try:
            await parts.standing.settled()
            assert parts.standing.may_sign() is None, str(parts.standing.may_sign())
            yield parts
        finally:
            for task in running:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def _answers(shown: Sequence[dict[str, Any]]) -> Iterator[Answer]:
    for one in shown:
        if one["what"] in ("recorded", "signed"):
            for index, says in enumerate(one["says"], one["index"]):
                meant = bytes.fromhex(says) if isinstance(says, str) else tuple(says)
                yield Answer(index, meant, signed=one["what"] == "signed")


async def _go_on(parts: Parts) -> list[Answer]:
    """Attest, have it signed, and take more from the peer."""
    digest = os.urandom(32)
    made = await parts.sequencer.record([Draft(digest, kind="kyc-report")], WAIT)
    assert await parts.sequencer.wait_signed(made.start, WAIT), "no head is signed"
    replica = parts.report._replicas[0]
    more = min(replica.size + 300, len(PEER.entries))
    await replica.ingest(PEER.packages(replica.size, more))
    assert replica.size == more, "the replica takes nothing more"
    assert replica.conflict is None, replica.conflict
    return [Answer(made.start, digest)]


def _check_replica(parts: Parts, shown: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What was acknowledged to the broker is not sent again: it must be there."""
    replica = parts.report._replicas[0]
    size = max((one["size"] for one in shown if one["what"] == "replica"), default=0)
    seen = max((one["time"] for one in shown if one["what"] == "seen"), default=0)
    if replica.size < size:
        yield f"the replica had {size} entries, and has {replica.size}"
    if replica.log.state.seen_time < seen:
        yield "the replica has forgotten a heartbeat"


async def _check_found(parts: Parts, answers: Sequence[Answer]) -> list[str]:
    """Verification by digest finds what was attested."""
    some = [one for one in answers if isinstance(one.says, bytes)][-64:]
    found = await parts.log.read(
        lambda *_: [any(i == one.index for i, _ in parts.log.find(one.says)) for one in some]
    )
    return [
        f"entry {one.index} is not found by its digest"
        for one, good in zip(some, found, strict=True)
        if not good
    ]
