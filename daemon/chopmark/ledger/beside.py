"""What is written in the transaction of entries, beside them: who asked for them, and how."""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from chopmark.ledger.clients import Clients, write_stretches
from chopmark.ledger.idempotency import Record, write_records
from chopmark.ledger.requests import Part, write_parts
from chopmark.ledger.seeds import KeptSeed, write_seeds


class Beside(NamedTuple):
    """What an append says of its entries.

    Attributes:
        parts: what they are of requests that may be resumed.
        stretches: index from which on attestations are a client's, and who that is.
        records: what became of requests with an idempotency key.
        seeds: of those that are blinded.
    """

    parts: Sequence[tuple[bytes, Part]] = ()
    stretches: Sequence[tuple[int, str]] = ()
    records: Sequence[Record] = ()
    seeds: Sequence[KeptSeed] = ()


NOTHING: Final = Beside()


def write_beside(db: sqlite3.Connection, beside: Beside, clients: Clients) -> Clients:
    """Write it within the caller's transaction; gives the clients that there are then."""
    write_parts(db, beside.parts)
    write_seeds(db, beside.seeds)
    if beside.records:
        write_records(db, beside.records)
    return write_stretches(db, clients, beside.stretches)
