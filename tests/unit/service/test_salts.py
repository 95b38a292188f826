"""Blinding over a real log: what is kept for a day, under keys that a token of ours keeps."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anybody import ANYBODY
from chopmark.api.identity import CALLER, Caller, Role
from chopmark.core.blinding import SaltKey, salt_at
from chopmark.core.catalogue import Catalogue
from chopmark.core.check import compare
from chopmark.core.checkpoint import open_checkpoint
from chopmark.core.compact import Header, make_drafts
from chopmark.core.digest import Digests
from chopmark.core.draft import Asking, Draft, Drafts
from chopmark.core.entry import Attestation, parse_entry
from chopmark.core.errors import (
    ChopmarkError,
    ForbiddenError,
    MalformedError,
    MissingError,
    RefusedError,
    TryAgainError,
)
from chopmark.core.proof import Extra, parse_extra, parse_proof
from chopmark.core.prover import RunProver
from chopmark.core.roster import CatalogueKind
from chopmark.core.verdict import Match
from chopmark.ledger.log import Log
from chopmark.ledger.seeds import KEPT, forget_seeds
from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.worker import Worker
from chopmark.service.gateway import GatewayService
from chopmark.service.salts import PERIOD, Salts
from ledgers import COSIGNER, LOG, NOW, ORIGIN, Clock, SoftSigner, digest, member, opened
from meshes import running
from softtoken import SoftSafe

LONG = 30.0
HOUR = 3_600_000


class Desk:
    """A log with its sequencer and salts, and a clock and a token that the test moves."""

    def __init__(self, log: Log, worker: Worker) -> None:
        self.log = log
        self.worker = worker
        self.clock = Clock()
        self.safe = SoftSafe()
        self.sequencer = Sequencer(log, SoftSigner(), self.clock)
        self.salts = self.start()

    def start(self) -> Salts:
        """As a start of the gateway."""
        self.salts = Salts(self.log, self.safe, self.clock, self.worker)
        return self.salts

    async def attest(self, *numbers: int) -> int:
        """Attest documents blinded, in one run; gives the first index."""
        drafts = [Draft(digest(n), "kyc", digest(n + 1), blinded=True) for n in numbers]
        hidden = await self.salts.hide(drafts)
        made = await self.sequencer.record(hidden.drafts, LONG, sealed=hidden.sealed)
        assert await self.sequencer.wait_signed(made.start + made.count - 1, LONG)
        return made.start

    async def match(self, index: int, number: int) -> Match:
        """How a document compares with the proof of an entry, as the issuer gives it now."""
        proof = await self.log.read(lambda reader, state: reader.proof(index, state))
        extra = parse_extra(proof.extra)
        entry = parse_entry(extra.entry)
        assert isinstance(entry, Attestation)
        return compare(entry, Digests(digest(number), digest(number + 1)), ORIGIN, extra.salt)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    worker = Worker("blind")
    async with opened(tmp_path) as log:
        made = Desk(log, worker)
        async with running(made.sequencer.run()):
            yield made
    worker.close()


async def code_of(call: object, kind: type[ChopmarkError] = MissingError) -> str:
    with pytest.raises(kind) as caught:
        await call  # type: ignore[misc]  # an awaitable
    return caught.value.code


async def test_proof_shows_what_was_attested_and_nothing_else_does(desk: Desk) -> None:
    index = await desk.attest(1, 5, 9)
    assert [await desk.match(index + at, n) for at, n in enumerate((1, 5, 9))] == [Match.ALL] * 3
    assert await desk.match(index, 5) == Match.DIFFERS
    bare = await desk.log.read(lambda reader, state: reader.proof(index, state, bare=True))
    assert parse_extra(bare.extra).salt is None


async def test_runs_that_wait_together_share_one_call_into_the_hsm_and_no_seed(
    desk: Desk,
) -> None:
    await desk.attest(0)
    before = desk.safe.drawn
    drafts = [[Draft(digest(n), "kyc", blinded=True)] for n in range(20)]
    made = await asyncio.gather(*map(desk.salts.hide, drafts))
    assert desk.safe.drawn - before == 1
    assert len({one.seed for one in made}) == 20
    assert len({one.sealed.box for one in made}) == 20


async def test_bare_drafts_of_a_run_stay_bare_and_each_has_its_place(desk: Desk) -> None:
    drafts = [
        Draft(digest(0), "document"),
        Drafts(digest(1) + digest(2), "kyc", blinded=True),
    ]
    hidden = await desk.salts.hide(drafts, first=40)
    assert hidden.drafts[0] == drafts[0]
    assert hidden.drafts[1] != drafts[1]
    assert desk.salts.open(hidden.sealed) == hidden.seed
    assert salt_at(hidden.seed, 41) != salt_at(hidden.seed, 42)
    assert hidden.sealed.first == 40


async def test_bad_draft_is_its_own_caller_s_affair(desk: Desk) -> None:
    good = desk.salts.hide([Draft(digest(1), "kyc", blinded=True)])
    bad = desk.salts.hide([Draft(b"short", "kyc", blinded=True)])
    made, refused = await asyncio.gather(good, bad, return_exceptions=True)
    assert not isinstance(made, BaseException)
    assert isinstance(refused, MalformedError)


async def test_salt_is_given_for_a_day_also_after_a_restart(desk: Desk) -> None:
    index = await desk.attest(3)
    desk.clock.now = NOW + KEPT
    desk.start()
    assert await code_of(desk.match(index, 3), TryAgainError) == "hsm-away"  # it was not read yet
    await desk.salts.tidy()
    assert await desk.match(index, 3) == Match.ALL
    desk.clock.now += 1
    assert await code_of(desk.match(index, 3)) == "salt-gone"
    await desk.salts.tidy()
    assert await code_of(desk.match(index, 3)) == "salt-gone"
    rows = await desk.log.read(lambda r, _: r.look(lambda db: db.execute("SELECT * FROM seed")))
    assert rows.fetchall() == []


async def test_copy_of_the_disk_gives_nothing_once_the_key_is_destroyed(
    desk: Desk, tmp_path: Path
) -> None:
    index = await desk.attest(3)
    sealed = (await desk.log.read(lambda reader, _: reader.seed(index)))[0].sealed
    copy = tmp_path / "copy.db"
    shutil.copy(desk.log.path, copy)
    shutil.copy(f"{desk.log.path}-wal", f"{copy}-wal")
    assert all(key.key not in copy.read_bytes() for key in desk.safe.keys.values())
    assert len(desk.safe.keys) == 1
    desk.clock.now = NOW + KEPT + 2 * PERIOD
    await desk.salts.tidy()
    assert desk.safe.keys == {}
    desk.clock.now = NOW  # whoever has the copy turns the clock back as well
    desk.start()
    await desk.salts.tidy()
    with pytest.raises(MissingError) as caught:
        desk.salts.open(sealed)
    assert caught.value.code == "salt-gone"


async def test_each_key_serves_some_hours_and_lasts_a_day_longer(desk: Desk) -> None:
    for hours in range(0, 48, 2):
        desk.clock.now = NOW - NOW % PERIOD + hours * HOUR
        await desk.attest(hours)
        await desk.salts.tidy()
        assert max(desk.safe.keys) == desk.clock.now - desk.clock.now % PERIOD
    assert len(desk.safe.keys) == 7
    assert min(desk.safe.keys) >= desk.clock.now - KEPT - PERIOD


async def test_nothing_is_made_in_a_token_that_has_nothing_to_seal(desk: Desk) -> None:
    await desk.salts.tidy()
    assert desk.safe.keys == {}
    assert desk.salts.alarms() == []


async def test_token_that_is_away_keeps_what_must_be_blinded_from_being_recorded(
    desk: Desk,
) -> None:
    desk.safe.away = True
    assert await code_of(desk.attest(1), TryAgainError) == "hsm-away"
    assert desk.log.state.size == 0
    desk.safe.away = False
    assert await desk.match(await desk.attest(1), 1) == Match.ALL


async def test_token_that_takes_no_keys_leaves_them_in_memory(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.safe.refuses = True
    index = await desk.attest(1)
    assert await desk.match(index, 1) == Match.ALL
    assert desk.salts.refused == "the token keeps no salt keys"
    assert "before the gateway stops" in caplog.text
    assert [alarm["code"] for alarm in desk.salts.alarms()] == ["salts-in-memory"]
    desk.start()
    await desk.salts.tidy()
    assert await code_of(desk.match(index, 1)) == "salt-gone"


async def test_key_that_was_written_though_the_answer_was_lost_is_used(desk: Desk) -> None:
    await desk.salts.tidy()
    desk.safe.lose = 1
    assert await code_of(desk.attest(1), TryAgainError) == "hsm-away"
    index = await desk.attest(1)
    assert (len(desk.safe.keys), desk.safe.siblings) == (1, [])
    desk.start()
    await desk.salts.tidy()
    assert await desk.match(index, 1) == Match.ALL


@pytest.mark.parametrize("older", [False, True])
async def test_seed_is_opened_by_whichever_key_of_its_time_sealed_it(
    desk: Desk, *, older: bool
) -> None:
    index = await desk.attest(1)
    ((since, key),) = desk.safe.keys.items()
    other = SaltKey(key.origin, since, bytes(32))
    desk.safe.keys[since] = other if older else key
    desk.safe.siblings = [key if older else other]
    desk.start()
    await desk.salts.tidy()
    desk.log._reader._kept_seed = None  # as after a restart
    assert await desk.match(index, 1) == Match.ALL


async def test_token_without_a_generator_leaves_it_to_the_system(desk: Desk) -> None:
    desk.safe.mute = True
    first, second = await desk.attest(1), await desk.attest(1)
    assert [await desk.match(index, 1) for index in (first, second)] == [Match.ALL] * 2


async def test_damaged_seed_is_no_seed(desk: Desk) -> None:
    index = await desk.attest(1)
    change = "UPDATE seed SET box = zeroblob(60)"
    await desk.log.write(lambda store: store.change(lambda db: db.execute(change).rowcount))
    assert await code_of(desk.match(index, 1)) == "salt-gone"


async def test_replica_has_no_salts(desk: Desk) -> None:
    index = await desk.attest(1)
    desk.log._reader.open_seed = None  # as the reader of a replica
    assert await code_of(desk.match(index, 1)) == "salt-gone"


def gateway_of(desk: Desk) -> GatewayService:
    """The gateway as far as these tests go, with a kind that must be blinded."""
    own = member(LOG, COSIGNER)
    nothing: Any = None
    made = GatewayService(
        *(own, desk.sequencer, {own.id: desk.log}, nothing, nothing, nothing, nothing),
        *(desk.clock, nothing, nothing, nothing, nothing),
        catalogue=Catalogue(own, [CatalogueKind(name="kyc", blinded=True)]),
    )
    made.salts = desk.salts
    CALLER.set(ANYBODY)
    return made


async def test_kind_that_must_be_blinded_is_blinded_without_being_asked_for(desk: Desk) -> None:
    gateway = gateway_of(desk)
    asked = Draft(digest(1), "kyc", digest(2))
    terms = gateway.check_draft(asked)
    assert terms.blinded
    made = await gateway.record([msgspec.structs.replace(asked, blinded=terms.blinded)], LONG)
    assert await gateway.wait_signed(made.start, LONG)
    assert await desk.match(made.start, 1) == Match.ALL
    member_id = gateway.identity().id
    extra = parse_extra(parse_proof(await gateway.proof(member_id, made.start)).extra)
    bare = parse_proof(await gateway.proof(member_id, made.start, bare=True))
    assert extra.salt is not None
    assert parse_extra(bare.extra) == Extra(extra.entry)
    await desk.log.write(lambda store: store.change(lambda db: forget_seeds(db, NOW + 10**9)))
    desk.log._reader._kept_seed = None  # as after a restart
    assert await code_of(gateway.proof(member_id, made.start)) == "salt-gone"
    assert parse_proof(await gateway.proof(member_id, made.start, bare=True)) == bare


async def test_request_in_compact_form_goes_on_with_its_seeds(desk: Desk) -> None:
    gateway = gateway_of(desk)
    header = Header(bytes(16), "kyc", blinded=True)
    data = b"".join(map(digest, range(70)))
    first = await gateway.record_compact(header, 0, make_drafts(header, data[: 32 * 30]), LONG)
    second = await gateway.record_compact(header, 30, make_drafts(header, data[32 * 30 :]), LONG)
    assert await gateway.request_runs(header) == [first, second]
    assert await gateway.request_runs(replace(header, blinded=False)) == [first, second]
    (later,) = (await gateway.request_runs(replace(header, offset=10)))[:1]
    assert (later.first, later.start, later.count, later.seed) == (10, 10, 20, first.seed)
    await gateway.compare_compact(header, later, data[320 : 320 + 32 * 20])
    with pytest.raises(RefusedError) as caught:
        await gateway.compare_compact(header, later, data[: 32 * 20])
    assert caught.value.code == "compact-mismatch"
    assert await gateway.wait_signed(69, LONG)
    end = await gateway.end_compact([first, second])
    assert end is not None
    open_note = partial(open_checkpoint, log_key=LOG.vkey)
    prover = RunProver(header, data, [first, second], end, open_note)
    for number in (0, 29, 30, 69):
        held = parse_proof(await gateway.proof(gateway.identity().id, number))
        assert parse_extra(held.extra) == parse_extra(prover.proof(number).extra)
    desk.clock.now += KEPT + 1
    assert await code_of(gateway.request_runs(header)) == "salt-gone"


async def test_request_in_compact_form_gives_its_seeds_to_its_own_client_only(desk: Desk) -> None:
    gateway = gateway_of(desk)
    header = Header(bytes(16), "kyc", blinded=True)
    drafts = make_drafts(header, digest(1) + digest(2))
    run = await gateway.record_compact(header, 0, drafts, LONG, "uid 1")
    assert await gateway.request_runs(header, "uid 1") == [run]
    assert await gateway.request_runs(header, "uid 2") == []
    other = await gateway.record_compact(header, 0, drafts, LONG, "uid 2")
    assert (other.start, other.seed != run.seed) == (2, True)
    assert await gateway.request_runs(header, "uid 2") == [other]


def caller(client: str, *roles: Role, kinds: str = "kyc") -> Caller:
    return Caller(client, frozenset(roles), frozenset({kinds}), machine=True, door="unix")


@pytest.mark.parametrize(
    ("who", "given"),
    [
        (caller("uid 1", "issuer"), True),
        (caller("uid 1", "issuer", kinds="*"), True),
        (caller("uid 3", "operator"), True),
        (caller("uid 2", "issuer"), False),
        (caller("uid 1", "issuer", kinds="diploma"), False),
        (caller("uid 1", "verifier"), False),
        (caller("uid 3", "verifier", "auditor"), False),
        (caller("", "issuer"), False),
    ],
)
async def test_salt_is_for_whoever_had_the_document_attested(
    desk: Desk, *, who: Caller, given: bool
) -> None:
    gateway = gateway_of(desk)
    own = gateway.identity().id
    blinded, plain = (Draft(digest(n), "kyc", blinded=n == 1) for n in (1, 2))
    for draft, client in ((plain, "uid 2"), (blinded, "uid 1"), (plain, "uid 2")):
        made = await gateway.record([draft], LONG, Asking(client))
    assert await gateway.wait_signed(made.start, LONG)
    token = CALLER.set(who)
    try:
        assert await gateway.proof(own, 0)
        bare = parse_proof(await gateway.proof(own, 1, bare=True))
        assert parse_extra(bare.extra).salt is None
        if given:
            assert parse_extra(parse_proof(await gateway.proof(own, 1)).extra).salt is not None
        else:
            assert await code_of(gateway.proof(own, 1), ForbiddenError) == "salt-not-yours"
        assert await code_of(gateway.proof(own, 99)) == "not-signed"
    finally:
        CALLER.reset(token)


@pytest.mark.parametrize(
    ("who", "hours", "seen"),
    [
        (caller("uid 1", "issuer", kinds="*"), 0, True),
        (caller("uid 3", "issuer", "operator", kinds="*"), 0, True),
        (caller("uid 2", "issuer", kinds="*"), 0, False),
        (caller("uid 1", "issuer", kinds="*"), 25, False),
    ],
)
async def test_wrong_kind_of_a_blinded_document_is_put_right_by_whoever_may_have_its_salt(
    desk: Desk, *, who: Caller, hours: int, seen: bool
) -> None:
    gateway = gateway_of(desk)
    await gateway.record([Draft(digest(1), "kyc", blinded=True)], LONG, Asking("uid 1"))
    desk.clock.now += hours * 3_600_000
    token = CALLER.set(who)
    try:
        same = gateway.check_supersedes(0, Draft(digest(1), "diploma", blinded=True))
        if seen:
            await same
        else:
            assert await code_of(same, RefusedError) == "kind-differs"
        other = gateway.check_supersedes(0, Draft(digest(2), "diploma", blinded=True))
        assert await code_of(other, RefusedError) == "kind-differs"
    finally:
        CALLER.reset(token)


async def test_salt_of_an_entry_of_nobody_s_is_for_operators(desk: Desk) -> None:
    gateway, index = gateway_of(desk), await desk.attest(1)
    token = CALLER.set(caller("", "issuer"))
    try:
        own = gateway.identity().id
        assert await code_of(gateway.proof(own, index), ForbiddenError) == "salt-not-yours"
    finally:
        CALLER.reset(token)
    assert await gateway.proof(gateway.identity().id, index)


async def test_hsm_that_hangs_holds_nobody_beyond_the_deadline(desk: Desk) -> None:
    gateway = gateway_of(desk)
    held = asyncio.Event()

    async def hang(_count: int) -> bytes:
        await held.wait()
        return bytes(32)

    desk.safe.random = hang  # type: ignore[method-assign]
    draft = Draft(digest(1), "kyc", blinded=True)
    assert await code_of(gateway.record([draft], 0.01), TryAgainError) == "not-recorded"
    assert desk.log.state.size == 0
    held.set()
