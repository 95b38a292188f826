"""The victim: a process that runs the gateway's real write path, without its API and its mesh.

`python writer.py SOCKET` loads everything once and forks a child for each connection to SOCKET, so
that a victim costs milliseconds. A child builds the parts as the daemon does (`service.wiring`):
configuration, SoftHSM, store, sequencer, index. It records and has signed what it is told to,
replicates its own log into a second one as a peer would, and tells all of it, line by line, on the
connection: by `send`, which no fault is injected into.

With `target` set, the thread of that name tells its thread id when it starts and waits for a line,
so that whoever asked can attach to it first.
"""

import asyncio
import ctypes
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bugs
import cryptography.hazmat.backends.openssl.backend
import pkcs11._pkcs11

from anybody import ANYBODY
from chopmark.api.identity import CALLER
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import create_store
from chopmark.ledger.worker import Worker
from chopmark.service.access import open_access
from chopmark.service.clock import SystemClock
from chopmark.service.config import find_config, load_config
from chopmark.service.heartbeat import make_heartbeat
from chopmark.service.parts.opening import make_folder
from chopmark.service.places import index_path, replica_path
from chopmark.service.wiring import Parts, build
from rig.token import MODULE

COPY = "copy"
"""Name of the replica that a writer keeps of its own log."""
WAIT = 20.0
"""Seconds within which anything must be recorded, or signed."""


@dataclass
class Victim:
    """One child: what it was asked, and the line to who asked."""

    job: dict[str, Any]
    line: socket.socket
    threads: Counter[str] = field(default_factory=Counter)

    def say(self, **what: object) -> None:
        self.line.sendall(json.dumps(what).encode() + b"\n")

    def gate(self, name: str) -> None:
        """Called by each thread as it starts."""
        number = self.threads[name]
        self.threads[name] += 1
        name = f"{name}-{number}" if number else name
        waits = name == self.job["target"]
        self.say(thread=name, id=threading.get_native_id(), waits=waits)
        if waits:
            self.line.recv(1)

    async def run(self) -> None:
        """Record, have signed, replicate; forever if no number of commits was given."""
        async with AsyncExitStack() as stack:
            config = load_config(find_config(Path(self.job["config"])))
            parts = await build(config, stack, open_access(config))
            async with asyncio.TaskGroup() as tasks:
                standing = tasks.create_task(parts.standing.run())
                await parts.standing.permitted()
                sequencer = tasks.create_task(parts.sequencer.run())
                await self.commit_all(parts)
                if self.job["replicate"]:
                    await self.replicate(parts, config.gateway.state)
                sequencer.cancel()
                standing.cancel()

    async def commit_all(self, parts: Parts) -> None:
        for number in range(self.job["commits"] or sys.maxsize):
            try:
                await self.commit(parts, number)
            except TryAgainError as error:
                self.say(refused=error.code)
                await asyncio.sleep(0 if self.job["commits"] else 0.01)
        self.say(signed_all=await wait_until_all_is_signed(parts))

    async def commit(self, parts: Parts, number: int) -> None:
        """Attest a few documents, then revoke the first of them."""
        digests = [make_digest(self.job["seed"], number, i) for i in range(self.job["each"])]
        drafts = [Draft(digest, "document") for digest in digests]
        recorded = await parts.gateway.record(drafts, WAIT)
        says: list[Any] = [digest.hex() for digest in digests]
        await self.answer(parts, recorded.start, says)
        revoked = await parts.gateway.revoke(recorded.start, 2, WAIT)
        await self.answer(parts, revoked.start, [[recorded.start, 2]])

    async def answer(self, parts: Parts, start: int, says: list[Any]) -> None:
        """Say what is recorded, and again once it is signed, with the proof of the last."""
        self.say(start=start, says=says, signed=False)
        last = start + len(says) - 1
        if await parts.gateway.wait_signed(last, WAIT):
            self.say(start=start, says=says, signed=True)
            self.say(proof=(await parts.gateway.proof(parts.gateway.identity().id, last)).decode())

    async def replicate(self, parts: Parts, state: Path) -> None:
        """Bring the replica up to the log, with a heartbeat, as a peer does."""
        reading = Worker("read-copy")
        try:
            copy = await open_copy(parts, state, reading)
            try:
                await self.feed(parts, copy)
            finally:
                await copy.close()
        except TryAgainError as error:
            self.say(refused=error.code)
        finally:
            reading.close()

    async def feed(self, parts: Parts, copy: Log) -> None:
        replica = Replica(parts.gateway._own, copy, SystemClock())
        packages, at = [], copy.state.size
        while at < parts.log.signed_size:
            payload, at = await parts.log.package(at)
            packages.append(payload)
        await replica.ingest(packages)
        heartbeat = await make_heartbeat(parts.log, parts.trust.cosigner, SystemClock())
        await replica.observe_cosignature(heartbeat)
        self.say(replica=copy.state.head.size, conflict=replica.conflict)


async def wait_until_all_is_signed(parts: Parts) -> bool:
    size = parts.log.state.size
    return size == 0 or await parts.gateway.wait_signed(size - 1, WAIT)


async def open_copy(parts: Parts, state: Path, reading: Worker) -> Log:
    path = replica_path(state, COPY)
    own = parts.gateway._own
    if not path.exists():
        make_folder(path.parent)
        create_store(path, own.log_key, own.cosigner_key)
    return await open_log(path, index_path(state, COPY), reading)


def make_digest(seed: str, number: int, i: int) -> bytes:
    return hashlib.sha256(f"{seed}/{number}/{i}".encode()).digest()


def serve(line: socket.socket) -> None:
    """What a child does: one job, then the end."""
    job = json.loads(line.makefile("rb").readline())
    victim = Victim(job, line)
    os.environ |= job["environment"]
    plain = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        victim.gate(thread.name)
        plain(thread)

    threading.Thread.run = run  # type: ignore[method-assign]
    CALLER.set(ANYBODY)  # it calls what the API calls
    if job["bug"]:
        bugs.SEEDED[job["bug"]]()
    victim.say(pid=os.getpid())
    victim.gate("main")
    try:
        asyncio.run(victim.run())
        victim.say(done=True)
    except* ChopmarkError as group:
        victim.say(failed=[getattr(e, "code", "?") for e in flatten(group)])
    except* Exception:  # noqa: BLE001 - told to who started us, whose test it fails
        victim.say(crashed=traceback.format_exc())


def flatten(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (flatten(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def fork_for_each(path: str, work: Callable[[socket.socket], None]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            line, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                work(line)
                line.close()
                os._exit(0)
            line.close()


if __name__ == "__main__":
    # Loaded late otherwise, by the children: these calls are not what is tested.
    assert cryptography.hazmat.backends.openssl.backend
    assert pkcs11._pkcs11
    ctypes.CDLL(MODULE)  # mapped, not initialised: children need not find its libraries
    fork_for_each(sys.argv[1], serve)
