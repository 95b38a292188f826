from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.columns import frame_entries, make_columns
from chopmark.core.draft import Draft, Drafts
from chopmark.core.entry import (
    Adoption,
    Attestation,
    Commitment,
    Revocation,
    encode_entry,
    parse_entry,
)
from chopmark.core.errors import MalformedError
from chopmark.ledger.summary import (
    ADOPTION,
    NO_ENTRY,
    NOTHING,
    REVOCATION,
    SUPERSESSION,
    Gist,
    Reference,
    is_attestation,
    is_revocable,
    summarise,
    summarise_columns,
    summarise_entry,
)
from ledgers import NOW, attestation, digest
from mutations import mutated

PLAIN = Attestation(NOW, digest(1), "bank-statement")
TIMES = st.integers(0, 2**63 - 1)
HASHES = st.binary(min_size=32, max_size=32)
ATTESTATIONS = st.builds(
    Attestation,
    TIMES,
    HASHES,
    st.from_regex(r"[a-z0-9.-]{1,32}", fullmatch=True),
    st.none() | HASHES,
    st.none() | TIMES,
    supersedes=st.none() | TIMES,
)


def by_parsing(data: bytes) -> Gist:
    try:
        return summarise_entry(parse_entry(data))
    except MalformedError:
        return NOTHING


@given(ATTESTATIONS)
def test_short_way_and_long_way_say_the_same(entry: Attestation) -> None:
    for one in (entry, replace(entry, sha256=digest(7)), replace(entry, sm3=entry.sha256)):
        data = encode_entry(one)
        assert summarise(data) == by_parsing(data) == summarise_entry(one)


@given(mutated(encode_entry(PLAIN)))
def test_damaged_entries_are_read_the_same_both_ways(data: bytes) -> None:
    assert summarise(data) == by_parsing(data)


@given(st.binary(max_size=260))
def test_junk_says_nothing(data: bytes) -> None:
    assert summarise(data) == by_parsing(data)


@pytest.mark.parametrize("terms", [{}, {"valid_until": NOW}, {"supersedes": 4}, {"blinded": True}])
@pytest.mark.parametrize("with_sm3", [False, True])
def test_run_of_alike_entries_is_summarised_as_each_of_them(
    terms: dict[str, int],
    *,
    with_sm3: bool,
) -> None:
    digests = [digest(number) for number in range(5)]
    drafts = [Draft(d, "kyc", d[::-1] if with_sm3 else None, **terms) for d in digests]
    sm3 = b"".join(d[::-1] for d in digests) if with_sm3 else None
    alike = make_columns(Drafts(b"".join(digests), "kyc", sm3, **terms), NOW)
    entries = [encode_entry(draft.made_at(NOW)) for draft in drafts]
    assert list(alike) == entries
    assert summarise_columns(alike) == summarise_columns(frame_entries(entries))
    found = digests if "blinded" not in terms else [None] * 5
    assert list(summarise_columns(alike).digests) == found


def test_summary_of_mixed_entries_has_the_times_and_kinds_that_occur() -> None:
    entries = [
        attestation(0),
        attestation(1, NOW + 1),
        b"junk",
        encode_entry(Revocation(NOW, 0, 4)),
    ]
    summary = summarise_columns(frame_entries(entries))
    assert summary.times == {NOW, NOW + 1}
    assert summary.kinds == {"bank-statement", "kyc-report"}
    assert summary.digests == [digest(0), digest(1), None, None]
    assert summary.references == [(3, Reference(0, REVOCATION, 4), NOW)]


@pytest.mark.parametrize(
    ("entry", "reference"),
    [
        (Revocation(NOW, 3, 4), Reference(3, REVOCATION, 4)),
        (replace(PLAIN, supersedes=3), Reference(3, SUPERSESSION)),
        (PLAIN, None),
        (Commitment(NOW, 3, digest(1)), None),
        (Adoption(NOW, 5, digest(1)), Reference(NO_ENTRY, ADOPTION, 5)),
    ],
)
def test_entry_that_names_an_earlier_one(
    entry: Attestation | Revocation | Commitment | Adoption, reference: Reference | None
) -> None:
    summary = summarise(encode_entry(entry))
    assert (summary.made_at, summary.reference) == (NOW, reference)


def test_attestation_of_a_format_to_come_is_found_by_its_digest() -> None:
    data = attestation(1).replace(b"\xa5\x00\x01", b"\xa5\x00\x02", 1)
    assert summarise(data) == Gist(None, sha256=digest(1))


@pytest.mark.parametrize(
    ("data", "attests", "revocable"),
    [
        (encode_entry(PLAIN), True, True),
        (encode_entry(Commitment(NOW, 3, digest(1))), False, True),
        (encode_entry(Commitment(NOW, 4, digest(1))), False, False),
        (encode_entry(Revocation(NOW, 0, 0)), False, False),
        (b"junk", False, False),
    ],
)
def test_what_may_be_superseded_and_revoked(data: bytes, *, attests: bool, revocable: bool) -> None:
    assert (is_attestation(data), is_revocable(data)) == (attests, revocable)
