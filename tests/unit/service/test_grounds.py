"""Whether a consent that is shown holds for a use: each rule, with its good twin."""

from dataclasses import replace

import pytest

from bookshelves import Book, Library, attest, revoke
from chopmark.core.consent import Consent, Shown, Use, commit, seal, show
from chopmark.core.entry import Commitment, encode_entry
from chopmark.core.errors import ChopmarkError, TryAgainError
from chopmark.core.merkle import leaf_hash
from chopmark.core.policy import Policy
from chopmark.ledger.forks import Stop
from chopmark.service.grounds import Grounds
from chopmark.service.parties import Parties
from ledgers import NOW

DATA = attest("a")
SALT = bytes(range(32))
ORIGIN = "bank-mo.example/mo-1"


def given(**changes: object) -> Consent:
    values: dict[str, object] = {
        "origin": ORIGIN,
        "index": 0,
        "leaf": leaf_hash(DATA),
        "receiver": "bank-sz.example/sz-1",
        "purpose": "sme-loan",
        "until": NOW + 1,
    }
    return Consent(**(values | changes))  # type: ignore[arg-type]


def entry_of(body: Consent, made_at: int = NOW - 5) -> bytes:
    return encode_entry(Commitment(made_at, 3, commit(SALT, body.encode())))


async def shown(book: Book, body: Consent) -> Shown:
    """A consent that the issuer has recorded."""
    await book.add(entry_of(body))
    index = book.log.state.size - 1
    proof = await book.log.read(lambda reader, state: reader.proof(index, state))
    return show(seal(proof, SALT, body))


class Scene:
    """An issuer's log with one attestation, and its receiver in Shenzhen, with two gateways."""

    def __init__(self, issuer: Book, sz: Book, other: Book) -> None:
        self.issuer, self.sz, self.other = issuer, sz, other
        self.policy = Policy(issuer.shelf.member.log_keys)
        self.use = Use(ORIGIN, 0, leaf_hash(DATA), sz.key.name, "sme-loan", None)

    def grounds(self) -> Grounds:
        members = [book.shelf.member for book in (self.sz, self.other, self.issuer)]
        return Grounds(self.issuer.shelf, self.policy, Parties(members), members[0], NOW)

    async def find(
        self, *consents: Shown, validity: int | None = None, needed: bool = True
    ) -> Shown | None:
        grounds, use = self.grounds(), self.use
        return await self.issuer.log.read(
            lambda _r, _s: grounds.find(consents, use, validity, needed=needed)
        )

    async def code(self, *consents: Shown, validity: int | None = None) -> str:
        with pytest.raises(ChopmarkError) as caught:
            await self.find(*consents, validity=validity)
        return caught.value.code


@pytest.fixture
async def scene(library: Library) -> Scene:
    issuer, other = await library.open("mo-1", 41), await library.open("sz-2", 43)
    await issuer.add(DATA)
    return Scene(issuer, library.books["sz-1"], other)


async def test_consent_that_fits_holds(scene: Scene) -> None:
    consent = await shown(scene.issuer, given())
    assert await scene.find(consent) == consent


async def test_consent_for_another_gateway_of_the_institution_holds(scene: Scene) -> None:
    consent = await shown(scene.issuer, given(receiver="bank-sz.example/sz-2"))
    assert await scene.find(consent) == consent


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"index": 1}, "consent-other-document"),
        ({"leaf": bytes(32)}, "consent-other-document"),
        ({"receiver": ORIGIN}, "consent-other-receiver"),
        ({"receiver": "bank-nn.example/nn-1"}, "consent-other-receiver"),
        ({"purpose": "mortgage"}, "consent-other-purpose"),
        ({"scenario": "another"}, "consent-other-scenario"),
        ({"until": NOW - 1}, "consent-expired"),
    ],
)
async def test_consent_to_something_else_does_not_hold(
    scene: Scene, changes: dict[str, object], code: str
) -> None:
    await scene.issuer.add(attest("b"))  # so that a consent may name entry 1
    assert await scene.code(await shown(scene.issuer, given(**changes))) == code


async def test_consent_holds_to_its_last_millisecond(scene: Scene) -> None:
    assert await scene.find(await shown(scene.issuer, given(until=NOW)))


async def test_consent_for_longer_than_the_scenario_lets_it_hold_is_refused(scene: Scene) -> None:
    month = 30 * 86_400
    long = await shown(scene.issuer, given(until=NOW + 1000 * month + 200_000))
    assert await scene.code(long, validity=month) == "consent-too-long"
    assert await scene.find(await shown(scene.issuer, given()), validity=month)


async def test_use_without_a_consent_is_refused_where_one_is_needed(scene: Scene) -> None:
    assert await scene.code() == "consent-missing"
    assert await scene.find(needed=False) is None
    other = await shown(scene.issuer, given(purpose="mortgage"))
    assert await scene.find(other, needed=False) is None


async def test_consent_that_holds_is_found_among_others(scene: Scene) -> None:
    other = await shown(scene.issuer, given(purpose="mortgage"))
    good = await shown(scene.issuer, given())
    assert await scene.find(other, good) == good


async def test_consent_that_came_furthest_is_explained(scene: Scene) -> None:
    over = await shown(scene.issuer, given(until=NOW - 1))
    other = await shown(scene.issuer, given(purpose="mortgage"))
    assert await scene.code(over, other) == await scene.code(other, over) == "consent-expired"


@pytest.mark.parametrize("reason", [0, 3, 4])
async def test_withdrawn_consent_does_not_hold(scene: Scene, reason: int) -> None:
    consent = await shown(scene.issuer, given())
    await scene.issuer.add(revoke(1, reason))
    assert await scene.code(consent) == "consent-withdrawn"


async def test_withdrawal_of_another_consent_does_no_harm(scene: Scene) -> None:
    consent = await shown(scene.issuer, given())
    await shown(scene.issuer, given(until=NOW + 2))
    await scene.issuer.add(revoke(2, 3))
    assert await scene.find(consent) == consent


async def test_consent_that_has_not_come_in_yet_is_to_be_tried_again(scene: Scene) -> None:
    consent = await shown(scene.issuer, given())
    later = replace(consent, proof=replace(consent.proof, index=9))
    with pytest.raises(TryAgainError) as caught:
        await scene.find(later)
    assert caught.value.code == "consent-not-here"


async def test_consent_that_the_ledger_does_not_have_is_refused(scene: Scene) -> None:
    consent = await shown(scene.issuer, given())
    await scene.issuer.add(attest("b"))
    elsewhere = replace(consent, proof=replace(consent.proof, index=2))
    assert await scene.code(elsewhere) == "consent-not-in-ledger"


async def test_consent_waits_for_the_quorum_of_its_log(scene: Scene) -> None:
    consent = await shown(scene.issuer, given())
    witness = scene.sz.second.vkey
    scene.policy = Policy(scene.policy.logs, {"sz": witness}, quorum="sz")
    assert await scene.code(consent) == "consent-unwitnessed"


async def test_consent_in_a_forked_log_does_not_hold(scene: Scene) -> None:
    consent = await shown(scene.issuer, given())
    scene.issuer.stopped = Stop("its log was forked", 0, NOW)
    assert await scene.code(consent) == "consent-untrusted"
