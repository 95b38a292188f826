"""Whether somebody is the technician that he says he is.

Rules:
1. A try is on the disk, as one that has failed, before it is judged: whoever cuts the power then
   has used it up. If the disk takes nothing, each try waits for `NO_DISK` instead: so few guesses
   are worth nothing, and a full disk keeps nobody out.
2. PIN and code are both judged, always, and for an id that nobody has as for one that somebody
   has: with the same hash, as long, and with the same answer.
3. The code's number is on the disk before anybody is let in; so a code counts once, whatever
   happens.
4. Codes go by the clock where that is trusted (`enrolled`), else by the counter.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from chopmark.api.signin.passwords import Hasher
from chopmark.console.access import waits
from chopmark.console.access.codes import Kind, find, name_of
from chopmark.console.access.enrolled import Enrolled
from chopmark.console.access.store import Store, Tries, is_code
from chopmark.console.place import find_folder
from chopmark.core.enrolment import SECRET, Enrolment, Person, Secret
from chopmark.core.errors import ChopmarkError, ForbiddenError, RefusedError
from chopmark.service.kernelclock import read_kernel

LOG: Final = logging.getLogger("chopmark.console.access")
NO_DISK: Final = 60.0
"""Seconds; a day then has 1,440 guesses at a PIN and a code at once, of a million millions."""
PAUSE: Final = 2.0
"""Seconds after which a wrong try is answered: nobody tries a thousand in a minute."""
COMMISSIONING: Final = "commissioning"
"""What tries at the commissioning code are counted for."""
_NOBODY: Final = Secret("", bytes(SECRET), bytes(SECRET))


def uptime() -> float:
    """Seconds since the machine was started, with those in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Outlook(NamedTuple):
    """What one may be told before trying: seconds to wait, tries left, and which code is asked."""

    wait: int
    left: int
    kind: Kind


@dataclass(slots=True)
class Access:
    """Judges; one at a time on a box, as only one session has the seat.

    Attributes:
        store: what is kept; read anew each time.
        hasher: judges PINs.
        up: seconds of uptime.
        now: seconds since the Unix epoch.
        kept: whether somebody keeps the clock.
        sleep: waits.
    """

    store: Store = field(default_factory=lambda: Store(find_folder()))
    hasher: Hasher = field(default_factory=Hasher)
    up: Callable[[], float] = uptime
    now: Callable[[], float] = time.time
    kept: Callable[[], bool] = lambda: read_kernel().synchronised
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _unwritten: Tries | None = None

    async def enrolment(self) -> Enrolment | None:
        """The one in force; None before the first."""
        return await asyncio.to_thread(self._enrolled.read)

    async def box(self) -> str:
        """The line with the box's key, to which head office seals; raises as `Store.read_key`."""
        return (await asyncio.to_thread(self.store.read_box)).encode()

    async def outlook(self, name: str) -> Outlook:
        """What awaits a try."""
        async with self._lock:
            tries = await self._load()
        counts, now = tries.counts, self.up()
        kind = self._kind(tries, await self.enrolment())
        return Outlook(waits.waiting(counts, name, now), waits.left(counts, name), kind)

    async def judge(self, name: str, pin: str, code: str) -> Person:
        """The technician of this id, if PIN and code are his.

        Raises:
            TryAgainError: `console-wait`.
            ForbiddenError: `login-refused`.
            RefusedError: `enrolment-expired`, `not-enrolled`.
        """
        async with self._lock:
            before = await self._load_for(name)
            certain = before.certain
            made, private = await asyncio.to_thread(self._enrolled.open, certain)
            tries = await self._count(before, name)
            secrets = await asyncio.to_thread(made.unseal, private)
            secret, kind = secrets.get(name, _NOBODY), self._kind(before, made)
            good = await self.hasher.check(secret.hash or None, pin)
            used = before.used.get(name_of(secret, kind), -1)
            number, person = find(secret, kind, code, used, self.now()), made.find(name)
            if not good or number is None or person is None:
                raise self._refused(tries, name)
            done = tries.with_used(name_of(secret, kind), number)
            certain = max(certain, int(self.now())) if kind == "clock" else certain
            await self._write(Tries(_forgiven(tries, before, name), done, certain))
            return person

    async def judge_code(self, code: str) -> None:
        """See that this is the commissioning code of a box that has no enrolment yet.

        Raises:
            TryAgainError: `console-wait`; ForbiddenError: `login-refused`.
        """
        async with self._lock:
            digest = await asyncio.to_thread(self.store.read_commissioning)
            before = await self._load_for(COMMISSIONING)
            tries = await self._count(before, COMMISSIONING)
            if await self.enrolment() is not None or not is_code(digest, code):
                raise self._refused(tries, COMMISSIONING)
            counts = _forgiven(tries, before, COMMISSIONING)
            await self._write(Tries(counts, tries.used, tries.certain))

    async def check(self, data: bytes) -> Enrolment:
        """An enrolment that would be taken; it was signed by the key that is due.

        Raises:
            MalformedError: `malformed-enrolment` and the codes of its parts.
            RefusedError: `no-known-signature`, `bad-signature`, `enrolment-for-another-box`,
                `enrolment-older`, `enrolment-expired`, `not-for-this-box`.
        """
        tries = await asyncio.to_thread(self.store.read_tries)
        return await asyncio.to_thread(self._enrolled.check, data, tries.certain)

    async def take(self, data: bytes, *, first: bool = False) -> Enrolment:
        """Put an enrolment in force; to give the same again is harmless.

        Args:
            data: the file.
            first: somebody who had the commissioning code has seen which key has signed it.

        Raises:
            RefusedError: `not-enrolled`: it is the first one, and nobody has; else as `check`.
        """
        async with self._lock:
            made = await self.check(data)
            if not first and await self.enrolment() is None:
                message = (
                    "this box has no enrolment yet: its first one needs the commissioning code"
                )
                raise RefusedError("not-enrolled", message, hint="type `enrol` in place of an id")
            await asyncio.to_thread(self.store.write_enrolment, data)
            return made

    @property
    def _enrolled(self) -> Enrolled:
        return Enrolled(self.store, self.now, self.kept)

    def _kind(self, tries: Tries, made: Enrolment | None) -> Kind:
        issued = 0 if made is None else made.heading.issued
        return "clock" if self._enrolled.trusted(max(tries.certain, issued)) else "counter"

    async def _load(self) -> Tries:
        """What was tried; a wait that begins anew since the machine did is kept as such."""
        found = self._unwritten
        if found is None:
            found = await asyncio.to_thread(self.store.read_tries)
        now = self.up()
        made = Tries(waits.restart(found.counts, now), found.used, found.certain)
        if any(one.last > now for one in found.counts.values()):
            await self._write(made)
        return made

    async def _load_for(self, name: str) -> Tries:
        """What was tried, if this id need not wait."""
        before = await self._load()
        wait = waits.waiting(before.counts, name, self.up())
        if wait:
            raise waits.wait_error(wait)
        return before

    async def _count(self, before: Tries, name: str) -> Tries:
        """Count a try, as one that has failed; gives what is on the disk now."""
        counts = waits.fail(before.counts, name, self.up())
        tries = Tries(counts, before.used, before.certain)
        if not await self._write(tries):
            await self.sleep(NO_DISK)
        return tries

    async def _write(self, tries: Tries) -> bool:
        """Keep it; where the disk takes nothing, in memory until it does."""
        try:
            await asyncio.to_thread(self.store.write_tries, tries)
        except ChopmarkError as error:
            LOG.warning("a try is not on the disk: %s", error, extra={"code": error.code})
            self._unwritten = tries
            return False
        self._unwritten = None
        return True

    def _refused(self, tries: Tries, name: str) -> ForbiddenError:
        left = waits.left(tries.counts, name)
        wait = waits.waiting(tries.counts, name, self.up())
        hint = f"wait {wait} s" if wait else f"try again: {left} tries are left, then one must wait"
        message = "id, PIN and code do not go together"
        return ForbiddenError("login-refused", message, hint=hint, retry_after=wait or None)


def _forgiven(tries: Tries, before: Tries, name: str) -> dict[str, waits.Count]:
    return waits.succeed(tries.counts, before.counts, name)
