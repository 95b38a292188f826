"""What signatures cost, in a process of its own: SoftHSM reads SOFTHSM2_CONF when it is loaded.

usage: hsmcost.py ours|bare|durable MODULE TOKEN ORIGIN FOLDER ROUNDS

    ours      a checkpoint signed through our stack, verified before it is given out
    bare      the same bytes signed by python-pkcs11 and nothing else
    durable   a bare signature and two writes with fsync: what an attestation cannot do without

Prints the times in ms as a JSON array.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pkcs11

from chopmark.core.checkpoint import Checkpoint
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.signer import open_signer

WARM_UP = 20


def main() -> None:
    """Measure what the command line says."""
    what, module, token, origin, folder, rounds = sys.argv[1:]
    head = Checkpoint(origin, 1, hashlib.sha256(b"root").digest())
    if what == "ours":
        times = asyncio.run(_time_ours(HsmConfig(module, token), head, int(rounds)))
    else:
        path = Path(folder) if what == "durable" else None
        times = _time_bare(module, token, head, path, int(rounds))
    json.dump(times, sys.stdout)


async def _time_ours(config: HsmConfig, head: Checkpoint, rounds: int) -> list[float]:
    signer = await open_signer(config, head.origin, _read_pin)
    times = []
    for _ in range(WARM_UP + rounds):
        start = time.perf_counter()
        await signer.sign_checkpoint(head)
        times.append((time.perf_counter() - start) * 1000)
    await signer.close()
    return times[WARM_UP:]


def _time_bare(
    module: str, label: str, head: Checkpoint, folder: Path | None, rounds: int
) -> list[float]:
    message = head.encode().encode()
    token = pkcs11.lib(module).get_token(token_label=label)
    with token.open(user_pin=_read_pin()) as session:
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="chopmark-log")

        def sign() -> object:
            digest = hashlib.sha256(message).digest()
            return key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)

        if folder is None:
            return _time(sign, rounds)
        with (folder / "durable").open("wb", buffering=0) as file:

            def make_durable() -> None:
                for _ in range(2):
                    file.write(bytes(4096))
                    os.fsync(file.fileno())

            return _time(lambda: (sign(), make_durable()), rounds)


def _time(call: Callable[[], object], rounds: int) -> list[float]:
    times = []
    for _ in range(WARM_UP + rounds):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return times[WARM_UP:]


def _read_pin() -> str:
    return Path(os.environ["CREDENTIALS_DIRECTORY"], "hsm-pin").read_text().rstrip("\n")


if __name__ == "__main__":
    main()
