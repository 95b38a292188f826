"""What is known of the HSM without asking it: for status, alarms and metrics."""

import time
from collections.abc import Callable

from chopmark.core.keys import VerifierKey
from chopmark.core.secp256k1 import account_of
from chopmark.hsm.calls import SILENT, is_silent
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.device import Device
from chopmark.hsm.errors import advise
from chopmark.hsm.meter import Meter
from chopmark.hsm.standing import State
from chopmark.hsm.thread import HsmThread


class Readings:
    """How the HSM is, and what it has done. Nothing here waits for it.

    Args:
        thread: the HSM's.
        device: lives on it.
        config: which module, token and keys.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        thread: HsmThread,
        device: Device,
        config: HsmConfig,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._thread = thread
        self._device = device
        self._config = config
        self._counts = {
            "checkpoints": 0,
            "cosignatures": 0,
            "foreign_cosignatures": 0,
            "rosters": 0,
            "self_tests": 0,
            "ceremonies": 0,
            "anchors": 0,
            "bad_signatures": 0,
        }

    @property
    def log_key(self) -> VerifierKey:
        """The key that signs checkpoints; its name is the origin."""
        return self._device.log_key

    @property
    def cosigner_key(self) -> VerifierKey:
        """The key that cosigns checkpoints."""
        return self._device.cosigner_key

    @property
    def account(self) -> str | None:
        """The account whose key is in the token; None if there is none, or it was not seen yet."""
        point = self._device.chain_point
        return None if point is None else account_of(point)

    @property
    def state(self) -> State:
        """How it is: see `standing`. One that does not answer is `away`."""
        return "away" if is_silent(self._thread) else self._device.state

    @property
    def reason(self) -> str | None:
        """Why it is not ready, in a few words."""
        return SILENT if is_silent(self._thread) else self._device.reason

    @property
    def hint(self) -> str | None:
        """What an operator does about it."""
        return advise(None) if is_silent(self._thread) else self._device.hint

    @property
    def meter(self) -> Meter:
        """What is counted of it."""
        return self._device.meter

    @property
    def sessions(self) -> int:
        """Sessions of ours that are open in the token."""
        return self._device.sessions

    @property
    def used(self) -> dict[str, int]:
        """Signatures that count as made, by the key's role; empty where no limit is set."""
        if self._config.usage_limit is None:
            return {}
        roles = {"log": self.log_key, "cosigner": self.cosigner_key, "witness": self.witness_key}
        usage = self._device.usage
        found = {role: usage.used(key.encode()) for role, key in roles.items() if key is not None}
        return {role: used for role, used in found.items() if used is not None}

    @property
    def usage_limit(self) -> int | None:
        """Signatures that a key may make."""
        return self._config.usage_limit

    @property
    def since_good(self) -> float | None:
        """Seconds since a signature by the log key last verified; None if none has."""
        last = self._device.meter.last_good
        return None if last is None else self._monotonic() - last

    @property
    def witness_key(self) -> VerifierKey | None:
        """The key that cosigns logs of others, if the token has one; None while it was not seen."""
        return self._device.witness_key

    @property
    def module(self) -> str:
        """Path of the PKCS#11 module."""
        return self._config.module

    @property
    def token_label(self) -> str:
        """Label of the token in use."""
        return self._device.label

    @property
    def warning(self) -> str | None:
        """What an operator must know about this make of token, or None."""
        return self._device.warning

    @property
    def counts(self) -> dict[str, int]:
        """Since the start: signatures made by kind, bad ones held back, and outages."""
        return {**self._counts, "outages": self._device.outages}
