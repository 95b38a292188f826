"""The audit log on its way to a SIEM: a real rsyslog with TLS, and a real store."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from documents import attest, revoke, some_document

from audits import salt
from chopmark.core.audit import Record
from chopmark.core.syslog import Sender
from chopmark.ledger import audit as table
from chopmark.ledger.audit_sent import read_sent
from chopmark.ledger.log import Log
from chopmark.ledger.schema import connect
from chopmark.service import audit_syslog as module
from chopmark.service.audit_syslog import AuditSyslog
from chopmark.service.config_model import Syslog
from ledgers import NOW, Clock, opened
from rig.authority import DAY, Authority
from rig.gateway import HONG_KONG, Cluster, Gateway
from rig.patience import PATIENCE
from syslogd import CLIENT, NAME, Received, Syslogd

ORIGIN = "bank-hk.example/hk-1"


@pytest.fixture(scope="module")
def syslogd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syslogd]:
    made = Syslogd(tmp_path_factory.mktemp("syslog"))
    made.start()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"SETTLE": 0.2, "LOOK": 0.02, "FIRST": 0.05, "TOP": 0.1}.items():
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with opened(tmp_path) as made:
        yield made


def settings(syslogd: Syslogd, **changes: object) -> Syslog:
    pair = syslogd.folder / f"{CLIENT}.pem", syslogd.folder / f"{CLIENT}.key"
    if not pair[0].exists():
        syslogd.authority.issue(CLIENT, hosts=(CLIENT,))
    values = {"host": "127.0.0.1", "port": syslogd.port, "name": NAME} | changes
    certificate = {"certificate": pair[0], "key": pair[1]}
    return Syslog(**({"ca": syslogd.authority.path} | certificate | values))  # type: ignore[arg-type]


def exporter(log: Log, syslog: Syslog, run: str) -> AuditSyslog:
    """An exporter whose messages can be told from those of other tests by the id of `run`."""
    return AuditSyslog(syslog, Sender("box-1", run, ORIGIN), log, Clock())


@asynccontextmanager
async def running(exported: AuditSyslog) -> AsyncIterator[None]:
    task = asyncio.create_task(exported.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def note(log: Log, first: int, count: int = 1, **about: str | int) -> None:
    numbers = range(first, first + count)
    made = [
        (Record(NOW + n, "unix uid=1000", "revocation", "done", about), salt(n)) for n in numbers
    ]
    await log.write(lambda store: store.change(partial(table.append, records=made)))


def of(syslogd: Syslogd, run: str) -> list[Received]:
    return [one for one in syslogd.messages() if f'[record@32473 id="{run}"' in one.data]


def numbers(messages: list[Received]) -> list[int]:
    return [int(re.findall(r' number="(\d+)"', one.data)[0]) for one in messages]


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def position(log: Log) -> int:
    return (await log.read(lambda reader, _: reader.look(read_sent))).number


async def test_records_arrive_in_order_with_what_they_say(syslogd: Syslogd, log: Log) -> None:
    await note(log, 0, index=5, reason='a "bad" ] \\ one\n')
    await note(log, 1, 600)
    exported = exporter(log, settings(syslogd), "order")
    async with running(exported):
        await until(lambda: len(of(syslogd, "order")) == 601)
        await until(lambda: exported.connected and exported.describe()["sent"] == 601)
        assert (exported.waiting, exported.lag, exported.alarms()) == (0, 0.0, [])
    found = of(syslogd, "order")
    assert numbers(found) == list(range(601))
    first = found[0]
    assert (first.facility, first.severity) == ("audit", "notice")
    assert (first.host, first.app, first.process, first.id) == (
        "box-1",
        "chopmark",
        "-",
        "revocation",
    )
    chain = (await log.read(lambda r, _: r.look(lambda db: table.read_today(db)[0]))).chain.hex()
    assert f'number="0" chain="{chain}" actor="unix uid=1000" action="revocation"' in first.data
    assert r'[about@32473 index="5" reason="a \"bad\" \] \\ one' in first.data
    assert await position(log) == 600


async def test_receiver_that_is_away_and_killed_gets_everything(
    syslogd: Syslogd, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long it takes to write, it is killed before what it took counts as sent.
    monkeypatch.setattr(module, "SETTLE", 10 * PATIENCE)
    syslogd.end()
    exported = exporter(log, settings(syslogd), "away")
    await note(log, 0, 300)
    async with running(exported):
        await until(lambda: exported.describe()["state"] == "away" and exported.waiting == 300)
        assert exported.describe()["reason"] == "Connection refused"
        syslogd.start()
        await until(lambda: of(syslogd, "away"))
        syslogd.end()  # what it had taken and not written is lost with it
        await note(log, 300, 5)
        syslogd.start()
        await until(lambda: set(numbers(of(syslogd, "away"))) == set(range(305)))
        monkeypatch.setattr(module, "SETTLE", 0.2)
        await until(lambda: exported.describe()["sent"] == 305)
    chains = {one.data.partition("chain=")[2][:66] for one in of(syslogd, "away")}
    assert len(chains) == 305, "a record that comes twice has the same chain both times"


async def test_restart_goes_on_where_it_was(syslogd: Syslogd, log: Log) -> None:
    await note(log, 0, 10)
    exported = exporter(log, settings(syslogd), "again")
    async with running(exported):
        await until(lambda: exported.describe()["sent"] == 10)
    await note(log, 10, 3)
    async with running(exporter(log, settings(syslogd), "again")):
        await until(lambda: len(of(syslogd, "again")) == 13)
    assert numbers(of(syslogd, "again")) == list(range(13))


async def test_audit_log_that_was_begun_anew_is_sent_from_its_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        await note(log, 0, 3)
        rows = await log.read(lambda reader, _: reader.look(table.read_today))
        for number, chain, known in ((2, rows[2].chain, 2), (2, b"another", -1), (3, b"", -1)):
            with connect(tmp_path / "log.db") as db:
                db.execute("INSERT OR REPLACE INTO audit_sent VALUES (1, ?, ?)", (number, chain))
            db.close()
            assert await position(log) == known


async def test_backlog_of_hours_is_an_alarm_with_the_reason(syslogd: Syslogd, log: Log) -> None:
    await note(log, 0, 2)
    exported = exporter(log, settings(syslogd, port=1), "late")
    exported._clock.now += 3 * 3_600_000  # type: ignore[attr-defined]
    async with running(exported):
        await until(lambda: exported.alarms() and exported.describe()["reason"])
        (alarm,) = exported.alarms()
    assert alarm["code"] == "audit-waiting"
    assert alarm["message"] == "2 audit records wait for 127.0.0.1:1: Connection refused"
    assert "firewall" in alarm["hint"]
    assert exported.lag == pytest.approx(3 * 3600, abs=1)


def _wrong(syslogd: Syslogd, case: str) -> dict[str, object]:
    folder = syslogd.folder
    other = Authority(folder, "other")
    stranger = other.issue(CLIENT, file="stranger", hosts=(CLIENT,))
    wrong_name = syslogd.authority.issue("mo-1", hosts=("mo-1",))
    cases: dict[str, dict[str, object]] = {
        "other-ca": {"ca": other.path},
        "other-name": {"name": "mallory.example"},
        "no-certificate": {"certificate": None, "key": None},
        "stranger": {"certificate": stranger.certificate, "key": stranger.key},
        "not-permitted": {"certificate": wrong_name.certificate, "key": wrong_name.key},
        "key-of-another": {"key": stranger.key},
        "no-ca-file": {"ca": folder / "missing.crt"},
        "ca-is-no-pem": {"ca": folder / "rsyslog.conf"},
        "no-key-file": {"key": folder / "missing.key"},
        "unknown-host": {"host": "siem.invalid"},
    }
    return cases[case]


@pytest.mark.parametrize(
    ("case", "reason", "hint"),
    [
        ("other-ca", "certificate is refused: unable to get local issuer certificate", "`ca`"),
        ("other-name", "certificate is refused: Hostname mismatch", "`name`"),
        ("no-certificate", "has ended the connection", "our certificate"),
        ("stranger", "has ended the connection", "our certificate"),
        ("not-permitted", "has ended the connection", "our certificate"),
        ("key-of-another", "cannot be used: key values mismatch", "belong together"),
        ("no-ca-file", "missing.crt cannot be used: No such file", "`ca`"),
        ("ca-is-no-pem", "rsyslog.conf cannot be used: no certificate", "`ca`"),
        ("no-key-file", "missing.key cannot be used: No such file", "`key`"),
        ("unknown-host", "its name is not known", "DNS"),
    ],
)
async def test_what_is_wrong_with_a_connection_is_said_and_nothing_is_lost(
    syslogd: Syslogd,
    log: Log,
    case: str,
    reason: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nothing counts as sent before the receiver has refused us, however long it takes.
    monkeypatch.setattr(module, "SETTLE", 10 * PATIENCE)
    await note(log, 0)
    exported = exporter(log, settings(syslogd, **_wrong(syslogd, case)), case)
    async with running(exported):
        await until(lambda: exported.describe()["state"] == "away")
        said = exported.describe()
        assert reason in said["reason"]
        assert hint in said["hint"]
    assert of(syslogd, case) == []
    assert await position(log) == -1


async def test_certificate_of_the_receiver_that_has_expired_is_said(
    tmp_path: Path, log: Log
) -> None:
    other = Syslogd(tmp_path / "syslog")
    other.start(other.authority.issue(NAME, -DAY, "expired", hosts=(NAME,)))
    try:
        exported = exporter(log, settings(other), "expired")
        async with running(exported):
            await until(lambda: exported.describe()["state"] == "away")
    finally:
        other.end()
    said = exported.describe()
    assert "certificate has expired" in said["reason"]
    assert "new certificate" in said["hint"]


def test_gateway_sends_what_is_done_to_it(tmp_path: Path, syslogd: Syslogd) -> None:
    cluster = Cluster(tmp_path / "c", (HONG_KONG,))
    gateway = cluster["hk-1"]
    try:
        syslog = settings(syslogd)
        files = {"ca": syslog.ca, "certificate": syslog.certificate, "key": syslog.key}
        values = {"host": "127.0.0.1", "name": NAME, **files}
        lines = [f'{key} = "{value}"' for key, value in values.items()]
        text = "\n".join(["", "[audit.syslog]", f"port = {syslogd.port}", *lines, ""])
        gateway.config.write_text(gateway.config.read_text() + text)
        gateway.start()
        revoke(gateway, attest(gateway, some_document("to be revoked"))["index"], 3)
        gateway.wait_for(lambda: len(of(syslogd, "hk-1")) == 2, "to have sent both")
        gateway.wait_for(lambda: syslog_of(gateway)["waiting"] == 0, "to say so")
        assert syslog_of(gateway)["reason"] is None
    finally:
        cluster.stop()
    started, revoked = of(syslogd, "hk-1")
    assert (started.id, revoked.id) == ("daemon.started", "revocation")
    assert 'origin="bank-hk.example/hk-1" number="1"' in revoked.data
    assert revoked.text.strip() == f"revocation by uid {os.getuid()}: done"


def syslog_of(gateway: Gateway) -> dict[str, Any]:
    return gateway.get("/v1/status")["audit"]["syslog"]  # type: ignore[no-any-return]
