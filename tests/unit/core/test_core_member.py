"""Members and the words that name them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import COSIGNATURE, ED25519, VerifierKey
from chopmark.core.member import (
    Member,
    PastKey,
    check_account,
    check_institution,
    check_jurisdiction,
    check_kind,
    check_kinds,
    check_member_id,
    is_account,
)
from chopmark.core.note import Note
from softkeys import cosigner, log_key, sign_head


def member(*kinds: str) -> Member:
    log = VerifierKey("a.example/x", ED25519, bytes(32))
    cosigner = VerifierKey("a.example/x/cosigner", COSIGNATURE, b"\1" * 32)
    return Member("x", "a.example/x", log, cosigner, "Bank A", "HK", frozenset(kinds))


def test_member_may_issue_only_the_kinds_it_lists() -> None:
    bank = member("bank-statement", "kyc-report")
    assert bank.may_issue("kyc-report")
    assert not bank.may_issue("kyc")
    assert not bank.may_issue("*")


def test_member_with_star_may_issue_every_kind() -> None:
    assert member("*").may_issue("diploma")


def test_member_without_kinds_may_issue_none() -> None:
    assert not member().may_issue("document")


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (check_member_id, "hk-1"),
        (check_member_id, "a" * 20),
        (check_kind, "bank-statement"),
        (check_kind, "kyc.v2"),
        (check_kind, "k" * 32),
        (check_institution, "香港銀行 (Example)"),
        (check_institution, "B" * 128),
        (check_jurisdiction, "HK"),
        (check_jurisdiction, "CN-GD"),
    ],
)
def test_names_accept(check: Callable[[str], None], good: str) -> None:
    check(good)


@pytest.mark.parametrize(
    ("check", "bad", "code"),
    [
        (check_member_id, "", "malformed-member-id"),
        (check_member_id, "a" * 21, "malformed-member-id"),
        (check_member_id, "HK-1", "malformed-member-id"),
        (check_member_id, "hk/1", "malformed-member-id"),
        (check_member_id, "hk-1\n", "malformed-member-id"),
        (check_member_id, "hk-٣", "malformed-member-id"),
        (check_kind, "", "malformed-kind"),
        (check_kind, "k" * 33, "malformed-kind"),
        (check_kind, "bank statement", "malformed-kind"),
        (check_kind, "*", "malformed-kind"),
        (check_institution, " ", "malformed-institution"),
        (check_institution, "B" * 129, "malformed-institution"),
        (check_institution, "Bank\nHK", "malformed-institution"),
        (check_jurisdiction, "hk", "malformed-jurisdiction"),
        (check_jurisdiction, "HKG", "malformed-jurisdiction"),
        (check_jurisdiction, "CN-", "malformed-jurisdiction"),
    ],
)
def test_names_refuse(check: Callable[[str], None], bad: str, code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        check(bad)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("good", [("*",), ("document",), ("a", "b")])
def test_kinds_accept(good: tuple[str, ...]) -> None:
    check_kinds(good)


@pytest.mark.parametrize("bad", [(), ("a", "a"), ("*", "a"), ("A",), ("*", "*")])
def test_kinds_refuse(bad: tuple[str, ...]) -> None:
    with pytest.raises(MalformedError) as caught:
        check_kinds(bad)
    assert caught.value.code == "malformed-kind"


ORIGIN = "bank-hk.example/hk-1"
HEAD = Checkpoint(ORIGIN, 7, bytes([7]) * 32)
OLD, NOW, NEXT = (log_key(ORIGIN, seed) for seed in (41, 42, 43))


def rotating() -> Member:
    return Member(
        id="hk-1",
        origin=ORIGIN,
        log_key=NOW.vkey,
        cosigner_key=cosigner(f"{ORIGIN}/cosigner", 44).vkey,
        institution="x",
        jurisdiction="HK",
        kinds=frozenset({"*"}),
        more_log_keys=(NEXT.vkey,),
        past_log_keys=(PastKey(OLD.vkey, HEAD.size, HEAD.root),),
    )


def test_head_by_any_key_that_signs_now_counts() -> None:
    for key in (NOW, NEXT):
        assert rotating().open_head(sign_head(HEAD, key)).checkpoint == HEAD


def test_head_by_a_past_key_counts_up_to_its_last_one() -> None:
    member = rotating()
    below = Checkpoint(ORIGIN, 3, bytes(32))
    for head in (HEAD, below):
        assert member.open_head(sign_head(head, OLD)).checkpoint == head
    for head in (Checkpoint(ORIGIN, 8, bytes(32)), Checkpoint(ORIGIN, 7, bytes(32))):
        with pytest.raises(RefusedError) as error:
            member.open_head(sign_head(head, OLD))
        assert error.value.code == "past-key"


def test_head_that_a_present_key_has_signed_too_counts() -> None:
    beyond = Checkpoint(ORIGIN, 8, bytes(32))
    text = beyond.encode()
    note = Note(text, (OLD.sign(text), NOW.sign(text))).encode()
    assert {one.key for one in rotating().open_head(note).verified} == {OLD.vkey, NOW.vkey}


def test_head_by_another_key_is_refused() -> None:
    with pytest.raises(RefusedError) as error:
        rotating().open_head(sign_head(HEAD, log_key(ORIGIN, 45)))
    assert error.value.code == "no-known-signature"
    assert rotating().is_active


def test_head_of_a_suspended_member_counts_only_by_a_past_key() -> None:
    for state in ("suspended", "left"):
        member = replace(rotating(), state=state)
        assert member.open_head(sign_head(HEAD, OLD)).checkpoint == HEAD
        with pytest.raises(RefusedError) as error:
            member.open_head(sign_head(HEAD, NOW))
        assert error.value.code == "member-suspended"


def test_gateway_of_a_suspended_member_reads_what_its_keys_vouch_for() -> None:
    member = replace(rotating(), state="suspended")
    beyond = Checkpoint(ORIGIN, 8, bytes(32))
    for head, key in ((HEAD, OLD), (HEAD, NOW), (beyond, NEXT)):
        assert member.read_vouched(sign_head(head, key)).checkpoint == head
    with pytest.raises(RefusedError) as error:
        member.read_vouched(sign_head(beyond, OLD))
    assert error.value.code == "past-key"


def test_key_that_has_ended_is_answerable_up_to_its_last_size() -> None:
    at_last, beyond = Checkpoint(ORIGIN, 7, bytes(32)), Checkpoint(ORIGIN, 8, bytes(32))
    for state in ("active", "left"):
        member = replace(rotating(), state=state)
        for head, key in ((at_last, OLD), (HEAD, NOW), (beyond, NEXT)):
            assert member.open_accused(sign_head(head, key)).checkpoint == head
        with pytest.raises(RefusedError) as error:
            member.open_accused(sign_head(beyond, OLD))
        assert error.value.code == "past-key"


def test_head_by_a_past_key_beyond_its_last_counts_for_nothing_and_is_no_error() -> None:
    member, beyond = rotating(), Checkpoint(ORIGIN, 8, bytes(32))
    found = member.read_counted(sign_head(HEAD, OLD))
    assert found is not None
    assert found.checkpoint == HEAD
    assert member.read_counted(sign_head(beyond, OLD)) is None
    with pytest.raises(RefusedError) as error:
        member.read_counted(sign_head(HEAD, log_key(ORIGIN, 45)))
    assert error.value.code == "no-known-signature"


def test_note_is_by_ended_keys_only_unless_a_present_one_has_signed_it_too() -> None:
    member, text = rotating(), HEAD.encode()
    assert member.only_ended_signed(sign_head(HEAD, OLD))
    assert not member.only_ended_signed(sign_head(HEAD, NOW))
    assert not member.only_ended_signed(Note(text, (OLD.sign(text), NEXT.sign(text))).encode())


def test_account_on_a_chain_has_one_spelling() -> None:
    account = "0x" + "ab" * 20
    check_account(account)
    assert is_account(account)


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "AB" * 20, "0x" + "ab" * 21, "ab" * 20, "0x" + "ab" * 20 + "\n"]
)
def test_other_texts_are_no_accounts(text: str) -> None:
    assert not is_account(text)
    with pytest.raises(MalformedError, match="not an account"):
        check_account(text)
