"""The roster of a running gateway: what is taken, signed, refused, and told."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from chopmark.core.draft import Draft
from chopmark.core.entry import Adoption
from chopmark.core.errors import ChopmarkError, ExistsError, MissingError, RefusedError
from chopmark.core.note import parse_note
from chopmark.core.roster import (
    CatalogueKind,
    Fingerprint,
    NotaryGroup,
    Roster,
    Witness,
    WitnessGroup,
)
from chopmark.core.roster_message import make_message, parse_message
from chopmark.core.roster_text import encode_roster
from chopmark.ledger import rosters as table
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.rosters import lose_signed
from chopmark.ledger.worker import Worker
from chopmark.mesh.topics import Topic
from chopmark.service.config import Config
from chopmark.service.membership import form_membership
from chopmark.service.rosters import Rosters
from chopmark.service.trust import policies_of
from ledgers import Clock, new_ledger
from rosters import (
    GZ,
    HK,
    MO,
    SZ,
    THREE,
    Keys,
    following,
    founding,
    signed,
    with_member,
)
from softkeys import SoftSigner, log_key

TOPIC = Topic("hk-1", "roster")
FIRST = founding()
SECOND = following(
    FIRST,
    member=(*FIRST.member, GZ.listed()),
    institution=(*FIRST.institution, GZ.institution()),
)
RIVAL = following(FIRST, threshold=3)
THIRD = following(SECOND, member=with_member(SECOND, "mo-1", state="suspended"))


def make_config(folder: Path) -> Config:
    return SimpleNamespace(  # type: ignore[return-value]  # as much of it as is looked at
        gateway=SimpleNamespace(
            id="sz-1",
            origin=SZ.origin,
            institution="Bank of SZ (example)",
            jurisdiction="CN",
            kinds=("*",),
            state=folder,
        ),
        peer=(),
        peers=(),
        max_age=lambda _kind: 86_400,
    )


@dataclass
class Box:
    """Rosters over a real log; a restart is `reopen`."""

    folder: Path
    log: Log
    rosters: Rosters = field(init=False)
    told: list[bytes] = field(default_factory=list)
    recorded: list[Adoption] = field(default_factory=list)

    async def reopen(self, keys: Keys = SZ) -> Rosters:
        signer = SoftSigner(keys.log, keys.cosigner)
        held = await self.log.write(lambda store: store.change(table.read_held))
        config = make_config(self.folder)
        membership = form_membership(config, signer.log_key, signer.cosigner_key, held)
        self.rosters = Rosters(membership, held, self.log, signer, Clock())  # type: ignore[arg-type]  # in software
        self.rosters.tell = lambda _topic, payload: self.told.append(payload)

        async def record(due: Adoption) -> None:
            self.recorded.append(due)

        self.rosters.record = record
        return self.rosters

    async def pin(self, roster: Roster = FIRST) -> Rosters:
        words = Fingerprint(encode_roster(roster)).words
        await self.rosters.pin(signed(roster), words)
        return await self.reopen()


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    path = tmp_path / "log.db"
    new_ledger(path, SZ.log.vkey, SZ.cosigner.vkey)
    reading = Worker("read")
    log = await open_log(path, tmp_path / "index", reading)
    made = Box(tmp_path, log)
    await made.reopen()
    yield made
    await log.close()
    reading.close()


async def take(rosters: Rosters, *notes: bytes, stops: tuple[bytes, ...] = ()) -> None:
    await rosters.take("hk-1", TOPIC, make_message(notes, stops).encode())


async def refused(rosters: Rosters, *notes: bytes) -> str:
    with pytest.raises(ChopmarkError) as error:
        await take(rosters, *notes)
    return error.value.code


async def test_nothing_is_taken_before_a_version_is_pinned(box: Box) -> None:
    assert await refused(box.rosters, signed(FIRST)) == "no-roster"
    with pytest.raises(MissingError):
        await box.rosters.publish(signed(FIRST))
    assert box.rosters.show()["pinned"] is False
    assert box.rosters.current is None


async def test_catalogue_goes_before_the_configuration_where_it_says_a_maximum_age(
    box: Box,
) -> None:
    kinds = (CatalogueKind(name="deposit"), CatalogueKind(name="diploma", max_age=172_800))
    rosters = await box.pin(replace(FIRST, kind=kinds))
    found = [rosters.membership.max_age(kind) for kind in ("deposit", "diploma", "other")]
    assert found == [86_400, 172_800, 86_400]
    assert rosters.membership.catalogue.check(Draft(bytes(32), "diploma"), 1).blinded is False
    with pytest.raises(RefusedError, match="catalogue"):
        rosters.membership.catalogue.check(Draft(bytes(32), "other"), 1)


async def test_suspension_of_a_notary_leaves_its_kind_without_witnesses(box: Box) -> None:
    notary = NotaryGroup(institutions=("bank-hk", "bank-sz"), threshold=1)
    roster = replace(
        FIRST,
        kind=(CatalogueKind(name="deed", notary=notary),),
        witness=Witness(group=(WitnessGroup(jurisdictions=("CN", "HK", "MO"), threshold=2),)),
    )
    rosters = await box.pin(roster)
    before = policies_of(rosters.membership, make_config(box.folder))[SZ.origin].policy
    assert before.notaries == {"deed": (1, (f"{HK.origin}/cosigner",))}
    await take(rosters, stops=(HK.suspend(),))
    rosters = await box.reopen()
    after = policies_of(rosters.membership, make_config(box.folder))[SZ.origin].policy
    assert after.notaries == {"deed": (1, ())}
    assert after.is_satisfied([MO.cosigner.vkey])
    assert not after.for_kind("deed").is_satisfied([MO.cosigner.vkey, HK.cosigner.vkey])


async def test_pin_demands_the_fingerprint_and_lasts(box: Box) -> None:
    with pytest.raises(RefusedError) as error:
        await box.rosters.pin(signed(FIRST), Fingerprint("x").words)
    assert error.value.code == "wrong-fingerprint"
    assert not box.rosters.changed.is_set()
    rosters = await box.pin()
    assert rosters.show()["version"] == 1
    members = rosters.membership
    assert [peer.id for peer in members.peers] == ["hk-1", "mo-1"]
    assert members.refuse(1) is None
    assert (members.max_age("bank-statement"), members.max_age("diploma")) == (3600, 86_400)


async def test_next_version_is_adopted_and_told(box: Box) -> None:
    rosters = await box.pin()
    rosters.audit = audit = Mock()
    await take(rosters, signed(SECOND))
    digest = Fingerprint(encode_roster(SECOND)).digest.hex()
    audit.note.assert_called_once_with("roster.adopted", version=2, digest=digest)
    assert rosters.changed.is_set()
    assert parse_message(box.told[-1]).rosters == (signed(FIRST), signed(SECOND))
    rosters = await box.reopen()
    assert rosters.show()["version"] == 2
    await take(rosters, signed(FIRST), signed(SECOND))
    assert not rosters.changed.is_set()
    with pytest.raises(RefusedError) as error:
        await rosters.pin(signed(FIRST), Fingerprint(encode_roster(FIRST)).hex)
    assert error.value.code == "roster-older"


async def test_versions_that_were_missed_are_taken_one_after_the_other(box: Box) -> None:
    rosters = await box.pin()
    assert await refused(rosters, signed(THIRD)) == "roster-gap"
    await take(rosters, signed(FIRST), signed(SECOND), signed(THIRD))
    assert rosters.show()["version"] == 3
    peers = {peer.id: peer.state for peer in (await box.reopen()).membership.peers}
    assert peers == {"hk-1": "active", "mo-1": "suspended", "gz-1": "active"}


async def test_versions_before_the_one_pinned_are_left_aside(box: Box) -> None:
    rosters = await box.pin(THIRD)
    await take(rosters, signed(FIRST), signed(SECOND), signed(THIRD))
    assert rosters.show()["version"] == 3


async def test_version_with_too_few_signatures_is_refused(box: Box) -> None:
    rosters = await box.pin()
    assert await refused(rosters, signed(SECOND, (SZ,))) == "roster-unsigned"
    assert await refused(rosters, signed(SECOND, (SZ, GZ))) == "roster-unsigned"
    assert rosters.counters.refused == 2
    assert (await box.reopen()).show()["version"] == 1


@pytest.mark.parametrize(("one", "two"), [(SECOND, RIVAL), (RIVAL, SECOND)], ids=["a", "b"])
async def test_two_texts_of_a_version_stop_changes_until_one_is_pinned(
    box: Box, one: Roster, two: Roster
) -> None:
    rosters = await box.pin()
    await take(rosters, signed(one), signed(two))
    rosters = await box.reopen()
    assert rosters.show()["conflict"] == 2
    assert len(rosters.show()["rivals"]) == 2
    assert [alarm["code"] for alarm in rosters.alarms()] == ["roster-conflict"]
    after = following(one, threshold=1)
    await take(rosters, signed(after))
    assert rosters.show()["version"] == 2
    with pytest.raises(ExistsError) as error:
        await rosters.sign(encode_roster(after).encode())
    assert error.value.code == "roster-conflict"
    rosters = await box.pin(two)
    assert rosters.alarms() == []
    assert rosters.show()["fingerprint"] == Fingerprint(encode_roster(two)).hex
    await take(rosters, signed(one))
    await take(rosters, signed(following(two, threshold=1)))
    assert (rosters.show()["version"], rosters.show()["conflict"]) == (3, None)


async def test_rival_of_an_older_version_is_decided_by_a_pin_too(box: Box) -> None:
    rosters = await box.pin()
    await take(rosters, signed(SECOND), signed(THIRD), signed(RIVAL))
    assert (rosters.show()["version"], rosters.show()["conflict"]) == (3, 2)
    rosters = await box.pin(SECOND)
    assert (rosters.show()["version"], rosters.show()["conflict"]) == (3, None)
    await rosters.pin(signed(THIRD), Fingerprint(encode_roster(THIRD)).hex)


async def test_pinning_the_rival_forgets_what_followed_the_other(box: Box) -> None:
    rosters = await box.pin()
    await take(rosters, signed(SECOND), signed(THIRD), signed(RIVAL))
    rosters = await box.pin(RIVAL)
    assert (rosters.show()["version"], rosters.show()["conflict"]) == (2, None)
    assert await refused(rosters, signed(THIRD)) == "bad-roster"


async def test_one_text_of_a_version_is_signed(box: Box) -> None:
    rosters = await box.pin()
    text = encode_roster(SECOND).encode()
    note = await rosters.sign(text)
    assert parse_note(note).text.encode() == text
    both = await rosters.sign(signed(SECOND, (HK,)))
    assert [line.name for line in parse_note(both).signatures] == [HK.origin, SZ.origin]
    rosters = await box.reopen()
    with pytest.raises(ExistsError) as error:
        await rosters.sign(encode_roster(RIVAL).encode())
    assert error.value.code == "roster-signed"
    await rosters.sign(text)


async def lose(box: Box, time: int) -> Rosters:
    def forget(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM roster_signed")
        lose_signed(db, time)

    await box.log.write(lambda store: store.change(forget))
    return await box.reopen()


async def test_version_that_may_have_been_signed_before_a_loss_is_not_signed(box: Box) -> None:
    rosters = await box.pin()
    await rosters.sign(encode_roster(SECOND).encode())
    rosters = await lose(box, int(FIRST.issued.timestamp()))
    rival, second = encode_roster(RIVAL).encode(), encode_roster(SECOND).encode()
    for text in (rival, second, encode_roster(FIRST).encode()):
        with pytest.raises(ExistsError) as error:
            await rosters.sign(text)
        assert error.value.code == "roster-lost"
    await rosters.sign(second, confirmed=True)
    await rosters.sign(second)
    with pytest.raises(ExistsError) as error:
        await rosters.sign(rival, confirmed=True)
    assert error.value.code == "roster-signed"


async def test_version_after_one_that_was_issued_since_the_loss_is_signed(box: Box) -> None:
    rosters = await box.pin()
    rosters = await lose(box, int(FIRST.issued.timestamp()) - 1)
    await rosters.sign(encode_roster(SECOND).encode())


async def test_first_version_may_have_been_signed_before_a_loss_too(box: Box) -> None:
    rosters = await lose(box, 1)
    with pytest.raises(ExistsError) as error:
        await rosters.sign(encode_roster(FIRST).encode())
    assert error.value.code == "roster-lost"
    await rosters.sign(encode_roster(FIRST).encode(), confirmed=True)


async def test_text_that_does_not_follow_is_not_signed(box: Box) -> None:
    with pytest.raises(RefusedError):
        await box.rosters.sign(encode_roster(SECOND).encode())
    rosters = await box.pin()
    for text in (encode_roster(THIRD), encode_roster(FIRST).replace("= 2\n", "= 1\n")):
        with pytest.raises(ChopmarkError):
            await rosters.sign(text.encode())
    assert rosters.counters.signed == 0


async def test_emergency_key_suspends_until_the_roster_names_another(box: Box) -> None:
    rosters = await box.pin()
    await take(rosters, stops=(HK.suspend(),))
    assert rosters.changed.is_set()
    rosters = await box.reopen()
    assert rosters.show()["suspended"] == ["hk-1"]
    assert [peer.state for peer in rosters.membership.peers] == ["suspended", "active"]
    await take(rosters, stops=(HK.suspend(1795305601),))
    assert not rosters.changed.is_set()
    assert parse_message(box.told[-1]).suspensions == (HK.suspend(),)
    fresh = with_member(FIRST, "hk-1", emergency=None)
    await take(rosters, signed(following(FIRST, member=fresh)))
    rosters = await box.reopen()
    assert rosters.show()["suspended"] == []
    assert rosters.membership.peers[0].is_active


SIX = [Keys(f"{place}-7", "CN", seed) for seed, place in enumerate("fbdace", 11)]
"""In this order they are suspended: the name that comes first is neither the first nor the last."""
LARGE = founding((*THREE, *SIX))


async def test_newest_suspensions_travel_that_the_roster_has_not_taken_up(box: Box) -> None:
    rosters = await box.pin(LARGE)
    for keys in SIX:
        await rosters.publish(keys.suspend())
    rosters = await box.reopen()
    rosters._publish()
    assert parse_message(box.told[-1]).suspensions == tuple(one.suspend() for one in SIX[-4:])
    listed = with_member(LARGE, SIX[-1].id, state="suspended")
    await take(rosters, signed(following(LARGE, THREE, member=listed), (*THREE, *SIX)))
    assert parse_message(box.told[-1]).suspensions == tuple(one.suspend() for one in SIX[-5:-1])
    assert rosters.show()["suspended"] == sorted(one.id for one in SIX[:-1])


async def test_suspension_is_read_though_a_roster_before_it_is_refused(box: Box) -> None:
    rosters = await box.pin()
    forged = MO.suspend().replace(b"mo-1", b"sz-1")
    with pytest.raises(RefusedError) as error:
        await take(rosters, signed(THIRD), stops=(forged, HK.suspend()))
    assert error.value.code == "roster-gap", "the first that was wrong"
    assert rosters.counters.refused == 1
    assert (await box.reopen()).show()["suspended"] == ["hk-1"]


async def test_own_gateway_that_is_suspended_issues_nothing(box: Box) -> None:
    rosters = await box.pin()
    await rosters.publish(SZ.suspend())
    refusal = (await box.reopen()).membership.refuse(1)
    assert refusal is not None
    assert refusal.code == "member-suspended"


async def test_own_gateway_with_other_keys_issues_nothing(box: Box) -> None:
    await box.pin()
    other = Keys("sz-1", "CN", 30)
    refusal = (await box.reopen(other)).membership.refuse(1)
    assert refusal is not None
    assert refusal.code == "key-not-in-roster"


async def test_adoption_is_entered_once(box: Box) -> None:
    rosters = await box.pin()
    await rosters._look()
    assert [(one.version, one.digest) for one in box.recorded] == [
        (1, Fingerprint(encode_roster(FIRST)).digest)
    ]


class Other:
    """A peer's log, of which only the adoption is looked at."""

    def __init__(self, version: int) -> None:
        self.adoption = Adoption(0, version, bytes(32))

    async def read(self, _call: object) -> Adoption:
        return self.adoption


async def test_newer_version_of_two_institutions_makes_us_stale(box: Box) -> None:
    rosters = await box.pin()
    peers = rosters.membership.peers
    for versions, codes in (((1, 1), []), ((2, 1), ["roster-newer"]), ((2, 3), ["roster-stale"])):
        rosters.logs = [
            (peer, Other(version)) for peer, version in zip(peers, versions, strict=True)
        ]  # type: ignore[assignment]  # as much of a log as is looked at
        await rosters._look()
        assert [alarm["code"] for alarm in rosters.alarms()] == codes
    assert rosters.show()["stale"] is True


@pytest.mark.parametrize(
    ("days", "code"), [(-31, None), (-29, "roster-expiring"), (0, "roster-expired")]
)
async def test_expiry_is_told_a_month_before(box: Box, days: int, code: str | None) -> None:
    rosters = await box.pin()
    end = int(FIRST.expires.timestamp() * 1000)
    rosters.clock = Clock(end + days * 86_400_000)
    assert [alarm["code"] for alarm in rosters.alarms()] == ([code] if code else [])


async def test_version_from_the_future_is_taken_when_its_time_has_come(box: Box) -> None:
    rosters = await box.pin()
    early = replace(SECOND, issued=SECOND.issued + timedelta(days=300))
    at = int(early.issued.timestamp() * 1000)
    rosters.clock = Clock(at - 60_001)
    assert await refused(rosters, signed(early)) == "roster-early"
    with pytest.raises(RefusedError):
        await rosters.publish(signed(early))
    assert rosters.show()["version"] == 1
    rosters.clock = Clock(at - 60_000)
    await take(rosters, signed(early))
    assert rosters.show()["version"] == 2


async def test_signature_of_a_stranger_is_not_kept(box: Box) -> None:
    rosters = await box.pin()
    note = parse_note(signed(SECOND, (SZ, HK)))
    note = note.with_signature(log_key("stranger.example", 50).sign(note.text))
    await take(rosters, note.encode())
    names = [line.name for line in parse_note(rosters.show()["note"].encode()).signatures]
    assert names == [SZ.origin, HK.origin]
    assert {one.id for one in THREE} == {"sz-1", "hk-1", MO.id}
