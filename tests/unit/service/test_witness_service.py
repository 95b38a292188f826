"""Collecting cosignatures of our own heads, and cosigning those that peers announce."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chopmark.core.checkpoint import Checkpoint, open_checkpoint
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.member import Member
from chopmark.core.note import parse_note
from chopmark.core.policy import Policy
from chopmark.core.quorum import Notaries, WitnessGroup, WitnessRule, generate_policy
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.witness import open_cosigner
from chopmark.mesh.topics import Topic
from chopmark.service import quorum as quorum_module
from chopmark.service import witnessing as witnessing_module
from chopmark.service.quorum import Quorum
from chopmark.service.trust import Trust, make_policies
from chopmark.service.witnessing import Witness
from ledgers import (
    COSIGNER,
    LOG,
    NOW,
    ORIGIN,
    Clock,
    SoftSigner,
    Source,
    append,
    attestations,
    member,
    opened,
    sign,
)
from meshes import running, until
from rig.patience import PATIENCE
from softkeys import SoftKey, cosigner, log_key, sign_head

SZ = member()
HK_KEY, HK_SECOND = log_key("bank-hk.example/hk-1", 3), cosigner("bank-hk.example/hk-1/cosigner", 4)
MO_KEY, MO_SECOND = log_key("bank-mo.example/mo-1", 5), cosigner("bank-mo.example/mo-1/cosigner", 6)
HK = member(HK_KEY, HK_SECOND, jurisdiction="HK")
MO = member(MO_KEY, MO_SECOND, jurisdiction="MO")
POLICY = generate_policy(SZ, [SZ, HK, MO], WitnessRule())
SECONDS = NOW // 1000


@dataclass
class Owner:
    """sz-1, which has its heads witnessed by hk-1 and mo-1."""

    log: Log
    told: list[tuple[str, bytes]] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    shown: list[bytes] = field(default_factory=list)
    policy: Policy = POLICY

    def __post_init__(self) -> None:
        known = {"hk-1": HK.cosigner_keys, "mo-1": MO.cosigner_keys}
        tell = lambda topic, note: self.told.append((topic, note))  # noqa: E731 - as short as it gets
        self.quorum = Quorum(SZ, self.log, self.policy, known, Clock(), tell)
        self.quorum.on_witnessed = lambda: self.moved.append(self.log.state.witnessed_size)
        self.quorum.observe_own_head = self.observe

    async def observe(self, note: bytes) -> None:
        self.shown.append(note)

    async def grow(self, count: int) -> bytes:
        size = self.log.state.size
        await self.log.write(lambda store: append(store, attestations(count, size)))
        await self.log.write(sign)
        assert self.log.state.note is not None
        return self.log.state.note

    async def take(self, sender: str, key: SoftKey, head: Checkpoint, time: int = SECONDS) -> None:
        topic = Topic("sz-1", "cosignature", sender)
        await self.quorum.take(sender, topic, sign_head(head, LOG, {key: time}))


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[Owner]:
    async with opened(tmp_path) as log:
        made = Owner(log)
        await made.grow(5)
        yield made


async def test_quorum_is_stored_told_and_published_once_all_have_cosigned(owner: Owner) -> None:
    head = owner.log.state.head
    await owner.take("hk-1", HK_SECOND, head)
    assert owner.log.state.witnessed_size == 0
    await owner.take("mo-1", MO_SECOND, head, SECONDS + 1)

    state = owner.log.state
    assert state.witnessed_size == 5
    assert owner.moved == [5]
    assert owner.told == [("chopmark/v1/sz-1/checkpoint", state.witnessed_note)]
    assert state.witnessed_note is not None
    signed = open_checkpoint(state.witnessed_note, SZ.log_key, POLICY.witnesses.values())
    assert POLICY.existed_by(signed.verified) == SECONDS + 1
    assert owner.quorum.seen["hk-1"].size == 5


@pytest.mark.parametrize(
    ("sender", "key", "time", "code"),
    [
        ("hk-1", MO_SECOND, SECONDS, "no-known-signature"),
        ("hk-1", COSIGNER, SECONDS, "no-known-signature"),
        ("hk-1", HK_SECOND, SECONDS + 61, "bad-time"),
    ],
)
async def test_cosignature_of_another_or_of_the_future_is_refused(
    owner: Owner, sender: str, key: SoftKey, time: int, code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        await owner.take(sender, key, owner.log.state.head, time)
    assert refused.value.code == code
    assert not owner.quorum.seen


@pytest.mark.parametrize("size", [3, 5, 6])
async def test_head_that_is_not_ours_is_shown_to_who_compares_and_refused(
    owner: Owner, size: int
) -> None:
    """Our own key has signed it: there must be a second box, or our log has gone back."""
    with pytest.raises(RefusedError) as refused:
        await owner.take("hk-1", HK_SECOND, Checkpoint(ORIGIN, size, bytes(32)))
    assert refused.value.code == "not-our-head"
    assert len(owner.shown) == 1


NOTARISED = generate_policy(
    SZ,
    [SZ, HK, MO],
    WitnessRule((WitnessGroup(("HK",)),), (Notaries("diploma", (MO.institution,), 1),)),
)
"""Hong Kong is the quorum, and Macao the notary of diplomas."""


@pytest.fixture
async def notarised(owner: Owner) -> Owner:
    return Owner(owner.log, policy=NOTARISED)


async def test_notary_that_comes_after_the_quorum_is_stored_and_told_at_once(
    notarised: Owner,
) -> None:
    log, head = notarised.log, notarised.log.state.head
    await notarised.take("hk-1", HK_SECOND, head)
    assert (log.state.witnessed_size, log.state.notarised) == (5, {})
    await notarised.take("mo-1", MO_SECOND, head, SECONDS + 1)
    note = log.state.witnessed_note
    assert log.state.notarised == {"diploma": (5, note)}
    assert notarised.moved == [5, 5]
    assert notarised.told[-1] == ("chopmark/v1/sz-1/checkpoint", note)
    assert note is not None
    assert MO_SECOND.name.encode() in note


async def test_notary_without_the_quorum_is_nothing_yet(notarised: Owner) -> None:
    await notarised.take("mo-1", MO_SECOND, notarised.log.state.head)
    assert (notarised.log.state.witnessed_size, notarised.log.state.notarised) == (0, {})


async def test_notary_that_comes_after_a_restart_completes_what_is_stored(
    notarised: Owner,
) -> None:
    head = notarised.log.state.head
    await notarised.take("hk-1", HK_SECOND, head)
    again = Owner(notarised.log, policy=NOTARISED)
    await again.take("mo-1", MO_SECOND, head)
    assert again.log.state.notarised["diploma"][0] == 5


async def test_head_waits_for_its_notary_but_not_for_one_that_is_away(
    notarised: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, quorum = notarised.log, notarised.quorum
    waiting = asyncio.create_task(quorum.announced(log.state.note or b""))
    await asyncio.sleep(0)
    await notarised.take("hk-1", HK_SECOND, log.state.head)
    assert not waiting.done()
    await notarised.take("mo-1", MO_SECOND, log.state.head)
    await waiting
    monkeypatch.setattr(quorum_module, "PATIENCE", 0.001)
    quorum._patience = 0.001
    note = await notarised.grow(1)
    await notarised.take("hk-1", HK_SECOND, log.state.head)
    await quorum.announced(note)  # it was late
    assert quorum.unnotarised == ["diploma"]
    quorum._patience = 60.0
    note = await notarised.grow(1)
    await notarised.take("hk-1", HK_SECOND, log.state.head)
    async with asyncio.timeout(PATIENCE):
        await quorum.announced(note)  # nobody waits for it now
    assert log.state.notarised["diploma"][0] == 5
    await notarised.take("mo-1", MO_SECOND, log.state.head)  # it is back
    assert log.state.notarised["diploma"][0] == 7
    assert not quorum.unnotarised


async def test_one_witness_twice_is_no_quorum(owner: Owner) -> None:
    for time in (SECONDS, SECONDS + 1):
        await owner.take("hk-1", HK_SECOND, owner.log.state.head, time)
    assert owner.log.state.witnessed_size == 0


async def test_cosignatures_of_two_heads_are_no_quorum(owner: Owner) -> None:
    first = owner.log.state.head
    await owner.grow(2)
    await owner.take("hk-1", HK_SECOND, first)
    await owner.take("mo-1", MO_SECOND, owner.log.state.head)
    assert owner.log.state.witnessed_size == 0
    await owner.take("mo-1", MO_SECOND, first)
    assert owner.log.state.witnessed_size == 5


async def test_heads_whose_cosignatures_are_kept_are_bounded(owner: Owner) -> None:
    heads = [owner.log.state.head]
    for _ in range(quorum_module.MAX_HEADS + 2):
        await owner.grow(1)
        heads.append(owner.log.state.head)
    for head in heads:
        await owner.take("hk-1", HK_SECOND, head)
    await owner.take("mo-1", MO_SECOND, heads[0])
    assert owner.log.state.witnessed_size == 0
    await owner.take("mo-1", MO_SECOND, heads[-1])
    assert owner.log.state.witnessed_size == heads[-1].size


async def test_cosignatures_of_other_heads_do_not_oust_the_announced_one(owner: Owner) -> None:
    head, note = owner.log.state.head, owner.log.state.note
    assert note is not None
    waiting = asyncio.create_task(owner.quorum.announced(note))
    await owner.take("mo-1", MO_SECOND, head)
    for _ in range(quorum_module.MAX_HEADS + 2):
        await owner.grow(1)
        await owner.take("mo-1", MO_SECOND, owner.log.state.head)
    await owner.take("hk-1", HK_SECOND, head)
    assert owner.log.state.witnessed_size == head.size
    await waiting


async def test_cosignature_is_offered_again_after_the_disk_refused(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = owner.log.state.head
    await owner.take("hk-1", HK_SECOND, head)

    async def refuse(_call: object) -> None:
        raise TryAgainError("storage-full", "full")

    with monkeypatch.context() as full:
        full.setattr(owner.log, "write", refuse)
        with pytest.raises(TryAgainError):
            await owner.take("mo-1", MO_SECOND, head)
    await owner.take("mo-1", MO_SECOND, head)
    assert owner.log.state.witnessed_size == 5


async def test_next_head_is_told_as_soon_as_the_last_has_its_quorum(owner: Owner) -> None:
    head, note = owner.log.state.head, owner.log.state.note
    assert note is not None
    waiting = asyncio.create_task(owner.quorum.announced(note))
    await owner.take("hk-1", HK_SECOND, head)
    assert not waiting.done()
    await owner.take("mo-1", MO_SECOND, head)
    await waiting
    assert not owner.quorum.unreachable


async def test_without_a_quorum_each_wait_is_longer_and_the_head_is_told_again(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner.quorum, "_patience", 0.001)
    monkeypatch.setattr(quorum_module, "PATIENCE", 0.001)
    monkeypatch.setattr(quorum_module, "MAX_PATIENCE", 0.003)
    head, note = owner.log.state.head, owner.log.state.note
    assert note is not None
    await owner.take("hk-1", HK_SECOND, head)
    await owner.quorum.announced(note)
    assert owner.quorum.unreachable
    (topic, told), *_ = owner.told
    assert topic == "chopmark/v1/sz-1/checkpoint"
    assert [line.name for line in parse_note(told).signatures] == [ORIGIN, HK_SECOND.name]
    await owner.quorum.announced(note)
    assert owner.quorum._patience == 0.003
    await owner.take("mo-1", MO_SECOND, head)
    await owner.quorum.announced(note)  # it is witnessed: there is nothing to wait for


async def test_cosignatures_beyond_the_quorum_are_added(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorum_module, "LATE", 0.0)
    more = member(log_key("bank-x.example/x-1", 8), cosigner("bank-x.example/x-1/cosigner", 9))
    another = cosigner("bank-y.example/y-1/cosigner", 11)
    third = member(log_key("bank-y.example/y-1", 10), another)
    policy = generate_policy(SZ, [HK, more, third], WitnessRule())
    owner.quorum.policy = policy
    owner.quorum._cosigners = {
        "hk-1": HK.cosigner_keys,
        "x-1": more.cosigner_keys,
        "y-1": third.cosigner_keys,
    }
    head = owner.log.state.head
    async with running(owner.quorum.run()):
        await owner.take("hk-1", HK_SECOND, head)
        await owner.take("x-1", cosigner("bank-x.example/x-1/cosigner", 9), head)
        await owner.take("y-1", another, head)
        await until(
            lambda: (
                len(owner.told) > 1 or (owner.log.state.witnessed_note or b"").count(b"\n\xe2") > 3
            )
        )
    names = {line.name for line in parse_note(owner.log.state.witnessed_note or b"").signatures}
    assert another.name in names


@dataclass
class Watcher:
    """hk-1, which follows the log of sz-1 and cosigns it."""

    replica: Replica
    witness: Witness
    signer: SoftSigner
    source: Source
    told: list[tuple[str, bytes]] = field(default_factory=list)

    async def announce(self, size: int, cosigned: dict[SoftKey, int] | None = None) -> None:
        await self.replica.observe_announced(sign_head(self.source.head(size), LOG, cosigned))

    def sizes(self) -> list[int]:
        return [int(note.split()[1]) for _, note in self.told]


@pytest.fixture
async def watcher(tmp_path: Path) -> AsyncIterator[Watcher]:
    async with opened(tmp_path, "replica") as log, opened(tmp_path, "own") as own:
        replica = Replica(SZ, log, Clock())
        replica.policy = POLICY
        signer = SoftSigner(HK_KEY, HK_SECOND)
        told: list[tuple[str, bytes]] = []
        tell = lambda topic, note: told.append((topic, note))  # noqa: E731 - as above
        witness = Witness("hk-1", replica, await open_cosigner(own, signer), Clock(), tell)
        made = Watcher(replica, witness, signer, Source(attestations(600)), told)
        async with running(witness.run()):
            yield made


async def test_witness_cosigns_an_announced_head_once_it_holds_it(watcher: Watcher) -> None:
    await watcher.announce(300)
    await watcher.replica.ingest(watcher.source.packages(0, 300)[:1])
    assert watcher.told == []
    await watcher.replica.ingest(watcher.source.packages(256, 300))
    await until(lambda: watcher.told)
    ((topic, note),) = watcher.told
    assert topic == "chopmark/v1/sz-1/cosignature/hk-1"
    signed = open_checkpoint(note, SZ.log_key, [HK.cosigner_key])
    assert signed.checkpoint == watcher.source.head(300)
    assert [one.key for one in signed.verified] == [SZ.log_key, HK.cosigner_key]


async def test_witness_cosigns_no_head_that_was_not_announced(watcher: Watcher) -> None:
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    await watcher.replica.observe_head(watcher.source.note(200))
    await watcher.announce(100)
    await until(lambda: watcher.told)
    assert watcher.sizes() == [100]


async def test_witness_whose_replica_is_another_history_than_it_cosigned_stays_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The replica's file was moved away, and what came in its place is not what it was."""
    one, other = Source(attestations(300)), Source([b"another", *attestations(299)])
    signer, told = SoftSigner(HK_KEY, HK_SECOND), list[int]()
    async with opened(tmp_path, "own") as own:
        for name, source, count in (("a", one, 1), ("b", other, 1), ("c", one, 2)):
            async with opened(tmp_path, name) as log:
                replica = Replica(SZ, log, Clock())
                tell = lambda _topic, note: told.append(int(note.split()[1]))  # noqa: E731 - as above
                cosigner = await open_cosigner(own, signer)
                witness = Witness("hk-1", replica, cosigner, Clock(), tell)
                size = 100 if name == "a" else 300
                await replica.ingest(source.packages(size=size))
                await replica.observe_announced(sign_head(source.head(size), LOG))
                async with running(witness.run()):
                    await until(
                        lambda c=count, n=name: len(told) >= c and (n != "b" or caplog.records)
                    )
            assert len(told) == count
    assert told == [100, 300]
    assert "another history" in caplog.text


async def test_witness_cosigns_nothing_of_a_log_that_contradicts_itself(watcher: Watcher) -> None:
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    other = Checkpoint(ORIGIN, 300, bytes(32))
    await watcher.replica.observe_announced(sign_head(other, LOG))
    assert watcher.replica.conflict
    await watcher.announce(200)
    await asyncio.sleep(0)
    assert watcher.told == []


async def test_witness_tries_again_when_the_hsm_was_away(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing_module, "RETRY", 0.001)
    watcher.signer.away = True
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    await watcher.announce(300)
    await asyncio.sleep(0.01)
    assert watcher.told == []
    watcher.signer.away = False
    await until(lambda: watcher.told)


async def test_witness_tells_again_what_it_has_cosigned(watcher: Watcher) -> None:
    watcher.witness.tell_again()
    assert watcher.told == []
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    await watcher.announce(300)
    await until(lambda: watcher.told)
    watcher.witness.tell_again()
    assert len(set(watcher.told)) == 1
    assert len(watcher.told) == 2


async def test_row_that_was_put_back_is_raised_by_what_a_broker_kept(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log's owner shows another history from a size on that an older disk allows."""
    monkeypatch.setattr(witnessing_module, "RETRY", 0.001)
    other = Source([*attestations(250), *attestations(350, 1000)])
    cosigner = watcher.witness._cosigner
    for note in (
        b"junk",
        sign_head(watcher.source.head(400), LOG),
        sign_head(watcher.source.head(400), LOG, {MO_SECOND: SECONDS}),
        sign_head(watcher.source.head(400), MO_KEY, {HK_SECOND: SECONDS}),
        sign_head(watcher.source.head(300), LOG, {HK_SECOND: SECONDS}),
        sign_head(watcher.source.head(200), LOG, {HK_SECOND: SECONDS}),
    ):
        cosigner.take_back(SZ, note)
        watcher.witness.take_back()
    await until(lambda: cosigner.may_tell(ORIGIN))
    last = cosigner.last(ORIGIN)
    assert last is not None
    assert last.head == watcher.source.head(300)

    await watcher.replica.ingest(other.packages(size=260))
    await watcher.replica.observe_announced(sign_head(other.head(260), LOG))
    await watcher.replica.ingest(other.packages(256, 400))
    await watcher.replica.observe_announced(sign_head(other.head(400), LOG))
    await until(lambda: "another history" in caplog.text)
    assert watcher.told == []


async def test_what_came_back_counts_though_the_witness_has_not_looked_at_it(
    tmp_path: Path,
) -> None:
    source = Source(attestations(300))
    async with opened(tmp_path, "own") as own:
        cosigner = await open_cosigner(own, SoftSigner(HK_KEY, HK_SECOND))
        cosigner.take_back(SZ, sign_head(source.head(300), LOG, {HK_SECOND: SECONDS}))
        note = parse_note(sign_head(source.head(200), LOG))
        with pytest.raises(TryAgainError) as raised:
            await cosigner.cosign(source.head(200), note, SECONDS)
        assert raised.value.code == "cosigner-raised"
        with pytest.raises(RefusedError) as refused:
            await cosigner.cosign(source.head(200), note, SECONDS)
        assert refused.value.code == "cosigned-larger"
        again = await open_cosigner(own, SoftSigner(HK_KEY, HK_SECOND))
        assert again.last(ORIGIN) == cosigner.last(ORIGIN)


async def test_witness_tells_nothing_again_that_may_be_an_older_disks(watcher: Watcher) -> None:
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    await watcher.announce(300)
    await until(lambda: watcher.told)
    cosigner = watcher.witness._cosigner
    cosigner.may_cosign = lambda: TryAgainError("confirming", "nobody has confirmed our log")
    watcher.witness.tell_again()
    await watcher.announce(300)
    assert len(watcher.told) == 1
    cosigner.may_cosign = lambda: None
    cosigner.take_back(SZ, sign_head(watcher.source.head(400), LOG, {HK_SECOND: SECONDS}))
    watcher.witness.tell_again()
    assert len(watcher.told) == 1
    watcher.witness.take_back()
    await until(lambda: cosigner.may_tell(ORIGIN))
    watcher.witness.tell_again()
    assert watcher.sizes() == [300, 400]


async def test_replica_keeps_a_head_with_a_quorum_once_it_holds_it(watcher: Watcher) -> None:
    await watcher.announce(300, {HK_SECOND: SECONDS, MO_SECOND: SECONDS + 2})
    await watcher.announce(350)
    await watcher.replica.ingest(watcher.source.packages(0, 350))
    log = watcher.replica.log
    await until(lambda: log.state.witnessed_size)
    assert log.state.witnessed_size == 300
    by = await log.read(lambda reader, _: (reader.existed_by(299), reader.existed_by(300)))
    assert by == (SECONDS + 2, None)


@pytest.mark.parametrize(
    "cosigned",
    [
        {HK_SECOND: SECONDS},
        {HK_SECOND: SECONDS, COSIGNER: SECONDS},
        {HK_SECOND: SECONDS + 99, MO_SECOND: SECONDS + 99},
    ],
)
async def test_replica_keeps_no_head_without_a_quorum_or_with_one_of_the_future(
    watcher: Watcher, cosigned: dict[SoftKey, int]
) -> None:
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    await watcher.announce(300, cosigned)
    await until(lambda: watcher.told)
    assert watcher.replica.log.state.witnessed_size == 0


@pytest.mark.parametrize(("time", "size"), [(SECONDS - 9, 300), (SECONDS - 8, 0)])
async def test_replica_keeps_no_head_that_a_retired_key_has_cosigned_since(
    watcher: Watcher, time: int, size: int
) -> None:
    """Whoever buys an old HSM has no vote on new heads."""
    new = cosigner("bank-mo.example/mo-1/cosigner-2", 12)
    ended = replace(MO, cosigner_key=new.vkey, past_cosigner_keys=((MO_SECOND.vkey, SECONDS - 9),))
    watcher.replica.policy = generate_policy(SZ, [SZ, HK, ended], WitnessRule())
    await watcher.replica.ingest(watcher.source.packages(0, 300))
    await watcher.announce(300, {HK_SECOND: SECONDS, MO_SECOND: time})
    await until(lambda: watcher.told)
    assert watcher.replica.log.state.witnessed_size == size


X_KEY, X_SECOND = log_key("bank-x.example/x-1", 8), cosigner("bank-x.example/x-1/cosigner", 9)
SIBLING = replace(member(X_KEY, X_SECOND), institution=SZ.institution)
SUSPENDED = replace(member(X_KEY, X_SECOND, jurisdiction="HK"), state="suspended")


@pytest.mark.parametrize(
    ("own", "key", "second", "named"),
    [
        (SIBLING, X_KEY, X_SECOND, False),
        (SUSPENDED, X_KEY, X_SECOND, False),
        (MO, MO_KEY, MO_SECOND, True),
    ],
)
@pytest.mark.parametrize("half", [False, True])
async def test_gateway_keeps_the_quorum_of_every_log_and_cosigns_where_it_is_named(
    tmp_path: Path, own: Member, key: SoftKey, second: SoftKey, *, named: bool, half: bool
) -> None:
    """Another gateway of the issuer's institution, and one that is suspended, verify too."""
    policies = make_policies(own, [m for m in (SZ, HK, MO) if m is not own], WitnessRule())
    source = Source(attestations(5))
    async with opened(tmp_path, "replica") as held, opened(tmp_path, "own") as log:
        replica = Replica(SZ, held, Clock())
        by_us = await open_cosigner(log, SoftSigner(key, second))
        trust = Trust(own, log, [replica], policies, by_us, Clock())
        await replica.ingest(source.packages())
        cosigned = {HK_SECOND: SECONDS} | ({} if half else {MO_SECOND: SECONDS})
        async with running(trust.run()):
            await replica.observe_announced(sign_head(source.head(5), LOG, cosigned))
            await until(lambda: not trust.witnesses["sz-1"]._due.is_set())
            if not half:
                await until(lambda: held.state.witnessed_size)
            if named:
                await until(lambda: by_us.last(ORIGIN))
        trust.tell_again()
        assert held.state.witnessed_size == (0 if half else 5)
        assert (by_us.last(ORIGIN) is not None) == named


def test_every_gateway_makes_the_same_policies() -> None:
    made = [
        make_policies(own, [m for m in (SZ, HK, MO) if m is not own], WitnessRule())
        for own in (SZ, HK, MO)
    ]
    assert made[0] == made[1] == made[2]
