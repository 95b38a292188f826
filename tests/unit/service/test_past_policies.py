"""Proofs that were complete under an older version of the roster, and what completes none."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from chopmark.api.ports import Asked
from chopmark.core.digest import Digests
from chopmark.core.merkle import inclusion_proof
from chopmark.core.proof import Extra, Proof
from chopmark.core.quorum import generate
from chopmark.core.roster import CatalogueKind, ListedKey, Roster
from chopmark.core.verdict import Question, Source, Word
from chopmark.ledger.log import Log
from chopmark.service.membership import Membership
from chopmark.service.past_policies import PastPolicies
from chopmark.service.shelf import Shelf
from chopmark.service.verifier import Verifier
from ledgers import NOW, ORIGIN, append, attestations, digest, sign
from ledgers import Source as Entries
from ledgers import opened as open_log
from rosters import HK, MO, SZ, THREE, Keys, following, founding, opened, with_member
from softkeys import SoftKey, cosigner, sign_head

SECONDS = NOW // 1000
CHANGED = SECONDS + 1000
"""When the second version came in force here."""
ANOTHER = Keys("hx-1", "HK", 9)
FIRST = founding()
NEW_HK = cosigner(f"{HK.origin}/cosigner-2", 50)
BOTH = {HK.cosigner: SECONDS, MO.cosigner: SECONDS + 1}


def second(**changes: object) -> Roster:
    """The next version: another institution of Hong Kong, so that both must cosign."""
    members = changes.pop("member", FIRST.member)
    assert isinstance(members, tuple)
    return following(
        FIRST,
        institution=(*FIRST.institution, ANOTHER.institution()),
        member=(*members, ANOTHER.listed()),
        **changes,
    )


def ended(state: str, since: int) -> tuple[object, ...]:
    """The members, where the cosigner key of Hong Kong has ended."""
    old = ListedKey(
        vkey=HK.cosigner.vkey.encode(),
        state=state,  # type: ignore[arg-type]
        since=datetime.fromtimestamp(since, UTC),
    )
    keys = (old, ListedKey(vkey=NEW_HK.vkey.encode()))
    return with_member(FIRST, "hk-1", cosigner_key=keys)


def membership(*chain: Roster, suspended: str = "") -> Membership:
    """What mo-1 holds."""
    known = {one.id: one for one in chain[-1].members()}
    if suspended:
        known[suspended] = replace(known[suspended], state="suspended")
    own = known.pop("mo-1")
    times = (CHANGED - 5000, CHANGED)[-len(chain) :]
    signed = tuple(opened(one, THREE) for one in chain)
    return Membership(own, tuple(known.values()), signed, None, lambda _: 86_400, times)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(tmp_path, "replica") as made:
        await made.write(lambda store: append(store, attestations(3)))
        await made.write(sign)
        yield made


async def ask(log: Log, members: Membership, cosigned: dict[SoftKey, int]) -> Word:
    """The verdict about a proof that somebody presents."""
    entries = Entries(attestations(3))
    note = sign_head(entries.head(), SZ.log, cosigned)
    path = inclusion_proof(1, 3, entries.nodes)
    proof = Proof(1, path, note, Extra(entries.entries[1]).encode()).encode()
    everyone = (members.own, *members.peers)
    issuer = next(one for one in everyone if one.origin == ORIGIN)
    voters = [one for one in everyone if one.is_active]
    assert members.signed is not None
    policies = {ORIGIN: generate(issuer, voters, members.signed.roster.rule())}
    verifier = Verifier(
        *([Shelf(issuer, log, Source.REPLICA)], log._reading, lambda _: 86_400, policies),
        PastPolicies(members).of,
    )
    verdict = await verifier.verify(Asked(Digests(digest(1)), proof, None, Question(NOW)))
    return verdict.word


async def test_proof_that_was_complete_before_the_voters_changed_stays_so(log: Log) -> None:
    chain = FIRST, second()
    assert await ask(log, membership(*chain), BOTH) is Word.VALID_AS_OF
    assert await ask(log, membership(chain[-1]), BOTH) is Word.UNWITNESSED, "it is not held"


async def test_proof_under_a_head_that_is_not_held_is_judged_by_the_version_in_force(
    tmp_path: Path,
) -> None:
    async with open_log(tmp_path, "empty") as empty:
        assert await ask(empty, membership(FIRST, second()), BOTH) is Word.UNWITNESSED
        assert await ask(empty, membership(FIRST), BOTH) is Word.VALID_AS_OF


async def test_proof_that_no_version_finds_complete_stays_unwitnessed(log: Log) -> None:
    for key in BOTH:
        assert await ask(log, membership(FIRST, second()), {key: SECONDS}) is Word.UNWITNESSED


@pytest.mark.parametrize(("late", "word"), [(60, Word.VALID_AS_OF), (61, Word.UNWITNESSED)])
async def test_cosignature_dated_after_the_next_version_counts_under_that(
    log: Log, late: int, word: Word
) -> None:
    cosigned = {**BOTH, HK.cosigner: CHANGED + late}
    assert await ask(log, membership(FIRST, second()), cosigned) is word


async def test_compromised_key_counts_under_no_version(log: Log) -> None:
    compromised = second(member=ended("compromised", CHANGED))
    assert await ask(log, membership(FIRST, compromised), BOTH) is Word.UNWITNESSED
    retired = second(member=ended("retired", CHANGED))
    assert await ask(log, membership(FIRST, retired), BOTH) is Word.VALID_AS_OF


async def test_retired_key_counts_up_to_its_end_or_while_a_version_held_it_active(
    log: Log,
) -> None:
    """Whoever buys an old HSM has no vote on new heads, unless he dates them back."""
    retired = following(FIRST, member=ended("retired", SECONDS + 5))

    async def word(time: int, *chain: Roster) -> Word:
        return await ask(log, membership(*chain), {**BOTH, HK.cosigner: time})

    assert await word(SECONDS + 5, retired) is Word.VALID_AS_OF
    assert await word(SECONDS + 6, retired) is Word.UNWITNESSED
    assert await word(SECONDS + 6, FIRST, retired) is Word.VALID_AS_OF
    assert await word(CHANGED + 61, FIRST, retired) is Word.UNWITNESSED


async def test_key_of_a_member_that_is_suspended_counts_under_none(log: Log) -> None:
    chain = FIRST, second()
    assert await ask(log, membership(*chain, suspended="hk-1"), BOTH) is Word.UNWITNESSED


async def test_version_that_demands_nobody_completes_nothing(log: Log) -> None:
    alone = founding((SZ,))
    joined = following(alone, (SZ,), institution=FIRST.institution, member=FIRST.member)
    members = membership(FIRST)
    chain = opened(alone, (SZ,)), opened(joined)
    members = replace(members, chain=chain, times=(CHANGED - 5000, CHANGED))
    assert await ask(log, members, {}) is Word.UNWITNESSED
    assert await ask(log, members, BOTH) is Word.VALID_AS_OF


def test_kinds_are_those_of_all_versions_or_what_members_may_issue() -> None:
    first = structs.replace(FIRST, kind=(CatalogueKind(name="diploma"), CatalogueKind(name="kyc")))
    second = following(first, kind=(CatalogueKind(name="kyc"),))
    assert membership(first, second).known_kinds == {"diploma", "kyc"}
    free = structs.replace(FIRST, kind=())
    for member in ("sz-1", "hk-1", "mo-1"):
        free = structs.replace(
            free, member=with_member(free, member, kinds=("kyc", f"of-{member}"))
        )
    assert membership(free).known_kinds == {"kyc", "of-sz-1", "of-hk-1", "of-mo-1"}
    free = structs.replace(free, member=with_member(free, "hk-1", kinds=("*",)))
    assert membership(free).known_kinds == frozenset()
