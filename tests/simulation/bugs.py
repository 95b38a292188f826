"""Bugs that the simulation must find: mistakes one could make, each switched on by a test.

They replace private parts of the product on purpose; where one of those is renamed, so it is here.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from chopmark.core import follow
from chopmark.core.draft import Recorded
from chopmark.core.errors import ChopmarkError, InternalError
from chopmark.core.keys import VerifierKey
from chopmark.ledger import blame as ledger_blame
from chopmark.ledger import epoch, replica, schema, sequencer, witness
from chopmark.ledger import heads as ledger_heads
from chopmark.ledger.filler import Filler
from chopmark.ledger.heads import Heads
from chopmark.ledger.reader import Reader
from chopmark.ledger.replica import Replica
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.store import Store
from chopmark.ledger.witness import Cosigner
from chopmark.mesh import catchup, unverified
from chopmark.mesh.asking import Asker
from chopmark.mesh.intake import Intake
from chopmark.mesh.mesh import Mesh
from chopmark.mesh.news import Board
from chopmark.mesh.unverified import Unverified, next_bundle
from chopmark.service import marks
from chopmark.service.standing import Standing
from chopmark.service.witnessing import Witness

Patch = pytest.MonkeyPatch


def answers_before_the_commit(patch: Patch) -> None:
    append = Sequencer._append

    async def early(self: Any, batch: Any) -> None:
        start, made_last = self._log.state.size, self._log.state.made_last
        for run in batch:
            if not run.done.done():
                made_at = max(self._clock.now_ms(), made_last)
                run.done.set_result(Recorded(start, run.count, made_at))
            start += run.count
        await append(self, batch)

    patch.setattr(Sequencer, "_append", early)


def forgets_the_signed_head(patch: Patch) -> None:
    def move_head(self: Any, head: Any, note: bytes) -> None:
        self.state = replace(self.state, head=head, note=note)

    def swap(self: Any, state: Any) -> None:  # nor does it compare before it swaps
        self._db.execute("UPDATE log SET size = ?, made_last = ?", (state.size, state.made_last))

    patch.setattr(Store, "move_head", move_head)
    patch.setattr(Store, "_swap_state", swap)


def commits_without_waiting_for_the_disk(patch: Patch) -> None:
    prepare = schema._prepare

    def hurried(connection: sqlite3.Connection, version: int) -> None:
        prepare(connection, version)
        connection.execute("PRAGMA synchronous=NORMAL")

    patch.setattr(schema, "_prepare", hurried)


def takes_a_failed_commit_for_undone(patch: Patch) -> None:
    def is_undone(self: Any, _error: Any) -> bool:
        self._roll_back()
        return True

    patch.setattr(Store, "_is_undone", is_undone)


def compares_nothing_with_what_it_holds(patch: Patch) -> None:
    """Neither what a package says lies before it, nor the heads that are shown to it."""

    class Same:
        def __ne__(self, other: object) -> bool:
            return False

    async def compare(_self: Any) -> None:
        pass

    patch.setattr(follow, "_compact_hashes", lambda _verified, _held: Same())
    patch.setattr(Replica, "_compare", compare)


def forgets_the_evidence(patch: Patch) -> None:
    async def keep(_self: Any) -> None:
        pass

    patch.setattr(Replica, "_keep_evidence", keep)


def lets_older_heads_move_the_as_of_time(patch: Patch) -> None:
    async def settle(self: Any, agreeing: Any) -> None:
        for seen in agreeing:
            if seen.time and seen.head.size <= self.log.state.head.size:
                await self.log.write(lambda store, seen=seen: store.move_seen(seen.time, seen.note))
            if not seen.time or seen.head.size <= self.log.state.head.size:
                self._heads.remove(seen)

    def move_seen(self: Any, time: int, note: bytes) -> None:
        self._move(replace(self.state, seen_time=time, seen_note=note))

    patch.setattr(Replica, "_settle", settle)
    patch.setattr(Store, "move_seen", move_seen)


def acknowledges_before_it_is_durable(patch: Patch) -> None:
    take = Intake._take_package

    def eager(self: Any, message: Any) -> None:
        take(self, message)
        message.acknowledge()

    patch.setattr(Intake, "_take_package", eager)


def skips_a_bundle_in_catch_up(patch: Patch) -> None:
    holes = catchup.holes

    def later(size: int, end: int, covered: Any) -> Any:
        return holes(next_bundle(size), end, covered)

    patch.setattr(catchup, "holes", later)


def ignores_revocations(patch: Patch) -> None:
    patch.setattr(Reader, "references", lambda _self, _target, _size: (None, -1))


def leaves_the_end_out_of_the_index(patch: Patch) -> None:
    patch.setattr(Filler, "begin", lambda _self, _reader: None)


def lets_time_go_back(patch: Patch) -> None:
    patch.setattr(sequencer, "max", lambda now, _last: now, raising=False)


def swallows_a_cancellation(patch: Patch) -> None:
    """As a publisher did once: a publish that fails made it go on, though it was to stop."""

    async def stubborn(self: Any) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._due:
                topic, payload = self._due.popitem()
                with suppress(ChopmarkError, asyncio.CancelledError):
                    await self._link.publish(topic, payload, retain=True)

    patch.setattr(Board, "run", stubborn)


def signs_whatever_its_token_remembers(patch: Patch) -> None:
    async def find_fault(_self: Any, _mark: Any, _epochs: Any) -> None:
        pass

    def settle(db: sqlite3.Connection, held: Any, fresh: bytes) -> None:
        epoch.write_epochs(db, epoch.Epochs(held, fresh))

    patch.setattr(Standing, "_find_fault", find_fault)
    patch.setattr(marks, "settle", settle)


def forgets_what_it_has_cosigned(patch: Patch) -> None:
    async def nothing(_self: Any, _made: Any) -> None:
        """The signature leaves, and its row was not stored."""

    patch.setattr(Cosigner, "_store", nothing)


def cosigns_whatever_is_announced(patch: Patch) -> None:
    async def yes(_self: Any, _head: Any) -> bool:
        return True

    patch.setattr(Replica, "agrees", yes)
    patch.setattr(witness, "_check", lambda _last, _head: None)
    patch.setattr(Witness, "_is_due", lambda _self, _head: True)


# What only an attacker brings to light


def trusts_the_signatures_of_a_peer(patch: Patch) -> None:
    """It looks who is said to have signed, and does not check."""

    def verify(self: Any, _text: bytes, payload: bytes) -> int:
        return int.from_bytes(payload[:8], "big") if self.is_cosigner else 0

    patch.setattr(VerifierKey, "verify", verify)


def believes_heartbeats_from_the_future(patch: Patch) -> None:
    patch.setattr(replica, "CLOCK_SKEW", 2**64)


def blames_the_issuer_for_what_another_sent(patch: Patch) -> None:
    drop = Replica.drop
    patch.setattr(Replica, "drop", lambda self, error, _sender="": drop(self, error))


def keeps_every_head_that_it_is_shown(patch: Patch) -> None:
    patch.setattr(ledger_heads, "MAX_HEADS", 10**9)
    patch.setattr(Heads, "_is_dispensable", lambda _self, size: (True, size))


def takes_messages_of_any_size(patch: Patch) -> None:
    patch.setattr(unverified, "MAX_PIECES", 10**9)
    patch.setattr(Unverified, "_account", lambda _self, _piece, _size: None)


def takes_an_answer_from_whoever_gives_it(patch: Patch) -> None:
    def take_reply(self: Any, message: Any) -> None:
        _, waiting = self._waiting.get(message.correlation or b"", ("", None))
        if waiting is not None and not waiting.done():
            waiting.set_result(message.payload)

    patch.setattr(Asker, "take_reply", take_reply)


def holds_up_the_link_with_what_seems_to_follow(patch: Patch) -> None:
    patch.setattr(Unverified, "_settle_behind_holes", lambda _self, _size: None)


def logs_each_bad_message(patch: Patch) -> None:
    patch.setattr(ledger_blame, "PAUSE", 0.0)


def believes_the_sizes_in_a_status(patch: Patch) -> None:
    """What a peer says that it holds is taken for what there is."""
    take = Mesh._take_status

    def believe(self: Any, peer: Any, number: int, payload: bytes) -> None:
        take(self, peer, number, payload)
        for other in self.peers.values():
            size = peer.sizes.get(other.log.origin, 0)
            other.log._target = max(other.log._target, size)

    patch.setattr(Mesh, "_take_status", believe)


def ends_when_a_note_is_bad(patch: Patch) -> None:
    def drop(_self: Any, error: ChopmarkError, _sender: str = "") -> None:
        raise InternalError(error.code, error.message) from error

    patch.setattr(Replica, "drop", drop)


ATTACKED: dict[Callable[[Patch], None], int] = {
    trusts_the_signatures_of_a_peer: 40,
    believes_heartbeats_from_the_future: 12,
    blames_the_issuer_for_what_another_sent: 107,
    keeps_every_head_that_it_is_shown: 22,
    takes_messages_of_any_size: 5,
    takes_an_answer_from_whoever_gives_it: 264,
    holds_up_the_link_with_what_seems_to_follow: 1092,
    logs_each_bad_message: 4,
    believes_the_sizes_in_a_status: 22,
    ends_when_a_note_is_bad: 40,
}
"""The same among seeds with an attacker, few of whom do what it takes."""

BUGS: dict[Callable[[Patch], None], int] = {
    answers_before_the_commit: 18,
    forgets_the_signed_head: 0,
    commits_without_waiting_for_the_disk: 0,
    takes_a_failed_commit_for_undone: 17,
    compares_nothing_with_what_it_holds: 0,
    forgets_the_evidence: 0,
    lets_older_heads_move_the_as_of_time: 0,
    acknowledges_before_it_is_durable: 0,
    skips_a_bundle_in_catch_up: 0,
    ignores_revocations: 0,
    leaves_the_end_out_of_the_index: 9,
    lets_time_go_back: 0,
    swallows_a_cancellation: 0,
    signs_whatever_its_token_remembers: 19,
    forgets_what_it_has_cosigned: 0,
    cosigns_whatever_is_announced: 0,
}
"""Each with a seed from which on it is found soon."""
