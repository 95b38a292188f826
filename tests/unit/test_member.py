"""Members and the words that name them."""

from collections.abc import Callable

import pytest

from chopmark.core.errors import MalformedError
from chopmark.core.keys import COSIGNATURE, ED25519, VerifierKey
from chopmark.core.member import (
    Member,
    check_institution,
    check_jurisdiction,
    check_kind,
    check_kinds,
    check_member_id,
)


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
