"""Whether somebody is the technician that he says he is, and what the enrolment in force is.

Rules:
1. A try is on the disk, as one that has failed, before it is judged: whoever cuts the power then
   has used it up. If the disk takes nothing, each try waits for `NO_DISK` instead: so few guesses
   are worth nothing, and a full disk keeps nobody out.
2. PIN and code are both judged, always, and for an id that nobody has as for one that somebody
   has: with the same hash, as long, and with the same answer.
3. The code's number is on the disk before anybody is let in; so a code counts once, whatever
   happens.
4. The clock is trusted if the kernel says that somebody keeps it, and it is not before a time that
   is certain: that of the enrolment, or of a code that was taken. Else codes go by the counter.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chopmark.api.signin.passwords import Hasher
from chopmark.console.access import waits
from chopmark.console.access.codes import Kind, find, name_of
from chopmark.console.access.store import Store, Tries, find_folder, is_code
from chopmark.core.enrolment import (
    SECRET,
    Enrolment,
    Person,
    Secret,
    check_fresh,
    open_enrolment,
    parse_enrolment,
)
from chopmark.core.errors import ChopmarkError, ForbiddenError, RefusedError
from chopmark.service.kernelclock import read_kernel

LOG: Final = logging.getLogger("chopmark.console.access")
NO_DISK: Final = 60.0
"""Seconds; a day then has 1,440 guesses at a PIN and a code at once, of a million millions."""
PAUSE: Final = 2.0
"""Seconds after which a wrong try is answered: nobody tries a thousand in a minute."""
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
    """Judges.

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
        return await asyncio.to_thread(self._read_enrolment)

    async def box(self) -> str:
        """The line with the box's key, to which head office seals; raises as `Store.read_key`."""
        return (await asyncio.to_thread(self.store.read_box)).encode()

    async def outlook(self, name: str) -> Outlook:
        """What awaits a try."""
        async with self._lock:
            tries = await self._load()
        wait, left = waits.waiting(tries.counts, name, self.up()), waits.left(tries.counts, name)
        return Outlook(wait, left, self._kind(tries))

    async def judge(self, name: str, pin: str, code: str) -> Person:
        """The technician of this id, if PIN and code are his.

        Raises:
            TryAgainError: `console-wait`.
            ForbiddenError: `login-refused`.
            RefusedError: `enrolment-expired`, `not-enrolled`.
        """
        async with self._lock:
            made, private = await asyncio.to_thread(self._in_force)
            before, tries = await self._begin(name)
            secrets = await asyncio.to_thread(made.unseal, private)
            secret, kind = secrets.get(name, _NOBODY), self._kind(before)
            good = await self.hasher.check(secret.hash or None, pin)
            used = before.used.get(name_of(secret, kind), -1)
            number, person = find(secret, kind, code, used, self.now()), made.find(name)
            if not good or number is None or person is None:
                raise self._refused(tries, name)
            await self._let_in(before, tries, name, name_of(secret, kind), number, kind)
            return person

    async def judge_code(self, code: str) -> None:
        """See that this is the commissioning code of a box that has no enrolment yet.

        Raises:
            TryAgainError: `console-wait`; ForbiddenError: `login-refused`.
        """
        async with self._lock:
            digest = await asyncio.to_thread(self.store.read_commissioning)
            before, tries = await self._begin("commissioning")
            if await asyncio.to_thread(self.store.read_enrolment) or not is_code(digest, code):
                raise self._refused(tries, "commissioning")
            await self._write(_succeeded(before, tries, "commissioning"))

    async def check(self, data: bytes) -> Enrolment:
        """An enrolment that would be taken; it was signed by the key that is due.

        Raises:
            MalformedError: `malformed-enrolment` and the codes of its parts.
            RefusedError: `no-known-signature`, `bad-signature`, `enrolment-for-another-box`,
                `enrolment-older`, `enrolment-expired`, `not-for-this-box`.
        """
        return await asyncio.to_thread(self._check, data)

    async def take(self, data: bytes) -> Enrolment:
        """Put an enrolment in force; raises as `check`. To give the same again is harmless."""
        async with self._lock:
            made = await self.check(data)
            await asyncio.to_thread(self.store.write_enrolment, data)
            return made

    def _check(self, data: bytes) -> Enrolment:
        current = self._read_enrolment()
        if current is not None and data == self.store.read_enrolment():
            return current
        made = open_enrolment(data, None if current is None else current.heading.authority)
        name, private = self.store.read_key()
        if made.heading.box != self.store.read_box():
            message = f"this file is for the box {made.heading.box.name}, and this one is {name}"
            hint = "each box has its own file, made with the key that it shows"
            raise RefusedError("enrolment-for-another-box", message, hint=hint)
        made.unseal(private)
        if current is not None:
            _check_newer(made, current)
        check_fresh(made, self._certain(self._read_tries()))
        return made

    def _in_force(self) -> tuple[Enrolment, X25519PrivateKey]:
        made = self._read_enrolment()
        if made is None:
            hint = "type `enrol` in place of an id: it takes the commissioning code and the file"
            raise RefusedError("not-enrolled", "nobody may sign in here yet", hint=hint)
        check_fresh(made, self._certain(self._read_tries()))
        return made, self.store.read_key()[1]

    def _read_enrolment(self) -> Enrolment | None:
        data = self.store.read_enrolment()
        # Whose it is was judged when it was taken: it may name the key of the next one.
        return _parse(data) if data else None

    def _read_tries(self) -> Tries:
        found = self._unwritten or self.store.read_tries()
        made = self._read_enrolment()
        issued = 0 if made is None else made.heading.issued
        return Tries(found.counts, found.used, max(found.certain, issued))

    async def _load(self) -> Tries:
        """What was tried; a wait that begins anew since the machine did is kept as such."""
        found, now = await asyncio.to_thread(self._read_tries), self.up()
        made = Tries(waits.restart(found.counts, now), found.used, found.certain)
        if any(one.last > now for one in found.counts.values()):
            await self._write(made)
        return made

    async def _begin(self, name: str) -> tuple[Tries, Tries]:
        """Count a try; gives what was before it, and what is on the disk now."""
        before, now = await self._load(), self.up()
        wait = waits.waiting(before.counts, name, now)
        if wait:
            raise waits.wait_error(wait)
        tries = Tries(waits.fail(before.counts, name, now), before.used, before.certain)
        if not await self._write(tries):
            await self.sleep(NO_DISK)
        return before, tries

    async def _let_in(
        self, before: Tries, tries: Tries, name: str, code: str, number: int, kind: Kind
    ) -> None:
        done = _succeeded(before, tries, name)
        certain = max(done.certain, int(self.now())) if kind == "clock" else done.certain
        await self._write(Tries(done.counts, done.with_used(code, number), certain))

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

    def _kind(self, tries: Tries) -> Kind:
        return "clock" if self._trusted(tries) else "counter"

    def _trusted(self, tries: Tries) -> bool:
        return self.kept() and self.now() >= tries.certain

    def _certain(self, tries: Tries) -> int:
        """The latest time that has certainly been."""
        return int(self.now()) if self._trusted(tries) else tries.certain

    def _refused(self, tries: Tries, name: str) -> ForbiddenError:
        left = waits.left(tries.counts, name)
        wait = waits.waiting(tries.counts, name, self.up())
        hint = f"wait {wait} s" if wait else f"{left} tries are left before one must wait"
        message = "id, PIN and code do not go together"
        return ForbiddenError("login-refused", message, hint=hint, retry_after=wait or None)


@lru_cache(maxsize=2)
def _parse(data: bytes) -> Enrolment:
    """Parsed once for each file; what is sealed in it stays so."""
    return parse_enrolment(data)[0]


def _succeeded(before: Tries, tries: Tries, name: str) -> Tries:
    counts = waits.succeed(tries.counts, before.counts, name)
    return Tries(counts, tries.used, tries.certain)


def _check_newer(made: Enrolment, current: Enrolment) -> None:
    mine, theirs = current.heading.version, made.heading.version
    if theirs <= mine:
        message = f"this is number {theirs} of this box's enrolments, and number {mine} is in force"
        hint = "ask head office for the newest one"
        raise RefusedError("enrolment-older", message, hint=hint)
