"""What our cosigner has cosigned never goes back, and how far a log is witnessed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import InternalError, RefusedError, TryAgainError
from chopmark.core.note import Note, parse_note
from chopmark.ledger.log import Log
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import Store
from chopmark.ledger.witness import Cosigner, open_cosigner
from chopmark.ledger.witnessed import STEP, move_witnessed
from ledgers import (
    COSIGNER,
    ORIGIN,
    SoftSigner,
    append,
    attestations,
    make_store,
    opened,
    sign,
)
from softkeys import log_key

PEER = "bank-hk.example/hk-1"
PEER_KEY = log_key(PEER, 3)
NOW = 1_800_000_000


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with opened(tmp_path) as made:
        yield made


def head(size: int, fill: int = 1, origin: str = PEER) -> tuple[Checkpoint, Note]:
    made = Checkpoint(origin, size, bytes([fill]) * 32)
    return made, Note(made.encode(), (PEER_KEY.sign(made.encode()),))


async def test_cosigned_note_has_the_logs_signature_and_ours(log: Log) -> None:
    cosigner = await open_cosigner(log, SoftSigner())
    made = await cosigner.cosign(*head(5), NOW)

    assert (made.head, made.time) == (head(5)[0], NOW)
    assert [line.name for line in parse_note(made.note).signatures] == [PEER, COSIGNER.name]
    assert cosigner.last(PEER) == made
    assert cosigner.last(ORIGIN) is None


async def test_what_was_cosigned_is_known_after_a_restart(log: Log) -> None:
    made = await (await open_cosigner(log, SoftSigner())).cosign(*head(5), NOW)

    assert (await open_cosigner(log, SoftSigner())).last(PEER) == made


@pytest.mark.parametrize(
    ("second", "code"),
    [(head(4), "cosigned-larger"), (head(5, 2), "cosigned-another")],
)
async def test_no_smaller_head_and_no_other_root_is_cosigned(
    log: Log, second: tuple[Checkpoint, Note], code: str
) -> None:
    signer = SoftSigner()
    await (await open_cosigner(log, signer)).cosign(*head(5), NOW)
    again = await open_cosigner(log, signer)
    signer.away = True  # it is refused before the HSM is asked

    with pytest.raises(RefusedError) as refused:
        await again.cosign(*second, NOW + 1)

    assert refused.value.code == code
    assert again.last(PEER) == (await open_cosigner(log, signer)).last(PEER)


async def test_a_refresh_has_a_later_time_and_moves_no_row(log: Log) -> None:
    cosigner = await open_cosigner(log, SoftSigner())
    first = await cosigner.cosign(*head(5), NOW)
    later = await cosigner.cosign(*head(5), NOW + 100)

    assert later.time == NOW + 100
    assert (await open_cosigner(log, SoftSigner())).last(PEER) == first


async def test_time_does_not_go_back_with_the_clock(log: Log) -> None:
    cosigner = await open_cosigner(log, SoftSigner())
    await cosigner.cosign(*head(5), NOW)

    assert (await cosigner.cosign(*head(5), NOW - 50)).time == NOW
    assert (await cosigner.cosign(*head(6), NOW - 50)).time == NOW


async def test_time_of_a_clock_that_was_far_ahead_is_not_kept_to(log: Log) -> None:
    """Nobody takes a cosignature of the future: heartbeats would go unheard until then."""
    cosigner = await open_cosigner(log, SoftSigner())
    await cosigner.cosign(*head(5), NOW + 86_400)

    assert (await cosigner.cosign(*head(5), NOW)).time == NOW
    assert (await cosigner.cosign(*head(6), NOW + 1)).time == NOW + 1
    assert (await open_cosigner(log, SoftSigner())).last(PEER) == cosigner.last(PEER)


async def test_row_is_compared_where_it_is_stored(log: Log) -> None:
    """Though this process remembers nothing of what another has cosigned."""
    forgetful = Cosigner(log, SoftSigner(), {})
    await (await open_cosigner(log, SoftSigner())).cosign(*head(5), NOW)

    for worse in (head(4), head(5, 2)):
        with pytest.raises(InternalError) as stopped:
            await forgetful.cosign(*worse, NOW + 1)
        assert stopped.value.code == "cosigner-moved"


def refuse_writes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(_call: object) -> None:
        raise TryAgainError("storage-full", "the disk is full")

    monkeypatch.setattr(log, "write", write)


async def test_no_cosignature_leaves_whose_row_was_not_stored(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosigner = await open_cosigner(log, SoftSigner())
    first = await cosigner.cosign(*head(5), NOW)
    refuse_writes(log, monkeypatch)

    with pytest.raises(TryAgainError):
        await cosigner.cosign(*head(6), NOW)
    assert cosigner.last(PEER) == first
    assert (await cosigner.cosign(*head(5), NOW + 9)).time == NOW + 9  # a refresh needs no disk


async def test_own_heartbeat_is_made_though_the_disk_is_full(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosigner = await open_cosigner(log, SoftSigner())
    refuse_writes(log, monkeypatch)
    made = await cosigner.cosign(*head(6, origin=ORIGIN), NOW)

    assert cosigner.last(ORIGIN) == made


async def test_nothing_is_cosigned_while_it_is_forbidden(log: Log) -> None:
    signer = SoftSigner()
    cosigner = await open_cosigner(log, signer)
    cosigner.may_cosign = lambda: TryAgainError("log-behind", "behind")

    with pytest.raises(TryAgainError, match="behind"):
        await cosigner.cosign(*head(5), NOW)
    assert cosigner.last(PEER) is None


async def test_two_at_once_for_one_log_are_made_one_after_the_other(log: Log) -> None:
    cosigner = await open_cosigner(log, SoftSigner())
    done = await asyncio.gather(
        cosigner.cosign(*head(6), NOW), cosigner.cosign(*head(5), NOW), return_exceptions=True
    )

    assert isinstance(done[1], RefusedError)
    assert cosigner.last(PEER) == done[0]


def test_witnessed_head_only_grows_and_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(make_store(path, attestations(9))) as store:
        sign(store)
        move_witnessed(store, 5, NOW, b"five")
        move_witnessed(store, 3, NOW + 1, b"three")
        assert (store.state.witnessed_size, store.state.witnessed_note) == (5, b"five")
        move_witnessed(store, 5, NOW + 1, b"five, with one more cosignature")
    with closing(Store(path)) as store:
        assert store.state.witnessed_size == 5
        assert store.state.witnessed_note == b"five, with one more cosignature"
    with closing(Reader(path)) as reader:
        assert [reader.existed_by(index) for index in range(6)] == [NOW] * 5 + [None]


def test_entries_existed_by_a_time_at_most_a_step_late_and_never_early(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    times = [0, 1, 2, 9, 10, 11, 30, 31, 32, 33, 34, 60, 100, 100, 100]
    with closing(make_store(path, attestations(40))) as store, closing(Reader(path)) as reader:
        for size, time in enumerate(times, 1):
            move_witnessed(store, size, NOW + time, b"%d" % size)
            for index in range(size):
                found = reader.existed_by(index)
                assert found is not None
                assert times[index] <= found - NOW <= times[index] + STEP
        count = store.change(lambda db: db.execute("SELECT count(*) FROM witnessed").fetchone()[0])
    assert count < len(times)


async def test_proof_is_under_the_witnessed_head_where_that_covers_the_entry(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    with closing(make_store(path, attestations(4))) as store, closing(Reader(path)) as reader:
        sign(store)
        witnessed = store.state.note
        assert witnessed is not None
        note = parse_note(witnessed).with_signature(COSIGNER.sign("x", 1)).encode()
        move_witnessed(store, 4, NOW, note)
        append(store, attestations(3, 4))
        sign(store)
        state = store.state
        proofs = reader.proofs(range(7), state)

    assert [proof.note for proof in proofs] == [note] * 4 + [state.note] * 3
    assert [proof.checkpoint().size for proof in proofs] == [4] * 4 + [7] * 3
