"""The signer of a gateway: typed objects in, verified signatures out.

Nothing else in this system makes a signature, and it signs nothing but checkpoints, cosignatures
of checkpoints, rosters, protocols of ceremonies and self-tests: there is no way to hand it bytes
(design: what a key may sign).
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from chopmark.core.blinding import SaltKey
from chopmark.core.ceremony import Ceremony
from chopmark.core.checkpoint import (
    Checkpoint,
    check_origin,
    read_checkpoint,
)
from chopmark.core.errors import MissingError, TryAgainError
from chopmark.core.keys import VerifierKey, cosigned_message
from chopmark.core.mark import HeadMark
from chopmark.core.note import Signature
from chopmark.core.roster import Roster
from chopmark.core.selftest import SelfTest
from chopmark.core.text import MAX_INT
from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.book import TokenBook
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.der import encode_ecdsa
from chopmark.hsm.device import STUCK, Device, Known, Role, State
from chopmark.hsm.errors import advise, away
from chopmark.hsm.meter import Meter
from chopmark.hsm.pin import BookedPin, PinGuard, Source
from chopmark.hsm.rpc import ADDRESS_VARIABLE, break_off
from chopmark.hsm.thread import HsmThread
from chopmark.hsm.turns import Turn
from chopmark.hsm.typed import (
    encode_ceremony_text,
    encode_checkpoint_text,
    encode_roster_text,
    encode_self_test_text,
)

T = TypeVar("T")

_log: Final = logging.getLogger("chopmark.hsm")
_TRIES: Final = 2
"""A signature that does not verify is asked for once more, from a token opened anew."""
ANSWER: Final = 15.0
"""Seconds within which a call must come back. A TPM needs up to one; a network HSM that lost its
line may never answer, and a call into the module cannot be broken off."""
STUCK_BEFORE: Final = 600.0
"""Seconds after which a call counts as one that never comes back, and the daemon ends, while the
module has not worked in this process: a new one would hardly do better, and would answer no
verification while it starts. After it has worked, `STUCK`."""
KEEP_ALIVE: Final = 60.0
"""Seconds without a good signature by the log key after which one is made, to see that it works."""
LOOK: Final = 1.0
"""Seconds between two looks at the thread."""
_SILENT: Final = "it does not answer"


class HsmSigner:
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
            "bad_signatures": 0,
        }
        self._closing = False
        self._broken_off = False

    @property
    def log_key(self) -> VerifierKey:
        """The key that signs checkpoints; its name is the origin."""
        return self._device.log_key

    @property
    def cosigner_key(self) -> VerifierKey:
        """The key that cosigns checkpoints."""
        return self._device.cosigner_key

    @property
    def state(self) -> State:
        """How it is: see `device`. One that does not answer is `away`."""
        return "away" if self._silent else self._device.state

    @property
    def reason(self) -> str | None:
        """Why it is not ready, in a few words."""
        return _SILENT if self._silent else self._device.reason

    @property
    def hint(self) -> str | None:
        """What an operator does about it."""
        return advise(None) if self._silent else self._device.hint

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
    def _silent(self) -> bool:
        return self._thread.stuck_for > ANSWER

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

    async def watch(self, now_ms: Callable[[], int]) -> None:
        """See for ever that the HSM works, and what became of a call that does not come back.

        Args:
            now_ms: the time for self-tests.

        Raises:
            TryAgainError: `hsm-stuck`, `hsm-broken`: only a new process can use the module.
            ChopmarkError: what a start that took long has failed with.
        """
        while True:
            if self._device.failure is not None:  # of a start that came late
                raise self._device.failure
            if not self._thread.is_alive:
                raise _restart("hsm-broken", "the HSM's thread has ended")
            self._thread.release()
            if self._device.state in ("ready", "away") and self._test_due():
                with suppress(TryAgainError):
                    await self.self_test(SelfTest(self.log_key.name, now_ms()))
            self._see_to_hanging()
            if (broken := self._device.broken) is not None:
                raise _restart("hsm-broken", broken)
            await asyncio.sleep(LOOK)

    async def unlatch(self) -> None:
        """Let the PIN be tried again, once.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`: it was refused again.
        """
        await self._call(self._device.unlatch)

    async def maintain(self, *, on: bool) -> None:
        """Take the HSM out of use, or into use again.

        Raises:
            TryAgainError: `hsm-away` and others of its family: it cannot be used yet.
        """
        await self._call(partial(self._device.maintain, on=on))

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

    async def generate(self, role: Role, name: str, base: str) -> tuple[str, VerifierKey]:
        """Make one more key in the token, of the type that the one in use has; see `Device`.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            ConfigurationError: `key-not-protected`.
        """
        return await self._call(self._device.generate, role, name, base)

    async def destroy(self, label: str, key: VerifierKey) -> None:
        """Destroy a key that is not in use, for good, if it is there.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`.
            MissingError: `no-such-key`: another key has this label.
            RefusedError: `ambiguous-key`: several have it.
        """
        await self._call(self._device.destroy, label, key)

    async def read_keys(self) -> tuple[TokenKey, ...]:
        """Every key in the token, whosever it is, with what the token says of each.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await self._call(self._device.read_keys)

    async def read_mark(self) -> HeadMark | None:
        """The head mark in the token, or None if it has none.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
            RefusedError: `bad-mark`: what stands in its place is no mark of our log.
        """
        return await self._call(self._device.read_mark)

    async def write_mark(self, mark: HeadMark, after: HeadMark | None) -> None:
        """Put a head mark in the place of the one before it; trying again is harmless.

        Args:
            mark: the new one.
            after: what must be in the token now.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: it may have been written.
            RefusedError: `mark-moved`: another mark is there; `bad-mark`.
            ConfigurationError: `mark-refused`: this token takes no such object.
        """
        await self._call(self._device.write_mark, mark, after)

    async def random(self, count: int) -> bytes:
        """Random bytes of the token's generator; none if it has none.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await self._call(self._device.random, count)

    async def read_salt_keys(self) -> tuple[SaltKey, ...]:
        """The salt keys of our log that lie in the token, the oldest first.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await self._call(self._device.read_salt_keys)

    async def write_salt_key(self, key: SaltKey) -> None:
        """Put a salt key into the token; trying again is harmless.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`: it may have been written.
            ConfigurationError: `salt-key-refused`: this token takes no such object.
        """
        await self._call(self._device.write_salt_key, key)

    async def destroy_salt_keys(self, before: int) -> int:
        """Destroy the salt keys that began before a time (ms), for good; gives how many.

        Raises:
            TryAgainError: `hsm-away`, `pin-latched`, `hsm-busy`.
        """
        return await self._call(self._device.destroy_salt_keys, before)

    @property
    def witness_key(self) -> VerifierKey | None:
        """The key that cosigns logs of others, if the token has one; None while it was not seen."""
        return self._device.witness_key

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

    async def close(self) -> None:
        """Log out and end the thread, after the signatures that wait. Ends the signer.

        A token that does not answer is left as it is.
        """
        self._closing = True
        if self._silent:
            break_off(os.environ.get(ADDRESS_VARIABLE, ""))
        try:
            with suppress(TryAgainError):
                await self._call(self._device.close, turn=Turn.CLOSE)
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
            payload = await self._call(self._device.sign, role, message, turn=turn, then=check)
            if payload:
                if self._device.state != "ready":
                    await self._call(self._device.confirm)
                return payload
            self._counts["bad_signatures"] += 1
            await self._call(self._device.distrust)
        raise away("its signatures do not verify")

    async def _call(
        self,
        function: Callable[..., T],
        *args: object,
        turn: Turn = Turn.UPKEEP,
        then: Callable[[T], T] | None = None,
    ) -> T:
        """Run a function on the HSM's thread, which may be stuck in an earlier one.

        Raises:
            TryAgainError: `hsm-away` if it does not come back in time.
        """
        if self._silent:  # who came first waits; who comes now is told at once
            raise away(_SILENT)
        try:
            return await self._thread.call(function, *args, turn=turn, then=then, patience=ANSWER)
        except TimeoutError:
            raise away(_SILENT) from None

    def _test_due(self) -> bool:
        since = self.since_good
        return since is None or since >= KEEP_ALIVE

    def _see_to_hanging(self) -> None:
        """Break a call off that hangs, where the module runs in a process of its own."""
        if not self._silent or self._device.typing:
            self._broken_off = False
            return
        # Until it is back: what it does next, opening the module anew, may hang again.
        broken_off = break_off(os.environ.get(ADDRESS_VARIABLE, ""))
        if not self._broken_off:
            self._broken_off = True
            done = "it is broken off" if broken_off else "nothing can break it off"
            _log.error("a call into the HSM has not come back for %.0f s: %s", ANSWER, done)
        limit = STUCK if self._device.worked else STUCK_BEFORE
        if self._thread.stuck_for > limit:
            raise _restart("hsm-stuck", f"a call into the HSM has not come back for {limit:.0f} s")


async def open_signer(
    config: HsmConfig,
    origin: str,
    pin: Source | PinGuard,
    *,
    known: Known | None = None,
    book: TokenBook | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> HsmSigner:
    """Load the module, log in and find the keys, all on a new HSM thread.

    A refused PIN gives a signer that is `latched`, one that is still to be given one that is
    `locked`: the daemon goes on and verifies, instead of being started, and trying the PIN, over
    and over.

    Args:
        config: which module, token and keys.
        origin: of our log; names both keys.
        pin: gives the PIN; called at each login, late, and what it gives is not kept. Raises
            `PinAwaitedError` while there is none.
        known: log key and cosigner key, where the ledger names them. A token that is not there
            yet, or not in this slot, then gives a signer that is `away`: a daemon that ended
            would not verify either, and the token may come late, or be plugged in again.
        book: keeps what must be known at the next start; forgotten at the end, if None.
        monotonic: seconds of a clock that never goes back.

    Raises:
        ConfigurationError: `no-hsm-module`, `no-such-token`, `ambiguous-token`, `ambiguous-key`,
            `unfit-key`, `key-not-protected`.
        MissingError: `no-such-key`: `chopmark init` makes them.
        TryAgainError: `hsm-away`; `pin-latched` and `pin-awaited` if not even the public keys
            could be read.
    """
    check_origin(origin)
    thread = HsmThread()
    if isinstance(pin, BookedPin):
        book = pin.book
    device = Device(config, origin, pin, monotonic, known, book)
    try:
        async with asyncio.timeout(ANSWER):
            await thread.call(device.start)
    except TimeoutError:
        # It goes on starting, and what is known of the keys will do until then.
        if known is None:
            thread.stop()
            raise away(_SILENT) from None
    except BaseException:
        thread.stop()
        raise
    return HsmSigner(thread, device, config, monotonic)


def _restart(code: str, message: str) -> TryAgainError:
    hint = "the daemon restarts; with the module in a process of its own, it would not have to"
    return TryAgainError(code, message, hint=f"{hint} (docs/operations/hsm-isolation.md)")


def _to_signature(key: VerifierKey, payload: bytes) -> Signature:
    return Signature(key.name, key.key_id, payload)
