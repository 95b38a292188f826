"""Look-ups by digest over real log files: our own log and a replica."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chopmark.api.found import DocumentsOut
from chopmark.core.columns import frame_entries
from chopmark.core.entry import Attestation, encode_entry
from chopmark.core.errors import MalformedError, TryAgainError
from chopmark.ledger.log import Log
from chopmark.service import documents
from chopmark.service.documents import Documents
from ledgers import NOW, Clock, attestation, attestations, digest, member, opened, revocation, sign

SM3 = b"\xab" * 32
DAY = 86_400_000


async def add(log: Log, entries: Sequence[bytes]) -> None:
    await log.write(lambda _: log.append_now([frame_entries(entries)]))
    await log.write(sign)


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[dict[str, Log]]:
    async with AsyncExitStack() as stack:
        names = ("hk-1", "sz-1")
        yield {name: await stack.enter_async_context(opened(tmp_path, name)) for name in names}


@pytest.fixture
def desk(logs: dict[str, Log]) -> Documents:
    known = {name: (member(id=name), log) for name, log in logs.items()}
    return Documents(known, Clock(), "hk-1")


async def pages(
    desk: Documents, wanted: bytes, limit: int, *, with_sm3: bool = False
) -> list[DocumentsOut]:
    """All pages, one after the other."""
    made = [await desk.page(wanted, None, limit, with_sm3=with_sm3)]
    while (cursor := made[-1].next) is not None:
        assert len(made) < 1000, "the cursor gets nowhere"
        made.append(await desk.page(wanted, cursor, limit, with_sm3=with_sm3))
    return made


def places(made: Sequence[DocumentsOut]) -> list[tuple[str, int]]:
    return [(one.id, one.index) for page in made for one in page.attestations]


async def test_all_logs_are_searched_the_newest_of_each_first(
    desk: Documents, logs: dict[str, Log]
) -> None:
    await add(logs["hk-1"], [*attestations(5), attestation(3)])
    await add(logs["sz-1"], attestations(4))
    (page,) = await pages(desk, digest(3), 100)
    assert places([page]) == [("hk-1", 5), ("hk-1", 3), ("sz-1", 3)]
    assert [(one.id, one.size) for one in page.searched] == [("hk-1", 6), ("sz-1", 4)]
    assert page.searched[1].as_of is None, "no heartbeat of the replica has come"
    assert (await pages(desk, digest(99), 100))[0].attestations == []


@pytest.mark.parametrize("with_sm3", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 256])
async def test_pages_leave_nothing_out_and_give_nothing_twice(
    desk: Documents,
    logs: dict[str, Log],
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    *,
    with_sm3: bool,
) -> None:
    monkeypatch.setattr(documents, "STEP", 256)
    monkeypatch.setattr(documents, "MAX_LOOKED", 512)
    entries = attestations(900)
    for number in (0, 1, 255, 256, 600, 601, 899):
        entries[number] = attestation(7777, sm3=SM3)
    await add(logs["hk-1"], entries)
    await add(logs["sz-1"], [attestation(7777, sm3=SM3)])
    made = await pages(desk, SM3 if with_sm3 else digest(7777), limit, with_sm3=with_sm3)
    expected = [("hk-1", number) for number in (899, 601, 600, 256, 255, 1, 0)] + [("sz-1", 0)]
    assert places(made) == expected
    assert max(len(page.attestations) for page in made) <= limit


async def test_sm3_that_occurs_elsewhere_in_an_entry_is_not_found(
    desk: Documents, logs: dict[str, Log]
) -> None:
    as_sha256 = encode_entry(Attestation(NOW, SM3, "document"))
    await add(logs["hk-1"], [as_sha256, *attestations(3)])
    assert places(await pages(desk, SM3, 10, with_sm3=True)) == []
    assert places(await pages(desk, SM3, 10)) == [("hk-1", 0)]


async def test_states_are_told_and_nothing_is_judged(desk: Documents, logs: dict[str, Log]) -> None:
    entries = [
        attestation(1),
        attestation(1),
        attestation(1, valid_until=NOW - 1),
        attestation(1, valid_until=NOW + DAY, blinded=True),
        revocation(0, 4),
        attestation(1, supersedes=1),
    ]
    await add(logs["hk-1"], entries)
    (page,) = await pages(desk, digest(1), 10)
    states = {one.index: one.state for one in page.attestations}
    assert states == {0: "revoked", 1: "superseded", 2: "expired", 5: "live"}
    assert not any(one.blinded for one in page.attestations), "its digest is a commitment"
    by_index = {one.index: one for one in page.attestations}
    assert by_index[0].revoked is not None
    assert (by_index[0].revoked.index, by_index[0].revoked.reason_text) == (4, "fraud")
    assert (by_index[1].superseded_by, by_index[5].supersedes) == (5, 1)
    assert by_index[2].digests == {"sha256": digest(1).hex()}


@pytest.mark.parametrize("cursor", ["", "hk-1", "hk-1:", "hk-1:-1", "mo-1:3", "hk-1:٣", "hk-1:1e3"])
async def test_cursor_that_is_not_ours_is_refused(desk: Documents, cursor: str) -> None:
    with pytest.raises(MalformedError) as caught:
        await desk.page(digest(1), cursor, 10, with_sm3=False)
    assert caught.value.code == "malformed-cursor"


async def test_few_look_up_by_sm3_at_once(desk: Documents, logs: dict[str, Log]) -> None:
    await add(logs["hk-1"], attestations(1))
    with desk._slots.taken(), desk._slots.taken():
        with pytest.raises(TryAgainError) as caught:
            await desk.page(SM3, None, 10, with_sm3=True)
        assert caught.value.code == "overloaded"
        assert (await desk.page(digest(0), None, 10, with_sm3=False)).attestations
    assert (await desk.page(SM3, None, 10, with_sm3=True)).attestations == []
