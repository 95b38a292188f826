"""Takes our own log back from the peers' replicas, and decides whether its origin may go on.

The daemon is stopped meanwhile. Everything is verified under checkpoints that our own log key has
signed; the keys come from the token (`recovery_keys` finds those in use), so that the database may
be gone altogether.

1. The token is read: keys and head mark. No key is made, and the mark stays as it is.
2. Every peer is asked for the newest heads of our log that it has seen.
3. If the ledger here covers all of them, it stays. Otherwise the log is fetched into
   `<state>/recovery/log.db`, up to the newest head that a peer holds; that resumes anywhere.
4. Of each peer's log the largest head that carries our cosignature is looked up, so that nothing
   smaller is cosigned from now on. Of logs of others nobody knows: see `ledger.floors`.
5. `recovery_rule` decides. The ledger takes its place in each case (`ledger.replace`): where the
   origin must not go on it is barred, and serves proofs of what it holds.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from chopmark.core.checkpoint import Checkpoint, SignedCheckpoint
from chopmark.core.errors import (
    ChopmarkError,
    ConfigurationError,
    InternalError,
    MissingError,
    RefusedError,
    UnreachableError,
)
from chopmark.core.keys import VerifierKey
from chopmark.core.mark import HeadMark
from chopmark.core.member import Member
from chopmark.hsm.pin import Source
from chopmark.hsm.start import open_signer
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replace import (
    Cosigned,
    load_epochs,
    note_signed_lost,
    put_epochs,
    raise_floors,
    replace_ledger,
)
from chopmark.ledger.replica import Replica
from chopmark.ledger.returned import open_cosigned
from chopmark.ledger.rotation import put_keys
from chopmark.ledger.store import create_store, read_keys
from chopmark.ledger.worker import Worker
from chopmark.mesh.fetching import Fetch
from chopmark.mesh.messages import HeadsSeen
from chopmark.service.audit_local import noting
from chopmark.service.background import beside
from chopmark.service.brokers import make_brokers
from chopmark.service.clock import SystemClock
from chopmark.service.config import Config
from chopmark.service.locking import lock_state
from chopmark.service.membership import read_membership
from chopmark.service.places import index_path, log_path, recovery_path
from chopmark.service.recovery_keys import Chosen, choose_keys
from chopmark.service.recovery_rule import Fate, Judgement, judge
from chopmark.service.typed_pin import asked_first

LOOK: Final = 0.2
"""Seconds between two looks at how far it has come."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Told how far it has come: peers that have answered, entries that are back."""

    answers: Callable[[int, int], None] = lambda _done, _total: None
    entries: Callable[[int, int], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True)
class Recovered:
    """What it came to.

    Attributes:
        origin: our log's name.
        head: the newest signed head of the ledger that is in place now.
        note: its note; None if nothing was ever signed.
        mark: the head mark in the token.
        judgement: whether the origin goes on.
        answered: ids of the peers that have answered.
        beyond: notes of heads that our key has signed and that the ledger lacks or contradicts.
        kept: where the old database is kept, if it was replaced.
        floors_lost: no log of others is cosigned until an operator says from where.
    """

    origin: str
    head: Checkpoint
    note: bytes | None
    mark: HeadMark | None
    judgement: Judgement
    answered: tuple[str, ...]
    beyond: tuple[bytes, ...]
    kept: Path | None
    floors_lost: bool = False


def recover(config: Config, pin: Source, patience: float, watch: Watch | None = None) -> Recovered:
    """Recover the ledger of a gateway that is stopped; blocks until done.

    Args:
        config: its configuration.
        pin: gives the token's PIN; may ask for it, in this thread, while nothing waits for that.
        patience: seconds to wait for peers that do not answer, and while nothing comes.
        watch: told how far it has come.

    Raises:
        ExistsError: `already-running`.
        TryAgainError: the HSM is away.
        ConfigurationError: `keys-changed`: the ledger there is of another token; `no-peers`.
        UnreachableError: `no-reply`: nobody has answered; `recovery-stalled`: call it again.
        RefusedError: `fork`: what the peers hold contradicts itself.
    """
    state = config.gateway.state
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(lock_state(state)):
        keys = asyncio.run(choose_keys(config, patience))
        with asked_first(pin) as typed:
            return asyncio.run(_recover(config, keys, typed, patience, watch or Watch()))


async def _recover(
    config: Config, keys: Chosen, pin: Source, patience: float, watch: Watch
) -> Recovered:
    async with AsyncExitStack() as stack:
        state = config.gateway.state
        signer = await open_signer(keys.hsm, config.gateway.origin, pin)
        stack.push_async_callback(signer.close)
        members = read_membership(config, signer.log_key, signer.cosigner_key)
        more = tuple({*members.own.more_log_keys, *keys.log_keys} - {signer.log_key})
        # What it has signed is to be taken back, by whichever key.
        own = replace(members.own, state="active", more_log_keys=more)
        peers = tuple(peer for peer in members.peers if peer.state != "left")
        if not peers:
            hint = "a ledger without peers comes back from a backup only; with a roster that is "
            hint += "lost too, name them in the configuration"
            raise ConfigurationError("no-peers", "there is no [[peer]] to ask", hint=hint)
        mark = await signer.read_mark()
        witness = signer.witness_key
        recovery = _Recovery(config, own, keys, peers, mark, patience, watch, witness)
        with noting(log_path(state), "ledger.recovered") as about:
            made = await recovery.run()
            about |= {"result": made.judgement.fate.value, "entries": made.head.size}
            if made.kept is not None:
                about["kept"] = str(made.kept)
        return made


@dataclass(frozen=True, slots=True)
class _Heads:
    """What the peers have answered, as far as our key has signed it."""

    held: Mapping[str, SignedCheckpoint]
    seen: tuple[SignedCheckpoint, ...]
    answered: tuple[str, ...]

    @property
    def every(self) -> tuple[SignedCheckpoint, ...]:
        return (*self.held.values(), *self.seen)

    @property
    def newest(self) -> SignedCheckpoint | None:
        """The newest that can be fetched."""
        return max(self.held.values(), key=lambda one: one.checkpoint.size, default=None)


@dataclass
class _Recovery:
    """One call."""

    config: Config
    own: Member
    keys: Chosen
    peers: tuple[Member, ...]
    mark: HeadMark | None
    patience: float
    watch: Watch
    witness: VerifierKey | None = None
    lost: bool = False
    reading: Worker = field(default_factory=lambda: Worker("read"))

    async def run(self) -> Recovered:
        try:
            return await self._run()
        finally:
            self.reading.close()

    async def _run(self) -> Recovered:
        place, fresh = log_path(self.config.gateway.state), recovery_path(self.config.gateway.state)
        await self._check_keys(place)
        fresh.parent.mkdir(mode=0o700, exist_ok=True)
        await self.reading.run(self._create, fresh)
        log = await open_log(fresh, fresh.parent / "index", self.reading)
        try:
            replica = Replica(self.own, log, SystemClock())
            peers = [peer.id for peer in self.peers]
            fetch = Fetch(self.own.id, make_brokers(self.config), peers, replica)
            heads, here = await beside(fetch.run(), self._fetch(fetch, replica, place))
            ledger = here or await _describe(log, heads)
        finally:
            await log.close()
        judgement = self._judge(ledger, heads, place if here else None)
        floors = self._find_floors(fetch)
        kept = self._put(place, None if here else fresh, judgement, floors)
        if self.keys.made is not None:
            put_keys(place, self.own.log_key, self.own.cosigner_key, self.keys.made)
        return Recovered(
            origin=self.own.origin,
            head=ledger.head,
            note=ledger.note,
            mark=self.mark,
            judgement=judgement,
            answered=heads.answered,
            beyond=tuple(one.encode() for one in ledger.beyond),
            kept=kept,
            floors_lost=self.lost,
        )

    def _create(self, fresh: Path) -> None:
        """Where an earlier call has begun, go on, unless it took other keys."""
        wanted = (self.own.log_key, self.own.cosigner_key)
        if fresh.exists() and read_keys(fresh) != wanted:
            shutil.rmtree(fresh.parent)
            fresh.parent.mkdir(mode=0o700)
        if not fresh.exists():
            create_store(fresh, *wanted)

    async def _check_keys(self, place: Path) -> None:
        """Refuse a ledger of another token; one that cannot be read is as good as none."""
        try:
            keys = await self.reading.run(read_keys, place)
        except (InternalError, MissingError):
            return
        if not {key.public for key in keys} <= self.keys.public:
            message = f"{place} was made for other keys than those in the token"
            hint = "is this the right token? a copy of before its keys were replaced is moved away"
            raise ConfigurationError("keys-changed", message, hint=hint)

    async def _fetch(
        self, fetch: Fetch, replica: Replica, place: Path
    ) -> "tuple[_Heads, _Ledger | None]":
        """Ask, and fetch unless the ledger that is there covers all; see the module."""
        total = len(self.peers)
        found = await fetch.ask_all(self.patience, lambda done: self.watch.answers(done, total))
        if not found:
            hint = "see that a broker and one peer at least can be reached, and run it again"
            raise UnreachableError("no-reply", "no peer has answered", hint=hint)
        heads = self._read(found, load_epochs(place))
        origins = {peer.id: peer.origin for peer in self.peers if peer.id in found}
        await fetch.ask_own(origins)
        here = await self._try_local(place, heads)
        if here is None and heads.newest is not None:
            await self._catch_up(fetch, replica, heads, heads.newest)
        return heads, here

    def _read(self, found: Mapping[str, HeadsSeen], epochs: Epochs | None) -> _Heads:
        """Open the notes, and what was shown to us before; what is not signed is no answer.

        A head that a thief has signed with a key that the roster has ended since is no head.
        """
        held: dict[str, SignedCheckpoint] = {}
        seen: list[SignedCheckpoint | None] = []
        if epochs is not None and epochs.seen_note is not None:
            seen.append(self.own.read_counted(epochs.seen_note))
        answered = []
        for peer, answer in found.items():
            try:
                notes = [self.own.read_counted(note) for note in answer.seen]
                newest = None if answer.held is None else self.own.read_counted(answer.held)
            except ChopmarkError:
                continue
            if newest is not None:
                held[peer] = newest
            seen += notes
            answered.append(peer)
        return _Heads(held, tuple(one for one in seen if one is not None), tuple(answered))

    async def _try_local(self, place: Path, heads: _Heads) -> "_Ledger | None":
        """The ledger that is there, if it lacks nothing of what peers hold, or None."""
        index = index_path(self.config.gateway.state, self.own.id)
        try:
            log = await open_log(place, index, self.reading)
        except (InternalError, MissingError):
            return None
        try:
            marked = [self.mark.head] if self.mark else []
            wanted = [one.checkpoint for one in heads.held.values()] + marked
            if await _find_beyond(log, wanted):
                return None
            return await _describe(log, heads)
        finally:
            await log.close()

    async def _catch_up(
        self, fetch: Fetch, replica: Replica, heads: _Heads, target: SignedCheckpoint
    ) -> None:
        for peer, held in heads.held.items():
            fetch.holds(peer, held.checkpoint.size)
        size = target.checkpoint.size
        await replica.observe_head(target.encode())
        fetch.wake()
        loop = asyncio.get_running_loop()
        reached, since = -1, loop.time()
        while replica.signed_size < size:
            if replica.conflict is not None:
                hint = "the log is forked; nobody can say which history counts but its peers"
                raise RefusedError("fork", f"the log does not agree: {replica.conflict}", hint=hint)
            if replica.size != reached:
                reached, since = replica.size, loop.time()
                self.watch.entries(reached, size)
            elif loop.time() - since > self.patience:
                message = f"nothing more comes: {reached} of {size} entries are back"
                hint = "run it again: it goes on where it stopped"
                raise UnreachableError("recovery-stalled", message, hint=hint)
            await asyncio.sleep(LOOK)
        self.watch.entries(size, size)

    def _judge(self, ledger: "_Ledger", heads: _Heads, place: Path | None) -> Judgement:
        """Apply the rule; `place` is that of a ledger that stays as it is."""
        if place is not None and not ledger.beyond:
            epochs = load_epochs(place) or Epochs(barred="")
            if epochs.fits(self.mark.epoch if self.mark else None) and epochs.barred is None:
                return Judgement(Fate.WHOLE, (), ())
        answered = {peer: peer.id in heads.answered for peer in self.peers}
        lacking = [one.checkpoint for one in ledger.beyond]
        return judge(self.mark, ledger.head, lacking, answered, self.own.institution)

    def _find_floors(self, fetch: Fetch) -> list[Cosigned]:
        """Of each peer's log the largest head that carries our cosignature."""
        found = []
        for peer in self.peers:
            ours = [one for note in fetch.notes[peer.id] if (one := self._open(note, peer))]
            found += sorted(ours, key=lambda one: (one.head.size, one.time))[-1:]
        return found

    def _open(self, note: bytes, peer: Member) -> Cosigned | None:
        key = self.own.cosigner_key
        opened = open_cosigned(peer, note, key)
        if opened is None:
            return None
        signed, time = opened
        return Cosigned(signed.checkpoint, key.encode(), time, signed.encode())

    def _put(
        self, place: Path, fresh: Path | None, judgement: Judgement, floors: Sequence[Cosigned]
    ) -> Path | None:
        if judgement.fate is Fate.WHOLE:
            # An older copy of the same run is whole too, and its rows say too little.
            raise_floors(place, floors)
            return None
        epoch = self.mark.epoch if self.mark else None
        epochs = Epochs(current=epoch, clean=judgement.fate is Fate.GOES_ON)
        if judgement.reasons:
            epochs = Epochs(current=epoch, barred="; ".join(judgement.reasons))
        lost = None
        if self._is_older(place, fresh):
            note_signed_lost(place if fresh is None else fresh)
            lost = self.witness.encode() if self.witness is not None else None
        self.lost = lost is not None
        if fresh is None:
            put_epochs(place, epochs, floors, lost)
            return None
        index = index_path(self.config.gateway.state, self.own.id)
        kept = replace_ledger(place, fresh, epochs, index, floors, lost)
        shutil.rmtree(fresh.parent, ignore_errors=True)
        return kept

    def _is_older(self, place: Path, fresh: Path | None) -> bool:
        """Whether the database is not the one that last ran with this token."""
        there = load_epochs(place) if fresh is None else None
        return there is None or not there.fits(self.mark.epoch if self.mark else None)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """A ledger: its newest signed head, and what was signed that it lacks or contradicts."""

    head: Checkpoint
    note: bytes | None
    beyond: tuple[SignedCheckpoint, ...]


async def _describe(log: Log, heads: _Heads) -> _Ledger:
    wrong = await _find_beyond(log, [one.checkpoint for one in heads.every])
    beyond = {one.checkpoint: one for one in heads.every if one.checkpoint in wrong}
    return _Ledger(log.state.head, log.state.note, tuple(beyond.values()))


async def _find_beyond(log: Log, heads: list[Checkpoint]) -> set[Checkpoint]:
    """Heads that a ledger does not cover, or contradicts."""

    def look(reader: Any, size: int) -> set[Checkpoint]:
        return {one for one in heads if one.size > size or reader.root_at(one.size) != one.root}

    return await log.read(lambda reader, state: look(reader, state.head.size))
