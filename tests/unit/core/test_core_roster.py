"""Rosters: one spelling, every rule with a failing twin, and who may follow whom."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import MAX_NOTE, Note
from chopmark.core.proquint import spell
from chopmark.core.quorum import generate_policy
from chopmark.core.roster import (
    CatalogueKind,
    Fingerprint,
    ListedKey,
    ListedMember,
    NotaryGroup,
    Officer,
    Roster,
    Witness,
    WitnessGroup,
)
from chopmark.core.roster_follow import check_change, check_successor, needed, open_roster
from chopmark.core.roster_rules import check_roster
from chopmark.core.roster_text import encode_roster, parse_roster, read_draft
from chopmark.core.text import encode_base64
from mutations import mutated
from rosters import (
    GZ,
    HK,
    ISSUED,
    MO,
    SZ,
    THREE,
    Keys,
    following,
    founding,
    opened,
    rich,
    signed,
    with_member,
)
from softkeys import cosigner, ed25519_key, log_key, p256_cosigner

replace = msgspec.structs.replace
ROOT = encode_base64(bytes(32))
SINCE = datetime(2026, 12, 1, tzinfo=UTC)
FOUNDING = founding()
NEW_LOG = ListedKey(vkey=log_key(HK.origin, 9).vkey.encode())
NEW_COSIGNER = ListedKey(vkey=p256_cosigner(f"{HK.origin}/cosigner-2", 9).vkey.encode())


def hk(**changes: object) -> Roster:
    return replace(FOUNDING, member=with_member(FOUNDING, "hk-1", **changes))


def notaries(institutions: tuple[str, ...], threshold: int = 1) -> Roster:
    return kinds(notary=NotaryGroup(institutions=institutions, threshold=threshold))


def kinds(**changes: object) -> Roster:
    values: dict[str, object] = {"name": "k", **changes}
    return replace(FOUNDING, kind=(CatalogueKind(**values),))  # type: ignore[arg-type]  # wrong on purpose


def bank(position: int, **changes: object) -> Roster:
    some = list(FOUNDING.institution)
    some[position] = replace(some[position], **changes)
    return replace(FOUNDING, institution=tuple(some))


def officer(**changes: object) -> Roster:
    values: dict[str, object] = {"name": "A", "institution": HK.bank, "certificate": "0" * 64}
    return replace(FOUNDING, officer=(Officer(**(values | changes)),))  # type: ignore[arg-type]  # wrong on purpose


def groups(*some: tuple[str, object], of: Roster = FOUNDING) -> Roster:
    made = tuple(
        WitnessGroup(jurisdictions=tuple(places.split()), threshold=threshold)  # type: ignore[arg-type]  # wrong on purpose
        for places, threshold in some
    )
    return replace(of, witness=Witness(group=made))


def old(key: ListedKey, **changes: object) -> ListedKey:
    ended: dict[str, object] = {"state": "retired", "last_size": 7, "last_root": ROOT}
    return replace(key, **(ended | changes))


def of(keys: Keys) -> ListedMember:
    found = FOUNDING.find(keys.id)
    assert found is not None
    return found


HK_LOG, HK_COSIGNER = of(HK).log_key[0], of(HK).cosigner_key[0]
GOOD = {
    "founding": FOUNDING,
    "rich": rich(),
    "one member": founding((HK,)),
    "two log keys": hk(log_key=(HK_LOG, NEW_LOG)),
    "retired log key": hk(log_key=(old(HK_LOG), NEW_LOG)),
    "compromised log key": hk(log_key=(old(HK_LOG, state="compromised", since=SINCE), NEW_LOG)),
    "log key that never signed": hk(
        log_key=(old(HK_LOG, last_size=0, last_root=encode_base64(EMPTY_ROOT)), NEW_LOG)
    ),
    "two cosigner keys": hk(cosigner_key=(HK_COSIGNER, NEW_COSIGNER)),
    "retired cosigner key": hk(
        cosigner_key=(replace(HK_COSIGNER, state="retired", since=SINCE), NEW_COSIGNER)
    ),
    "suspended": hk(state="suspended"),
    "left, without keys": hk(state="left", log_key=(old(HK_LOG),)),
    "no emergency key": hk(emergency=None),
    "TLS identity and account": hk(tls="0" * 64, chain="0xAB12"),
    "Chinese name": bank(0, name='深圳 "銀行" \\'),
    "one majority group": groups(("CN HK MO", "majority")),
}


HK_2 = Keys("hk-2", "HK", 7)
HK_3 = Keys("hk-3", "HK", 8)


def goes_on(*more: ListedMember, **changes: object) -> Roster:
    """hk-1 has ended, and goes on as hk-2."""
    ended: dict[str, object] = {"state": "left", "log_key": (old(HK_LOG),), "successor": "hk-2"}
    roster = hk(**(ended | changes))
    return replace(roster, member=(*roster.member, HK_2.listed(), *more))


def ended(keys: Keys, successor: str) -> ListedMember:
    listed = keys.listed()
    return replace(listed, state="left", log_key=(old(listed.log_key[0]),), successor=successor)


def test_successor_is_named_by_its_origin() -> None:
    members = {one.id: one for one in goes_on().members()}
    assert members["hk-1"].successor == HK_2.origin
    assert members["hk-2"].successor is None


def test_successor_that_was_named_stays() -> None:
    before = goes_on(HK_3.listed())
    text = following(before)
    check_change(text, opened(before))
    for other in ("hk-3", None):
        changed = replace(text, member=with_member(text, "hk-1", successor=other))
        check_roster(changed)
        with pytest.raises(RefusedError):
            check_change(changed, opened(before))
    later = following(replace(before, member=with_member(before, "hk-1", successor=None)))
    named = replace(later, member=with_member(later, "hk-1", successor="hk-2"))
    check_change(named, opened(replace(before, member=with_member(before, "hk-1", successor=None))))


SUCCESSORS = {
    "unknown": goes_on(successor="hk-9"),
    "itself": goes_on(successor="hk-1"),
    "of another institution": goes_on(successor="sz-1"),
    "of an active member": goes_on(state="active", log_key=(old(HK_LOG), NEW_LOG)),
    "of a suspended member": goes_on(state="suspended"),
    "of one whose key has not ended": goes_on(log_key=(HK_LOG,)),
    "leads back": replace(goes_on(), member=(*goes_on().member[:-1], ended(HK_2, "hk-1"))),
    "leads into a ring": replace(
        goes_on(), member=(*goes_on().member[:-1], ended(HK_2, "hk-3"), ended(HK_3, "hk-2"))
    ),
}


@pytest.mark.parametrize("roster", SUCCESSORS.values(), ids=SUCCESSORS)
def test_successor_is_refused(roster: Roster) -> None:
    with pytest.raises(RefusedError) as caught:
        check_roster(roster)
    assert caught.value.code == "bad-roster"
    assert "successor" in caught.value.message


@pytest.mark.parametrize("roster", GOOD.values(), ids=GOOD)
def test_good_rosters_read_back_as_themselves(roster: Roster) -> None:
    text = encode_roster(roster)
    assert parse_roster(text) == roster
    check_roster(roster)
    assert not text.split("\n")[1].isdigit()  # never what a checkpoint's second line is


CROOKED = {
    "no header": lambda text: text.replace("chopmark/roster/v1\n", ""),
    "header of another thing": lambda text: text.replace("roster/v1", "ceremony/v1"),
    "not TOML": lambda text: text + "=\n",
    "unknown key": lambda text: text.replace("threshold", 'x = "y"\nthreshold', 1),
    "key of a wrong type": lambda text: text.replace("version = 1", 'version = "1"'),
    "no version": lambda text: text.replace("version = 1\n", ""),
    "unknown state": lambda text: text.replace("kinds = ", 'state = "away"\nkinds = ', 1),
    "default spelt out": lambda text: text.replace("kinds = ", 'state = "active"\nkinds = ', 1),
    "comment": lambda text: text + "# by hand\n",
    "other order": lambda text: text.replace(
        'id = "bank-sz"\nname = "Bank of SZ (example)"',
        'name = "Bank of SZ (example)"\nid = "bank-sz"',
    ),
    "other number": lambda text: text.replace("threshold = 2", "threshold = +2"),
    "other quotes": lambda text: text.replace('"bank-sz"', "'bank-sz'", 1),
    "other zone": lambda text: text.replace("13:00:00Z", "14:00:00+01:00", 1),
    "no zone": lambda text: text.replace("13:00:00Z", "13:00:00", 1),
    "parts of a second": lambda text: text.replace("13:00:00Z", "13:00:00.5Z", 1),
    "year that cannot be": lambda text: text.replace(
        "2026-11-22T13:00:00Z", "0001-01-01T00:00:00+23:00"
    ),
    "nothing at its end": lambda text: text[:-1],
    "a line too many": lambda text: text + "\n",
    "nested deeply": lambda text: text + "x = " + "[" * 5000 + "]" * 5000 + "\n",
    "too large": lambda text: text + "#" * MAX_NOTE,
}


@pytest.mark.parametrize("change", CROOKED.values(), ids=CROOKED)
def test_other_spellings_are_refused(change: Callable[[str], str]) -> None:
    text = encode_roster(FOUNDING)
    assert change(text) != text
    with pytest.raises(MalformedError) as error:
        parse_roster(change(text))
    assert error.value.code == "malformed-roster"


def test_draft_may_be_spelt_as_people_write() -> None:
    text = encode_roster(FOUNDING).replace("version = 1", "# ours\nversion   = 0x1")
    assert read_draft(text) == FOUNDING


@given(mutated(encode_roster(rich()).encode()))
def test_mutated_texts_are_refused_or_canonical(data: bytes) -> None:
    try:
        text = data.decode()
        roster = parse_roster(text)
        check_roster(roster)
    except (ChopmarkError, UnicodeDecodeError):
        return
    assert encode_roster(roster) == text


BAD = {
    "version 0": replace(FOUNDING, version=0),
    "version too large": replace(FOUNDING, version=10**6 + 1),
    "version 1 with one before": replace(FOUNDING, previous="0" * 64),
    "version 2 without one before": replace(FOUNDING, version=2),
    "previous in capitals": replace(FOUNDING, version=2, previous="A" * 64),
    "expires at once": replace(FOUNDING, expires=ISSUED),
    "expires after 401 days": replace(FOUNDING, expires=ISSUED + timedelta(days=401)),
    "before 1970": replace(
        FOUNDING,
        issued=datetime(1969, 1, 1, tzinfo=UTC),
        expires=datetime(1969, 2, 1, tzinfo=UTC),
    ),
    "threshold 0": replace(FOUNDING, threshold=0),
    "threshold 4 of 3": replace(FOUNDING, threshold=4),
    "no members": replace(FOUNDING, member=(), institution=()),
    "institution twice": replace(FOUNDING, institution=(*FOUNDING.institution, SZ.institution())),
    "name of an institution twice": bank(0, name="Bank of HK (example)"),
    "id of an institution": bank(0, id="Bank"),
    "name of an institution": bank(0, name=""),
    "name with a line feed": bank(0, name="a\nb"),
    "jurisdiction": bank(0, jurisdiction="xx"),
    "institution without members": replace(
        FOUNDING, institution=(*FOUNDING.institution, GZ.institution())
    ),
    "kind twice": replace(FOUNDING, kind=FOUNDING.kind * 2),
    "name of a kind": kinds(name="K"),
    "age of 0": kinds(max_age=0),
    "validity of 0": kinds(validity=0),
    "notary that is no institution": notaries(("bank-sz", "x")),
    "notary twice": notaries(("bank-sz", "bank-sz")),
    "no notaries": notaries((), 0),
    "more notaries than there are": notaries(("bank-sz", "bank-hk", "bank-mo"), 4),
    "no notary for one who may issue": notaries(("bank-sz",)),
    "too few notaries for one who may issue": notaries(("bank-sz", "bank-hk", "bank-mo"), 3),
    "notary that is not active": replace(
        notaries(("bank-sz", "bank-mo")), member=with_member(FOUNDING, "mo-1", state="suspended")
    ),
    "digests without SHA-256": kinds(digests=("sm3",)),
    "digests in another order": kinds(digests=("sha256", "json-jcs/1", "sm3")),
    "two canonical digests": kinds(digests=("sha256", "json-jcs/1", "pdf-pages/1")),
    "a canonical digest without version": kinds(digests=("sha256", "json-jcs")),
    "a canonical digest of version 0": kinds(digests=("sha256", "json-jcs/0")),
    "a canonical digest with a long name": kinds(digests=("sha256", "json-jcs-long-a/1")),
    "officer without a name": officer(name=""),
    "officer of nobody": officer(institution="x"),
    "officer's certificate": officer(certificate="0"),
    "member twice": replace(FOUNDING, member=(*FOUNDING.member, SZ.listed())),
    "member id": hk(id="HK"),
    "origin": hk(origin="chopmark/hk"),
    "origin twice": hk(origin=SZ.origin),
    "no kinds": hk(kinds=()),
    "member of nobody": hk(institution="x"),
    "TLS identity": hk(tls="00"),
    "account": hk(chain="0x-1"),
    "account that is empty": hk(chain=""),
    "no log key": hk(log_key=()),
    "no cosigner key": hk(state="left", cosigner_key=()),
    "three log keys": hk(
        log_key=(HK_LOG, NEW_LOG, ListedKey(vkey=log_key(HK.origin, 8).vkey.encode()))
    ),
    "no active log key": hk(log_key=(old(HK_LOG),)),
    "log key that is no vkey": hk(log_key=(ListedKey(vkey="x"),)),
    "log key of another name": hk(log_key=(ListedKey(vkey=log_key("a.example", 8).vkey.encode()),)),
    "log key that cosigns": hk(log_key=(ListedKey(vkey=cosigner(HK.origin, 8).vkey.encode()),)),
    "active log key with a last head": hk(log_key=(replace(old(HK_LOG), state="active"),)),
    "active log key with a time": hk(log_key=(replace(HK_LOG, since=SINCE),)),
    "retired log key with a time": hk(log_key=(old(HK_LOG, since=SINCE), NEW_LOG)),
    "compromised log key without a time": hk(log_key=(old(HK_LOG, state="compromised"), NEW_LOG)),
    "last size alone": hk(log_key=(old(HK_LOG, last_root=None), NEW_LOG)),
    "last size below 0": hk(log_key=(old(HK_LOG, last_size=-1), NEW_LOG)),
    "last root of 31 bytes": hk(log_key=(old(HK_LOG, last_root=encode_base64(bytes(31))), NEW_LOG)),
    "last root of nothing": hk(log_key=(old(HK_LOG, last_size=0), NEW_LOG)),
    "cosigner key of another name": hk(
        cosigner_key=(ListedKey(vkey=cosigner(f"{HK.origin}/other", 8).vkey.encode()),)
    ),
    "cosigner key number 1": hk(
        cosigner_key=(ListedKey(vkey=cosigner(f"{HK.origin}/cosigner-1", 8).vkey.encode()),)
    ),
    "cosigner key number 02": hk(
        cosigner_key=(ListedKey(vkey=cosigner(f"{HK.origin}/cosigner-02", 8).vkey.encode()),)
    ),
    "cosigner key without a number": hk(
        cosigner_key=(ListedKey(vkey=cosigner(f"{HK.origin}/cosigner-", 8).vkey.encode()),)
    ),
    "two cosigner keys of one name": hk(
        cosigner_key=(HK_COSIGNER, ListedKey(vkey=cosigner(HK.cosigner.name, 8).vkey.encode()))
    ),
    "cosigner key that does not cosign": hk(
        cosigner_key=(ListedKey(vkey=ed25519_key(HK.cosigner.name, 8).vkey.encode()),)
    ),
    "active cosigner key with a time": hk(cosigner_key=(replace(HK_COSIGNER, since=SINCE),)),
    "cosigner key with a last head": hk(
        cosigner_key=(replace(HK_COSIGNER, last_size=7, last_root=ROOT),)
    ),
    "emergency key of another name": hk(emergency=ed25519_key("a.example", 8).vkey.encode()),
    "emergency key of another type": hk(emergency=log_key(HK.emergency.name, 8).vkey.encode()),
    "emergency key that is no vkey": hk(emergency="x"),
    "one key twice": hk(log_key=(ListedKey(vkey=log_key(HK.origin, SZ.seed).vkey.encode()),)),
    "witness rule without groups": replace(FOUNDING, witness=Witness(group=())),
    "jurisdiction in two groups": groups(("CN HK", "majority"), ("HK MO", "majority")),
    "group that cannot be satisfied": groups(("CN HK MO", 3)),
    "group of 0": groups(("CN HK MO", 0), ("CN", "majority")),
    "no group with a majority": groups(("CN HK MO", 1)),
    "no majority without the issuer": groups(("CN", "majority")),
}


@pytest.mark.parametrize("roster", BAD.values(), ids=BAD)
def test_roster_that_breaks_a_rule_is_refused(roster: Roster) -> None:
    with pytest.raises(RefusedError) as error:
        check_roster(roster)
    assert error.value.code == "bad-roster"
    assert "breaks a rule" in error.value.message or ":" in error.value.message


def test_fingerprint_is_matched_in_hex_and_words() -> None:
    text = encode_roster(FOUNDING)
    fingerprint = Fingerprint(text)
    other = Fingerprint(text + " ")
    assert fingerprint.matches(fingerprint.hex.upper())
    assert fingerprint.matches(fingerprint.words)
    assert fingerprint.matches(fingerprint.words.replace("-", " ").title())
    assert not fingerprint.matches(other.hex)
    assert not fingerprint.matches(other.words)
    assert not fingerprint.matches("")
    assert not fingerprint.matches(fingerprint.words[:-6])


def test_proquints_are_those_of_the_paper() -> None:
    assert spell(bytes([127, 0, 0, 1])) == "lusab-babad"
    assert spell(bytes([63, 84, 220, 193])) == "gutih-tugad"


def test_signatures_are_counted_by_institution() -> None:
    second = Keys("sz-2", "CN", 5)
    roster = replace(
        FOUNDING, member=(*FOUNDING.member, replace(second.listed(), institution=SZ.bank))
    )
    assert opened(roster, (SZ, second)).signers == {SZ.bank}
    assert opened(roster, (SZ, second, HK)).signers == {SZ.bank, HK.bank}


def test_unknown_lines_are_left_out_and_bad_ones_refused() -> None:
    text = encode_roster(FOUNDING)
    stranger = log_key("stranger.example", 50).sign(text)
    note = Note(text, (stranger, HK.log.sign(text)))
    assert open_roster(note.encode()).encode() == Note(text, note.signatures[1:]).encode()
    with pytest.raises(RefusedError, match="no key that we know"):
        open_roster(Note(text, (stranger,)).encode())
    wrong = Note(text, (HK.log.sign(text + "x"), SZ.log.sign(text)))
    with pytest.raises(RefusedError, match="not good"):
        open_roster(wrong.encode())


def follow(roster: Roster, keys: Iterable[Keys], before: Roster = FOUNDING) -> None:
    check_successor(open_roster(signed(roster, keys), before), opened(before))


def joined() -> Roster:
    return following(
        FOUNDING,
        member=(*FOUNDING.member, GZ.listed()),
        institution=(*FOUNDING.institution, GZ.institution()),
    )


def test_version_follows_with_more_than_half_and_the_threshold() -> None:
    assert needed(FOUNDING) == 2
    assert needed(replace(FOUNDING, threshold=3)) == 3
    assert needed(replace(rich(), threshold=1)) == 3
    follow(joined(), (SZ, HK))
    for too_few in ((SZ,), (SZ, GZ)):
        with pytest.raises(RefusedError) as error:
            follow(joined(), too_few)
        assert error.value.code == "roster-unsigned"
    unanimous = replace(FOUNDING, threshold=3)
    with pytest.raises(RefusedError, match="2 institutions have signed, and 3 must"):
        follow(following(unanimous), (SZ, HK), unanimous)


def test_suspended_member_signs_nothing_but_still_counts() -> None:
    before = hk(state="suspended")
    with pytest.raises(RefusedError, match="1 institutions have signed"):
        follow(following(before), (SZ, HK), before)
    follow(following(before), (SZ, MO), before)


def test_institution_that_has_left_counts_no_more() -> None:
    before = replace(hk(state="left"), threshold=1)
    assert before.voters() == {SZ.bank, MO.bank}
    assert needed(before) == 2


RETIRED = hk(log_key=(old(HK_LOG), NEW_LOG))
CHANGES = {
    "other version": replace(joined(), version=3),
    "other text before": replace(joined(), previous="0" * 64),
    "issued earlier": replace(joined(), issued=ISSUED - timedelta(seconds=1)),
    "member gone": following(FOUNDING, member=FOUNDING.member[1:]),
    "id passed on": following(FOUNDING, member=with_member(FOUNDING, "hk-1", origin="new.example")),
    "origin passed on": following(FOUNDING, member=with_member(FOUNDING, "hk-1", id="hk-2")),
    "other institution": following(
        FOUNDING, member=with_member(FOUNDING, "hk-1", institution=SZ.bank)
    ),
    "key gone": following(FOUNDING, member=with_member(FOUNDING, "hk-1", log_key=(NEW_LOG,))),
}
RETURNS = {
    "key that comes back": (HK_LOG, NEW_LOG),
    "last head that grows": (old(HK_LOG, last_size=8), NEW_LOG),
}


@pytest.mark.parametrize("roster", CHANGES.values(), ids=CHANGES)
def test_change_that_breaks_a_rule_is_refused(roster: Roster) -> None:
    check_change(joined(), opened(FOUNDING))
    with pytest.raises(RefusedError) as error:
        check_change(roster, opened(FOUNDING))
    assert error.value.code == "bad-roster"


@pytest.mark.parametrize("keys", RETURNS.values(), ids=RETURNS)
def test_key_that_has_ended_stays_so(keys: tuple[ListedKey, ...]) -> None:
    before = opened(RETIRED, (SZ, MO))
    stolen = old(HK_LOG, state="compromised", since=SINCE)
    good = with_member(RETIRED, "hk-1", log_key=(stolen, NEW_LOG))
    check_change(following(RETIRED, (SZ, MO), member=good), before)
    wrong = with_member(RETIRED, "hk-1", log_key=keys)
    with pytest.raises(RefusedError, match="has ended"):
        check_change(following(RETIRED, (SZ, MO), member=wrong), before)


def test_who_has_left_stays_away() -> None:
    before = replace(hk(state="left"), threshold=1)
    again = following(before, (SZ,), member=with_member(before, "hk-1", state="active"))
    with pytest.raises(RefusedError, match="has left"):
        check_change(again, opened(before, (SZ,)))


def test_members_have_the_keys_of_the_roster() -> None:
    roster = hk(
        log_key=(old(HK_LOG), NEW_LOG),
        cosigner_key=(replace(HK_COSIGNER, state="retired", since=SINCE), NEW_COSIGNER),
    )
    sz, member, _ = roster.members()
    assert (sz.log_key, sz.institution, sz.jurisdiction) == (
        SZ.log.vkey,
        "Bank of SZ (example)",
        "CN",
    )
    assert member.log_keys == (NEW_LOG.key, HK_LOG.key)
    assert member.past_log_keys[0].size == 7
    assert member.cosigner_keys == (NEW_COSIGNER.key,)
    assert member.all_cosigner_keys == (NEW_COSIGNER.key, HK_COSIGNER.key)
    assert member.past_cosigner_keys == ((HK_COSIGNER.key, int(SINCE.timestamp())),)
    stolen = replace(HK_COSIGNER, state="compromised", since=SINCE)
    robbed = hk(cosigner_key=(stolen, NEW_COSIGNER)).members()[1]
    assert robbed.all_cosigner_keys == (NEW_COSIGNER.key,)
    assert robbed.known_cosigner_keys == (NEW_COSIGNER.key, HK_COSIGNER.key)
    two = hk(log_key=(HK_LOG, NEW_LOG), cosigner_key=(HK_COSIGNER, NEW_COSIGNER)).members()[1]
    assert two.log_keys == (HK_LOG.key, NEW_LOG.key)
    assert two.cosigner_keys == (HK_COSIGNER.key, NEW_COSIGNER.key)


def test_member_without_active_keys_is_not_active() -> None:
    member = hk(state="left", log_key=(old(HK_LOG),)).members()[1]
    assert (member.state, member.log_key, member.is_active) == ("left", HK_LOG.key, False)
    assert member.log_keys == (HK_LOG.key,)


def test_catalogue_and_expiry_are_read() -> None:
    assert FOUNDING.max_age("bank-statement") == 3600
    assert FOUNDING.max_age("diploma") is None
    assert FOUNDING.expires_in(ISSUED) == 365
    assert FOUNDING.find("gz-1") is None


@given(st.sampled_from(THREE), st.integers(0, 5000))
def test_one_flipped_bit_of_a_note_is_never_accepted(keys: Keys, position: int) -> None:
    data = bytearray(signed(FOUNDING, (keys,)))
    data[position % len(data)] ^= 1
    with pytest.raises(ChopmarkError):
        open_roster(bytes(data))


def test_notaries_of_a_kind_are_in_the_policies() -> None:
    made = notaries(("bank-sz", "bank-hk"))
    members = made.members()
    found = [generate_policy(one, members, made.rule()).notaries["k"] for one in members]
    sz, hk = (f"{one.origin}/cosigner" for one in (SZ, HK))
    assert found == [(1, (hk,)), (1, (sz,)), (1, (sz, hk))]


def test_notary_that_may_not_issue_the_kind_needs_no_other() -> None:
    made = notaries(("bank-sz",))
    check_roster(replace(made, member=with_member(made, "sz-1", kinds=("letter",))))


def test_account_of_a_member_is_known_in_lower_case() -> None:
    members = {one.id: one for one in hk(chain="0xAB12").members()}
    assert members["hk-1"].chain == "0xab12"
    assert members["sz-1"].chain is None
