"""Chains of supersession: which attestation has replaced one, which has replaced that, and so on.

A supersession names an earlier entry only, so that each step leads to a later entry: there are no
loops, and a chain ends.
"""

from typing import Final

from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import MalformedError
from chopmark.core.verdict import Link, Standing
from chopmark.ledger.pruning import PrunedError
from chopmark.ledger.reader import Reader

MAX_CHAIN: Final = 16
"""Links that one verdict shows; each costs two look-ups."""


def read_chain(reader: Reader, first: int, size: int, now: int) -> tuple[tuple[Link, ...], bool]:
    """The chain from an attestation on that has replaced another one.

    Args:
        reader: of the log.
        first: index of that attestation.
        size: entries that count.
        now: time of asking, ms.

    Returns:
        The links, and whether more follow.
    """
    links: list[Link] = []
    index = first
    while index >= 0 and len(links) < MAX_CHAIN:
        revoked, newer = reader.references(index, size)
        made_at, expired = _read(reader, index, now)
        standing = Standing.EXPIRED if expired else Standing.LIVE
        if newer >= 0:
            standing = Standing.SUPERSEDED
        if revoked is not None:
            standing = Standing.REVOKED
        links.append(Link(index, made_at, standing))
        index = newer
    return tuple(links), index >= 0


def _read(reader: Reader, index: int, now: int) -> tuple[int | None, bool]:
    """When an attestation was made (ms), and whether it has expired."""
    try:
        entry = parse_entry(reader.entry(index))
    except PrunedError:  # removed by rule, as it is over
        return None, True
    except MalformedError:
        return None, False
    if not isinstance(entry, Attestation):
        return None, False
    return entry.made_at, entry.valid_until is not None and entry.valid_until < now
