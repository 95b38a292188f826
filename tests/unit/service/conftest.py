"""A verifier's logs, for all tests of verdicts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bookshelves import Book, Library, attest
from chopmark.core.verdict import Source
from chopmark.ledger.worker import Worker


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with AsyncExitStack() as stack:
        reading = Worker("read")
        stack.callback(reading.close)
        made = Library(tmp_path, reading, stack)
        for seed, name in enumerate(("own-1", "sz-1", "hk-1"), 1):
            await made.add(name, seed)
        made.books["own-1"].source = Source.OWN
        await made.books["hk-1"].add(attest("somebody else's"))
        yield made


@pytest.fixture
def sz(library: Library) -> Book:
    return library.books["sz-1"]


@pytest.fixture
def hk(library: Library) -> Book:
    return library.books["hk-1"]


@pytest.fixture
def own(library: Library) -> Book:
    return library.books["own-1"]
