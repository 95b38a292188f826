"""Any tlog client can audit what is served below `/log/{id}/`: C2SP tlog-tiles, over HTTP."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import ledgers
import tlogclient
from chopmark.api.app import create_app
from chopmark.api.tiles import make_tile_route
from chopmark.core.checkpoint import Checkpoint
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store
from chopmark.ledger.witnessed import move_witnessed
from chopmark.service.tiles import TileService
from fakegateway import FakeGateway
from oneapi import as_anybody

SIZES = (1, 255, 256, 257, 511, 513, 65_537)
VKEY = ledgers.LOG.vkey.encode()


@asynccontextmanager
async def serving(log: Log) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(FakeGateway(), more=[make_tile_route(TileService({"sz-1": log}))])
    transport = httpx.ASGITransport(as_anybody(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def grow(log: Log, size: int, *, signed: bool = True) -> None:
    def work(store: Store) -> None:
        ledgers.append(store, ledgers.attestations(size - store.size, store.size))
        if signed:
            head = Checkpoint(ledgers.ORIGIN, store.size, store.root())
            store.move_head(head, ledgers.sign_head(head, ledgers.LOG))

    await log.write(work)


async def audit(client: httpx.AsyncClient, older: tuple[int, ...] = ()) -> tlogclient.Audited:
    loop = asyncio.get_running_loop()

    def get(path: str) -> bytes:
        asked = client.get(f"/log/sz-1/{path}")
        answer = asyncio.run_coroutine_threadsafe(asked, loop).result(30)
        assert answer.status_code == 200, (path, answer.text)
        return answer.content

    return await asyncio.to_thread(tlogclient.audit, get, VKEY, older)


async def test_log_is_audited_from_its_prefix_alone_at_every_edge(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        for number, size in enumerate(SIZES):
            await grow(log, size)
            older = SIZES[:number] if size < 65_536 else (*SIZES, 65_535, 65_536)
            audited = await audit(client, older)
            assert audited.size == size
        assert audited.entries == ledgers.attestations(size)


async def test_auditor_finds_one_flipped_bit(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        await grow(log, 300)
        for table, column in (("tile", "hashes"), ("bundle", "entries")):
            spoilt = f"UPDATE {table} SET {column} = ? WHERE rowid = 0"  # noqa: S608 - our names
            query = f"SELECT {column} FROM {table} WHERE rowid = 0"  # noqa: S608 - our names
            (good,) = await log.write(lambda s, q=query: s._db.execute(q).fetchone())
            bad = good[:70] + bytes([good[70] ^ 1]) + good[71:]
            await log.write(lambda s, c=spoilt, b=bad: s._db.execute(c, (b,)))
            with pytest.raises(AssertionError):
                await audit(client)
            await log.write(lambda s, c=spoilt, g=good: s._db.execute(c, (g,)))
        await audit(client)


async def test_nothing_beyond_the_signed_head_is_served(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        assert (await client.get("/log/sz-1/checkpoint")).json()["code"] == "not-signed"
        await grow(log, 300)
        await grow(log, 700, signed=False)
        for path in ("0/001.p/44", "0/001.p/1", "entries/001.p/44", "1/000.p/1", "0/000.p/255"):
            assert (await client.get(f"/log/sz-1/tile/{path}")).status_code == 200, path
        for path in ("0/001", "0/001.p/45", "entries/001.p/45", "entries/001", "0/002.p/1"):
            answer = await client.get(f"/log/sz-1/tile/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "no-such-tile"), path
        for path in ("1/000.p/2", "1/001.p/1", "2/000.p/1", "7/000", "entries/999"):
            assert (await client.get(f"/log/sz-1/tile/{path}")).status_code == 404, path


@pytest.mark.parametrize(
    "path",
    [
        "sz-1", "sz-1/", "sz-1/checkpoint/", "sz-1//checkpoint", "sz-1/Checkpoint",
        "sz-1/tile/0/0", "sz-1/tile/0/000/", "sz-1/tile/00/000", "sz-1/tile/0/x000/000",
        "sz-1/tile/0/000.p/0", "sz-1/tile/0/000.p/256", "sz-1/tile/0/000.p/01", "sz-1/tile/64/000",
        "sz-1/tile/0/%30%30%30", "sz-1/tile/entries/000.p/", "sz-1/tile/data/000",
        "SZ-1/checkpoint", "hk-1/checkpoint", "hk-1/tile/0/000", "x" * 21 + "/checkpoint",
    ],
)  # fmt: skip
async def test_path_that_is_no_tile_is_404(tmp_path: Path, path: str) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        await grow(log, 300)
        url = httpx.URL("http://localhost", raw_path=b"/log/" + path.encode())
        answer = await client.get(url)
        assert answer.status_code == 404
        assert answer.json()["code"] in ("no-such-tile", "no-such-member")


async def test_headers_are_those_of_the_specification(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        await grow(log, 300)
        head = await client.get("/log/sz-1/checkpoint")
        assert head.headers["content-type"] == "text/plain; charset=utf-8"
        assert head.headers["cache-control"] == "public, max-age=1"
        assert head.content == log.head_note
        for path in ("0/000", "0/001.p/44", "entries/000", "entries/001.p/44"):
            tile = await client.get(f"/log/sz-1/tile/{path}")
            assert tile.headers["content-type"] == "application/octet-stream"
            assert "immutable" in tile.headers["cache-control"]
            only = await client.head(f"/log/sz-1/tile/{path}")
            assert (only.status_code, only.content) == (200, b"")
            assert only.headers["content-length"] == tile.headers["content-length"]
        refused = await client.post("/log/sz-1/checkpoint")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True), ("identity, GZIP;q=0.5", True), ("br, gzip ; q=1.0", True),
        ("", False), ("identity", False), ("gzip;q=0", False), ("gzip; q=0.000, br", False),
        ("x-gzip", False),
    ],
)  # fmt: skip
async def test_bundles_are_compressed_for_those_who_ask(
    tmp_path: Path, *, accepted: str, packed: bool
) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        await grow(log, 256)
        asked = {"accept-encoding": accepted}
        async with client.stream("GET", "/log/sz-1/tile/entries/000", headers=asked) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
        plain = await client.get("/log/sz-1/tile/entries/000", headers={"accept-encoding": ""})
        assert ("content-encoding" in answer.headers) == packed
        assert answer.headers["vary"] == "accept-encoding"
        assert (gzip.decompress(raw) if packed else raw) == plain.content


async def test_checkpoint_has_the_quorums_cosignatures_once_they_are_there(tmp_path: Path) -> None:
    async with ledgers.opened(tmp_path) as log, serving(log) as client:
        await grow(log, 300)
        head, time = log.state.head, ledgers.NOW // 1000
        note = ledgers.sign_head(head, ledgers.LOG, {ledgers.COSIGNER: time})
        await log.write(lambda store: move_witnessed(store, head.size, time, note))
        assert (await client.get("/log/sz-1/checkpoint")).content == note
        assert (await audit(client)).size == 300
        await grow(log, 301)
        assert (await client.get("/log/sz-1/checkpoint")).content == log.head_note
