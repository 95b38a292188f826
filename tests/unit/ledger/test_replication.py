"""A log and its replica against a model: whatever is delivered, the replica is a prefix."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chopmark.core.errors import InternalError
from chopmark.core.follow import Follower
from chopmark.core.package import VerifiedPackage
from chopmark.ledger.fsck import check_store
from chopmark.ledger.reader import Reader
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import Store
from ledgers import (
    COSIGNER,
    KEYS,
    LOG,
    NOW,
    append,
    attestation,
    make_store,
    replicating,
    revocation,
    sign,
)
from softkeys import sign_head
from trees import leaf, root


class Replication(RuleBasedStateMachine):
    """The model is the list of entries that the log was given, and how many were signed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.runner = asyncio.Runner()
        self.model: list[bytes] = []
        self.signed = 0
        self.time = NOW // 1000
        self.air: list[bytes] = []
        self.store = make_store(self.path / "log.db")
        self.stack = AsyncExitStack()
        self.open_replica()

    def open_replica(self) -> None:
        context = replicating(self.path)
        self.replica: Replica = self.runner.run(self.stack.enter_async_context(context))

    @rule(count=st.sampled_from([1, 2, 5, 100, 255, 256, 257, 700]), signed=st.booleans())
    def append_entries(self, count: int, *, signed: bool) -> None:
        start = len(self.model)
        entries = [attestation(number) for number in range(start, start + count)]
        if start:
            entries[-1] = revocation(start // 2, start % 6)
        append(self.store, entries)
        self.model += entries
        if signed:
            self.sign_head()

    @rule()
    def sign_head(self) -> None:
        sign(self.store)
        self.signed = len(self.model)

    @precondition(lambda self: self.signed)
    @rule(share=st.floats(0, 1), count=st.integers(1, 6))
    def send_some(self, share: float, count: int) -> None:
        self.send(min(int(share * self.signed), self.signed - 1), count)

    @rule(back=st.sampled_from([0, 1, 100, 256]))
    def bring_up_to_date(self, back: int) -> None:
        """The packages from where the replica is, or a little before."""
        self.send(max(0, self.replica.size - back), len(self.model))
        self.deliver_all()

    def send(self, start: int, count: int) -> None:
        reader = Reader(self.store.path)
        while start < self.signed and count:
            package, entries = reader.package(start, self.store.state)
            self.air.append(package.encode())
            start, count = start + entries, count - 1
        reader.close()

    @precondition(lambda self: self.air)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(self.air) - 1), max_size=8))
        self.runner.run(self.replica.ingest([self.air[number] for number in chosen]))

    @rule()
    def deliver_all(self) -> None:
        self.runner.run(self.replica.ingest(self.air))
        self.air = []

    @rule()
    def lose_what_is_in_the_air(self) -> None:
        self.air = []

    @precondition(lambda self: self.store.state.note)
    @rule()
    def send_heartbeat(self) -> None:
        self.time += 1
        note = sign_head(self.store.state.head, LOG, {COSIGNER: self.time})
        self.runner.run(self.replica.observe_cosignature(note))
        if self.replica.signed_size >= self.signed:
            assert self.replica.log.state.seen_time == self.time

    @rule()
    def restart_log(self) -> None:
        self.store.close()
        self.store = Store(self.path / "log.db")

    @rule()
    def restart_replica(self) -> None:
        self.runner.run(self.stack.aclose())
        self.open_replica()

    @invariant()
    def log_is_the_model(self) -> None:
        assert self.store.size == len(self.model)
        assert self.store.root() == root([leaf(entry) for entry in self.model])
        assert self.store.state.head.size == self.signed

    @invariant()
    def replica_is_a_prefix(self) -> None:
        state = self.replica.log.state
        assert state.head.size <= state.size <= self.signed
        assert self.replica.conflict is None
        assert self.replica.problem is None
        log = self.replica.log

        async def look() -> tuple[list[bytes], bytes]:
            entries = await log.read(lambda r, _: r.entries(0, state.size) if state.size else [])
            return entries, await log.write(lambda store: store.root())

        entries, found = self.runner.run(look())
        assert entries == self.model[: state.size]
        assert found == root([leaf(entry) for entry in entries])

    def teardown(self) -> None:
        try:
            self.bring_up_to_date(back=0)
            assert self.replica.signed_size == self.signed
            assert check_store(self.path / "log.db", None, *KEYS) == []
            files = (self.path / "replica.db", self.path / "replica.index")
            assert check_store(*files, *KEYS) == []
        finally:
            self.runner.run(self.stack.aclose())
            self.store.close()
            self.runner.close()
            self.folder.cleanup()


TestReplication = Replication.TestCase
TestReplication.settings = settings(
    max_examples=max(10, settings().max_examples // 4), stateful_step_count=25, deadline=None
)


def test_model_notices_a_replica_that_takes_entries_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Follower._add

    def add_all(follower: Follower, verified: VerifiedPackage, held: int) -> None:
        add(follower, verified, held)
        follower.gathered.append(verified.columns.cut(0, held))
        follower.leaves[len(follower.leaves) :] = verified.leaves[:held]

    monkeypatch.setattr(Follower, "_add", add_all)
    once = settings(
        TestReplication.settings,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        database=None,
        max_examples=60,
    )
    with pytest.raises((InternalError, AssertionError)):
        run_state_machine_as_test(Replication, settings=once)
