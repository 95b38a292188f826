"""Seeds, salts, and what stands in place of digests."""

import hmac
from contextlib import suppress
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.hashes import SHA256 as ALGORITHM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.blinding import (
    SaltKey,
    blind,
    blind_all,
    blind_drafts,
    derive_salts,
    extract_seed,
    is_before,
    parse_salt_key,
    salt_at,
    whole_minute,
)
from chopmark.core.cbor import encode_cbor
from chopmark.core.draft import Draft, Drafts
from chopmark.core.entry import SHA256, SM3
from chopmark.core.errors import MalformedError
from mutations import mutated

ORIGIN = "bank-sz.example/sz-1"
SEED = sha256(b"seed").digest()
KEY = SaltKey(ORIGIN, 1_795_348_800_000, SEED)


def digest(number: int) -> bytes:
    return sha256(b"document %d" % number).digest()


def test_blinded_form_is_the_one_of_the_format() -> None:
    label = b"chopmark/blind/v1\nbank-sz.example/sz-1\n"
    made = hmac.digest(SEED, label + b"\x2f" + digest(1), "sha256")
    assert blind(SEED, ORIGIN, SHA256, digest(1)) == made
    named = hmac.digest(SEED, label + b"\x6ajson-jcs/1" + digest(1), "sha256")
    assert blind(SEED, ORIGIN, "json-jcs/1", digest(1)) == named


def test_seed_needs_both_generators_and_differs_for_each_run() -> None:
    made = extract_seed(b"h" * 32, b"s" * 32, 1)
    others = {
        extract_seed(b"i" * 32, b"s" * 32, 1),
        extract_seed(b"h" * 32, b"t" * 32, 1),
        extract_seed(b"h" * 32, b"s" * 32, 2),
        extract_seed(b"", b"s" * 32, 1),
    }
    assert len(others | {made}) == 5


def test_salts_are_those_of_hkdf() -> None:
    for number in (0, 1, 63, 64, 65, 10**9):
        block, place = divmod(number, 64)
        info = b"chopmark/salt/v1\n" + block.to_bytes(8, "big")
        whole = HKDFExpand(ALGORITHM(), 2048, info).derive(SEED)
        assert salt_at(SEED, number) == whole[32 * place : 32 * place + 32]


@given(st.integers(0, 200), st.integers(0, 200))
def test_salts_do_not_depend_on_how_many_are_asked_for(first: int, count: int) -> None:
    each = [salt_at(SEED, number) for number in range(first, first + count)]
    assert derive_salts(SEED, first, count) == each
    assert len(set(each)) == count


@pytest.mark.parametrize("with_sm3", [True, False])
def test_columns_are_blinded_as_each_digest_is(*, with_sm3: bool) -> None:
    sm3 = [digest(n + 100) for n in range(70)]
    columns = b"".join(map(digest, range(70))), "kyc", b"".join(sm3) if with_sm3 else None
    drafts = Drafts(*columns, 5, blinded=True)
    made = blind_drafts(drafts, ORIGIN, SEED, 60)
    assert (made.kind, made.valid_until, made.blinded) == ("kyc", 5, True)
    for n in range(70):
        salt = salt_at(SEED, 60 + n)
        assert made.sha256[32 * n : 32 * n + 32] == blind(salt, ORIGIN, SHA256, digest(n))
        if made.sm3 is not None:
            assert made.sm3[32 * n : 32 * n + 32] == blind(salt, ORIGIN, SM3, sm3[n])
    assert (made.sm3 is not None) is with_sm3


def test_run_has_the_salt_of_each_place_and_bare_digests_where_nothing_is_asked() -> None:
    drafts = [
        Draft(digest(0), "kyc"),
        Drafts(digest(1) + digest(2), "kyc", blinded=True),
        Draft(digest(3), "kyc", digest(4), blinded=True),
    ]
    plain, column, single = blind_all(drafts, ORIGIN, SEED, 5)
    assert plain == drafts[0]
    hidden = [blind(salt_at(SEED, 5 + at), ORIGIN, SHA256, digest(at)) for at in (1, 2, 3)]
    assert column.sha256 == hidden[0] + hidden[1]
    assert (single.sha256, single.sm3) == (
        hidden[2],
        blind(salt_at(SEED, 8), ORIGIN, SM3, digest(4)),
    )


@pytest.mark.parametrize("drafts", [[Draft(b"short", "k", blinded=True)], [Draft(b"", "k")]])
def test_digest_of_another_length_is_refused_before_it_is_hidden(drafts: list[Draft]) -> None:
    with pytest.raises(MalformedError) as caught:
        blind_all(drafts, ORIGIN, SEED, 0)
    assert caught.value.code == "malformed-entry"


def test_times_are_compared_in_minutes_where_either_is_blinded() -> None:
    assert whole_minute(119_999) == 60_000
    assert is_before((60_000, False), (60_001, False))
    assert not is_before((60_000, True), (60_001, False))
    assert not is_before((60_000, False), (119_999, True))
    assert is_before((59_999, True), (60_000, False))


def test_salt_key_reads_back() -> None:
    assert parse_salt_key(KEY.encode()) == KEY


@pytest.mark.parametrize(
    "value",
    [
        [],
        {0: 2, 1: ORIGIN, 2: 0, 3: SEED},
        {0: True, 1: ORIGIN, 2: 0, 3: SEED},
        {0: 1, 1: "Not an origin", 2: 0, 3: SEED},
        {0: 1, 1: ORIGIN, 2: -1, 3: SEED},
        {0: 1, 1: ORIGIN, 2: True, 3: SEED},
        {0: 1, 1: ORIGIN, 2: 0, 3: bytes(31)},
        {0: 1, 1: ORIGIN, 2: 0},
        {0: 1, 1: ORIGIN, 2: 0, 3: SEED, 4: 0},
        {0: 1, 1: ORIGIN, 2: 0, 3: bytes(300)},
    ],
)
def test_salt_key_rejects(value: object) -> None:
    with pytest.raises(MalformedError):
        parse_salt_key(encode_cbor(value))


@given(mutated(KEY.encode()))
def test_no_bytes_make_reading_a_salt_key_fail_otherwise(data: bytes) -> None:
    with suppress(MalformedError):
        assert parse_salt_key(data).encode() == data
