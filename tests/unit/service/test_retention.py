"""What is over leaves a replica by the written rule, says so, and comes back as a whole."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import ledgers
from chopmark.api.ports import Asked
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import frame_entries
from chopmark.core.digest import Digests
from chopmark.core.entry import Commitment, encode_entry
from chopmark.core.errors import ChopmarkError, MissingError, RefusedError, TryAgainError
from chopmark.core.package import parse_package
from chopmark.core.report import describe
from chopmark.core.tiles import TileName, parse_bundle
from chopmark.core.verdict import Question, Source, Verdict, Word
from chopmark.ledger.fsck import Finding, check_store
from chopmark.ledger.log import Log
from chopmark.ledger.pruning import PrunedError, restore_bundle
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import Store
from chopmark.ledger.worker import Worker
from chopmark.service.retention import SPAN, Retention
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from meshes import until
from rig.patience import PATIENCE
from softkeys import sign_head

DAY = 86_400
MADE = ledgers.NOW - 400 * DAY * 1000
ENDED = ledgers.NOW - 40 * DAY * 1000
SEEN = ledgers.NOW // 1000
ASKED = 777
"""Entry that tests ask about."""


def over(number: int, **changes: object) -> bytes:
    values = {"valid_until": ENDED} | changes
    return ledgers.attestation(number, MADE, **values)


OVER = [over(number) for number in range(SPAN)]


async def add(log: Log, entries: list[bytes]) -> None:
    def work(store: Store) -> None:
        log.append_now(
            [frame_entries(entries[at : at + 4096]) for at in range(0, len(entries), 4096)]
        )
        head = Checkpoint(ledgers.ORIGIN, store.size, store.root())
        store.move_head(head, sign_head(head, ledgers.LOG))
        store.move_seen(SEEN, sign_head(head, ledgers.LOG, {ledgers.COSIGNER: SEEN}))

    await log.write(work)


@dataclass
class Box:
    """A replica, the issuer's own log, and what looks after the replica."""

    folder: Path
    replica: Replica
    issuer: Log
    reading: Worker
    fetched: list[int] = field(default_factory=list)
    wanted: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.retention = Retention([self.replica], ledgers.Clock(), None, self.fetch)

    async def fetch(self, _peer: str, start: int) -> bytes:
        self.fetched.append(start)
        return (await self.issuer.package(start))[0]

    async def prune(self, days: int = 30) -> int:
        return await self.retention.prune(self.replica, days * DAY)

    async def ask(self, number: int, **more: object) -> Verdict:
        shelf = Shelf(self.replica.member, self.replica.log, Source.REPLICA)
        verifier = Verifier([shelf], self.reading, lambda _: DAY)
        verifier.on_pruned = lambda origin, index: self.wanted.append((origin, index))
        values = {"proof": None, "reference": None} | more
        digests = Digests(ledgers.digest(number), None)
        question = Question(ledgers.NOW)
        return await verifier.verify(Asked(digests, question=question, **values))  # type: ignore[arg-type]

    def check(self, *, own: bool = False) -> tuple[list[Finding], list[tuple[int, int]]]:
        pruned: list[tuple[int, int]] = []
        index = self.folder / "replica.index"
        told = None if own else pruned
        return check_store(self.folder / "replica.db", index, *ledgers.KEYS, None, told), pruned


@asynccontextmanager
async def boxed(folder: Path, entries: list[bytes], *, alone: bool = False) -> AsyncIterator[Box]:
    async with ledgers.opened(folder, "issuer") as issuer, ledgers.opened(folder, "replica") as log:
        await add(log, entries)
        if not alone:
            await add(issuer, entries)
        yield Box(folder, Replica(ledgers.member(), log, ledgers.Clock()), issuer, log._reading)


async def test_range_that_is_over_goes_and_all_else_stays(tmp_path: Path) -> None:
    async with boxed(tmp_path, [*OVER, *ledgers.attestations(300, SPAN)]) as box:
        log = box.replica.log
        proof = await log.read(lambda reader, state: reader.proof(ASKED, state))
        root = await log.read(lambda reader, _: reader.root_at(SPAN + 300))
        assert await box.prune(50) == 0, "not yet"
        assert await box.prune() == 1
        assert await box.prune() == 0
        assert box.check() == ([], [(0, SPAN)])
        assert [one.code for one in box.check(own=True)[0]] == ["pruned"]
        assert await log.read(lambda reader, _: reader.root_at(SPAN + 300)) == root
        hashes = await log.read(lambda reader, state: reader.tile(TileName(0, 3), state))
        assert len(hashes) == 8192
        for gone in (
            lambda reader, _: reader.entry(ASKED),
            lambda reader, _: reader.entries(ASKED, ASKED + 9),
            lambda reader, state: reader.package(768, state),
            lambda reader, state: reader.proof(ASKED, state),
            lambda reader, state: reader.tile(TileName(None, 3), state),
        ):
            with pytest.raises(PrunedError) as caught:
                await log.read(gone)
            assert caught.value.status == 410
        rest = await log.read(lambda reader, _: reader.entries(SPAN, SPAN + 300))
        assert rest == ledgers.attestations(300, SPAN)
        verdict = await box.ask(ASKED, proof=proof.encode())
        assert (verdict.word, verdict.pruned) == (Word.EXPIRED, ())


@pytest.mark.parametrize(
    ("entry", "after", "goes"),
    [
        (over(ASKED, valid_until=None), (), False),
        (over(ASKED, valid_until=ledgers.NOW), (), False),
        (over(ASKED, valid_until=None), (ledgers.revocation(ASKED, 3, MADE),), True),
        (over(ASKED, valid_until=None), (ledgers.revocation(ASKED, 3),), False),
        (over(ASKED), (ledgers.revocation(ASKED, 4, MADE),), False),
        (over(ASKED, valid_until=None), (over(1 << 20, supersedes=ASKED),), True),
        (ledgers.revocation(3, 0, MADE), (), True),
        (ledgers.revocation(3, 1, MADE), (), False),
        (encode_entry(Commitment(MADE, 3, bytes(32))), (), False),
        (b"means nothing", (), True),
    ],
    ids=[
        "endless", "valid", "revoked", "revoked just now", "fraud", "superseded", "revocation",
        "revocation for error", "consent", "unreadable",
    ],
)  # fmt: skip
async def test_rule(tmp_path: Path, entry: bytes, after: tuple[bytes, ...], *, goes: bool) -> None:
    entries = [*OVER[:ASKED], entry, *OVER[ASKED + 1 :], *after]
    async with boxed(tmp_path, entries, alone=True) as box:
        assert await box.prune() == goes
        assert box.check() == ([], [(0, SPAN)] if goes else [])


async def test_unfinished_range_frozen_replica_and_unheard_origin_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with boxed(tmp_path, OVER[:-1]) as box:
        assert await box.prune() == 0
        await add(box.replica.log, OVER[-1:])
        with monkeypatch.context() as patched:
            patched.setattr(Replica, "conflict", "two histories")
            assert await box.prune() == 0
        assert await box.prune(400) == 0, "as the origin's own signed time has it"
        assert await box.prune() == 1


async def test_index_is_made_again_from_what_stayed(tmp_path: Path) -> None:
    async with boxed(tmp_path, OVER) as box:
        await box.prune()
    shutil.rmtree(tmp_path / "replica.index")
    async with ledgers.opened(tmp_path, "replica") as log:
        found = await log._reading.run(log.find, ledgers.digest(ASKED))
        assert found == [(ASKED, None)]
        near = ledgers.digest(ASKED)[:7] + bytes(25)
        assert await log._reading.run(log.find, near) == []
        assert check_store(log.path, tmp_path / "replica.index", *ledgers.KEYS, None, []) == []


async def test_match_on_a_pruned_body_says_so_and_proves_nothing(tmp_path: Path) -> None:
    again = ledgers.attestation(5)  # attested anew, and valid
    async with boxed(tmp_path, [*OVER, again]) as box:
        await box.prune()
        verdict = await box.ask(ASKED)
        assert verdict.word is Word.UNKNOWN
        assert f"{ledgers.ORIGIN}#{ASKED}" in verdict.sentence
        assert "removed here" in verdict.sentence
        place = {"id": "sz-1", "origin": ledgers.ORIGIN, "index": ASKED}
        assert describe(verdict, None)["pruned"] == [place]
        assert box.wanted == [(ledgers.ORIGIN, ASKED)]
        other = await box.ask(5)
        assert (other.word, [one.index for one in other.pruned]) == (Word.VALID, [5])
        nothing = await box.ask(-1)
        assert (nothing.word, nothing.pruned) == (Word.UNKNOWN, ())


async def test_what_decides_is_waited_for_and_then_decides(tmp_path: Path) -> None:
    """Pointed at, or revoked for fraud since: no other attestation may speak for it meanwhile."""
    again = ledgers.attestation(ASKED)
    late = ledgers.revocation(ASKED, 4)
    async with boxed(tmp_path, [*OVER, again]) as box:
        await box.prune()
        assert (await box.ask(ASKED)).word is Word.VALID
        with pytest.raises(TryAgainError) as caught:
            await box.ask(ASKED, reference=(ledgers.ORIGIN, ASKED))
        assert caught.value.code == "pruned"
        for log in (box.issuer, box.replica.log):
            await add(log, [late])
        with pytest.raises(TryAgainError):
            await box.ask(ASKED)
        assert box.check() == ([], [(0, SPAN)])
        await box.retention.restore(box.replica, 0)
        assert (await box.ask(ASKED)).word is Word.REVOKED
        assert box.check() == ([], [])


async def test_fetching_asks_for_the_whole_range_in_order(tmp_path: Path) -> None:
    asked = []
    for number in (3, ASKED):
        folder = tmp_path / str(number)
        await asyncio.to_thread(folder.mkdir)
        async with boxed(folder, OVER) as box:
            await box.prune()
            box.retention.want(ledgers.ORIGIN, number)
            await run_until(box, lambda box=box: box.retention.restored)
            asked.append(box.fetched)
            assert (await box.ask(number)).word is Word.EXPIRED
            assert await box.prune() == 0, "it stays for a while"
            assert box.check() == ([], [])
    assert asked[0] == asked[1] == list(range(0, SPAN, 256))


async def test_what_is_not_of_the_log_is_not_put_back(tmp_path: Path) -> None:
    async with boxed(tmp_path, OVER) as box:
        await box.prune()
        columns = frame_entries(
            parse_bundle(parse_package((await box.issuer.package(256))[0]).bundle)
        )
        for number, wrong in ((2, columns), (1, columns.cut(0, 255))):
            with pytest.raises(RefusedError):
                await box.replica.log.write(
                    lambda store, n=number, w=wrong: store.change(
                        lambda db: restore_bundle(db, n, w)
                    )
                )
        assert box.check()[1] == [(0, SPAN)]


async def test_nobody_to_fetch_from_is_no_harm(tmp_path: Path) -> None:
    async with boxed(tmp_path, OVER) as box:
        await box.prune()

        async def fail(_peer: str, start: int) -> bytes:
            box.fetched.append(start)
            raise MissingError("not-there", "nobody has it")

        box.retention = Retention([box.replica], ledgers.Clock(), None, fail)
        box.retention.want(ledgers.ORIGIN, ASKED)
        box.retention.want("other.example/log", 0)
        await run_until(box, lambda: box.fetched and not box.retention._wanted)
        assert box.retention.restored == 0
        assert (await box.ask(ASKED)).word is Word.UNKNOWN


async def run_until(box: Box, condition: Callable[[], object]) -> None:
    task = asyncio.create_task(box.retention.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - the condition is not ours to signal
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ChopmarkError):
            await task


async def test_status_says_what_is_removed_and_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.service.retention.FIRST", 0.0)
    async with boxed(tmp_path, OVER) as box:
        peer, after = box.replica.peer, 30 * DAY
        retention = Retention([box.replica], ledgers.Clock(), after, box.fetch)
        assert retention.describe()["last_run"] is None
        running = asyncio.create_task(retention.run())
        try:
            await until(lambda: retention.describe()["last_run"])
            told = retention.describe()
            assert (told["after"], told["ranges_removed"]) == (after, 1)
            assert told["removed"] == {peer: {"bundles": 64, "entries": SPAN}}
            assert told["last_run"] < told["next_run"]
            await retention.restore(box.replica, 0)
            told = retention.describe()
            assert (told["removed"][peer]["entries"], told["ranges_restored"]) == (0, 1)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
