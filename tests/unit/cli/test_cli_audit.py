"""`chopmark audit` on a ledger on disk: check, prune, and files checked offline."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import audits
from chopmark.core.audit import Record
from chopmark.core.audit_proof import parse_audit_proof
from chopmark.core.entry import Commitment, encode_entry
from chopmark.core.errors import TryAgainError
from chopmark.ledger import audit as table
from chopmark.ledger.audit_check import check_audit
from chopmark.ledger.epoch import Epochs
from chopmark.ledger.replace import replace_ledger
from chopmark.ledger.store import Store, create_store
from chopmark.service.audit_local import note_locally
from commandline import Run
from configs import BASE
from ledgers import KEYS, LOG, append, sign

DAY = 86_400_000
KEY = LOG.vkey.encode()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with three days of an audit log, two of them logged and signed."""
    state = tmp_path / "state"
    state.mkdir()
    create_store(state / "log.db", *KEYS)
    with closing(Store(state / "log.db")) as store:
        fill(store)
    config = tmp_path / "gateway.toml"
    config.write_text(
        BASE.replace('jurisdiction = "HK"', f'jurisdiction = "HK"\nstate = "{state}"')
    )
    monkeypatch.setenv("CHOPMARK_CONFIG", str(config))
    return state / "log.db"


def fill(store: Store) -> None:
    times = [0, 1, DAY, 2 * DAY, 2 * DAY, 3 * DAY]
    made = [
        (Record(audits.NOW + time, "gateway", "hsm.changed", about={"n": n}), audits.salt(n))
        for n, time in enumerate(times)
    ]
    store.change(lambda db: table.append(db, made))
    days = store.change(table.read_unlogged)
    for day in days[:2]:
        entry = store.size
        append(store, [encode_entry(Commitment(audits.NOW, 5, day.value()))])
        store.change(lambda db, n=day.number, e=entry: table.mark_logged(db, n, e))
    sign(store)


def test_prune_writes_a_file_that_holds_and_leaves_a_log_that_is_whole(
    ledger: Path, run: Run
) -> None:
    done = run("audit", "prune", "--before", "2026-12-01", "--output", "days")
    assert done.code == 0
    assert "3 records of 2 days" in done.out
    report = check_audit(ledger)
    assert (report.findings, report.pruned, report.records) == ([], 2, 4)
    assert run("audit", "check").code == 0
    assert run("audit", "check", "days", "--log-key", KEY).code == 0
    told = json.loads(run("audit", "check", "days", "--log-key", KEY, "--json").out)
    assert (told["days"], told["records"], told["from"]) == (2, 3, "2026-11-22")
    again = run("audit", "prune", "--before", "2026-12-01", "--output", "more", "--json")
    assert json.loads(again.out) == {"days": 0, "records": 0, "file": None}
    assert not Path("more").exists()
    assert run("audit", "prune", "--before", "2026-12-01", "--output", "days").code == 73


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"salt":"', '"salt":"A'),
        ('"date":"2026-11-22"', '"date":"2026-11-21"'),
        ('"first":2', '"first":3'),
        ('"origin":"bank', '"origin":"tank'),
        ("\\nindex 1\\n", "\\nindex 0\\n"),
        ('"before":"AAAA', '"before":"BAAA'),
        ('"count":2', '"count":1'),
        ('"count":1', '"count":0'),
    ],
)
def test_changed_file_of_days_does_not_hold(ledger: Path, run: Run, old: str, new: str) -> None:
    assert ledger.exists()
    run("audit", "prune", "--before", "2026-12-01", "--output", "days")
    text = Path("days").read_text()
    assert old in text
    Path("days").write_text(text.replace(old, new, 1))
    assert run("audit", "check", "days", "--log-key", KEY).code in {10, 65}


def test_file_of_days_without_one_of_them_does_not_hold(ledger: Path, run: Run) -> None:
    assert ledger.exists()
    run("audit", "prune", "--before", "2026-12-01", "--output", "days")
    lines = Path("days").read_text().splitlines(keepends=True)
    for kept in (lines[:3], [*lines[:2], *lines[3:]], [*lines[:1], *lines[4:], *lines[1:4]]):
        Path("days").write_text("".join(kept))
        assert run("audit", "check", "days", "--log-key", KEY).code in {10, 65}


def test_damage_is_found_and_nothing_damaged_is_taken_out(ledger: Path, run: Run) -> None:
    with closing(sqlite3.connect(ledger)) as db, db:
        db.execute("UPDATE audit_record SET salt = zeroblob(32) WHERE number = 1")
    done = run("audit", "check")
    assert done.code == 10
    assert "audit-chain" in done.out
    assert json.loads(run("audit", "check", "--json").out)["findings"][0]["code"] == "audit-chain"
    done = run("audit", "prune", "--before", "2026-12-01", "--output", "days")
    assert done.code == 70
    assert check_audit(ledger).pruned == 0


def test_proof_is_checked_offline_by_key_or_policy(run: Run) -> None:
    proof = audits.audit_proof(3, audits.day(0, 0, 7), LOG, {})
    Path("proof").write_bytes(proof.encode())
    Path("policy").write_text(f"log {KEY}\nquorum none\n")
    for trust in (("--log-key", KEY), ("--policy", "policy")):
        done = run("audit", "check", "proof", *trust)
        assert done.code == 0
        assert "customer's request" in done.out
    Path("proof").write_bytes(proof.encode().replace(b"\nindex 3", b"\nindex 4", 1))
    assert run("audit", "check", "proof", "--log-key", KEY).code == 10
    assert json.loads(run("audit", "check", "proof", "--log-key", KEY, "--json").out)["findings"]
    assert parse_audit_proof(proof.encode()) == proof


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "proof"),
        ("check", "proof", "--log-key", KEY, "--policy", "policy"),
        ("check", "--log-key", KEY),
        ("prune", "--before", "yesterday", "--output", "days"),
        ("show", "--limit", "0"),
    ],
)
def test_wrong_usage_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("audit", *arguments).code == 64


def test_earlier_roots_are_told_and_no_finding(ledger: Path, run: Run) -> None:
    with closing(sqlite3.connect(ledger)) as db, db:
        db.execute("DELETE FROM audit_day")
        db.execute("DELETE FROM audit_record")
    done = run("audit", "check")
    assert (done.code, "2 roots in the ledger" in done.out) == (0, True)


def test_local_note_goes_on_with_the_chain(ledger: Path) -> None:
    note_locally(ledger, "backup.taken", outcome="no-room", to="/mnt/" + "é" * 200, size=5)
    with closing(sqlite3.connect(ledger)) as db:
        record = next(table.walk_back(db))
    assert (record.action, record.outcome, record.about["size"]) == ("backup.taken", "no-room", 5)
    assert record.actor.startswith("local uid=")
    assert check_audit(ledger).findings == []


def test_local_note_that_cannot_be_written_is_an_error(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chopmark.ledger.schema.BUSY_MS", 1)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryAgainError, match="takes nothing"):
            note_locally(ledger, "backup.taken")


@pytest.fixture
def recovered(tmp_path: Path) -> Path:
    """The ledger that comes back from the peers: it has the first root only."""
    create_store(tmp_path / "new.db", *KEYS)
    return tmp_path / "new.db"


def test_audit_log_goes_on_in_a_recovered_ledger(ledger: Path, recovered: Path) -> None:
    with closing(Store(ledger)) as old, closing(Store(recovered)) as new:
        day = old.change(table.read_days)[0].day
        append(new, [encode_entry(Commitment(audits.NOW, 5, day.value()))])
    replace_ledger(ledger, recovered, Epochs(), recovered.with_name("index"))
    report = check_audit(ledger)
    assert (report.findings, report.days, report.logged, report.records) == ([], 3, 1, 6)
    note_locally(ledger, "recover.done")
    assert check_audit(ledger).findings == []
