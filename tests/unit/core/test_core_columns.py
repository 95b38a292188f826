import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.columns import Columns, frame_entries, make_columns, parse_columns
from chopmark.core.draft import Draft, Drafts, sort_canonical
from chopmark.core.entry import encode_entry
from chopmark.core.errors import MalformedError
from chopmark.core.merkle import leaf_hash
from chopmark.core.tiles import encode_bundle, parse_bundle
from ledgers import NOW, attestation, digest
from mutations import mutated

KIND = "document"
ALIKE = [encode_entry(Draft(digest(n), KIND).made_at(NOW)) for n in range(4)]
LONGER = [encode_entry(Draft(digest(n), KIND, valid_until=NOW).made_at(NOW)) for n in range(2)]
NAMED = [
    encode_entry(Draft(digest(n), KIND, canonical=(("json-jcs/1", digest(n + 9)),)).made_at(NOW))
    for n in range(3)
]
TWO_DIGESTS = [encode_entry(Draft(digest(n), KIND, digest(n + 9)).made_at(NOW)) for n in range(3)]
RUNS = [
    [],
    [b""],
    [b"x" * 240],
    ALIKE,
    ALIKE[:1],
    LONGER,
    TWO_DIGESTS,
    NAMED,
    [*ALIKE, *LONGER],
    [*ALIKE, attestation(1, NOW + 1)],
    [b"x" * len(ALIKE[0]), *ALIKE],
    [*ALIKE, b"x" * len(ALIKE[0])],
]


@pytest.mark.parametrize("entries", RUNS)
def test_entries_come_back_from_their_bundle(entries: list[bytes]) -> None:
    bundle = encode_bundle(entries)
    for columns in (parse_columns(bundle), frame_entries(entries)):
        assert list(columns) == entries
        assert len(columns) == len(entries)
        assert columns.bundle() == bundle
        assert columns.leaves() == [leaf_hash(entry) for entry in entries]
        assert columns.longest() == max(map(len, entries), default=0)


@pytest.mark.parametrize("entries", RUNS)
def test_part_of_a_run_is_a_run(entries: list[bytes]) -> None:
    columns = parse_columns(encode_bundle(entries))
    for start in range(len(entries)):
        for end in range(start, len(entries) + 1):
            part = columns.cut(start, end)
            assert list(part) == entries[start:end]
            assert part.bundle() == encode_bundle(entries[start:end])


def test_alike_entries_share_what_surrounds_their_digests() -> None:
    columns = parse_columns(encode_bundle(ALIKE))
    assert columns.parts == [digest(number) for number in range(4)]
    assert columns.head
    assert not parse_columns(encode_bundle(TWO_DIGESTS)).head


@given(mutated(encode_bundle(ALIKE)))
def test_damaged_bundle_is_read_as_before_or_refused(data: bytes) -> None:
    try:
        entries = parse_bundle(data)
    except MalformedError:
        with pytest.raises(MalformedError):
            parse_columns(data)
    else:
        assert list(parse_columns(data)) == entries


@given(
    digests=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5),
    until=st.none() | st.integers(0, 2**63 - 1),
    supersedes=st.none() | st.integers(0, 2**63 - 1),
    with_sm3=st.booleans(),
)
def test_drafts_become_the_entries_that_each_would(
    digests: list[bytes], until: int | None, supersedes: int | None, *, with_sm3: bool
) -> None:
    joined = b"".join(digests)
    drafts = Drafts(joined, KIND, joined[::-1] if with_sm3 else None, until, supersedes)
    seconds = [joined[::-1][i : i + 32] for i in range(0, len(joined), 32)]
    made = make_columns(drafts, NOW)
    each = [
        Draft(one, KIND, two if with_sm3 else None, until, supersedes).made_at(NOW)
        for one, two in zip(digests, seconds, strict=True)
    ]
    assert list(made) == [encode_entry(entry) for entry in each]
    assert len(drafts) == len(digests)


@pytest.mark.parametrize(
    "bad",
    [
        Drafts(b"", KIND),
        Drafts(b"x" * 33, KIND),
        Drafts(b"x" * 31, KIND),
        Drafts(b"x" * 64, KIND, b"y" * 32),
        Drafts(b"x" * 32, KIND, b""),
        Drafts(b"x" * 32, "Not a kind"),
    ],
)
def test_columns_that_do_not_fit_are_refused(bad: Drafts) -> None:
    with pytest.raises(MalformedError):
        make_columns(bad, NOW)


@pytest.mark.parametrize("bad", [b"", b"x" * 31, b"x" * 64])
def test_draft_is_a_column_of_one_digest(bad: bytes) -> None:
    one = Draft(digest(1), KIND, digest(2), 7, 3)
    assert one.columns() == Drafts(digest(1), KIND, digest(2), 7, 3)
    assert one.columns().columns() == one.columns()
    assert len(one) == 1
    with pytest.raises(MalformedError):
        Draft(bad, KIND).columns()


def test_run_without_entries_is_empty() -> None:
    assert list(Columns([])) == []
    assert Columns([]).bundle() == b""


def test_columns_with_canonical_digests_are_the_entries_one_by_one() -> None:
    jcs, pages = (b"".join(map(digest, range(at, at + 3))) for at in (20, 30))
    canonical = (("json-jcs/1", jcs), ("pdf-pages/1", pages))
    drafts = Drafts(b"".join(map(digest, range(3))), KIND, canonical=canonical)
    each = [drafts.at(place) for place in range(3)]
    assert [dict(one.canonical)["pdf-pages/1"] for one in each] == [*map(digest, range(30, 33))]
    assert list(make_columns(drafts, NOW)) == [encode_entry(one.made_at(NOW)) for one in each]
    assert [one.columns().at(0) for one in each] == each


def test_canonical_column_of_another_length_is_malformed() -> None:
    with pytest.raises(MalformedError):
        Drafts(bytes(64), KIND, canonical=(("json-jcs/1", bytes(32)),)).check()


def test_no_canonical_digests_stay_none() -> None:
    assert sort_canonical({}) == ()


def test_canonical_digests_stand_in_the_order_of_an_entry() -> None:
    found = sort_canonical({"pdf-pages/1": b"p", "json-jcs/1": b"j", "a/1": b"a", "b/1": b"b"})
    assert [name for name, _ in found] == ["a/1", "b/1", "json-jcs/1", "pdf-pages/1"]


@pytest.mark.parametrize("name", ["", "x" * 17, "文" * 6])
def test_canonical_digest_without_a_proper_name_is_malformed(name: str) -> None:
    with pytest.raises(MalformedError):
        sort_canonical({name: bytes(32)})
