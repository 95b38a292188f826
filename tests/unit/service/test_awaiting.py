"""Who waits for the quorum, and for the notaries of a kind besides."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chopmark.ledger.log import Log
from chopmark.ledger.store import read_state
from chopmark.ledger.witnessed import move_witnessed
from chopmark.service.awaiting import Awaiting
from ledgers import COSIGNER, LOG, append, attestations, opened, sign
from softkeys import sign_head


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with opened(tmp_path) as made:
        await made.write(lambda store: append(store, attestations(5)))
        await made.write(sign)
        yield made


async def witness(log: Log, *kinds: str) -> None:
    note = sign_head(log.state.head, LOG, {COSIGNER: 1 + len(kinds)})
    await log.write(lambda store: move_witnessed(store, 5, 1, note, kinds))


async def test_notaries_are_waited_for_where_a_kind_demands_them(log: Log) -> None:
    awaiting = Awaiting(log, log._reading, ["bank-statement", "diploma"])
    await witness(log)
    assert await awaiting.wait(4, 0, {"letter"})
    assert not await awaiting.wait(4, 0, {"letter", "bank-statement"})
    assert await awaiting.proof(4, 0, "letter") is not None
    assert await awaiting.proof(4, 0, "bank-statement") is None
    await witness(log, "bank-statement")
    assert await awaiting.wait(4, 0, {"letter", "bank-statement"})
    assert not await awaiting.wait(4, 0, {"bank-statement", "diploma"})
    proof = await awaiting.proof(4, 0, "bank-statement")
    assert proof is not None
    assert log.state.notarised["bank-statement"][1] in proof


async def test_what_is_notarised_is_in_the_database(log: Log) -> None:
    await witness(log, "bank-statement")
    assert (await log.read(lambda reader, _: reader.look(read_state))) == log.state
    assert log.state.notarised["bank-statement"][0] == 5
