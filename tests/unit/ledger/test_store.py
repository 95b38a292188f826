import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.columns import frame_entries
from chopmark.core.errors import InternalError, TryAgainError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.ledger.fsck import check_store
from chopmark.ledger.reader import Reader
from chopmark.ledger.store import Store
from ledgers import KEYS, LOG, NOW, ORIGIN, append, attestation, attestations, make_store, sign
from ledgers import revocation as revoke
from softkeys import sign_head
from trees import leaf, root


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = make_store(path)
    yield made
    made.close()


class Failing:
    """A connection on which one statement fails as SQLite would."""

    def __init__(self, db: sqlite3.Connection, word: str, *, done: bool = False) -> None:
        self._db = db
        self._word = word
        self._done = done

    def execute(self, sql: str, *values: Any) -> Any:
        return self._run(self._db.execute, sql, *values)

    def executemany(self, sql: str, *values: Any) -> Any:
        return self._run(self._db.executemany, sql, *values)

    def _run(self, call: Callable[..., Any], sql: str, *values: Any) -> Any:
        if sql.startswith(self._word):
            if self._done:
                call(sql, *values)
            raise sqlite3.OperationalError("disk I/O error")
        return call(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def breaking(store: Store, word: str, *, done: bool = False) -> Callable[[], None]:
    """Let each statement that begins so fail (after it was done, if so); gives the repair."""
    whole = store._db
    store._db = Failing(whole, word, done=done)  # type: ignore[assignment]

    def repair() -> None:
        store._db = whole

    return repair


def root_of(entries: list[bytes]) -> bytes:
    return root([leaf(entry) for entry in entries])


def stored(path: Path) -> list[bytes]:
    reader = Reader(path)
    size = Store(path).size
    entries = reader.entries(0, size) if size else []
    reader.close()
    return entries


def test_empty_store_has_the_empty_root(store: Store) -> None:
    assert (store.size, store.root(), store.compact_hashes()) == (0, EMPTY_ROOT, ())
    assert store.state.head == Checkpoint(ORIGIN, 0, EMPTY_ROOT)


def test_append_gives_the_root_of_the_standard(store: Store, path: Path) -> None:
    entries = attestations(300)
    assert append(store, entries) == Checkpoint(ORIGIN, 300, root_of(entries))
    assert stored(path) == entries


def test_append_of_nothing_changes_nothing(store: Store) -> None:
    append(store, attestations(3))
    before = store.state
    append(store, [])
    assert store.state == before


def test_append_keeps_the_newest_time(store: Store) -> None:
    append(store, [attestation(1, NOW + 5), attestation(2, NOW + 3), b"not an entry"])
    append(store, [attestation(3, NOW)])
    assert store.state.made_last == NOW + 5


def test_full_disk_is_told_by_its_own_code(store: Store) -> None:
    append(store, attestations(5))
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own way to a full disk
    with pytest.raises(TryAgainError) as caught:
        append(store, attestations(5000, start=5))
    assert (caught.value.code, caught.value.exit_code) == ("storage-full", 75)
    assert "enlarge" in caught.value.hint
    store._db.execute("PRAGMA max_page_count=1000000")
    assert store.size == 5
    append(store, attestations(5000, start=5))
    assert check_store(store.path, None, *KEYS) == []


def test_leaves_that_are_known_are_not_hashed_again(store: Store) -> None:
    entries = attestations(10)
    appended = store.append([frame_entries(entries)], [leaf(entry) for entry in entries])
    assert appended.reached.root == root_of(entries)


@pytest.mark.parametrize(
    "word", ["BEGIN", "INSERT OR REPLACE INTO tile", "UPDATE", "INSERT INTO r"]
)
def test_error_before_the_commit_changes_nothing(store: Store, path: Path, word: str) -> None:
    append(store, attestations(250))
    sign(store)
    before = store.state, store.root()
    repair = breaking(store, word)
    with pytest.raises(TryAgainError) as caught:
        append(store, [*attestations(20, start=250), revoke(3)])
    assert caught.value.code == "not-recorded"
    repair()
    assert (store.state, store.root()) == before
    assert not store._db.in_transaction
    assert len(stored(path)) == 250
    append(store, attestations(20, start=250))
    assert stored(path) == attestations(270)
    assert check_store(path, None, *KEYS) == []


@pytest.mark.parametrize("done", [False, True])
def test_failed_commit_ends_the_process_and_restart_tells(
    store: Store, path: Path, *, done: bool
) -> None:
    append(store, attestations(5))
    repair = breaking(store, "COMMIT", done=done)
    with pytest.raises(InternalError) as caught:
        append(store, attestations(5, start=5))
    assert caught.value.code == "commit-unknown"
    repair()
    store.close()
    again = Store(path)
    assert again.size == (10 if done else 5)
    assert again.root() == root_of(attestations(again.size))
    assert check_store(path, None, *KEYS) == []
    again.close()


def test_write_of_another_process_is_noticed(store: Store, path: Path) -> None:
    append(store, attestations(5))
    other = Store(path)
    append(other, attestations(1, start=5))
    with pytest.raises(InternalError) as caught:
        append(store, attestations(2, start=5))
    assert caught.value.code == "head-moved"
    assert stored(path) == attestations(6)
    append(other, attestations(1, start=6))
    other.close()
    assert check_store(path, None, *KEYS) == []


def test_head_of_another_process_is_noticed(store: Store, path: Path) -> None:
    append(store, attestations(5))
    other = Store(path)
    sign(other)
    other.close()
    with pytest.raises(InternalError) as caught:
        sign(store)
    assert caught.value.code == "head-moved"


def test_restart_at_every_size_goes_on_with_the_same_roots(store: Store, path: Path) -> None:
    entries = attestations(600)
    roots = {}
    for size in range(1, 601):
        roots[size] = append(store, entries[size - 1 : size]).root
    for size in (1, 2, 255, 256, 257, 511, 512, 513, 600):
        assert roots[size] == root_of(entries[:size])
    twin = path.with_name("twin.db")
    make_store(twin).close()
    for size in range(1, 601):
        with closing(Store(twin)) as again:
            assert append(again, entries[size - 1 : size]).root == roots[size]
    assert check_store(twin, None, *KEYS) == []


@pytest.mark.parametrize("step", [1, 7, 255, 256, 257, 300])
def test_bundles_are_the_same_however_they_came(path: Path, store: Store, step: int) -> None:
    entries = attestations(600)
    for start in range(0, 600, step):
        append(store, entries[start : start + step])
    twin = path.with_name("twin.db")
    make_store(twin, entries).close()
    for table in ("bundle", "tile"):
        with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(twin)) as two:
            query = f"SELECT * FROM {table}"  # noqa: S608 - names of our own tables
            assert one.execute(query).fetchall() == two.execute(query).fetchall()


def test_compact_hashes_are_the_tree(store: Store) -> None:
    for _ in range(5):
        append(store, attestations(130))
        reader = Reader(store.path)
        assert store.compact_hashes() == reader.left_hashes(store.size)
        reader.close()


def test_references_are_stored_that_name_an_earlier_entry(store: Store, path: Path) -> None:
    append(store, attestations(3))
    append(store, [revoke(0, 4), revoke(4), revoke(5), attestation(9, supersedes=1)])
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT * FROM reference ORDER BY source").fetchall()
    assert rows == [(0, 3, 2, 4, NOW), (1, 6, 7, 0, NOW)]


def test_head_moves_with_its_entries_or_not_at_all(store: Store, path: Path) -> None:
    entries = attestations(300)
    head = Checkpoint(ORIGIN, 300, root_of(entries))
    wrong = Checkpoint(ORIGIN, 300, root_of(entries[:299]))
    with pytest.raises(InternalError) as caught:
        store.append([frame_entries(entries)], head=(wrong, b"note"))
    assert caught.value.code == "wrong-root"
    assert stored(path) == []
    store.append([frame_entries(entries)], head=(head, sign_head(head, LOG)))
    assert (store.state.head, store.state.note) == (head, sign_head(head, LOG))


def test_head_of_an_older_size_moves_though_more_was_appended(store: Store) -> None:
    reached = append(store, attestations(300))
    append(store, attestations(300, start=300))
    store.move_head(reached, sign_head(reached, LOG))
    assert store.state.head == reached
    assert store.size == 600


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 300])
def test_equal_head_may_be_signed_again(path: Path, size: int) -> None:
    with closing(make_store(path, attestations(size))) as store:
        first = sign(store)
        assert sign(store) == first


@pytest.mark.parametrize(("size", "name"), [(5, "older"), (10, "other"), (11, "beyond")])
def test_wrong_head_is_refused(store: Store, size: int, name: str) -> None:
    append(store, attestations(7))
    sign(store)
    append(store, attestations(3, start=7))
    content = {"older": attestations(5), "other": attestations(10, start=1)}
    head = Checkpoint(ORIGIN, size, root_of(content.get(name, attestations(11))))
    with pytest.raises(InternalError) as caught:
        store.move_head(head, sign_head(head, LOG))
    assert caught.value.code == "wrong-root"
    assert store.state.head.size == 7


def test_time_of_heartbeat_never_goes_back(store: Store, path: Path) -> None:
    store.move_seen(100, b"first")
    store.move_seen(99, b"older")
    store.move_seen(100, b"again")
    assert (store.state.seen_time, store.state.seen_note) == (100, b"first")
    with closing(Store(path)) as again:
        assert again.state == store.state


def test_first_evidence_of_a_fork_stays(store: Store, path: Path) -> None:
    store.mark_fork(b"first")
    store.mark_fork(b"second")
    append(store, attestations(2))
    with closing(Store(path)) as again:
        assert again.state.fork_note == b"first"


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM tile",
        "DELETE FROM bundle",
        "UPDATE tile SET hashes = zeroblob(length(hashes))",
        "UPDATE bundle SET entries = x'0005'",
        "UPDATE log SET head_root = zeroblob(32)",
        "UPDATE log SET size = 299",
        "UPDATE log SET size = 301",
    ],
)
def test_start_refuses_a_ledger_that_does_not_lead_to_its_head(path: Path, damage: str) -> None:
    with closing(make_store(path, attestations(300))) as store:
        sign(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(damage)
    with pytest.raises(InternalError) as caught:
        Store(path)
    assert caught.value.code == "damaged-ledger"
