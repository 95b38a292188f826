"""Which ledgers may be signed: every crash of a start, restored disks, tokens and peers."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chopmark.core.errors import ChopmarkError, UnreachableError
from chopmark.core.mark import HeadMark
from chopmark.core.member import Member, PastKey
from chopmark.ledger import epoch
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.mesh.messages import HeadsSeen
from chopmark.service import standing as standing_module
from chopmark.service.marks import Marks
from chopmark.service.standing import Left, Standing
from ledgers import LOG, Source, append, attestations, member, opened, sign
from rig.patience import PATIENCE
from softkeys import log_key
from softtoken import PowerCutError, SoftToken

ENTRIES = attestations(9)
SOURCE = Source(ENTRIES)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_module, "RETRY", 0.01)


@dataclass
class Box:
    """A state folder and a token, started as often as a test likes."""

    folder: Path
    token: SoftToken = field(default_factory=SoftToken)
    peers: dict[str, HeadsSeen | None] = field(default_factory=dict)
    alone: bool = False
    warning: str | None = None
    own: Member = field(default_factory=member)

    @asynccontextmanager
    async def started(self, before: Left | None = None) -> AsyncIterator["Run"]:
        async with opened(self.folder) as log:
            marks = Marks(log, self.token)
            made = Standing(
                log, self.own, marks, list(self.peers), lambda: self.warning, alone=self.alone
            )
            made.ask, made.before = self.ask, before
            running = asyncio.create_task(made.run())
            try:
                yield Run(made, log, running)
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError, PowerCutError):
                    await running

    async def ask(self, peer: str) -> HeadsSeen:
        answer = self.peers[peer]
        if answer is None:
            raise UnreachableError("no-reply", f"{peer} does not answer")
        return answer

    async def decide(self) -> str:
        """Start, and stop by pulling the plug: what it came to."""
        async with self.started() as run:
            await run.standing.settled()
            return run.standing.state

    async def live(self, size: int, *, clean: bool = False) -> Left | None:
        """A run that signs up to so many entries; what it left, if it stopped in order."""
        async with self.started() as run:
            await run.standing.permitted()
            await run.sign(size)
            if clean:
                await run.standing.leave()
            return run.standing.left

    def keep(self, name: str) -> None:
        """Keep a copy of the disk."""
        with sqlite3.connect(self.folder / "log.db") as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        shutil.copytree(self.folder, self.folder.parent / name)

    def restore(self, name: str) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.folder.parent / name, self.folder)


@dataclass
class Run:
    standing: Standing
    log: Log
    task: asyncio.Task[None]

    async def sign(self, size: int) -> None:
        def work(store: Store) -> None:
            if store.size < size:
                append(store, ENTRIES[store.size : size])
            sign(store)

        await self.log.write(work)

    def refusal(self) -> ChopmarkError:
        error = self.standing.may_sign()
        assert error is not None
        return error


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "state").mkdir()
    return Box(tmp_path / "state")


async def test_first_start_founds_the_mark(box: Box) -> None:
    assert await box.decide() == "standing"
    assert box.token.mark is not None
    assert (box.token.mark.counter, box.token.mark.head.size) == (1, 0)


async def test_each_start_writes_another_epoch(box: Box) -> None:
    await box.live(2)
    first = box.token.mark
    await box.live(3)
    assert first is not None
    assert box.token.mark is not None
    assert box.token.mark.epoch != first.epoch
    assert box.token.mark.counter > first.counter


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("where", ["settle", "before", "after", "finish"])
async def test_crash_at_any_step_of_a_start_is_no_fault(
    box: Box, where: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if size:
        await box.live(size)
    with monkeypatch.context() as patch:
        if where in ("before", "after"):
            box.token.cut = where
        else:
            patch.setattr(f"chopmark.service.marks.{where}", fail)
        async with box.started() as run:
            with pytest.raises(PowerCutError):
                await run.task
            assert run.refusal().code == "confirming"
    box.token.cut = ""
    box.alone = True
    for _ in range(2):
        assert await box.decide() == "standing"


def fail(*_: object) -> None:
    raise PowerCutError


async def test_database_put_back_is_behind_and_says_so(box: Box) -> None:
    await box.live(2)
    box.keep("old")
    await box.live(5, clean=True)
    box.restore("old")
    async with box.started() as run:
        await run.standing.settled()
        error = run.refusal()
        assert (error.code, error.status, error.exit_code) == ("log-behind", 503, 75)
        assert "has signed 5 entries, and here are 2" in error.message
        assert "chopmark recover" in error.hint
        assert run.standing.refuse(1) is not None
        assert [alarm["code"] for alarm in run.standing.alarms()] == ["log-behind"]
        assert run.standing.describe()["state"] == "behind"


async def test_database_put_back_is_behind_though_nothing_was_signed_since(box: Box) -> None:
    await box.live(2)
    box.keep("old")
    await box.live(2)
    box.restore("old")
    async with box.started() as run:
        await run.standing.settled()
        assert "another copy of this ledger" in run.refusal().message


async def test_second_box_with_the_token_is_fenced(box: Box) -> None:
    await box.live(2)
    box.keep("second")
    second = replace(box, folder=box.folder.parent / "second")
    assert await box.decide() == "standing"
    assert await second.decide() == "behind"


async def test_first_box_notices_that_a_second_one_took_the_token(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_module, "MARK", 0.01)
    async with box.started() as run:
        await run.standing.permitted()
        assert box.token.mark is not None
        box.token.mark = replace(box.token.mark, epoch=b"x" * 16, counter=99)
        await run.sign(4)
        await until(lambda: run.standing.state == "behind")
        assert "another gateway" in run.refusal().message


async def test_other_root_at_the_size_of_the_mark_is_behind(box: Box) -> None:
    await box.live(3)
    assert box.token.mark is not None
    other = replace(box.token.mark.head, size=3, root=b"\1" * 32)
    box.token.mark = replace(box.token.mark, head=other)
    async with box.started() as run:
        await run.standing.settled()
        assert "another root at 3" in run.refusal().message


async def test_token_that_lost_its_mark_is_behind(box: Box) -> None:
    await box.live(3)
    box.token.mark = None
    assert await box.decide() == "behind"


async def test_ledger_from_before_marks_is_taken_over(box: Box) -> None:
    async with opened(box.folder) as log:
        await Run(None, log, None).sign(4)  # type: ignore[arg-type]
    box.peers = {"hk-1": None}
    async with box.started() as run:
        await until(lambda: "did not stop in order" in run.refusal().message)
        box.peers["hk-1"] = HeadsSeen(SOURCE.note(4))
        await run.standing.permitted()
    assert box.token.mark is not None
    assert box.token.mark.head.size == 4


async def test_start_after_a_clean_stop_asks_nobody(box: Box) -> None:
    box.peers = {"hk-1": None}
    await box.live(3, clean=True)
    assert await box.decide() == "standing"


async def test_stop_with_entries_that_are_not_signed_is_not_an_orderly_one(box: Box) -> None:
    async with box.started() as run:
        await run.standing.permitted()
        await run.sign(3)
        await run.log.write(lambda store: append(store, ENTRIES[3:5]))
        await run.standing.leave()
    assert box.token.mark is not None
    assert (box.token.mark.head.size, box.token.mark.clean) == (3, False)
    box.peers = {"hk-1": None}
    async with box.started() as run:
        await until(lambda: "did not stop in order" in run.refusal().message)


async def test_start_after_a_kill_waits_for_a_peer(box: Box) -> None:
    box.peers = {"hk-1": None, "mo-1": None}
    await box.live(3)
    async with box.started() as run:
        await until(lambda: "no peer has confirmed" in run.refusal().message)
        assert (run.refusal().code, run.refusal().status) == ("confirming", 503)
        assert "alone = true" in run.refusal().hint
        box.peers["mo-1"] = HeadsSeen(None)  # it knows nothing, and that says nothing
        await asyncio.sleep(0.05)
        assert run.standing.state == "confirming"
        box.peers["mo-1"] = HeadsSeen(SOURCE.note(2))
        await run.standing.permitted()
        assert run.standing.may_sign() is None


async def test_token_on_the_disk_of_the_ledger_has_each_start_confirmed(box: Box) -> None:
    box.peers, box.warning = {"hk-1": HeadsSeen(None)}, "SoftHSM keeps its objects on this disk"
    await box.live(3, clean=True)
    async with box.started() as run:
        await until(lambda: "SoftHSM" in run.refusal().message)
        box.peers["hk-1"] = HeadsSeen(SOURCE.note(3))
        await run.standing.permitted()


async def test_who_starts_alone_asks_nobody(box: Box) -> None:
    box.peers, box.alone, box.warning = {"hk-1": None}, True, "SoftHSM"
    await box.live(3)
    assert await box.decide() == "standing"


@pytest.mark.parametrize("held", [True, False])
async def test_peer_that_has_seen_more_shows_a_restored_disk_and_token(
    box: Box, *, held: bool
) -> None:
    await box.live(2)
    seen = HeadsSeen(SOURCE.note(6)) if held else HeadsSeen(SOURCE.note(2), (SOURCE.note(6),))
    box.peers = {"hk-1": seen}
    assert await box.decide() == "behind"
    box.peers, box.alone = {}, True
    assert await box.decide() == "behind"  # what was seen once is not forgotten


async def test_head_shown_while_the_token_is_read_is_what_the_refusal_names(box: Box) -> None:
    await box.live(2)
    box.peers, box.warning = {"hk-1": None}, "SoftHSM"
    async with box.started() as run:
        read, confirm = run.standing._marks.read, run.standing._confirm
        looked = asyncio.Event()

        async def confirmed(why: str) -> None:
            await confirm(why)
            looked.set()

        async def interrupted() -> tuple[HeadMark | None, Epochs]:
            found = await read()
            await run.standing.observe_own_head(SOURCE.note(6))
            return found

        run.standing._marks.read = interrupted  # type: ignore[method-assign]
        run.standing._confirm = confirmed  # type: ignore[method-assign]
        await run.standing.settled()
        await until(looked.is_set)  # it has read its own log meanwhile
        assert run.refusal().code == "log-behind"


def ended(size: int) -> Member:
    """Our log, whose key was stolen: the roster has ended it at a size, and names another."""
    last = PastKey(LOG.vkey, size, SOURCE.head(size).root)
    return replace(member(), log_key=log_key(LOG.name, 77).vkey, past_log_keys=(last,))


@pytest.mark.parametrize(("size", "state"), [(2, "standing"), (6, "behind")])
async def test_thiefs_head_counts_for_nothing_once_the_key_has_ended_below_it(
    box: Box, size: int, state: str
) -> None:
    await box.live(2)
    async with box.started() as run:
        await run.standing.permitted()
        await run.standing.observe_own_head(SOURCE.note(6))
        assert run.standing.state == "behind"
    box.own, box.alone = ended(size), True
    assert await box.decide() == state
    box.own = member()  # it was forgotten, or is kept
    assert await box.decide() == state


async def test_peer_that_shows_a_thiefs_head_too_confirms_with_the_other(box: Box) -> None:
    await box.live(2)
    box.own = ended(2)
    box.peers = {"hk-1": HeadsSeen(SOURCE.note(6))}
    async with box.started() as run:
        assert not await run.standing._is_confirmed_by("hk-1"), "it has shown no head that counts"
        assert run.standing.state == "confirming"
        box.peers["hk-1"] = HeadsSeen(SOURCE.note(2), (SOURCE.note(6),))
        await run.standing.permitted()


async def test_head_that_contradicts_the_log_ends_the_signing(box: Box) -> None:
    other = Source(attestations(3, 50))
    async with box.started() as run:
        await run.standing.permitted()
        await run.sign(4)
        await run.standing.observe_own_head(SOURCE.note(4))
        assert run.standing.state == "standing"
        await run.standing.observe_own_head(other.note())
        assert run.standing.state == "behind"
        assert "another root at 3" in run.refusal().message


async def test_head_that_our_key_has_not_signed_is_refused(box: Box) -> None:
    async with box.started() as run:
        await run.standing.permitted()
        with pytest.raises(ChopmarkError):
            await run.standing.observe_own_head(SOURCE.note(6).replace(b"\n6\n", b"\n7\n"))
        assert run.standing.state == "standing"


async def test_token_without_room_for_a_mark_signs_with_an_alarm(box: Box) -> None:
    box.token.refuses = True
    for _ in range(2):
        async with box.started() as run:
            await run.standing.permitted()
            assert [alarm["code"] for alarm in run.standing.alarms()] == ["mark-refused"]
            assert run.standing.describe()["rollback_protection"] is False


async def test_token_that_has_a_mark_and_takes_no_other_signs_nothing(box: Box) -> None:
    await box.live(2)
    box.token.refuses = True
    async with box.started() as run:
        await until(lambda: run.refusal().code == "mark-refused")
        box.token.refuses = False
        await run.standing.permitted()


async def test_token_that_is_away_is_waited_for(box: Box) -> None:
    box.token.away = True
    async with box.started() as run:
        await until(lambda: run.refusal().code == "hsm-away")
        box.token.away = False
        await run.standing.permitted()


async def test_mark_follows_the_head_and_rests_with_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_module, "MARK", 0.01)
    async with box.started() as run:
        await run.standing.permitted()
        await run.sign(4)
        await until(lambda: box.token.mark is not None and box.token.mark.head.size == 4)
        writes = box.token.writes
        await asyncio.sleep(0.05)
        assert box.token.writes == writes


async def test_write_that_was_not_waited_for_is_found_again(box: Box) -> None:
    async with box.started() as run:
        await run.standing.permitted()
        await run.sign(4)
        box.token.cut = "after"
        with pytest.raises(PowerCutError):
            await run.standing._marks.write()
        box.token.cut = ""
        await run.standing.leave()
    assert box.token.mark is not None
    assert box.token.mark.clean
    assert await box.decide() == "standing"


async def test_parts_made_anew_in_one_process_ask_nobody(box: Box) -> None:
    box.peers, box.warning = {"hk-1": None}, "SoftHSM keeps its objects on this disk"
    box.alone = True
    left = await box.live(3, clean=True)
    box.alone = False
    for _ in range(2):
        async with box.started(left) as run:
            await run.standing.permitted()
            await run.log.write(lambda store: append(store, ENTRIES[store.size : store.size + 1]))
            await run.standing.leave()
            left = run.standing.left
    async with box.started() as run:
        await until(lambda: "did not stop in order" in run.refusal().message)


async def test_parts_made_anew_before_they_stood_ask_nobody(box: Box) -> None:
    """Whether or not their epoch has reached the token."""
    box.peers, box.alone = {"hk-1": None}, True
    left = await box.live(3, clean=True)
    box.alone, box.warning = False, "SoftHSM"
    for cut in ("before", "after"):
        async with box.started(left) as run:
            box.token.cut = cut
            with pytest.raises(PowerCutError):
                await run.task
            box.token.cut = ""
            await run.standing.leave()
            left = run.standing.left
    box.token.away = True
    async with box.started(left) as run:
        await until(lambda: run.refusal().code == "hsm-away")
        await run.standing.leave()
        left = run.standing.left
    box.token.away = False
    async with box.started(left) as run:
        await run.standing.permitted()


async def test_token_without_marks_is_known_again_by_the_ledger(box: Box) -> None:
    box.peers, box.token.refuses, box.alone = {"hk-1": None}, True, True
    left = await box.live(3, clean=True)
    box.alone = False
    async with box.started(left) as run:
        await run.standing.permitted()


@pytest.mark.parametrize("used", ["ledger", "token"])
async def test_what_others_used_between_two_sets_of_parts_is_looked_at(box: Box, used: str) -> None:
    box.peers = {"hk-1": None}
    left = await box.live(3, clean=True)
    if used == "ledger":
        await box.live(4)
        async with box.started(left) as run:
            await until(lambda: "did not stop in order" in run.refusal().message)
    else:
        assert box.token.mark is not None
        box.token.mark = replace(box.token.mark, epoch=b"x" * 16)
        async with box.started(left) as run:
            await run.standing.settled()
            assert run.standing.state == "behind"


async def test_who_is_behind_stays_so_in_parts_made_anew(box: Box) -> None:
    left = await box.live(3, clean=True)
    async with box.started(left) as run:
        await run.standing.permitted()
        await run.standing.observe_own_head(SOURCE.note(6))
        await run.standing.leave()
        left = run.standing.left
    async with box.started(left) as run:
        await run.standing.settled()
        assert run.standing.state == "behind"


@pytest.mark.parametrize("carried", [True, False])
async def test_ledger_whose_head_a_new_key_has_not_signed_yet_stands(
    box: Box, *, carried: bool
) -> None:
    box.peers = {"hk-1": None}
    left = await box.live(3, clean=True)
    with sqlite3.connect(box.folder / "log.db") as db:
        db.execute("UPDATE log SET head_note = NULL, seen_time = 0, seen_note = NULL")
    db.close()
    async with box.started(left if carried else None) as run:
        await run.standing.permitted()
        assert run.log.state.note is None


async def test_heads_by_keys_that_sign_no_more_count_up_to_their_last(box: Box) -> None:
    new = log_key(LOG.name, 7)
    last = SOURCE.head(4)
    past = PastKey(LOG.vkey, last.size, last.root)
    await box.live(4, clean=True)
    box.own = member(new, past_log_keys=(past,))
    async with box.started() as run:
        await run.standing.permitted()
        await run.standing.observe_own_head(SOURCE.note(4))
        with pytest.raises(ChopmarkError) as caught:
            await run.standing.observe_own_head(SOURCE.note(6))
        assert caught.value.code == "past-key"
        assert run.standing.state == "standing"
        await run.standing.observe_own_head(Source(attestations(3, 50)).note())
        assert run.standing.state == "behind"


async def test_barred_log_is_never_signed(box: Box) -> None:
    async with opened(box.folder) as log:
        row = epoch.Epochs(barred="it was recovered, and its origin is retired")
        await log.write(lambda store: store.change(lambda db: epoch.write_epochs(db, row)))
    async with box.started() as run:
        await run.standing.settled()
        assert "its origin is retired" in run.refusal().message


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
