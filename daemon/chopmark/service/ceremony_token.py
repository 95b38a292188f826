"""The token at a key ceremony: opened for a step, and closed after it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from chopmark.core.ceremony import Ceremony
from chopmark.core.ceremony_rules import SELF_TEST_TIME, self_test_head
from chopmark.core.errors import ConfigurationError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.note import Signature
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.pin import Pin, Source
from chopmark.hsm.signer import HsmSigner
from chopmark.hsm.start import open_signer
from chopmark.service.ceremony_desk import Desk
from chopmark.service.config_model import Config
from chopmark.service.credentials import PinSource
from chopmark.service.pin_in_place import booked, is_in_place
from chopmark.service.typed_pin import Once, asked_first

Keys = tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True)
class Pins:
    """Where PINs of tokens come from: the credential, or whoever types them.

    Attributes:
        drill: PIN of a throw-away token, where nobody can type it; or None.
    """

    desk: Desk
    config: Config
    drill: str | None = field(default=None, repr=False)

    @property
    def typed(self) -> bool:
        """Whether people type them, and may type another one the next time."""
        return self.desk.has_people and not self._reads(backup=False)

    @contextmanager
    def source(self, label: str, *, backup: bool = False) -> Iterator[Source]:
        """Gives the PIN of a token once, to what opens it in this block; who types it does so now.

        A backup token may have a PIN of its own, which is typed where there is somebody to do so:
        the credential's would be a wrong one, and wrong ones are counted.
        """
        with asked_first(self._choose(label, backup=backup)) as source:
            yield source

    def _choose(self, label: str, *, backup: bool) -> Source:
        if self._reads(backup=backup):
            return booked(self.config, Once(PinSource(self.config)))
        return lambda: self._give(label, backup=backup)

    def _reads(self, *, backup: bool) -> bool:
        """Whether the PIN is the daemon's, which a throw-away token must never be shown."""
        if self.drill is not None:
            return False
        asked = backup and self.desk.has_people
        return is_in_place(self.config) and not asked

    def _give(self, label: str, *, backup: bool) -> Pin:
        if backup and self.desk.has_people:
            return self.desk.secret(f"PIN of the backup token {label}: ")
        if self.drill is not None and not self.desk.has_people:
            return self.drill
        return self.desk.secret(f"PIN of the token {label}: ")


@dataclass(slots=True)
class TokenSigner:
    """The signer of a ceremony, in this process; the same that signs in the daemon.

    Attributes:
        origin: of our log.
        pins: gives PINs.
    """

    origin: str
    pins: Pins
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner, repr=False)
    _signer: HsmSigner | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        """Nothing is opened yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the token, and end its thread."""
        try:
            self.close()
        finally:
            self._runner.close()

    def test(self, config: HsmConfig, keys: Keys, *, backup: bool = False) -> list[Signature]:
        """Open the token anew, find the keys, and let each sign the head of the empty log.

        Each signature is verified before this returns (`HsmSigner`). The token stays open.

        Raises:
            RefusedError: `other-keys`: the token has others than these.
            ConfigurationError: `pin-refused`, and what `open_signer` raises.
            TryAgainError: `hsm-away`.
        """
        self.close()
        signer = self._open(config, backup=backup)
        if (signer.log_key, signer.cosigner_key) != keys:
            raise RefusedError("other-keys", "the token holds other keys than were made")
        return self._runner.run(_test(signer, self.origin))

    def sign(self, config: HsmConfig, ceremony: Ceremony) -> Signature:
        """Sign the protocol; the token is opened if it is not; raises as `HsmSigner`."""
        signer = self._signer or self._open(config)
        return self._runner.run(signer.sign_ceremony(ceremony))

    def close(self) -> None:
        """Log out and close the token, if it is open: C_Finalize."""
        signer, self._signer = self._signer, None
        if signer is not None:
            self._runner.run(signer.close())

    def _open(self, config: HsmConfig, *, backup: bool = False) -> HsmSigner:
        label = config.token_label or config.token_serial or ""
        with self.pins.source(label, backup=backup) as pin:
            self._signer = signer = self._runner.run(open_signer(config, self.origin, pin))
        if signer.state == "latched":
            reason = signer.reason or ""
            self.close()
            hint = "a token locks after a few wrong tries: make sure of the PIN first"
            raise ConfigurationError("pin-refused", reason, hint=hint)
        return signer


async def _test(signer: HsmSigner, origin: str) -> list[Signature]:
    head = self_test_head(origin)
    made = [await signer.sign_checkpoint(head)]
    return [*made, await signer.cosign(head, SELF_TEST_TIME)]
