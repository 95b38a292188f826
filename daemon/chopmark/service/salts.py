"""Blinds what is to be attested, and keeps for a day what its proofs are made with.

1. Each run of blinded attestations has a seed of its own, of two generators: the HSM's and the
   system's. Runs that wait at one time share one call into the HSM.
2. The seed is stored with the entries, sealed under a salt key, and forgotten after a day.
3. Salt keys lie in the token. One is made for every four hours in which there is something to seal,
   and destroyed a day after these: then no copy of the disk gives the salts back. A token that
   takes no such object leaves them in memory, and a restart loses them.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from chopmark.core.blinding import NONCE, SEED, SaltKey, blind_all, extract_seed
from chopmark.core.draft import Draft, Drafts
from chopmark.core.errors import (
    ChopmarkError,
    ConfigurationError,
    MalformedError,
    MissingError,
    TryAgainError,
)
from chopmark.core.ports import Clock, SaltKeeper
from chopmark.ledger.gather import Gather
from chopmark.ledger.log import Log
from chopmark.ledger.seeds import KEPT, Sealed, forget_seeds, is_any_over
from chopmark.ledger.worker import Worker

LOG: Final = logging.getLogger("chopmark")
PERIOD: Final = 4 * 3_600_000
"""Ms for which one salt key seals: six of them are used a day, and seven may be there."""
PAUSE: Final = 600.0
"""Seconds between looks for what is to be forgotten, once the token has been read."""
RETRY: Final = 5.0
"""Seconds between attempts to read the token."""


class Hidden(NamedTuple):
    """A blinded run: its drafts, its seed, and this as it is to be stored."""

    drafts: list[Draft | Drafts]
    seed: bytes
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class _Fresh:
    """What runs that wait at one time share: the HSM's randomness, and the salt key of now."""

    random: bytes
    since: int
    now: int


class Salts:
    """Blinding for our own log.

    Attributes:
        refused: why the salt keys are in memory only, or None.
    """

    def __init__(
        self,
        log: Log,
        keeper: SaltKeeper,
        clock: Clock,
        worker: Worker,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._log = log
        self._keeper = keeper
        self._clock = clock
        self._random = random
        self._keys: dict[int, tuple[SaltKey, ...]] = {}
        self._read = False
        self._fresh: _Fresh | None = None
        self._number = 0
        self._hiding = Gather(worker, self._hide_all, "blinding", self._prepare)
        self.refused: str | None = None
        log.open_seeds(self.open)

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must know."""
        if self.refused is None:
            return []
        message = f"proofs of blinded attestations cannot be given after a restart: {self.refused}"
        hint = "see that clients take proofs at once, and that the token keeps data objects"
        return [{"code": "salts-in-memory", "message": message, "hint": hint}]

    async def run(self) -> None:
        """Forget for ever what has had its day."""
        while True:
            try:
                await self.tidy()
            except TryAgainError:
                await asyncio.sleep(RETRY)
            else:
                await asyncio.sleep(PAUSE)

    async def tidy(self) -> None:
        """Forget what has had its day: seeds on the disk, and keys in the token.

        Raises:
            TryAgainError: the HSM is away, or the disk is full.
        """
        now = self._clock.now_ms()
        if await self._log.read(lambda reader, _: reader.look(is_any_over, now)):
            await self._log.write(lambda store: store.change(lambda db: forget_seeds(db, now)))
        await self._read_keys()
        before = now - KEPT - PERIOD
        for since in [since for since in self._keys if since < before]:
            del self._keys[since]
        await self._keeper.destroy_salt_keys(before)

    async def hide(self, drafts: Sequence[Draft | Drafts], first: int = 0) -> Hidden:
        """Blind those of a run that are to be.

        Args:
            drafts: of the run, with their bare digests.
            first: number of the run's first one within its request.

        Raises:
            TryAgainError: the HSM is away.
            MalformedError: `malformed-entry`.
        """
        return await self._hiding.ask((drafts, first))

    def open(self, sealed: Sealed) -> bytes:
        """The seed of a run. Any thread may call it.

        Raises:
            MissingError: `salt-gone`.
            TryAgainError: `hsm-away`: the token that has the key was not read yet.
        """
        keys = self._keys.get(sealed.key, ())
        if not keys and not self._read:
            message = "the token that has the keys of salts has not answered yet"
            raise TryAgainError("hsm-away", message, retry_after=5)
        if not keys or sealed.until < self._clock.now_ms():
            message = "the salt of this blinded attestation is gone: it is kept for 24 hours"
            hint = "use the proof that was given then, or attest the document again"
            raise MissingError("salt-gone", message, hint=hint)
        return _open(keys, sealed)

    async def _prepare(self) -> None:
        """Before some runs are blinded: fresh randomness of the HSM, and the salt key of now."""
        now = self._clock.now_ms()
        since = now - now % PERIOD
        if since not in self._keys:
            await self._read_keys()
        if since not in self._keys:
            await self._make_key(since)
        self._fresh = _Fresh(await self._keeper.random(SEED), since, now)

    async def _read_keys(self) -> None:
        """At the first call: what an earlier run of the gateway has left in the token.

        Again after a write that failed: it may have been done.
        """
        if not self._read:
            for key in await self._keeper.read_salt_keys():
                known = self._keys.get(key.since, ())
                if key not in known:
                    self._keys[key.since] = (*known, key)
            self._read = True

    async def _make_key(self, since: int) -> None:
        made = extract_seed(await self._keeper.random(SEED), self._random(SEED), since)
        key = SaltKey(self._log.origin, since, made)
        try:
            await self._keeper.write_salt_key(key)
        except ConfigurationError as error:
            if self.refused is None:
                said = "proofs of blinded attestations must be taken before the gateway stops"
                LOG.warning("%s: %s", error.message, said, extra={"code": error.code})
            self.refused = error.message
        except BaseException:
            self._read = False  # it may be there: the token is asked before another one is made
            raise
        self._keys[since] = (key,)

    def _hide_all(
        self, runs: Sequence[tuple[Sequence[Draft | Drafts], int]]
    ) -> list[Hidden | Exception]:
        """On a thread of its own: a million digests take seconds."""
        if self._fresh is None:
            raise RuntimeError("nothing was prepared")
        fresh, self._fresh = self._fresh, None
        hidden: list[Hidden | Exception] = []
        for drafts, first in runs:
            try:
                hidden.append(self._hide(drafts, first, fresh))
            except ChopmarkError as error:
                hidden.append(error)
        return hidden

    def _hide(self, drafts: Sequence[Draft | Drafts], first: int, fresh: _Fresh) -> Hidden:
        self._number += 1
        seed = extract_seed(fresh.random, self._random(SEED), self._number)
        made = blind_all(drafts, self._log.origin, seed, first)
        box = self._keys[fresh.since][0].seal(seed, first, self._random(NONCE))
        return Hidden(made, seed, Sealed(fresh.since, box, first, fresh.now + KEPT))


def _open(keys: Sequence[SaltKey], sealed: Sealed) -> bytes:
    """The seed, by the one of the keys that has sealed it.

    Raises:
        MissingError: `salt-gone`.
    """
    for key in keys[:-1]:
        with suppress(MalformedError):
            return key.open(sealed.box, sealed.first)
    try:
        return keys[-1].open(sealed.box, sealed.first)
    except MalformedError as error:
        message = f"{error.message}: its salt is gone"
        raise MissingError("salt-gone", message, hint="attest the document again") from error
