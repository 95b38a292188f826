"""Releases of frozen replicas: two officers let a forked log be followed again, here.

Rules:
1. A release is about one piece of evidence that is held, and keeps one of its two heads. It is
   checked against the officers of the roster in force, once, and holds from then on.
2. It is stored before anything else happens; the parts of the gateway are then made anew, and start
   from what is stored. So it does not matter where a power cut falls.
3. A replica that holds the other branch is set aside before the parts open it, and filled again.
4. The head that was not kept is refused from whatever side it comes, and the same pair of heads
   freezes nothing any more. Any other contradiction is a fork of its own.
5. It is local: others decide for themselves. It shows in every verdict about the log.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from chopmark.core.checkpoint import Checkpoint, parse_checkpoint
from chopmark.core.errors import (
    ExistsError,
    MalformedError,
    MissingError,
    RefusedError,
    TryAgainError,
)
from chopmark.core.evidence import Branch, Fork
from chopmark.core.member import Member
from chopmark.core.note import parse_note
from chopmark.core.officers import check_officers, fingerprint
from chopmark.core.ports import AuditSink, Clock, NoAudit
from chopmark.core.release import Release, SignedRelease, parse_release
from chopmark.core.roster import Officer
from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time
from chopmark.ledger.log import Log
from chopmark.ledger.releases import (
    Applied,
    add_release,
    contradicts,
    end_refetch,
    read_releases,
    set_aside,
)
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import Store
from chopmark.service.auditing import noted
from chopmark.service.places import index_path, replica_path

LOG: Final = logging.getLogger("chopmark.forks")
MAX_AGE: Final = 30 * 86_400
"""Seconds after which a release that was not applied has to be written anew."""
MAX_AHEAD: Final = 60
"""Seconds by which the clock of who wrote it may be ahead of ours."""

FindFork = Callable[[bytes], Fork | None]
"""Gives the fork that evidence with this digest proves, if it is held."""


@dataclass(frozen=True, slots=True)
class Held:
    """A release that holds: what is stored, what it says, and the fork that it is about."""

    applied: Applied
    release: Release
    fork: Fork

    @property
    def heads(self) -> set[tuple[int, bytes]]:
        """The two heads, as size and root."""
        return _heads(self.fork)

    @property
    def rejected(self) -> set[tuple[int, bytes]]:
        """The head that was not kept."""
        return self.heads - {_key(self.release.kept)}

    @property
    def kept_branch(self) -> Branch:
        """What shows the head that was kept."""
        return _find_branch(self.fork, self.release.kept)

    def describe(self) -> dict[str, Any]:
        """As JSON (docs/api.md)."""
        kept = self.release.kept
        return {
            "kept": {"size": kept.size, "root": encode_base64(kept.root)},
            "officers": self.applied.officers,
            "reason": self.release.reason,
            "applied_at": format_time(self.applied.applied_at),
            "fetched_again": bool(self.applied.refetch),
        }


class Releases:
    """Keeps releases.

    Attributes:
        officers: those of the roster in force; None if no roster is pinned.
        changed: called once a release holds: the parts are to be made anew.
        audit: takes note of who has applied one.
    """

    def __init__(
        self, own: Member, log: Log, replicas: Mapping[str, Replica], clock: Clock
    ) -> None:
        self._own = own
        self._log = log
        self._replicas = replicas
        self._clock = clock
        self._held: dict[bytes, Held] = {}
        self._turn = asyncio.Lock()
        self.officers: Callable[[], Sequence[Officer] | None] = lambda: None
        self.changed: Callable[[], None] = lambda: None
        self.audit: AuditSink = NoAudit()

    async def start(self, find: FindFork) -> None:
        """Take up what is stored, and let the replicas know; before anything freezes them."""
        stored: list[Applied] = await self._log.read(lambda r, _: r.look(read_releases))
        for one in stored:
            fork = find(one.evidence)
            if fork is not None:
                release = parse_release(one.text).release
                self._held[one.evidence] = Held(one, release, fork)
        for replica in self._replicas.values():
            replica.rejected = self.rejected(replica.origin)
            await self._resume(replica)

    def of(self, origin: str) -> list[Held]:
        """What holds about a log, the oldest first."""
        return [held for held in self._held.values() if held.release.kept.origin == origin]

    def is_released(self, digest: bytes) -> bool:
        """Whether evidence freezes nothing any more."""
        return digest in self._held

    def is_over(self, fork: Fork) -> bool:
        """Whether a fork is between two heads of which officers have kept one."""
        return any(held.heads == _heads(fork) for held in self.of(fork.origin))

    def rejected(self, origin: str) -> frozenset[tuple[int, bytes]]:
        """Heads of a log that do not count here."""
        return frozenset[tuple[int, bytes]]().union(*(one.rejected for one in self.of(origin)))

    def describe(self, digest: bytes) -> dict[str, Any] | None:
        """The release of a piece of evidence as JSON."""
        held = self._held.get(digest)
        return None if held is None else held.describe()

    def warning(self, origin: str) -> str | None:
        """What every verdict about a log says."""
        told = [
            f"the key of this ledger has signed two histories; {held.applied.officers} have "
            f"released it here on {format_time(held.applied.applied_at)} and kept the one with "
            f"the head of size {held.release.kept.size} ({held.release.reason})"
            for held in self.of(origin)
        ]
        return "; ".join(told) or None

    def alarms(self, replica: Replica) -> list[dict[str, str]]:
        """What an operator must not forget: a forked log goes on only until it has a successor."""
        if replica.conflict or not replica.member.is_active or not self.of(replica.origin):
            return []
        message = f"{replica.origin} was forked, and is followed as two officers have released it"
        hint = "the lasting remedy is a successor origin in the roster"
        return [{"code": "fork-released", "message": message, "hint": hint}]

    async def apply(self, data: bytes, find: FindFork) -> dict[str, Any]:
        """Take a release that two officers have signed.

        Raises:
            ChopmarkError: what is wrong with it; nothing was changed.
            TryAgainError: `not-recorded`, `storage-full`.
        """
        signed = parse_release(data)
        kept = signed.release.kept
        about: dict[str, str | int] = {
            "origin": kept.origin,
            "evidence": signed.release.evidence.hex(),
            "kept": kept.size,
            "certificates": " ".join(fingerprint(one.certificate) for one in signed.signatures),
        }
        return await noted(self.audit, "fork.released", self._apply(signed, find), **about)

    async def _apply(self, signed: SignedRelease, find: FindFork) -> dict[str, Any]:
        release = signed.release
        async with self._turn:
            fork = self._check(release, find)
            known = self._held.get(release.evidence)
            if known is not None and known.release == release:
                return self._answer(known)
            if known is not None:
                hint = "the lasting remedy is a successor origin in the roster"
                message = f"this fork was released already, by {known.applied.officers}"
                raise ExistsError("released-already", message, hint=hint)
            names = self._check_signatures(signed)
            refetch = await self._holds_other(fork, release)
            digest, now = release.evidence, self._clock.now_ms()
            applied = Applied(digest, fork.origin, names, now, int(refetch), signed.encode())
            await self._log.write(lambda store: store.change(lambda db: add_release(db, applied)))
            held = self._held[digest] = Held(applied, release, fork)
            size = release.kept.size
            message = "%s is released by %s: the branch with the head of size %d is kept"
            LOG.warning(message, fork.origin, names, size, extra={"code": "fork-released"})
            self.changed()
            return self._answer(held)

    def _check(self, release: Release, find: FindFork) -> Fork:
        """The fork that a release is about."""
        fork, kept = find(release.evidence), release.kept
        if fork is None:
            message = f"no evidence {release.evidence.hex()} is held here"
            raise MissingError("no-such-evidence", message, hint="`chopmark evidence show`")
        if fork.origin != kept.origin:
            message = f"the evidence is about {fork.origin}, not {kept.origin}"
            raise RefusedError("other-log", message)
        if fork.origin == self._own.origin:
            hint = "the roster retires this origin and names a successor"
            raise RefusedError("own-log", "our own log cannot be released here", hint=hint)
        if _key(kept) not in _heads(fork):
            message = f"neither head in the evidence is the one kept, of size {kept.size}"
            raise RefusedError("no-such-branch", message, hint="`chopmark evidence show` has both")
        return fork

    def _check_signatures(self, signed: SignedRelease) -> str:
        """Names of the officers that have signed."""
        age = self._clock.now_ms() // 1000 - signed.release.time
        if not -MAX_AHEAD <= age <= MAX_AGE:
            message = "the time of the release lies ahead, or more than 30 days back"
            hint = "write it anew: `chopmark evidence release`"
            raise RefusedError("release-out-of-date", message, hint=hint)
        officers = self.officers()
        if officers is None:
            hint = "officers are named by the roster: `chopmark roster pin`"
            raise MissingError("no-roster", "no version of the roster was pinned here", hint=hint)
        signers = check_officers(signed, officers)
        return " and ".join(f"{one.name} ({one.institution})" for one in signers)

    async def _holds_other(self, fork: Fork, release: Release) -> bool:
        branch = _find_branch(fork, release.kept)
        replica = self._replicas[fork.origin]
        other: bool = await replica.log.read(
            lambda reader, state: contradicts(reader, state, fork.evidence, branch)
        )
        return other

    def _answer(self, held: Held) -> dict[str, Any]:
        origin = held.release.kept.origin
        return {"origin": origin, "evidence": held.applied.evidence.hex(), **held.describe()}

    async def _resume(self, replica: Replica) -> None:
        """Let a replica go on that nothing speaks against any more; it meets the head kept."""
        note = replica.log.state.fork_note
        with suppress(TryAgainError):  # it is frozen until the next start
            if note is not None and self._is_void(replica, note):
                await replica.resume()
            for held in self.of(replica.origin):
                with suppress(MalformedError):  # the roster has ended it since
                    await replica.observe_head(held.kept_branch.note)

    def _is_void(self, replica: Replica, note: bytes) -> bool:
        """Whether a head that has stopped a replica was judged by officers, or by the roster."""
        head = _key(parse_checkpoint(parse_note(note).text))
        if any(head in held.heads for held in self.of(replica.origin)):
            return True
        try:
            replica.member.open_accused(note)
        except RefusedError as error:
            return error.code == "past-key"
        return False


async def set_aside_released(log: Log, state: Path, peers: Sequence[Member]) -> None:
    """Set replicas aside that hold the branch which was not kept; before they are opened.

    Args:
        log: our own.
        state: folder of the gateway's state.
        peers: whose replicas there are.

    Raises:
        InternalError: `not-set-aside`.
        TryAgainError: `not-recorded`: what was done is done again.
    """
    stored: list[Applied] = await log.read(lambda reader, _: reader.look(read_releases))
    due = {one.origin for one in stored if one.refetch}
    for peer in peers:
        if peer.origin in due:
            kept = set_aside(replica_path(state, peer.id), index_path(state, peer.id))
            LOG.warning("the replica of %s is fetched again; the old one is %s", peer.id, kept)
            await log.write(partial(_end_refetch, origin=peer.origin))


def _end_refetch(store: Store, origin: str) -> None:
    store.change(lambda db: end_refetch(db, origin))


def _heads(fork: Fork) -> set[tuple[int, bytes]]:
    return {_key(fork.first.checkpoint), _key(fork.second.checkpoint)}


def _key(head: Checkpoint) -> tuple[int, bytes]:
    return head.size, head.root


def _find_branch(fork: Fork, kept: Checkpoint) -> Branch:
    return next(one for one in fork.evidence.branches if _key(one.head()) == _key(kept))
