"""A real SoftHSM token for a test, with what a gateway would know of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pkcs11

from chopmark.core.checkpoint import Checkpoint
from chopmark.hsm import HsmConfig, HsmSigner, create_keys, open_signer
from rig.token import Token, provision_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import pytest
    from pkcs11.types import Session

ORIGIN = "bank-hk.example/hk-1"
HEAD = Checkpoint(ORIGIN, 5, b"\1" * 32)


@dataclass
class Clock:
    """A monotonic clock that a test moves."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Box:
    token: Token
    config: HsmConfig
    clock: Clock = field(default_factory=Clock)
    pin: str | None = field(default=None, repr=False)
    pins_given: int = 0

    @classmethod
    def make(cls, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
        token = provision_token(directory / "hsm", "hk-1")
        # SoftHSM reads it at each C_Initialize, so that each test can have a token of its own.
        monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
        return cls(token, HsmConfig(token.module, token_label="hk-1"))

    def give_pin(self) -> str:
        self.pins_given += 1
        return self.pin or self.token.read_pin()

    def create(self) -> None:
        self.keys = create_keys(self.config, ORIGIN, self.token.read_pin)

    @contextlib.asynccontextmanager
    async def signer(self) -> AsyncIterator[HsmSigner]:
        signer = await open_signer(self.config, ORIGIN, self.give_pin, monotonic=self.clock)
        try:
            yield signer
        finally:
            await signer.close()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """A session by python-pkcs11 alone; only while no signer is open."""
        library = pkcs11.lib(self.token.module)
        try:
            yield library.get_token(token_label="hk-1").open(
                rw=True, user_pin=self.token.read_pin()
            )
        finally:
            library.finalize()
