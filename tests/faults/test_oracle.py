"""The oracle finds what it is there to find: ledgers with each fault made by hand."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from oracle import Answer, Heads, check_gateway, check_peer

from chopmark.core.checkpoint import Checkpoint
from chopmark.ledger.log import Log
from chopmark.ledger.store import Store, create_store
from chopmark.ledger.worker import Worker
from ledgers import KEYS, LOG, ORIGIN, append, attestations, digest, revocation, sign
from softkeys import sign_head

COUNT = 300
ANSWERS = [Answer(i, digest(i)) for i in range(COUNT)] + [Answer(COUNT, (7, 4))]
Doctor = Callable[[Path], None]


def make_gateway(state: Path) -> Path:
    """A state folder with a signed log, its index, and a replica of the first entries."""
    (state / "replica").mkdir(parents=True)
    (state / "index").mkdir()
    create_store(state / "log.db", *KEYS)
    store = Store(state / "log.db")
    append(store, attestations(COUNT))
    sign(store)
    store.close()
    shutil.copy(state / "log.db", state / "replica" / "hk-1.db")
    store = Store(state / "log.db")
    append(store, [revocation(7, reason=4)])
    sign(store)
    store.close()
    reading = Worker("read")
    log = Log(state / "log.db", state / "index" / "sz-1", reading)
    log._index.close()
    log._reader.close()
    log._store.close()
    log._writing.close()
    reading.close()
    return state


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gateway(tmp_path_factory.mktemp("oracle") / "state")


@pytest.fixture
def state(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "state"))


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)


def cut_to(path: Path, size: int) -> None:
    """A sound, signed ledger of only the first entries."""
    path.unlink()
    create_store(path, *KEYS)
    store = Store(path)
    append(store, attestations(size))
    sign(store)
    store.close()


def test_oracle_finds_nothing_in_a_sound_gateway(state: Path) -> None:
    heads = Heads(LOG.vkey)
    replicas = [state / "replica" / "hk-1.db"]
    assert check_gateway(state, ANSWERS, heads, replicas) == []
    assert set(heads.roots) == {COUNT, COUNT + 1}


def test_oracle_finds_a_lost_answer(state: Path) -> None:
    found = check_gateway(state, [*ANSWERS, Answer(COUNT + 1, digest(0))])
    assert found == [f"entry {COUNT + 1} was answered, and is lost: {COUNT + 1} are there"]


def test_oracle_finds_a_ledger_that_lost_its_end(state: Path) -> None:
    cut_to(state / "log.db", COUNT - 3)
    shutil.rmtree(state / "index" / "sz-1")
    lost = [fault for fault in check_gateway(state, ANSWERS) if "is lost" in fault]
    assert len(lost) == 4


@pytest.mark.parametrize("says", [digest(6), (5, 0)], ids=["digest", "revocation"])
def test_oracle_finds_an_entry_that_says_something_else(
    state: Path, says: bytes | tuple[int, int]
) -> None:
    assert check_gateway(state, [Answer(5, says)]) == ["entry 5 does not say what was answered"]


def test_oracle_finds_one_index_answered_twice(state: Path) -> None:
    found = check_gateway(state, [*ANSWERS, replace(ANSWERS[9], says=digest(500))])
    assert found == ["entry 9 does not say what was answered"]


def leave_unsigned(state: Path) -> None:
    store = Store(state / "log.db")
    append(store, attestations(1, COUNT + 1))
    store.close()


def test_oracle_finds_what_stays_unsigned_after_a_restart(state: Path) -> None:
    leave_unsigned(state)
    recorded = Answer(COUNT + 1, digest(COUNT + 1), signed=False)
    assert check_gateway(state, [recorded], restarted=False) == []
    assert check_gateway(state, [recorded]) == ["1 entries are not signed after a restart"]


def test_oracle_finds_an_answer_that_was_no_signature(state: Path) -> None:
    leave_unsigned(state)
    answer = Answer(COUNT + 1, digest(COUNT + 1))
    found = check_gateway(state, [answer], restarted=False)
    assert found == [f"entry {COUNT + 1} was answered as signed, and no head covers it"]


def test_oracle_finds_two_heads_of_one_size(state: Path) -> None:
    heads = Heads(LOG.vkey)
    heads.add(sign_head(Checkpoint(ORIGIN, COUNT, b"x" * 32), LOG))
    found = check_gateway(state, heads=heads, replicas=[state / "replica" / "hk-1.db"])
    assert found == [
        f"two signed heads of size {COUNT} differ",
        f"a head of size {COUNT} was shown that is not the ledger's",
    ]


def test_oracle_finds_a_head_beyond_the_ledger(state: Path) -> None:
    heads = Heads(LOG.vkey)
    heads.add(sign_head(Checkpoint(ORIGIN, COUNT + 9, b"x" * 32), LOG))
    [found] = check_gateway(state, heads=heads)
    assert found.startswith(f"a head of size {COUNT + 9} was shown, and the ledger's")


def test_oracle_finds_a_head_and_a_proof_that_are_none(state: Path) -> None:
    heads = Heads(LOG.vkey)
    note = sign_head(Checkpoint(ORIGIN, 1, b"x" * 32), LOG)
    heads.add(note.replace(b"\n1\n", b"\n2\n"))
    heads.add_proof(b"c2sp.org/tlog-proof@v1\n")
    assert len(check_gateway(state, heads=heads)) == 2


def test_oracle_finds_a_replica_of_another_history(state: Path) -> None:
    replica = state / "replica" / "hk-1.db"
    replica.unlink()
    create_store(replica, *KEYS)
    store = Store(replica)
    append(store, attestations(20, start=1))
    sign(store)
    store.close()
    assert check_gateway(state, replicas=[replica]) == [f"{replica} holds another history"]


def test_oracle_finds_a_replica_that_is_ahead(state: Path) -> None:
    replica = state / "replica" / "hk-1.db"
    cut_to(state / "log.db", 3)
    found = check_gateway(state, replicas=[replica], whole=False)
    assert found == [f"{replica} has {COUNT} entries, and the log's head covers 3"]


def test_oracle_finds_a_fork_that_a_replica_has_seen(state: Path) -> None:
    replica = state / "replica" / "hk-1.db"
    store = Store(replica)
    store.mark_fork(sign_head(Checkpoint(ORIGIN, 5, b"x" * 32), LOG))
    store.close()
    assert f"{replica} has seen a fork" in check_gateway(state, replicas=[replica], whole=False)


@pytest.mark.parametrize(
    ("path", "sql"),
    [
        ("log.db", "UPDATE bundle SET entries = zeroblob(9) WHERE n = 0"),
        ("log.db", "UPDATE tile SET hashes = zeroblob(length(hashes))"),
        ("log.db", "UPDATE log SET head_note = NULL"),
        ("replica/hk-1.db", "DELETE FROM bundle WHERE n = 0"),
    ],
)
def test_oracle_finds_damage_by_fsck(state: Path, path: str, sql: str) -> None:
    change(state / path, sql)
    assert any(fault.startswith("fsck ") for fault in check_gateway(state))


def test_oracle_finds_damage_in_an_index(state: Path) -> None:
    files = [path for path in (state / "index" / "sz-1").iterdir() if path.stat().st_size]
    largest = max(files, key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    largest.write_bytes(bytes(byte ^ 0xFF for byte in data))
    assert any(fault.startswith("fsck ") for fault in check_gateway(state))


def test_oracle_finds_that_there_is_no_ledger(state: Path) -> None:
    (state / "log.db").unlink()
    assert check_gateway(state, whole=False)


def test_oracle_finds_a_peer_that_failed() -> None:
    peer = {"id": "hk-1", "state": "failed", "reason": "a fork"}
    assert check_peer(peer) == ["hk-1 has failed: a fork"]
    assert check_peer(peer | {"state": "following"}) == []
