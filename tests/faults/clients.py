"""Clients that keep a gateway busy, and remember what they were answered."""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
from oracle import Answer, Heads, check_gateway

from chopmark.ledger.store import read_keys
from rig.gateway import NO_TLS, Gateway
from rig.patience import PATIENCE

PACE: Final = 0.04
"""Seconds between two requests of a client: what is tested is not speed, and ledgers stay small."""

REFUSED: Final = frozenset({"already-revoked", "revoked-for-good"})
"""Codes that a client may hear: what it revokes or attests again at random may be revoked."""


class Load:
    """Clients of one gateway, each a thread. They go on when the gateway is killed.

    They connect by TCP, since httpx does not close a unix socket that cannot be connected; where
    the gateway is in another network, by the unix socket all the same (`local`).
    """

    def __init__(
        self,
        gateway: Gateway,
        seed: str,
        clients: tuple[str, ...] = (),
        *,
        local: bool = False,
    ) -> None:
        self.gateway = gateway
        self._local = local
        self.answers: list[Answer] = []
        self.heads = Heads(read_keys(gateway.state / "log.db")[0])
        self.errors: list[str] = []
        self._checked = 0
        self._going = threading.Event()
        self._stopped = threading.Event()
        works = {"batch": self._batch, "single": self._single, "revoke": self._revoke}
        names = clients or ("batch", "single", "single", "revoke")
        self._threads = [
            _Client(self, works[name], random.Random(f"{seed}/{gateway.who.id}/{i}/{name}"))  # noqa: S311 - must repeat
            for i, name in enumerate(names)
        ]
        for thread in self._threads:
            thread.start()

    def connect(self) -> httpx.Client:
        """A client's connection."""
        if self._local:
            return self.gateway.client()
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.gateway.port}", timeout=PATIENCE, verify=NO_TLS
        )

    def resume(self) -> None:
        """Go on asking."""
        self._going.set()

    def pause(self) -> None:
        """Ask nothing more, and wait for the answers that are under way."""
        self._going.clear()
        for thread in self._threads:
            with thread.busy:
                pass

    def stop(self) -> None:
        """End the clients."""
        self._stopped.set()
        self._going.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_going(self) -> bool:
        """Whether clients may ask."""
        return self._going.is_set()

    def wait(self) -> bool:
        """Until a client may ask; false when it is to end."""
        self._going.wait()
        return not self._stopped.wait(PACE)

    def check(self, *replicas: Gateway, **how: Any) -> list[str]:
        """What is wrong with the gateway, as far as its clients and these peers can tell.

        All answers are compared where the check is a whole one, and otherwise those since then.
        """
        name = f"{self.gateway.who.id}.db"
        paths = [peer.state / "replica" / name for peer in replicas]
        whole = how.get("whole", True)
        answers = self.answers if whole else self.answers[self._checked :]
        faults = check_gateway(self.gateway.state, answers, self.heads, paths, **how)
        if whole:
            self._checked = len(self.answers)
        return self.errors + faults

    def settle(self) -> None:
        """Wait until all that is stored is signed; the load must be paused."""

        def is_signed() -> bool:
            status = self.gateway.get("/v1/status")
            self.heads.add(status["head"]["note"].encode())
            return bool(status["size"] == status["head"]["size"])

        self.gateway.wait_for(is_signed, "to sign all that it has")

    def _batch(self, client: httpx.Client, chance: random.Random) -> None:
        digests = [chance.randbytes(32) for _ in range(chance.randrange(1, 120))]
        lines = b"".join(b'{"sha256":"%s"}\n' % digest.hex().encode() for digest in digests)
        with client.stream("POST", "/v1/attestations:batch", content=lines) as answer:
            for digest, line in zip(digests, answer.iter_lines(), strict=False):
                said = json.loads(line)
                if "index" in said:
                    self._keep(said, digest)

    def _single(self, client: httpx.Client, chance: random.Random) -> None:
        digest = chance.randbytes(32)
        body = {"digests": {"sha256": digest.hex()}}
        self._take(client.post("/v1/attestations", json=body), digest)

    def _revoke(self, client: httpx.Client, chance: random.Random) -> None:
        if not self.answers:
            return
        target = chance.choice(self.answers)
        if isinstance(target.says, bytes) and target.signed:
            body = {"index": target.index, "reason": chance.randrange(6)}
            self._take(client.post("/v1/revocations", json=body), (target.index, body["reason"]))

    def _take(self, answer: httpx.Response, says: bytes | tuple[int, int]) -> None:
        if answer.status_code in (201, 202):
            said = answer.json()
            self._keep(said, says)
            if said.get("proof"):
                self.heads.add_proof(said["proof"].encode())
        elif answer.status_code not in (429, 503) and answer.json()["code"] not in REFUSED:
            self.errors.append(f"answered {answer.status_code}: {answer.text}")

    def _keep(self, said: dict[str, Any], says: bytes | tuple[int, int]) -> None:
        self.answers.append(Answer(said["index"], says, said["state"] == "signed"))


class _Client(threading.Thread):
    def __init__(
        self,
        load: Load,
        work: Callable[[httpx.Client, random.Random], None],
        chance: random.Random,
    ) -> None:
        super().__init__(name=f"client-{load.gateway.who.id}", daemon=True)
        self.busy = threading.Lock()
        self._load, self._work, self._chance = load, work, chance

    def run(self) -> None:
        with self._load.connect() as client:
            while self._load.wait():
                with self.busy:
                    if self._load.is_going:  # nobody has paused it since it was waited for
                        self._try(client)

    def _try(self, client: httpx.Client) -> None:
        try:
            self._work(client, self._chance)
        except httpx.TransportError:  # it was killed; what came before that was kept
            time.sleep(PACE)
        except Exception as error:  # noqa: BLE001 - the test tells it
            self._load.errors.append(f"a client failed: {error!r}")
