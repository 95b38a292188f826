"""Evidence of forks: kept, told to everyone, and acted upon.

1. Evidence is taken from our own replicas, from what peers publish, and from whoever has two notes.
   It is checked under the keys that the log has or had, whoever brought it; heads of a key that
   has ended count up to its last size.
2. Its log is frozen here, for good, though our own replica has seen one history only.
3. It is stored in `log.db`, and published, so that every member learns of it from every other.
4. Of one log two pieces are kept at most: the first, and the one with the smallest head. What a
   forger adds takes neither room nor work. Those that officers have released stay beside them.
5. Evidence against our own log is no peer's fault: the owner of the log is told.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from chopmark.core.checkpoint import parse_checkpoint
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError, TryAgainError
from chopmark.core.evidence import (
    Evidence,
    Fork,
    check_heads,
    differing_heads,
    encode_bulletin,
    parse_bulletin,
    parse_evidence,
)
from chopmark.core.member import Member
from chopmark.core.note import parse_note
from chopmark.core.ports import Clock
from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time
from chopmark.ledger.forks import (
    Kept,
    Stop,
    add_evidence,
    read_evidence,
    remove_evidence,
)
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.mesh.topics import Topic
from chopmark.service.releases import Releases

LOG: Final = logging.getLogger("chopmark.forks")
ObserveOwn = Callable[[bytes], Awaitable[None]]
"""Told the note of each head of our own log that anyone shows us."""


class Forks:
    """Keeps evidence.

    Args:
        own: who we are.
        log: our own log, whose database keeps it.
        replicas: of all peers.
        clock: tells when it was found.

    Attributes:
        releases: by which officers have let forked logs be followed again.
        tell: publishes the evidence that we hold.
        observe_own: told the heads in evidence against our own log.
    """

    def __init__(
        self, own: Member, log: Log, replicas: Mapping[str, Replica], clock: Clock
    ) -> None:
        self._own = own
        self._log = log
        self._replicas = replicas
        self._clock = clock
        self._kept: dict[bytes, tuple[Kept, Fork]] = {}
        self._turn = asyncio.Lock()
        self.releases = Releases(own, log, replicas, clock)
        self.tell: Callable[[bytes], None] = lambda _: None
        self.observe_own: ObserveOwn = _ignore

    async def start(self) -> None:
        """Take up what is stored, here and in the replicas; their logs are frozen."""
        stored: list[Kept] = await self._log.read(read_evidence)
        for kept in stored:
            try:
                self._kept[kept.digest] = kept, self._check(kept.text)
            except MalformedError as error:  # its log's member has gone, or has another key now
                LOG.warning("evidence about %s is not used: %s", kept.origin, error.message)
        await self.releases.start(self.find)
        for origin in {fork.origin for _, fork in self._kept.values()}:
            with suppress(TryAgainError):  # it is frozen all the same
                await self._freeze(origin)
        for replica in self._replicas.values():
            for kept in await replica.log.read(read_evidence) if replica.conflict else ():
                with suppress(TryAgainError):  # the replica has it still
                    await self._keep(self._check(kept.text), kept.found_at)
        self._publish()

    async def found(self, evidence: Evidence) -> None:
        """Take evidence that one of our replicas has made.

        Raises:
            TryAgainError: `not-recorded`, `storage-full`; it may be offered again.
        """
        try:
            await self.add(evidence.encode())
        except MalformedError:
            LOG.exception("evidence of our own making convicts nobody")

    async def take(self, sender: str, _topic: Topic, payload: bytes) -> None:
        """Take what a peer publishes; what is good is kept, whatever else is there.

        Raises:
            ChopmarkError: the first that was wrong; `not-recorded` if the disk refused.
        """
        wrong: ChopmarkError | None = None
        for text in parse_bulletin(payload):
            await asyncio.sleep(0)  # a message may hold a hundred pieces, each with two signatures
            try:
                if await self.add(text):
                    LOG.info("the evidence was published by %s", sender)
            except MalformedError as error:
                wrong = wrong or error
        if wrong is not None:
            raise wrong

    async def report(self, origin: str, first_note: bytes, second_note: bytes) -> None:
        """Take two notes of one log that somebody holds to be a fork.

        Two heads of one size prove it; others are compared with our replica, as any head.

        Raises:
            ChopmarkError: a note is bad; `not-recorded` if the disk refused.
        """
        self._member(origin)
        first, second = (parse_checkpoint(parse_note(n).text) for n in (first_note, second_note))
        if first.size == second.size and first != second:
            await self.add(differing_heads(first_note, second_note).encode())
            return
        for note in (first_note, second_note):
            if origin == self._own.origin:
                await self.observe_own(note)
            else:
                await self._replicas[origin].observe_head(note)

    async def add(self, text: bytes) -> bool:
        """Take evidence from anywhere; whether it was new.

        Raises:
            MalformedError: what `parse_evidence`, `check_heads` and `open_accused` raise;
                `unknown-log`.
            TryAgainError: `not-recorded`, `storage-full`; it may be offered again.
        """
        if hashlib.sha256(text).digest() in self._kept:  # every peer tells it again now and then
            return False
        # Who showed it may hang up meanwhile: what is kept must be told to all the same.
        return await asyncio.shield(self._take(self._check(text)))

    async def release(self, data: bytes) -> dict[str, Any]:
        """Take a release by two officers; see `Releases.apply`."""
        return await self.releases.apply(data, self.find)

    def find(self, digest: bytes) -> Fork | None:
        """The fork that evidence with this digest proves, if we hold it."""
        held = self._kept.get(digest)
        return None if held is None else held[1]

    def of(self, origin: str) -> Stop | None:
        """Why a log is frozen by what we hold of it; with the smallest size, and the first time."""
        pieces = self._freezing(origin)
        if not pieces:
            return None
        fork = min((fork for _, fork in pieces), key=lambda one: one.below)
        found_at = min(kept.found_at for kept, _ in pieces)
        sizes = f"{fork.first.checkpoint.size} and {fork.second.checkpoint.size}"
        reason = f"its key has signed two histories: heads of sizes {sizes} cannot both be true"
        return Stop(reason, fork.below, found_at, fork.evidence)

    def held(self) -> dict[str, str]:
        """Of each piece that we hold the digest, in hexadecimal, and the log that it is about."""
        return {digest.hex(): fork.origin for digest, (_, fork) in self._kept.items()}

    def describe(self) -> list[dict[str, Any]]:
        """What we hold, as JSON (docs/api.md)."""
        return [self._describe(kept, fork) for kept, fork in self._kept.values()]

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must know: forks of peers' logs, and of ours."""
        alarms = []
        for replica in self._replicas.values():
            if replica.conflict:
                message = f"{replica.origin} contradicts its replica: {replica.conflict}"
                hint = "call its operator; `chopmark evidence show` has the proof"
                alarms.append({"code": "fork", "message": message, "hint": hint})
            alarms += self.releases.alarms(replica)
        if (own := self.of(self._own.origin)) is not None:
            hint = "stop this gateway: was an old disk restored, or is the key used elsewhere?"
            message = f"our own log is forked: {own.reason}"
            alarms.append({"code": "own-fork", "message": message, "hint": hint})
        return alarms

    async def _take(self, fork: Fork) -> bool:
        """Keep it and publish it; whether it was new."""
        async with self._turn:
            if not await self._keep(fork, self._clock.now_ms()):
                return False
            self._publish()
        return True

    async def _keep(self, fork: Fork, found_at: int) -> bool:
        """Store, freeze and say so; nothing if it says no more than what is held."""
        of = self._freezing(fork.origin)
        if any(one.below <= fork.below for _, one in of) or self.releases.is_over(fork):
            return False
        text, digest = fork.evidence.encode(), fork.evidence.digest
        kept = Kept(digest, fork.origin, found_at, text)
        await self._log.write(lambda store: store.change(lambda db: add_evidence(db, kept)))
        self._kept[digest] = kept, fork
        for other, _ in of[1:]:
            await self._forget(other.digest)
        await self._freeze(fork.origin)
        if not of:
            sizes = f"{fork.first.checkpoint.size} and {fork.second.checkpoint.size}"
            extra = {"code": "fork"}
            LOG.error("%s is forked: heads of sizes %s differ", fork.origin, sizes, extra=extra)
        return True

    def _freezing(self, origin: str) -> list[tuple[Kept, Fork]]:
        """The evidence about a log that officers have not released."""
        pieces = [held for held in self._kept.values() if held[1].origin == origin]
        return [held for held in pieces if not self.releases.is_released(held[0].digest)]

    async def _forget(self, digest: bytes) -> None:
        await self._log.write(lambda store: store.change(lambda db: remove_evidence(db, digest)))
        del self._kept[digest]

    async def _freeze(self, origin: str) -> None:
        stop = self.of(origin)
        if stop is None or stop.evidence is None:
            return
        if origin in self._replicas:
            await self._replicas[origin].freeze(stop)
        elif origin == self._own.origin:
            for branch in stop.evidence.branches:
                await self.observe_own(branch.note)

    def _publish(self) -> None:
        if self._kept:
            self.tell(encode_bulletin([kept.text for kept, _ in self._kept.values()]))

    def _check(self, text: bytes) -> Fork:
        evidence = parse_evidence(text)
        return check_heads(evidence, self._member(evidence.origin).open_accused)

    def _member(self, origin: str) -> Member:
        if origin == self._own.origin:
            return self._own
        if origin not in self._replicas:
            raise RefusedError("unknown-log", f"the log {origin} belongs to no member known here")
        return self._replicas[origin].member

    def _describe(self, kept: Kept, fork: Fork) -> dict[str, Any]:
        member, evidence = self._member(fork.origin), fork.evidence
        heads = [signed.checkpoint for signed in (fork.first, fork.second)]
        return {
            "digest": kept.digest.hex(),
            "id": member.id,
            "origin": fork.origin,
            "institution": member.institution,
            "found_at": format_time(kept.found_at),
            "subject": str(evidence.subject),
            "number": evidence.number,
            "heads": [{"size": head.size, "root": encode_base64(head.root)} for head in heads],
            "evidence": kept.text.decode(),
            "released": self.releases.describe(kept.digest),
        }


async def _ignore(_note: bytes) -> None:
    return None
