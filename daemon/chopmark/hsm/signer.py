"""The signer of a gateway: typed objects in, verified signatures out.

Nothing else in this system makes a signature, and it signs nothing but checkpoints, cosignatures
of checkpoints, rosters, protocols of ceremonies, self-tests, and anchors of our own log: there is
no way to hand it bytes (design: what a key may sign).
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from chopmark.core.ceremony import Ceremony
from chopmark.core.checkpoint import (
    Checkpoint,
    read_checkpoint,
)
from chopmark.core.errors import MissingError, TryAgainError
from chopmark.core.keys import VerifierKey, cosigned_message
from chopmark.core.note import Signature
from chopmark.core.roster import Roster
from chopmark.core.secp256k1 import complete as recover
from chopmark.core.selftest import SelfTest
from chopmark.core.text import MAX_INT
from chopmark.core.transaction import Anchor, to_transaction
from chopmark.hsm.calls import call, is_silent
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.der import encode_ecdsa
from chopmark.hsm.device import Device, Role
from chopmark.hsm.errors import away
from chopmark.hsm.rpc import ADDRESS_VARIABLE, break_off
from chopmark.hsm.thread import HsmThread
from chopmark.hsm.turns import Turn
from chopmark.hsm.typed import (
    encode_ceremony_text,
    encode_checkpoint_text,
    encode_roster_text,
    encode_self_test_text,
)
from chopmark.hsm.upkeep import Upkeep
from chopmark.hsm.watch import Watch

_TRIES: Final = 2
"""A signature that does not verify is asked for once more, from a token opened anew."""


class HsmSigner(Upkeep):
    """Implements `core.ports.Signer` with two keys in a PKCS#11 token.

    Made by `open_signer`. Signing runs on the HSM's thread; the check of each signature runs on
    another, so that neither the HSM nor the loop waits for it (see `thread`).
    """

    def __init__(
        self,
        thread: HsmThread,
        device: Device,
        config: HsmConfig,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(thread, device, config, monotonic)
        self._watch = Watch(thread, device, monotonic, self.self_test)
        self._closing = False

    async def sign_checkpoint(self, checkpoint: Checkpoint) -> Signature:
        """Sign a head of our own log.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: nothing was signed.
            ValueError: it is a checkpoint of another log.
        """
        text = encode_checkpoint_text(checkpoint)
        if checkpoint.origin != self.log_key.name:
            raise ValueError(f"the key of {self.log_key.name} signs no other log's checkpoints")
        payload = await self._sign("log", text, text, b"", Turn.OWN)
        self._counts["checkpoints"] += 1
        return _to_signature(self.log_key, payload)

    async def cosign(
        self, checkpoint: Checkpoint, time: int, *, refresh: bool = False
    ) -> Signature:
        """Cosign a head as of `time`, in seconds since the Unix epoch.

        One of our own log is our heartbeat. See `turns` for who is served first.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: nothing was signed.
            ValueError: the time is not positive, or too large.
        """
        text = encode_checkpoint_text(checkpoint)
        if not 0 < time <= MAX_INT:
            raise ValueError(f"not a time to cosign at: {time}")
        message = cosigned_message(time, text)
        turn = Turn.REFRESH if refresh else Turn.OTHER
        if checkpoint.origin == self.log_key.name:
            turn = Turn.HEARTBEAT
        payload = await self._sign("cosigner", message, text, time.to_bytes(8, "big"), turn)
        self._counts["cosignatures"] += 1
        return _to_signature(self.cosigner_key, payload)

    async def sign_roster(self, roster: Roster) -> Signature:
        """Sign a version of the roster with the log key.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: nothing was signed.
            ValueError: it does not read back as itself.
        """
        text = encode_roster_text(roster)
        payload = await self._sign("log", text, text, b"", Turn.OWN)
        self._counts["rosters"] += 1
        return _to_signature(self.log_key, payload)

    async def self_test(self, test: SelfTest) -> None:
        """Sign a self-test with the log key, and forget the signature once it has verified.

        Raises:
            TryAgainError: as `sign_checkpoint`: it does not work.
            ValueError: it does not read back as itself.
        """
        text = encode_self_test_text(test)
        if test.origin != self.log_key.name:
            raise ValueError(f"the key of {self.log_key.name} makes no other log's self-tests")
        await self._sign("log", text, text, b"", Turn.UPKEEP)
        self._counts["self_tests"] += 1

    async def sign_ceremony(self, ceremony: Ceremony) -> Signature:
        """Sign the protocol of a ceremony that was completed with the log key that it made.

        Raises:
            RefusedError: it breaks a rule of `ceremony_rules`.
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: nothing was signed.
            ValueError: it does not read back as itself, is not completed, or made another key.
        """
        text = encode_ceremony_text(ceremony, self.log_key)
        payload = await self._sign("log", text, text, b"", Turn.OWN)
        self._counts["ceremonies"] += 1
        return _to_signature(self.log_key, payload)

    async def cosign_foreign(self, checkpoint: Checkpoint, time: int) -> Signature:
        """Cosign a head of a log that is no member's, as of `time`, by the witness key.

        Raises:
            MissingError: `no-witness-key`.
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: nothing was signed.
            ValueError: it is a head of our own log, or the time is not one.
        """
        key, text = self._device.witness_key, encode_checkpoint_text(checkpoint, read_checkpoint)
        if key is None:
            hint = "make one with `chopmark witness init`, and start the gateway again"
            raise MissingError("no-witness-key", "the token has no witness key", hint=hint)
        if checkpoint.origin == self.log_key.name or not 0 < time <= MAX_INT:
            raise ValueError(f"not to be cosigned: {checkpoint.origin} as of {time}")
        prefix = time.to_bytes(8, "big")
        payload = await self._sign(
            "witness", cosigned_message(time, text), text, prefix, Turn.REFRESH
        )
        self._counts["foreign_cosignatures"] += 1
        return _to_signature(key, payload)

    async def sign_anchor(self, anchor: Anchor) -> bytes:
        """Sign the transaction that anchors a head of our own log; gives its bytes.

        It waits for all other signatures.

        Raises:
            MissingError: `no-chain-key`.
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: nothing was signed.
            ValueError: it is a head of another log, or does not read back.
        """
        transaction = to_transaction(anchor, self.log_key.name)
        point = self._device.chain_point
        if point is None:
            hint = "make one with `chopmark anchor init`, and start the gateway again"
            raise MissingError("no-chain-key", "the token has no key for a chain", hint=hint)
        # Beside the HSM's threads: other signatures must not wait for what takes 10 ms in Python.
        digest = await asyncio.to_thread(transaction.digest)
        for _ in range(_TRIES):
            raw = await call(self._thread, self._device.sign_chain, digest, turn=Turn.ANCHOR)
            complete = await asyncio.to_thread(recover, point, digest, raw)
            if complete is not None:
                self._counts["anchors"] += 1
                return transaction.signed(*complete)
            self._counts["bad_signatures"] += 1
        raise away("its signatures for the chain do not verify")

    async def watch(self, now_ms: Callable[[], int]) -> None:
        """See for ever that the HSM works, and what became of a call that does not come back.

        Args:
            now_ms: the time for self-tests.

        Raises:
            TryAgainError: `hsm-stuck`, `hsm-broken`: only a new process can use the module.
            ChopmarkError: what a start that took long has failed with.
        """
        await self._watch.run(now_ms)

    @property
    def is_stuck(self) -> bool:
        """Whether a call into the HSM has taken so long that only a new process can help."""
        return self._watch.is_stuck

    async def close(self) -> None:
        """Log out and end the thread, after the signatures that wait. Ends the signer.

        A token that does not answer is left as it is.
        """
        self._closing = True
        if is_silent(self._thread):
            break_off(os.environ.get(ADDRESS_VARIABLE, ""))
        try:
            with suppress(TryAgainError):
                await call(self._thread, self._device.close, turn=Turn.CLOSE)
        finally:
            self._thread.stop()

    async def _sign(
        self, role: Role, message: bytes, text: bytes, prefix: bytes, turn: Turn
    ) -> bytes:
        if self._closing:  # a more urgent turn than the close's must not come before it
            raise RuntimeError("the signer was stopped")
        device = self._device
        keys = {"log": device.log_key, "cosigner": device.cosigner_key}
        key = keys.get(role) or device.witness_key
        if key is None:
            raise away("the witness key is not there any more")

        def check(raw: bytes) -> bytes:  # gives nothing for one that is not good
            payload = prefix + (encode_ecdsa(raw) if key.is_p256 else raw)
            if key.verify(text, payload) is None:
                return b""
            if role == "log":
                self._device.meter.last_good = self._monotonic()
            return payload

        for _ in range(_TRIES):
            payload = await call(
                self._thread, self._device.sign, role, message, turn=turn, then=check
            )
            if payload:
                if self._device.state != "ready":
                    await call(self._thread, self._device.confirm)
                return payload
            self._counts["bad_signatures"] += 1
            await call(self._thread, self._device.distrust)
        raise away("its signatures do not verify")


def _to_signature(key: VerifierKey, payload: bytes) -> Signature:
    return Signature(key.name, key.key_id, payload)
