"""Policies made from members and a witness rule: who votes, who must have, and what is refused."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.note import Verified
from chopmark.core.policy import NONE, Policy, parse_policy
from chopmark.core.quorum import (
    MAX_QUORUM,
    Notaries,
    WitnessGroup,
    WitnessRule,
    generate,
    generate_policy,
    minimal_quorum,
)
from softkeys import cosigner, log_key

DEFAULT = WitnessRule()


def make(number: int, jurisdiction: str = "HK", institution: str | None = None) -> Member:
    origin = f"bank-{number}.example/{jurisdiction.lower()}-{number}"
    log, second = log_key(origin, number + 1), cosigner(f"{origin}/cosigner", 100 + number)
    return Member(
        id=f"{jurisdiction.lower()}-{number}",
        origin=origin,
        log_key=log.vkey,
        cosigner_key=second.vkey,
        institution=institution or f"Bank {number}",
        jurisdiction=jurisdiction,
        kinds=frozenset({"*"}),
    )


SZ, HK, MO = make(1, "CN"), make(2, "HK"), make(3, "MO")


HK_NAME = HK.cosigner_key.name


def keys(*members: Member) -> list[VerifierKey]:
    return [member.cosigner_key for member in members]


def test_each_jurisdiction_besides_the_issuers_must_cosign() -> None:
    policy = generate_policy(SZ, [SZ, HK, MO], DEFAULT)

    assert policy.is_satisfied(keys(HK, MO))
    assert not policy.is_satisfied(keys(HK))
    assert not policy.is_satisfied(keys(SZ, MO))
    assert policy.logs == (SZ.log_key,)


def test_a_group_emptied_by_leaving_out_the_issuer_is_dropped_and_named() -> None:
    assert generate(SZ, [SZ, HK, MO], DEFAULT).dropped == ("CN",)
    assert generate(SZ, [SZ, HK, make(4, "CN")], DEFAULT).dropped == ()


def test_policy_reads_back_as_itself() -> None:
    policy = generate_policy(SZ, [HK, MO, make(4), make(5, institution=HK.institution)], DEFAULT)

    assert parse_policy(policy.encode().encode()) == policy


def test_policy_does_not_depend_on_the_order_of_members() -> None:
    members = [SZ, HK, MO, make(4), make(5, "CN")]

    made = {generate_policy(SZ, some, DEFAULT).encode() for some in itertools.permutations(members)}

    assert len(made) == 1


def test_an_institution_votes_once_by_any_of_its_gateways() -> None:
    twin = make(4, institution=HK.institution)
    other = make(5)
    policy = generate_policy(SZ, [HK, twin, other, make(6)], DEFAULT)

    assert not policy.is_satisfied(keys(HK, twin))
    assert policy.is_satisfied(keys(twin, other))
    assert policy.is_satisfied(keys(HK, other))


def test_the_issuers_institution_does_not_vote_by_another_gateway() -> None:
    twin = make(4, "HK", SZ.institution)
    policy = generate_policy(SZ, [SZ, twin, HK], DEFAULT)

    assert twin.cosigner_key not in policy.witnesses.values()
    assert policy.is_satisfied(keys(HK))


def test_without_another_institution_there_is_no_quorum() -> None:
    assert generate_policy(SZ, [SZ], DEFAULT).quorum == NONE
    assert generate_policy(SZ, [SZ, make(4, "HK", SZ.institution)], DEFAULT).quorum == NONE
    assert generate_policy(SZ, [SZ, HK, MO], None) == Policy((SZ.log_key,))


def test_more_than_half_there_and_one_here_is_a_quorum() -> None:
    chinese = [make(n, "CN") for n in range(10, 13)]
    rule = WitnessRule((WitnessGroup(("CN",)), WitnessGroup(("HK",), 1)))
    policy = generate_policy(SZ, [*chinese, HK, make(4)], rule)

    assert policy.is_satisfied(keys(HK, *chinese[:2]))
    assert not policy.is_satisfied(keys(HK, *chinese[:1]))
    assert not policy.is_satisfied(keys(*chinese))


def test_one_here_and_one_there_is_refused() -> None:
    rule = WitnessRule((WitnessGroup(("HK",), 1), WitnessGroup(("MO",), 1)))

    with pytest.raises(RefusedError, match="nobody in common") as refused:
        generate_policy(SZ, [HK, make(4), MO, make(5, "MO")], rule)

    assert refused.value.code == "no-common-quorum"
    assert "majority" in refused.value.hint


def test_a_rule_whose_majority_group_is_dropped_is_refused() -> None:
    rule = WitnessRule((WitnessGroup(("CN",)), WitnessGroup(("HK",), 1)))

    with pytest.raises(RefusedError, match="nobody in common"):
        generate_policy(SZ, [HK, make(4), make(5)], rule)


def test_a_rule_none_of_whose_groups_has_anyone_is_refused() -> None:
    with pytest.raises(RefusedError, match="nobody in common"):
        generate_policy(SZ, [HK], WitnessRule((WitnessGroup(("MO",)),)))


def test_a_group_with_too_few_institutions_is_refused() -> None:
    with pytest.raises(RefusedError, match="without Bank 1 it has 1") as refused:
        generate_policy(SZ, [HK], WitnessRule((WitnessGroup(("HK",), 2),)))

    assert refused.value.code == "quorum-unreachable"


def test_a_quorum_that_does_not_fit_a_note_is_refused() -> None:
    fits = [make(number) for number in range(10, 9 + 2 * MAX_QUORUM)]

    assert generate_policy(SZ, fits, DEFAULT).quorum != NONE
    with pytest.raises(RefusedError, match="does not fit a note"):
        generate_policy(SZ, [*fits, make(100)], DEFAULT)


@pytest.mark.parametrize(
    "groups",
    [
        (WitnessGroup(("HK",)), WitnessGroup(("MO", "HK"))),
        (WitnessGroup(()),),
        (WitnessGroup(("HK",), "some"),),
        (WitnessGroup(("HK",), 0),),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(groups: tuple[WitnessGroup, ...]) -> None:
    with pytest.raises(RefusedError):
        generate_policy(SZ, [HK, MO], WitnessRule(groups))


def test_an_institution_with_gateways_in_two_groups_is_refused() -> None:
    with pytest.raises(RefusedError, match="votes once"):
        generate_policy(SZ, [HK, make(4, "MO", HK.institution)], DEFAULT)


def test_who_stands_in_no_group_is_a_witness_whom_the_quorum_does_not_need() -> None:
    policy = generate_policy(SZ, [HK, MO], WitnessRule((WitnessGroup(("HK",)),)))

    assert MO.cosigner_key in policy.witnesses.values()
    assert policy.is_satisfied(keys(HK))
    assert not policy.is_satisfied(keys(MO))


def test_minimal_quorum_leaves_out_whom_the_policy_does_not_need() -> None:
    members = [make(number) for number in range(10, 15)]
    policy = generate_policy(SZ, [*members, MO], DEFAULT)

    least = minimal_quorum(policy, keys(MO, *reversed(members)))

    assert set(least) == set(keys(MO, *members[2:]))
    assert minimal_quorum(policy, keys(*members)) == ()


def test_minimal_quorum_of_a_policy_without_one_is_nobody() -> None:
    assert minimal_quorum(generate_policy(SZ, [HK], None), keys(HK)) == ()


PLACES = st.sampled_from(["CN", "HK", "MO"])
ROSTERS = st.lists(st.tuples(PLACES, st.integers(0, 4)), min_size=1, max_size=7)
THRESHOLDS = st.one_of(st.just("majority"), st.integers(1, 3))
RULES = st.one_of(
    st.just(DEFAULT),
    st.lists(st.tuples(PLACES, THRESHOLDS), max_size=3, unique_by=lambda one: one[0]).map(
        lambda groups: WitnessRule(tuple(WitnessGroup((one,), two) for one, two in groups))
    ),
)


def institutions(quorum: Iterable[Member]) -> set[str]:
    return {member.institution for member in quorum}


@given(ROSTERS, RULES)
def test_any_two_quorums_of_an_accepted_policy_share_an_institution(
    roster: list[tuple[str, int]], rule: WitnessRule
) -> None:
    members = [make(n, place, f"Bank {bank}") for n, (place, bank) in enumerate(roster)]
    issuer = members[0]
    try:
        policy = generate_policy(issuer, members, rule)
    except RefusedError:
        return
    if policy.quorum == NONE:
        return
    everyone = itertools.chain.from_iterable(
        itertools.combinations(members[1:], count) for count in range(1, len(members))
    )
    quorums = [set(some) for some in everyone if policy.is_satisfied(keys(*some))]

    assert all(institutions(one) & institutions(two) for one in quorums for two in quorums)
    assert quorums, "a policy that nobody can satisfy"
    for quorum in quorums:
        least = minimal_quorum(policy, keys(*quorum))
        assert policy.is_satisfied(least)
        assert not any(
            policy.is_satisfied(some) for some in itertools.combinations(least, len(least) - 1)
        )


@given(ROSTERS, RULES)
def test_the_issuers_institution_alone_is_never_a_quorum(
    roster: list[tuple[str, int]], rule: WitnessRule
) -> None:
    members = [make(n, place, f"Bank {bank}") for n, (place, bank) in enumerate(roster)]
    own = [m for m in members if m.institution == members[0].institution]
    try:
        policy = generate_policy(members[0], members, rule)
    except RefusedError:
        return

    assert policy.quorum == NONE or not policy.is_satisfied(keys(*own))


@pytest.mark.parametrize("kind", ["present", "next", "past"])
def test_key_for_logs_of_others_is_in_no_policy(kind: str) -> None:
    key = cosigner(f"{HK.origin}/witness", 9).vkey
    foreign = {
        "present": replace(HK, cosigner_key=key),
        "next": replace(HK, more_cosigner_keys=(key,)),
        "past": replace(HK, past_cosigner_keys=((key, 1),)),
    }[kind]
    with pytest.raises(RefusedError) as caught:
        generate_policy(SZ, [SZ, foreign, MO], DEFAULT)
    assert caught.value.code == "witness-key"


def notarised(*banks: str, threshold: int = 1) -> WitnessRule:
    return WitnessRule(notaries=(Notaries("diploma", banks, threshold),))


def test_notaries_are_witnesses_of_whom_so_many_must_cosign() -> None:
    third = make(5, "MO")
    policy = generate_policy(SZ, [SZ, HK, MO, third], notarised("Bank 3", "Bank 5", threshold=2))
    assert parse_policy(policy.encode().encode()) == policy
    assert not policy.for_kind("diploma").is_satisfied(keys(HK, MO))
    assert policy.for_kind("diploma").is_satisfied(keys(HK, MO, third))


def test_issuer_is_no_notary_of_its_own() -> None:
    rule = notarised("Bank 1", "Bank 2")
    assert generate_policy(SZ, [SZ, HK, MO], rule).notaries == {"diploma": (1, (HK_NAME,))}
    alone = generate_policy(SZ, [SZ, HK, MO], notarised("Bank 1"))
    assert alone.notaries == {"diploma": (1, ())}
    assert not alone.for_kind("diploma").is_satisfied(keys(HK, MO))
    assert generate_policy(SZ, [SZ], rule).notaries == {"diploma": (1, ())}


@pytest.mark.parametrize("groups", [(), (WitnessGroup(("MO",)),)])
def test_notary_with_two_gateways_counts_once(groups: tuple[WitnessGroup, ...]) -> None:
    """Whether it votes in a group of the quorum or in none."""
    second = make(7, "HK", institution="Bank 2")
    rule = replace(notarised("Bank 2", "Bank 3", threshold=2), groups=groups)
    policy = generate_policy(SZ, [SZ, HK, second, MO], rule)
    assert parse_policy(policy.encode().encode()) == policy
    full = policy.for_kind("diploma")
    assert not full.is_satisfied(keys(HK, second))
    assert full.is_satisfied(keys(second, MO))


def test_quorum_and_notaries_must_fit_a_note() -> None:
    others = [make(10 + number, "HK") for number in range(25)]
    banks = [other.institution for other in others]
    assert generate_policy(SZ, others, notarised(*banks, threshold=1))
    with pytest.raises(RefusedError) as caught:
        generate_policy(SZ, others, notarised(*banks, threshold=2))
    assert caught.value.code == "quorum-too-large"


def test_cosignature_dated_after_its_key_has_retired_counts_no_more() -> None:
    old = cosigner(f"{HK.origin}/cosigner-0", 90).vkey
    member = replace(HK, past_cosigner_keys=((old, 100),))
    policy = generate_policy(SZ, [SZ, member, MO], DEFAULT)

    def by(time: int, key: VerifierKey = old) -> int | None:
        return policy.existed_by([Verified(SZ.log_key, 0), Verified(key, time), *others])

    others = [Verified(MO.cosigner_key, 90)]
    assert (by(100), by(101)) == (100, None)
    assert by(101, HK.cosigner_key) == 101, "that key goes on"
    text = parse_policy(policy.encode().encode())
    assert text == policy
    assert text.existed_by([Verified(old, 101), *others]) == 101, "a text has no times"
