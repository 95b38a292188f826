"""What signatures cost, in a process of its own: SoftHSM reads SOFTHSM2_CONF when it is loaded.

usage: hsmcost.py keys|ours|bare|durable|lag MODULE TOKEN ORIGIN FOLDER ROUNDS

    keys      both keys are made, the cosigner key of P-256: null
    ours      checkpoints signed through our stack for 64 callers at once, on the daemon's loop,
              each signature verified before it is given out: how many a second
    bare      a checkpoint signed by python-pkcs11 on one thread and nothing else: how many a second
    durable   a bare signature and two writes with fsync, what an attestation cannot do without:
              times in ms
    lag       how late the loop of `ours` wakes up, idle and then busy: two lists of times in ms

Prints JSON.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11

from chopmark.core.checkpoint import Checkpoint
from chopmark.hsm import HsmConfig, HsmSigner, create_keys, open_signer
from chopmark.service.runtime import run_loop

T = TypeVar("T")
WARM_UP: Final = 100
CALLERS: Final = 64
NAP: Final = 0.001
IDLE_NAPS: Final = 500
ROOT: Final = hashlib.sha256(b"root").digest()


def main() -> None:
    """Measure what the command line says."""
    what, module, token, origin, folder, rounds = sys.argv[1:]
    config, count = HsmConfig(module, token), int(rounds)
    measure: dict[str, Callable[[], Any]] = {
        "keys": lambda: _make_keys(config, origin),
        "ours": lambda: _run(_rate_ours(config, origin, count)),
        "bare": lambda: _rate_bare(config, origin, count),
        "durable": lambda: _time_durable(config, origin, Path(folder), count),
        "lag": lambda: _run(_lag(config, origin, count)),
    }
    json.dump(measure[what](), sys.stdout)


def _run(measurement: Coroutine[Any, Any, T]) -> T:
    """On the loop of the daemon."""
    results: list[T] = []

    async def measure() -> None:
        results.append(await measurement)

    run_loop(measure())
    return results[0]


def _make_keys(config: HsmConfig, origin: str) -> None:
    create_keys(config, origin, read_pin, "p256")


async def _rate_ours(config: HsmConfig, origin: str, rounds: int) -> float:
    signer = await open_signer(config, origin, read_pin)
    await sign_all(signer, origin, WARM_UP)
    start = time.perf_counter()
    await sign_all(signer, origin, rounds)
    seconds = time.perf_counter() - start
    await signer.close()
    return rounds / seconds


async def _lag(config: HsmConfig, origin: str, rounds: int) -> tuple[list[float], list[float]]:
    signer = await open_signer(config, origin, read_pin)
    await sign_all(signer, origin, WARM_UP)
    idle = [await _nap() for _ in range(IDLE_NAPS)]
    signing = asyncio.create_task(sign_all(signer, origin, rounds))
    busy = []
    while not signing.done():
        busy.append(await _nap())
    await signing
    await signer.close()
    return idle, busy


async def _nap() -> float:
    """Sleep a little; gives the ms that it took too long."""
    start = time.perf_counter()
    await asyncio.sleep(NAP)
    return (time.perf_counter() - start - NAP) * 1000


async def sign_all(signer: HsmSigner, origin: str, rounds: int) -> None:
    """Let callers share out as many heads, each another one, among them."""
    sizes = iter(range(1, rounds + 1))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(_sign(signer, origin, sizes))


async def _sign(signer: HsmSigner, origin: str, sizes: Iterator[int]) -> None:
    for size in sizes:
        await signer.sign_checkpoint(Checkpoint(origin, size, ROOT))


def _rate_bare(config: HsmConfig, origin: str, rounds: int) -> float:
    sign = _bare(config, origin)
    for _ in range(WARM_UP):
        sign()
    start = time.perf_counter()
    for _ in range(rounds):
        sign()
    return rounds / (time.perf_counter() - start)


def _time_durable(config: HsmConfig, origin: str, folder: Path, rounds: int) -> list[float]:
    sign = _bare(config, origin)
    with (folder / "durable").open("wb", buffering=0) as file:

        def make_durable() -> None:
            for _ in range(2):
                file.write(bytes(4096))
                os.fsync(file.fileno())

        return _time(lambda: (sign(), make_durable()), rounds)


def _bare(config: HsmConfig, origin: str) -> Callable[[], object]:
    """A signature by python-pkcs11 alone; its session ends with the process."""
    message = Checkpoint(origin, 1, ROOT).encode().encode()
    token = pkcs11.lib(config.module).get_token(token_label=config.token_label)
    session = token.open(user_pin=read_pin())
    key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=config.log_label)

    def sign() -> object:
        digest = hashlib.sha256(message).digest()
        return key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)

    return sign


def _time(call: Callable[[], object], rounds: int) -> list[float]:
    times = []
    for _ in range(WARM_UP + rounds):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return times[WARM_UP:]


def read_pin() -> str:
    """The PIN of the token under test."""
    return Path(os.environ["CREDENTIALS_DIRECTORY"], "hsm-pin").read_text().rstrip("\n")


if __name__ == "__main__":
    main()
