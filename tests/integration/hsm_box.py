"""A real token for a test, with what a gateway would know of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pkcs11

from chopmark.core.checkpoint import Checkpoint
from chopmark.hsm import HsmConfig, HsmSigner, create_keys, open_signer
from chopmark.hsm.mapper import make_mapper
from rig.token import Token, provision_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    import pytest
    from pkcs11.types import Session

    from chopmark.core.keys import VerifierKey
    from chopmark.hsm.book import TokenBook
    from chopmark.hsm.ceremony import Cosigner

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
    """A token and its configuration; `Box.make` gives one of SoftHSM, `hsm_kinds` others.

    `lose` takes the token away while it is in use, `restore` brings it back.
    """

    token: Token
    config: HsmConfig
    clock: Clock = field(default_factory=Clock)
    pin: str | None = field(default=None, repr=False)
    pins_given: int = 0
    cosigner: Cosigner = "ed25519"
    lose: Callable[[], None] = lambda: None
    restore: Callable[[], None] = lambda: None

    @classmethod
    def make(cls, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
        return cls.of(provision_token(directory / "hsm", "hk-1"), monkeypatch)

    @classmethod
    def of(cls, token: Token, monkeypatch: pytest.MonkeyPatch) -> Box:
        # SoftHSM and tpm2-pkcs11 read theirs at each C_Initialize, so that each test can have a
        # token of its own.
        for name, value in token.environment.items():
            monkeypatch.setenv(name, value)
        return cls(token, HsmConfig(token.module, token_label=token.label))

    def give_pin(self) -> str:
        self.pins_given += 1
        return self.pin or self.token.read_pin()

    def create(self) -> tuple[VerifierKey, VerifierKey]:
        self.keys = create_keys(self.config, ORIGIN, self.token.read_pin, self.cosigner)
        return self.keys

    @contextlib.asynccontextmanager
    async def signer(self, book: TokenBook | None = None) -> AsyncIterator[HsmSigner]:
        signer = await open_signer(
            self.config, ORIGIN, self.give_pin, book=book, monotonic=self.clock
        )
        try:
            yield signer
        finally:
            await signer.close()

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """A session by python-pkcs11 alone; only while no signer is open."""
        library = pkcs11.lib(self.token.module)
        try:
            yield library.get_token(token_label=self.token.label).open(
                rw=True, user_pin=self.token.read_pin(), attribute_mapper=make_mapper()
            )
        finally:
            library.finalize()
            pkcs11.unload(self.token.module)  # p11-kit's client keeps what is open while it is
