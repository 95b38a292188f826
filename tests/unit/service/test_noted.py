"""What operators do is in the audit log: who, what, and how it ended; nothing secret."""

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import ledgers
from chopmark.api.identity import CALLER, Caller
from chopmark.core.audit import Record
from chopmark.core.errors import ExistsError, RefusedError
from chopmark.ledger import audit as table
from chopmark.ledger.audit_check import check_audit
from chopmark.service.audit_local import noting
from chopmark.service.backup import back_up
from chopmark.service.config import parse_config
from chopmark.service.noted import NotedForks, NotedKeys, NotedRosters
from configs import BASE

TEXT = b"chopmark/roster/v1\nand so on\n"


class Sink:
    """An audit log that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, dict[str, Any]]] = []
        self.settled = 0

    def note(
        self, action: str, *, actor: str = "gateway", outcome: str = "done", **about: str | int
    ) -> None:
        self.told.append((action, actor, outcome, about))

    async def settle(self) -> None:
        self.settled += 1


class Desk:
    """Rosters and keys that do nothing, or refuse."""

    refuses = False

    def show(self) -> dict[str, Any]:
        return {}

    async def keys(self) -> list[dict[str, Any]]:
        return []

    async def _do(self, *_: object, **_more: object) -> Any:
        if self.refuses:
            raise RefusedError("roster-unsigned", "no")
        return b"done"

    sign = publish = pin = generate = activate = retire = _do


@pytest.mark.parametrize("refuses", [False, True])
async def test_each_act_is_noted_with_who_and_how_it_ended(refuses: bool) -> None:  # noqa: FBT001 - a case
    sink, desk = Sink(), Desk()
    desk.refuses = refuses
    rosters, keys = NotedRosters(desk, sink), NotedKeys(desk, sink)
    assert (rosters.show(), await keys.keys(), sink.told) == ({}, [], [])
    digest = {"digest": sha256(TEXT).hexdigest()}
    acts = [
        (lambda: rosters.sign(TEXT), "roster.signed", digest),
        (
            lambda: rosters.sign(TEXT, confirmed=True),
            "roster.signed",
            digest | {"lost": "confirmed"},
        ),
        (lambda: rosters.publish(TEXT), "roster.published", digest),
        (lambda: rosters.pin(TEXT, "words"), "roster.pinned", digest),
        (lambda: rosters.pin(b"\xff", "words"), "roster.pinned", None),
        (lambda: keys.generate("log"), "key.generated", {"role": "log"}),
        (lambda: keys.activate("v+key"), "key.activated", {"vkey": "v+key"}),
        (lambda: keys.retire("v+key"), "key.retired", {"vkey": "v+key"}),
    ]
    token = CALLER.set(Caller("uid 1000", frozenset(), frozenset(), machine=True))
    try:
        for act, action, about in acts:
            if refuses:
                with pytest.raises(RefusedError):
                    await act()
            else:
                assert await act() == b"done"
            last = sink.told[-1]
            assert last[:3] == (
                action, "uid 1000", "roster-unsigned" if refuses else "done",
            )  # fmt: skip
            assert about is None or last[3] == about
    finally:
        CALLER.reset(token)
    assert len(sink.told) == len(acts)
    assert sink.settled == (0 if refuses else len(acts)), "it is on the disk before the answer"


def test_evidence_is_noted_where_there_is_some() -> None:
    sink, found = Sink(), list[dict[str, Any]]()
    show = NotedForks(cast(Any, SimpleNamespace(describe=lambda: found)), sink).describe
    assert (show(), sink.told) == ([], [])
    found.append({"id": "sz-1"})
    assert show() == found
    assert [(one[0], one[3]) for one in sink.told] == [("evidence.shown", {"count": 1})]


def newest(path: Path) -> Record:
    assert check_audit(path).findings == []
    with closing(sqlite3.connect(path)) as db:
        return next(table.walk_back(db))


def test_backup_is_noted_and_so_is_one_that_fails(tmp_path: Path) -> None:
    text = BASE.replace('jurisdiction = "HK"', f'jurisdiction = "HK"\nstate = "{tmp_path}"')
    config, target = parse_config(text.encode()), tmp_path / "copy.db"
    ledgers.make_store(tmp_path / "log.db", ledgers.attestations(3)).close()
    back_up(config, target)
    made = newest(tmp_path / "log.db")
    assert (made.action, made.outcome) == ("ledger.copied", "done")
    assert made.about == {"file": str(target), "entries": 3}
    assert made.actor.startswith("local uid=")
    with pytest.raises(ExistsError):
        back_up(config, target)
    assert newest(tmp_path / "log.db").outcome == "file-exists"


def test_work_is_not_held_up_by_an_audit_log_that_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with noting(tmp_path / "none.db", "ledger.recovered"):
        pass
    assert caplog.records == []
    monkeypatch.setattr("chopmark.ledger.schema.BUSY_MS", 1)
    path = tmp_path / "log.db"
    ledgers.make_store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with noting(path, "ledger.copied"):
            pass
    assert [one.levelname for one in caplog.records] == ["WARNING"]
