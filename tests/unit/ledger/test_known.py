"""Idempotency keys and duplicates: what was recorded before is not recorded again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from chopmark.core.draft import Asking, Draft, Drafts, Earlier, Recorded
from chopmark.core.entry import REASONS
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.idempotency import KEPT, Key, make_key
from chopmark.ledger import idempotency
from chopmark.ledger.clients import client_at
from chopmark.ledger.duplicates import LOOKED, find_named
from chopmark.ledger.log import Log
from chopmark.ledger.sequencer import Sequencer
from ledgers import NOW, Clock, SoftSigner, digest, opened

LONG = 30.0
KIND = "kyc"


class Desk:
    """A sequencer over a real log."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self.log = log
        self.clock = clock
        self.sequencer = Sequencer(log, SoftSigner(), clock)

    async def attest(
        self, *drafts: Draft | Drafts, client: str = "uid 1", again: bool = False, **keys: str
    ) -> Recorded:
        """Keys by place, as `k0="text"`."""
        made = {int(name[1:]): key(text, client) for name, text in keys.items()}
        asking = Asking(client, again, made)
        return await self.sequencer.record(drafts, LONG, asking=asking)

    async def revoke(self, index: int, reason: int = 0) -> Recorded:
        return await self.sequencer.record([(index, reason)], LONG)

    async def find(self, named: Key) -> Earlier | None:
        now = self.clock.now_ms()
        return await self.log.read(lambda reader, state: find_named(reader, named, state.size, now))

    async def kept(self) -> int:
        query = "SELECT count(*) FROM idempotency"
        return await self.log.read(
            lambda reader, _: reader.look(lambda db: db.execute(query).fetchone()[0])
        )


def key(text: str, client: str = "uid 1", content: bytes = b"this") -> Key:
    return make_key(client, text, content)


def draft(number: int, kind: str = KIND, **more: object) -> Draft:
    return Draft(digest(number), kind, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def running(folder: Path, clock: Clock | None = None) -> AsyncIterator[Desk]:
    async with opened(folder) as log:
        desk = Desk(log, clock or Clock())
        task = asyncio.create_task(desk.sequencer.run())
        try:
            yield desk
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with running(tmp_path) as made:
        yield made


async def test_key_gives_the_first_entry_again(desk: Desk) -> None:
    first = await desk.attest(draft(1, valid_until=NOW + 9), again=True, k0="a")
    assert (first.start, first.count, first.known) == (0, 1, {})
    again = await desk.attest(draft(1, valid_until=NOW + 9), again=True, k0="a")
    earlier = Earlier(0, NOW, NOW + 9, duplicate=False)
    assert (again.count, again.known, again.last) == (0, {0: earlier}, 0)
    assert desk.log.state.size == 1
    assert await desk.find(key("a")) == earlier


async def test_key_for_something_else_is_refused_and_disturbs_no_other(desk: Desk) -> None:
    await desk.attest(draft(1), k0="a")
    asking = Asking("uid 1", keys={1: key("a", content=b"other")})
    recorded = await desk.sequencer.record([draft(2), draft(3), draft(4)], LONG, asking=asking)
    assert isinstance(recorded.known[1], RefusedError)
    assert recorded.known[1].code == "key-reused"
    assert (recorded.start, recorded.count, desk.log.state.size) == (1, 2, 3)
    with pytest.raises(RefusedError, match="another request"):
        await desk.find(key("a", content=b"other"))


async def test_key_is_of_one_client_only(desk: Desk) -> None:
    await desk.attest(draft(1), k0="a")
    other = await desk.attest(draft(1), client="uid 2", k0="a")
    assert (other.start, other.known) == (1, {})
    assert await desk.find(key("a", "uid 3")) is None


async def test_equal_requests_at_once_make_one_entry(desk: Desk) -> None:
    made = await asyncio.gather(*(desk.attest(draft(1), again=True, k0="a") for _ in range(9)))
    assert sum(one.count for one in made) == 1
    assert {one.last for one in made} == {0}
    made = await asyncio.gather(*(desk.attest(draft(2)) for _ in range(9)))
    assert sum(one.count for one in made) == 1
    assert {one.last for one in made} == {1}


async def test_one_key_twice_in_a_run_makes_one_entry(desk: Desk) -> None:
    made = await desk.attest(draft(1), draft(2), draft(1), again=True, k0="a", k2="a")
    assert (made.start, made.count) == (0, 2)
    assert made.known == {2: Earlier(0, NOW, duplicate=False)}


async def test_key_survives_a_restart_and_ends_after_a_day(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        await desk.attest(draft(1), again=True, k0="a")
    clock = Clock()
    async with running(tmp_path, clock) as desk:
        clock.now = NOW + KEPT - 1
        assert (await desk.attest(draft(1), again=True, k0="a")).known
        clock.now = NOW + KEPT
        assert await desk.find(key("a")) is None
        fresh = await desk.attest(draft(1), again=True, k0="a")
        assert (fresh.start, fresh.known) == (1, {})
        assert await desk.kept() == 1


async def test_keys_that_are_over_are_removed_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "STEP", 2)
    async with running(tmp_path) as desk:
        for number in range(5):
            await desk.attest(draft(number), k0=f"{number}")
        assert await desk.kept() == 5
    clock = Clock()
    clock.now = NOW + KEPT
    async with running(tmp_path, clock) as desk, asyncio.timeout(LONG):
        while await desk.kept():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_keys_beyond_the_bound_are_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEPT", 2)
    await desk.attest(draft(1), draft(2), k0="a", k1="b")
    with pytest.raises(TryAgainError, match="no room") as caught:
        await desk.attest(draft(3), k0="c")
    assert caught.value.code == "too-many-keys"
    assert (await desk.attest(draft(3))).start == 2
    assert (await desk.attest(draft(2), k0="b")).known  # what is kept needs no room


async def test_batches_leave_a_tenth_of_the_keys_to_single_requests(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEPT", 10)
    asking = Asking("uid 1", keys={at: key(f"{at}") for at in range(9)}, batch=True)
    lines = [draft(number) for number in range(9)]
    await desk.sequencer.record(lines, LONG, asking=asking)
    one = Asking("uid 1", keys={0: key("x")}, batch=True)
    with pytest.raises(TryAgainError, match="no room"):
        await desk.sequencer.record([draft(9)], LONG, asking=one)
    assert (await desk.attest(draft(9), client="uid 2", k0="y")).start == 9
    again = await desk.sequencer.record(lines, LONG, asking=asking)
    assert len(again.known) == 9
    with pytest.raises(TryAgainError, match="no room"):
        await desk.attest(draft(10), k0="z")


async def test_revocation_is_never_turned_away_for_its_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEPT", 1)
    await desk.attest(draft(1), k0="a")
    for number in range(2):
        asking = Asking("uid 1", keys={0: key(f"r{number}")})
        made = [await desk.sequencer.record([(0, 1)], LONG, asking=asking) for _ in range(2)]
        assert [one.last for one in made] == [number + 1] * 2
    assert (await desk.attest(draft(1), k0="a")).known


async def test_revocation_has_a_key_too(desk: Desk) -> None:
    await desk.attest(draft(1))
    asking = Asking("uid 1", keys={0: key("r")})
    made = [await desk.sequencer.record([(0, 1)], LONG, asking=asking) for _ in range(2)]
    assert [one.last for one in made] == [1, 1]
    assert desk.log.state.size == 2


async def test_duplicate_is_answered_with_the_first(desk: Desk) -> None:
    await desk.attest(draft(1, sm3=digest(7)))
    again = await desk.attest(draft(1, sm3=digest(7)))
    assert again.known == {0: Earlier(0, NOW)}
    assert (await desk.attest(draft(1, sm3=digest(7)), again=True)).start == 1
    assert (await desk.attest(draft(1, sm3=digest(7)))).last == 0


@pytest.mark.parametrize(
    "other",
    [
        draft(2),
        draft(1, "diploma"),
        draft(1, sm3=digest(7)),
        draft(1, valid_until=NOW + 10),
        draft(1, supersedes=0),
        draft(1, blinded=True),
    ],
)
async def test_what_says_something_else_is_no_duplicate(desk: Desk, other: Draft) -> None:
    await desk.attest(draft(1))
    assert (await desk.attest(other)).known == {}


async def test_duplicates_are_within_one_client(desk: Desk) -> None:
    await desk.attest(draft(1), client="uid 2")
    await desk.attest(draft(1), client="")
    assert (await desk.attest(draft(1))).start == 2
    assert (await desk.attest(draft(1), client="uid 2")).last == 0
    assert (await desk.attest(draft(1))).last == 2
    clients = await desk.log.read(
        lambda reader, _: [reader.look(client_at, index) for index in range(3)]
    )
    assert clients == [1, 0, 2]


async def test_revoked_superseded_and_expired_attestations_stand_for_nothing(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with running(tmp_path, clock) as desk:
        await desk.attest(draft(1), draft(2), draft(3, valid_until=NOW + 5))
        await desk.revoke(0)
        assert (await desk.attest(draft(1))).start == 4
        await desk.attest(draft(2, supersedes=1))
        assert (await desk.attest(draft(2))).last == 5
        clock.now = NOW + 5
        assert (await desk.attest(draft(3, valid_until=NOW + 99))).known == {}


GRAVE = (1, 4, 5)


@pytest.mark.parametrize("reason", range(6))
async def test_what_was_revoked_for_good_is_not_attested_again(desk: Desk, reason: int) -> None:
    await desk.attest(draft(1, sm3=digest(7)))
    await desk.revoke(0, reason)
    others = [
        draft(1, sm3=digest(7)),
        draft(1),
        draft(1, "diploma", sm3=digest(7)),
        draft(1, sm3=digest(7), supersedes=0),
    ]
    for other in others:
        made = await desk.attest(draft(2), other, client="uid 2", again=False)
        known = [one for one in made.known.values() if isinstance(one, RefusedError)]
        assert bool(known) is (reason in GRAVE), other
        for error in known:
            assert (error.code, error.status) == ("revoked-for-good", 422)
            assert REASONS[reason] in error.message
            assert "again" in error.hint
    size = desk.log.state.size
    assert (await desk.attest(others[0], again=True)).start == size


async def test_fraud_counts_before_another_attestation_of_the_document(desk: Desk) -> None:
    await desk.attest(draft(1), client="uid 2")
    await desk.attest(draft(1))
    await desk.revoke(0, 4)
    assert isinstance((await desk.attest(draft(1))).known[0], RefusedError)


async def test_key_of_what_was_refused_stands_for_nothing(desk: Desk) -> None:
    await desk.attest(draft(1))
    await desk.revoke(0, 4)
    assert isinstance((await desk.attest(draft(1), k0="a")).known[0], RefusedError)
    assert await desk.kept() == 0
    assert await desk.find(key("a")) is None
    assert (await desk.attest(draft(1), again=True, k0="a")).start == 2


async def test_other_document_than_the_fraudulent_one_is_attested(desk: Desk) -> None:
    await desk.attest(draft(1, sm3=digest(7)), draft(3, blinded=True))
    await desk.revoke(0, 4)
    await desk.revoke(1, 4)
    alike = Draft(digest(1)[:8] + bytes(24), KIND)
    for other in (draft(1, sm3=digest(8)), draft(2), alike, draft(3)):
        assert (await desk.attest(other)).known == {}, other


async def test_validity_by_the_catalogue_is_any_validity(desk: Desk) -> None:
    by_default = draft(1, valid_until=NOW + 100, default_end=True)
    await desk.attest(by_default)
    later = replace(by_default, valid_until=NOW + 200)
    assert (await desk.attest(later)).known == {0: Earlier(0, NOW, NOW + 100)}
    asked = replace(later, default_end=False)
    assert (await desk.attest(asked)).start == 1


async def test_duplicates_are_found_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        await desk.attest(Drafts(b"".join(map(digest, range(500))), KIND))
    async with running(tmp_path) as desk, asyncio.timeout(LONG):
        while not desk.log.sieve.loaded:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
        again = await desk.attest(Drafts(b"".join(map(digest, range(490, 510))), KIND))
        assert (again.start, again.count) == (500, 10)
        assert [one.index for one in again.known.values()] == [*range(490, 500)]  # type: ignore[union-attr]
        assert [*again.known] == [*range(10)]


async def test_duplicates_within_a_run_make_one_entry(desk: Desk) -> None:
    columns = Drafts(b"".join(map(digest, (1, 2, 1, 3, 2))), KIND)
    made = await desk.attest(columns)
    assert (made.start, made.count) == (0, 3)
    assert made.known == {2: Earlier(0, NOW), 4: Earlier(1, NOW)}
    entries = await desk.log.read(lambda reader, _: reader.digests(0, 3))
    assert entries == [digest(1), digest(2), digest(3)]


async def test_key_of_a_duplicate_stands_for_the_first(desk: Desk) -> None:
    await desk.attest(draft(1))
    assert (await desk.attest(draft(1), k0="a")).known == {0: Earlier(0, NOW)}
    assert desk.log.state.size == 1
    await desk.revoke(0)
    assert (await desk.attest(draft(1), k0="a")).known == {0: Earlier(0, NOW)}


async def test_only_the_newest_attestations_of_a_digest_are_looked_at(desk: Desk) -> None:
    await desk.attest(draft(1))
    await desk.attest(*[draft(1)] * LOOKED, client="uid 2", again=True)
    assert (await desk.attest(draft(1))).start == LOOKED + 1


async def test_key_of_an_entry_that_was_lost_is_a_new_one(desk: Desk) -> None:
    await desk.attest(draft(1), again=True, k0="a")
    change = "UPDATE idempotency SET entry = 7"
    await desk.log.write(lambda store: store.change(lambda db: db.execute(change).rowcount))
    assert await desk.find(key("a")) is None
    made = await desk.attest(draft(1), again=True, k0="a")
    assert (made.start, made.count, made.known) == (1, 1, {})
    assert (await desk.attest(draft(1), again=True, k0="a")).last == 1
