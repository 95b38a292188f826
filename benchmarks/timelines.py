"""The row `trace.ms`: the whole life of a document, out of ten replicas.

In process, on real files: ten logs with their digest indices, signed by keys in software, as the
HSM takes no part in a trace.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_bytes
from statistics import median
from typing import Final

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # where `bookshelves` is

from bench import Bench, Figures
from bookshelves import Book, Library, attest, revoke, sha
from chopmark.api.dealings import TraceAsked
from chopmark.core.columns import make_columns
from chopmark.core.consent import CONSENT, USE, Body, Consent, Use, commit, seal
from chopmark.core.digest import Digests
from chopmark.core.draft import Drafts
from chopmark.core.entry import Commitment, encode_entry
from chopmark.core.merkle import leaf_hash
from chopmark.ledger.worker import Worker
from chopmark.service.traces import Traces
from chopmark.service.verifier import Verifier
from ledgers import NOW
from load import LoadFailedError
from rows import Figure

REPLICAS: Final = 10
BATCH: Final = 16_384
ROUNDS: Final = 30
NAME: Final = "a loan's document"
SALT: Final = bytes(range(32))


def trace(bench: Bench) -> Figures:
    """Attested, revoked, two consents, a withdrawal, two uses; the limit is to find the digest."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        return asyncio.run(_measure(Path(folder), bench.scale))


async def _measure(folder: Path, scale: int) -> Figures:
    async with AsyncExitStack() as stack:
        reading = Worker("read")
        stack.callback(reading.close)
        library = Library(folder, reading, stack)
        books = [await library.add(f"b{number}-1", number) for number in range(1, REPLICAS + 1)]
        for book in books:
            await _fill(book, scale)
        records = await _deal(books[3], books[7])
        shelves = {book.key.name: book.shelf for book in books}
        verifier = Verifier(shelves.values(), reading, lambda _: 86_400)
        traces = Traces(shelves, verifier, reading, lambda: NOW)
        asked = TraceAsked(Digests(sha(NAME)), None, records)
        times, bare = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            report = await traces.trace(asked)
            times.append(time.perf_counter() - start)
            start = time.perf_counter()
            await reading.run(lambda: [book.log.find(sha(NAME)) for book in books])
            bare.append(time.perf_counter() - start)
        if len(report["steps"]) != 7:
            raise LoadFailedError(f"a trace has {len(report['steps'])} steps")
    return {"trace.ms": Figure(1000 * median(times), 1000 * median(bare))}


async def _fill(book: Book, count: int) -> None:
    """Attestations of documents of others."""
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        columns = make_columns(Drafts(token_bytes(32 * size), "bank-statement"), NOW - 86_400_000)
        await book.log.write(lambda _, made=columns: book.log.append_now([made]))


async def _deal(issuer: Book, receiver: Book) -> tuple[bytes, ...]:
    """One loan's life; gives the proofs of its consents and uses."""
    data = attest(NAME)
    await issuer.add(data)
    index = issuer.log.state.size - 1
    terms = (issuer.key.name, index, leaf_hash(data), receiver.key.name)
    bodies: list[Body] = [Consent(*terms, purpose, NOW + 1) for purpose in ("loan", "mortgage")]
    consents = [await _record(issuer, body) for body in bodies]
    uses = [await _record(receiver, Use(*terms, "loan")) for _ in range(2)]
    await issuer.add(revoke(index + 2, 3), revoke(index, 2))
    return (*consents, *uses)


async def _record(book: Book, body: Body) -> bytes:
    kind = CONSENT if isinstance(body, Consent) else USE
    await book.add(encode_entry(Commitment(NOW - 5, kind, commit(SALT, body.encode()))))
    index = book.log.state.size - 1
    proof = await book.log.read(lambda reader, state: reader.proof(index, state))
    return seal(proof, SALT, body).encode()
