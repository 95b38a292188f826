"""Pages through a log, by kind and time, against looking at every entry."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from chopmark.api.browsed import Browsed, LedgerOut
from chopmark.api.times import parse_time
from chopmark.core.checkpoint import Checkpoint
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.service import browsing
from chopmark.service.browsing import Browsing
from ledgers import LOG, NOW, ORIGIN, append, attestation, opened, revocation
from softkeys import sign_head

SIZE = 1000
RARE = frozenset({3, 300, 777})


def make_entry(number: int) -> bytes:
    made_at = NOW + number // 10 * 1000
    if number % 100 == 50:
        return revocation(number - 1, 3, made_at)
    kind = "diploma" if number in RARE else "bank-statement"
    return attestation(number, made_at, kind=kind)


def fill(store: Store) -> None:
    """All entries but the last one are signed."""
    append(store, [make_entry(number) for number in range(SIZE)])
    head = Checkpoint(ORIGIN, store.size, store.root())
    store.move_head(head, sign_head(head, LOG))
    append(store, [make_entry(SIZE)])


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with opened(tmp_path) as made:
        await made.write(fill)
        yield made


async def ask(look: Browsing, **asked: object) -> LedgerOut:
    values: dict[str, object] = {"before": None, "until": None, "kind": None, "limit": 100}
    return await look.page("hk-1", Browsed(**(values | asked)))  # type: ignore[arg-type]


async def all_pages(look: Browsing, **asked: object) -> list[LedgerOut]:
    pages = [await ask(look, **asked)]
    while pages[-1].next is not None:
        pages.append(await ask(look, **(asked | {"before": pages[-1].next})))
    return pages


def indexes(pages: list[LedgerOut]) -> list[int]:
    return [entry.index for page in pages for entry in page.entries]


async def test_pages_give_every_signed_entry_once_the_newest_first(log: Log) -> None:
    pages = await all_pages(Browsing({"hk-1": log}), limit=70)
    assert indexes(pages) == list(range(SIZE - 1, -1, -1))
    assert {page.size for page in pages} == {SIZE}
    assert all(len(page.entries) <= 70 for page in pages)


async def test_page_begins_below_an_index(log: Log) -> None:
    look = Browsing({"hk-1": log})
    assert indexes([await ask(look, before=257, limit=3)]) == [256, 255, 254]
    assert indexes([await ask(look, before=0)]) == []
    assert indexes([await ask(look, before=10**15, limit=1)]) == [SIZE - 1]


@pytest.mark.parametrize("number", [0, 9, 10, 255, 256, 511, 999])
async def test_time_leaves_out_what_was_made_later(log: Log, number: int) -> None:
    until = NOW + number // 10 * 1000
    found = (await ask(Browsing({"hk-1": log}), until=until, limit=5)).entries
    assert found[0].index == number // 10 * 10 + 9
    assert all(parse_time(entry.made_at or "", "made_at") <= until for entry in found)
    assert (await ask(Browsing({"hk-1": log}), until=until - 1, limit=5)).entries != found


async def test_time_before_all_finds_nothing(log: Log) -> None:
    page = await ask(Browsing({"hk-1": log}), until=NOW - 1)
    assert (page.entries, page.next) == ([], None)


async def test_kind_is_found_wherever_it_lies_and_again(log: Log) -> None:
    look = Browsing({"hk-1": log})
    assert indexes(await all_pages(look, kind="diploma")) == sorted(RARE, reverse=True)
    common = indexes(await all_pages(look, kind="bank-statement", limit=50))
    assert len(common) == SIZE - len(RARE) - SIZE // 100
    assert all(newer > older for newer, older in pairwise(common))
    assert indexes(await all_pages(look, kind="none")) == []


async def test_kind_and_time_go_together(log: Log) -> None:
    found = await all_pages(Browsing({"hk-1": log}), kind="diploma", until=NOW + 30_000)
    assert indexes(found) == [300, 3]


async def test_search_through_many_bundles_says_how_far_it_is(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "BUDGET", 1)
    found = await all_pages(Browsing({"hk-1": log}), kind="diploma")
    assert [(len(page.entries), page.next) for page in found] == [(1, 512), (1, 256), (1, None)]
    assert indexes(found) == sorted(RARE, reverse=True)
    assert len(await all_pages(Browsing({"hk-1": log}), kind="none")) == 1


async def test_kinds_of_the_newest_bundle_are_read_anew(log: Log) -> None:
    look = Browsing({"hk-1": log})
    assert indexes(await all_pages(look, kind="kyc-report")) == []

    def more(store: Store) -> None:
        append(store, [attestation(5001, NOW + 200_000, kind="kyc-report")])
        head = Checkpoint(ORIGIN, store.size, store.root())
        store.move_head(head, sign_head(head, LOG))

    await log.write(more)
    assert indexes(await all_pages(look, kind="kyc-report")) == [SIZE + 1]


@pytest.mark.parametrize("budget", [1, 64])
async def test_time_finds_all_among_blinded_entries_of_the_same_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """Times go up and down within the minute: halving by them alone would miss some."""
    monkeypatch.setattr(browsing, "BUDGET", budget)
    minute = NOW - NOW % 60_000
    entries = [
        attestation(number, minute, blinded=True)
        if number // 256 % 3 == 1
        else attestation(number, minute + number)
        for number in range(256 * 7)
    ]
    times = [minute if number // 256 % 3 == 1 else minute + number for number in range(256 * 7)]

    def write(store: Store) -> None:
        append(store, entries)
        head = Checkpoint(ORIGIN, store.size, store.root())
        store.move_head(head, sign_head(head, LOG))

    async with opened(tmp_path) as made:
        await made.write(write)
        for after in (-1, 0, 100, 255, 600, 59_999):
            until = minute + after
            wanted = [index for index, time in enumerate(times) if time <= until]
            found = await all_pages(Browsing({"hk-1": made}), until=until)
            assert indexes(found) == wanted[::-1]
