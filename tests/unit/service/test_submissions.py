"""`add-checkpoint` (C2SP tlog-witness) over HTTP: every status, and what is stored before it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

import ledgers
import trees
from chopmark.api.app import create_app
from chopmark.api.submissions import make_witness_routes
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ChopmarkError, InternalError, TryAgainError
from chopmark.core.keys import VerifierKey
from chopmark.core.note import Signature, parse_note, verify_note
from chopmark.core.text import encode_base64
from chopmark.ledger.cosigned import Cosigned, move_cosigned
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.witness import open_cosigner
from chopmark.service.config_model import WitnessLog
from chopmark.service.submissions import Desk, Own, Submissions
from chopmark.service.witnessed import foreign_logs, member_log
from fakegateway import FakeGateway
from oneapi import as_anybody
from softkeys import SoftKey, cosigner, ed25519_key, log_key, sign_head

ORIGIN = "example.com/behind-the-sofa"
FOREIGN = ed25519_key(ORIGIN, 21)
OURS = "bank-hk.example/hk-1"
OWN_LOG = log_key(OURS, 22)
COSIGNER = cosigner(f"{OURS}/cosigner", 23)
WITNESS = cosigner(f"{OURS}/witness", 24)
LEAVES = trees.numbered(40)
NOW = ledgers.NOW // 1000


@dataclass
class Hsm(ledgers.SoftSigner):
    """With a witness key, and two looks at what is cosigned by which key."""

    log: SoftKey = OWN_LOG
    second: SoftKey = COSIGNER
    third: SoftKey | None = WITNESS
    foreign: list[Checkpoint] = field(default_factory=list)

    @property
    def witness_key(self) -> VerifierKey | None:
        return self.third.vkey if self.third is not None else None

    async def cosign_foreign(self, checkpoint: Checkpoint, time: int) -> Signature:
        self.asked.set()
        await self.gate.wait()
        if self.away:
            raise TryAgainError("hsm-away", "the HSM is away", retry_after=5)
        assert self.third is not None
        self.foreign.append(checkpoint)
        return self.third.sign(checkpoint.encode(), time)


@dataclass
class Box:
    """A gateway's witness and a client of it."""

    client: httpx.AsyncClient
    witness: Submissions
    hsm: Hsm
    clock: ledgers.Clock
    log: Log
    replica: Replica
    shown: list[bytes]
    refusal: ChopmarkError | None = None

    async def add(self, body: bytes) -> httpx.Response:
        return await self.client.post("/add-checkpoint", content=body)

    async def row(self, key: SoftKey = WITNESS, origin: str = ORIGIN) -> tuple[int, int] | None:
        query = "SELECT size, time FROM cosigner WHERE origin = ? AND vkey = ?"
        values = (origin, key.vkey.encode())
        found: tuple[int, int] | None = await self.log.write(
            lambda store: store.change(lambda db: db.execute(query, values).fetchone())
        )
        return found


@asynccontextmanager
async def opened(folder: Path, logs: tuple[WitnessLog, ...] | None = None) -> AsyncIterator[Box]:
    clock, hsm, shown = ledgers.Clock(), Hsm(), []
    known = logs or (WitnessLog(origin=ORIGIN, vkey=FOREIGN.vkey.encode()),)

    async def observe(note: bytes) -> None:
        shown.append(note)

    async with ledgers.opened(folder) as log, ledgers.replicating(folder, clock) as replica:
        witnessed = [
            member_log(replica, await open_cosigner(log, hsm)),
            *foreign_logs(log, known, hsm),
        ]
        own = Own(OURS, (OWN_LOG.vkey,), observe)
        witness = Submissions(own, lambda: witnessed, clock, lambda: box.refusal)
        app = create_app(FakeGateway(), more=make_witness_routes(witness, FakeGateway()))
        transport = httpx.ASGITransport(as_anybody(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            box = Box(client, witness, hsm, clock, log, replica, shown)
            yield box


def head(size: int, leaves: list[bytes] = LEAVES, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, trees.root(leaves[:size]))


def body(old: int, new: int, leaves: list[bytes] = LEAVES, key: SoftKey = FOREIGN) -> bytes:
    proof = trees.proof(old, leaves[:new]) if 0 < old <= new else []
    lines = "".join(f"{encode_base64(one)}\n" for one in proof)
    return f"old {old}\n{lines}\n".encode() + sign_head(head(new, leaves, key.name), key)


def check(answer: httpx.Response, size: int, key: SoftKey = WITNESS, log: SoftKey = FOREIGN) -> int:
    """The answer cosigns the head of this size; gives the time."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        200, "text/plain; charset=utf-8",
    )  # fmt: skip
    assert answer.text.startswith("— ")
    note = parse_note(sign_head(head(size, origin=log.name), log) + answer.content)
    verified = {one.key: one.time for one in verify_note(note, (log.vkey, key.vkey))}
    assert len(verified) == 2
    return verified[key.vkey]


async def test_log_of_others_is_cosigned_step_by_step(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        for old, new in ((0, 0), (0, 3), (3, 8), (8, 8), (8, 40)):
            box.clock.now += 1000
            time = check(await box.add(body(old, new)), new)
            assert await box.row() == (new, time) == (new, box.clock.now // 1000)
        assert box.hsm.heads == []


async def test_same_size_is_cosigned_anew_once_a_second(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        first = await box.add(body(0, 3))
        assert (await box.add(body(3, 3))).content == first.content
        assert len(box.hsm.foreign) == 1
        box.clock.now += 1000
        assert check(await box.add(body(3, 3)), 3) == NOW + 1


async def test_state_outlives_the_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        check(await box.add(body(0, 5)), 5)
    async with opened(tmp_path) as box:
        assert (await box.add(body(0, 9))).status_code == 409
        check(await box.add(body(5, 9)), 9)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (b"", 400, "malformed-submission"),
        (body(3, 2), 400, "malformed-submission"),
        (body(0, 3).replace(b"\n3\n", b"\n3\nmore\n"), 400, "malformed-checkpoint"),
        (body(0, 3, key=ed25519_key("other.example/log", 21)), 404, "unknown-log"),
        (body(0, 3, key=ed25519_key(ORIGIN, 99)), 403, "not-signed-by-log"),
        (body(0, 3).replace(b"\n3\n", b"\n4\n"), 403, "not-signed-by-log"),
        (body(5, 9, trees.numbered(9, seed=1)), 422, "bad-consistency"),
        (body(5, 9).replace(b"old 5\n", b"old 5\n" + b"A" * 43 + b"=\n"), 422, "bad-consistency"),
        (body(5, 5, trees.numbered(9, seed=1)), 422, "bad-consistency"),
    ],
)
async def test_what_breaks_a_rule_has_the_status_of_the_specification(
    tmp_path: Path, asked: bytes, status: int, code: str
) -> None:
    async with opened(tmp_path) as box:
        check(await box.add(body(0, 5)), 5)
        answer = await box.add(asked)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert await box.row() == (5, NOW)
        assert len(box.hsm.foreign) == 1


async def test_stale_old_size_is_409_with_the_size(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        for old, size in ((2, 0), (0, 5), (4, 5), (6, 5)):
            if size:
                await box.add(body(0, 5))
            answer = await box.add(body(old, 9))
            assert answer.status_code == 409
            assert answer.headers["content-type"] == "text/x.tlog.size"
            assert answer.text == f"{size}\n"
        get = await box.client.get("/add-checkpoint")
        assert (get.status_code, get.headers["allow"]) == (405, "POST")


async def test_empty_log_with_another_root_is_422(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        signed = sign_head(Checkpoint(ORIGIN, 0, b"x" * 32), FOREIGN)
        assert (await box.add(b"old 0\n\n" + signed)).status_code == 422
        check(await box.add(body(0, 0)), 0)


async def test_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        assert (await box.add(b"old 0\n" + b"x" * 70_000)).status_code == 413


async def test_gateway_without_a_witness_key_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        box.hsm.third = None
        answer = await box.add(body(0, 3))
        assert (answer.status_code, answer.json()["code"]) == (404, "no-witness-key")
        assert "chopmark witness init" in answer.json()["hint"]


async def test_hsm_clock_and_gate_make_it_503(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        check(await box.add(body(0, 3)), 3)
        box.hsm.away = True
        box.clock.now += 1000
        assert (await box.add(body(3, 5))).json()["code"] == "hsm-away"
        box.hsm.away = False
        box.clock.now -= 2000
        assert (await box.add(body(3, 5))).json()["code"] == "clock-wrong"
        box.clock.now += 2000
        box.refusal = TryAgainError("log-behind", "restored from an old disk", retry_after=60)
        answer = await box.add(body(3, 5))
        assert (answer.status_code, answer.json()["code"]) == (503, "log-behind")
        assert answer.headers["retry-after"] == "60"
        assert await box.row() == (3, NOW)
        box.refusal = None
        check(await box.add(body(3, 5)), 5)


async def test_pinned_head_is_where_a_log_begins(tmp_path: Path) -> None:
    root = encode_base64(head(5).root)
    log = WitnessLog(origin=ORIGIN, vkey=FOREIGN.vkey.encode(), size=5, root=root)
    async with opened(tmp_path, (log,)) as box:
        assert (await box.add(body(0, 9))).text == "5\n"
        forked = body(5, 9, trees.numbered(9, seed=1))
        assert (await box.add(forked)).status_code == 422
        check(await box.add(body(5, 9)), 9)


async def test_requests_at_once_leave_the_row_at_the_newest(tmp_path: Path) -> None:
    """The race of the specification: B is stored while A is being cosigned."""
    async with opened(tmp_path) as box:
        check(await box.add(body(0, 3)), 3)
        box.hsm.gate.clear()
        box.hsm.asked.clear()
        slow = asyncio.create_task(box.add(body(3, 5)))
        await box.hsm.asked.wait()
        other = asyncio.create_task(box.add(body(3, 9)))
        newer = Cosigned(20, head(20).root, NOW, b"")
        old = Cosigned(3, head(3).root, NOW)
        vkey = WITNESS.vkey.encode()
        assert await box.log.write(
            lambda store: store.change(lambda db: move_cosigned(db, ORIGIN, vkey, old, newer))
        )
        box.hsm.gate.set()
        for answer in (await slow, await other):
            assert (answer.status_code, answer.text) == (409, "20\n")
        assert await box.row() == (20, NOW)


async def test_members_log_waits_for_its_replica_and_gets_the_cosigner_key(tmp_path: Path) -> None:
    source = ledgers.Source(ledgers.attestations(12))
    leaves = source.leaves
    async with opened(tmp_path) as box:
        asked = body(0, 8, leaves, ledgers.LOG)
        early = await box.add(asked)
        assert (early.status_code, early.json()["code"]) == (503, "not-replicated")
        assert int(early.headers["retry-after"]) > 0
        assert box.replica.missing == 8, "the head was taken to the replica"
        assert await box.row(COSIGNER, ledgers.ORIGIN) is None
        await box.replica.ingest(source.packages(0, 8))
        answer = await box.add(asked)
        lines = sign_head(source.head(8), ledgers.LOG) + answer.content
        keys = (ledgers.LOG.vkey, COSIGNER.vkey)
        assert len(verify_note(parse_note(lines), keys)) == 2
        assert await box.row(COSIGNER, ledgers.ORIGIN) == (8, NOW)
        assert box.hsm.foreign == []
        await box.replica.ingest(source.packages(8, 12))
        late = await box.add(body(8, 8, leaves, ledgers.LOG))
        assert late.json()["code"] == "not-replicated", "it would be called the newest"
        assert (await box.add(body(8, 12, leaves, ledgers.LOG))).status_code == 200


async def test_forked_member_is_found_out_and_not_cosigned(tmp_path: Path) -> None:
    source = ledgers.Source(ledgers.attestations(12))
    fork = trees.numbered(12, seed=2)
    async with opened(tmp_path) as box:
        await box.replica.ingest(source.packages(0, 12))
        answer = await box.add(body(0, 12, fork, ledgers.LOG))
        assert (answer.status_code, answer.json()["code"]) == (422, "log-forked")
        assert box.replica.conflict is not None
        good = await box.add(body(0, 12, source.leaves, ledgers.LOG))
        assert good.status_code == 422


async def test_own_log_is_looked_at_and_never_cosigned(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        answer = await box.add(body(0, 3, key=OWN_LOG))
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-log")
        assert box.shown == [sign_head(head(3, origin=OURS), OWN_LOG)]
        assert (await box.add(body(0, 3, key=log_key(OURS, 99)))).status_code == 403
        assert len(box.shown) == 1


async def test_newest_cosigned_checkpoint_is_served(tmp_path: Path) -> None:
    path = f"/witness/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    async with opened(tmp_path) as box:
        missing = await box.client.get(path)
        assert (missing.status_code, missing.json()["code"]) == (404, "not-cosigned")
        line = (await box.add(body(0, 3))).content
        await box.add(body(3, 9))
        line = (await box.add(body(9, 9))).content
        answer = await box.client.get(path)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.content == sign_head(head(9), FOREIGN) + line
        for other in (path.upper(), path.replace("witness/", "witness/0"), "/witness/x/checkpoint"):
            assert (await box.client.get(other)).status_code == 404


async def test_commit_of_which_nobody_knows_ends_the_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as box:
        running = asyncio.create_task(box.witness.run())
        desk = box.witness.logs()[1].desk

        async def fail(*_: object) -> None:
            raise InternalError("commit-unknown", "nobody knows")

        witnessed = replace(box.witness.logs()[1], desk=FailingDesk(desk, fail))
        box.witness.logs = lambda: [witnessed]
        assert (await box.add(body(0, 3))).status_code == 500
        with pytest.raises(InternalError):
            await asyncio.wait_for(running, 30)


@dataclass
class FailingDesk:
    """A desk whose disk gives no answer."""

    desk: Desk
    cosign: Callable[..., Awaitable[None]]

    @property
    def key(self) -> VerifierKey | None:
        return self.desk.key

    async def last(self) -> Cosigned | None:
        return await self.desk.last()
