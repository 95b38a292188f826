"""The HSM and the clock of a simulated gateway: real Ed25519 in software, slow, at times away."""

import asyncio
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.keys import COSIGNATURE, ED25519, VerifierKey, cosigned_message
from chopmark.core.mark import HeadMark
from chopmark.core.note import Signature
from simulation.loop import SimLoop
from simulation.oracle import Oracle

START = 1_800_057_597_000
"""Milliseconds since the epoch at which each simulation begins: 3 s before midnight (UTC)."""


@dataclass
class SimClock:
    """A clock that jumps; `offset` in ms."""

    loop: SimLoop
    offset: int = 0

    def now_ms(self) -> int:
        return START + int(self.loop.now * 1000) + self.offset


@dataclass(frozen=True)
class Keys:
    """The key pairs of one gateway, the same in each simulation."""

    origin: str
    number: int

    @cached_property
    def log(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.number]) * 32)

    @cached_property
    def cosigner(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([100 + self.number]) * 32)

    @cached_property
    def log_key(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, _public(self.log))

    @cached_property
    def cosigner_key(self) -> VerifierKey:
        return VerifierKey(f"{self.origin}/cosigner", COSIGNATURE, _public(self.cosigner))


@dataclass
class Hsm:
    """The token of one gateway: it outlives the gateway's process."""

    keys: Keys
    oracle: Oracle
    loop: SimLoop
    mean: float
    away: bool = False
    busy: float = 0.0
    mark: HeadMark | None = None


@dataclass
class SimSigner:
    """Implements `core.ports.Signer` for one life of a gateway."""

    hsm: Hsm
    owner: Any = field(repr=False)
    warning: str | None = None

    @property
    def log_key(self) -> VerifierKey:
        return self.hsm.keys.log_key

    @property
    def cosigner_key(self) -> VerifierKey:
        return self.hsm.keys.cosigner_key

    async def sign_checkpoint(self, checkpoint: Checkpoint) -> Signature:
        await self._turn()
        self.hsm.oracle.head_signed(checkpoint)
        signature = self.hsm.keys.log.sign(checkpoint.encode().encode())
        return Signature(self.log_key.name, _key_id(self.log_key), signature)

    async def cosign(
        self,
        checkpoint: Checkpoint,
        time: int,
        *,
        refresh: bool = False,  # noqa: ARG002 - it has no queue
    ) -> Signature:
        await self._turn()
        held = self.owner.root_held(checkpoint.origin, checkpoint.size)
        self.hsm.oracle.head_cosigned(self.log_key.name, checkpoint, time, held)
        message = cosigned_message(time, checkpoint.encode().encode())
        payload = time.to_bytes(8, "big") + self.hsm.keys.cosigner.sign(message)
        return Signature(self.cosigner_key.name, _key_id(self.cosigner_key), payload)

    async def read_mark(self) -> HeadMark | None:
        await self._turn()
        return self.hsm.mark

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        await self._turn()
        if self.hsm.mark not in (after, mark):
            raise RefusedError("mark-moved", "the head mark was written by another gateway")
        self.hsm.mark = mark

    @property
    def state(self) -> str:
        return "away" if self.hsm.away else "ready"

    reason = None

    async def _turn(self) -> None:
        """One call after the other; each fails if the token is away at its end."""
        hsm = self.hsm
        hsm.busy = max(hsm.busy, hsm.loop.now) + hsm.loop.random.expovariate(1 / hsm.mean)
        await asyncio.sleep(hsm.busy - hsm.loop.now)
        if self.owner.dead:  # its process is gone: nobody asks any more
            raise asyncio.CancelledError
        if hsm.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=5)


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@cache
def _key_id(key: VerifierKey) -> bytes:
    return key.key_id
