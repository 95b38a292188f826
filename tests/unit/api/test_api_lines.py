import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.api.lines import (
    Asked,
    Fault,
    Line,
    cut_lines,
    decode_lines,
    make_draft,
    read_alike,
)
from chopmark.core.catalogue import Terms
from chopmark.core.draft import Draft, Drafts
from chopmark.core.errors import RefusedError
from ledgers import digest
from mutations import mutated

LIMIT = 300


def line(number: int, rest: str = "") -> bytes:
    return b'{"sha256":"%s"%s}\n' % (digest(number).hex().encode(), rest.encode())


def block(*rests: str) -> bytes:
    return b"".join(line(number, rest) for number, rest in enumerate(rests))


def allow(draft: Draft) -> Terms:
    return Terms(draft.valid_until, draft.blinded)


def until_9(_draft: Draft) -> Terms:
    return Terms(9, blinded=True)


def refuse(draft: Draft) -> Terms:
    raise RefusedError("kind-not-allowed", f"no {draft.kind}")


UNTIL = ',"kind":"kyc","valid_until":"2030-01-01T00:00:00.000Z"'


@pytest.mark.parametrize(
    "rest", ["", ',"kind":"kyc"', UNTIL, "  ", ',"sm3":null', ',"blinded":true']
)
@pytest.mark.parametrize("count", [1, 2, 100])
def test_lines_that_differ_in_their_digest_only_are_read_together(rest: str, count: int) -> None:
    read = read_alike(block(*[rest] * count), LIMIT, allow)
    each = [make_draft(one, {}, allow) for one in decode_lines(block(rest) * count, LIMIT)]  # type: ignore[arg-type]
    joined = b"".join(map(digest, range(count)))
    first = each[0]
    assert read == Drafts(joined, first.kind, None, first.valid_until, blinded=first.blinded)


@pytest.mark.parametrize("count", [1, 3])
def test_lines_get_the_end_of_validity_that_the_check_sets(count: int) -> None:
    read = read_alike(block(*[""] * count), LIMIT, until_9)
    assert read is not None
    assert (read.valid_until, read.blinded) == (9, True)
    checked: dict[Asked, Terms] = {}
    made = [make_draft(one, checked, until_9) for one in decode_lines(block("") * count, LIMIT)]  # type: ignore[arg-type]
    assert [(one.valid_until, one.blinded) for one in made] == [(9, True)] * count
    assert checked == {("document", None, True, False, ()): (9, True)}, "asked once"


def test_lines_with_and_without_sm3_or_blinding_are_checked_apart() -> None:
    checked: dict[Asked, Terms] = {}
    asked: list[tuple[bool, bool]] = []

    def check(draft: Draft) -> Terms:
        asked.append((draft.sm3 is None, draft.blinded))
        return Terms(None, draft.blinded)

    rests = ("", f',"sm3":"{digest(9).hex()}"', "", ',"blinded":true')
    made = [make_draft(one, checked, check) for one in decode_lines(block(*rests), LIMIT)]  # type: ignore[arg-type]
    assert asked == [(True, False), (False, False), (True, True)]
    assert [draft.blinded for draft in made] == [False, False, False, True]


@pytest.mark.parametrize(
    "bad",
    [
        block("", ',"kind":"kyc"'),
        block("", ""[:0]) + b"\n",
        block("", "").replace(digest(1).hex().encode(), digest(1).hex().upper().encode()),
        block("", "").replace(digest(1).hex().encode()[:2], b"zz"),
        block("").replace(digest(0).hex().encode()[:1], b"\\u0061"),
        block("", "")[1:],
        block(',"supersedes":1', ',"supersedes":1'),
        block(f',"sm3":"{digest(9).hex()}"'),
        block(',"other":1'),
        block(" " * LIMIT),
        line(3, f',"sha256":"{digest(3).hex()}"'),
        block("", "").replace(b'"}\n{', b'"}\n['),
        block(',"kind":"Not a kind"'),
    ],
)
def test_other_lines_are_read_one_by_one(bad: bytes) -> None:
    assert read_alike(bad, LIMIT, allow) is None


def test_refused_kind_is_told_line_by_line() -> None:
    assert read_alike(block("", ""), LIMIT, refuse) is None


TWICE = [
    b'{"sha256":"%s","sha256":"%s"}' % (b"00" * 32, b"11" * 32),
    b'{"sha256":"%s","kind":"a","kind":"b"}' % (b"00" * 32),
    b'{"kind":"a","sha256":"%s","kind":"document"}' % (b"00" * 32),
    b'{"sha256":"%s","blinded":true,"blinded":false}' % (b"00" * 32),
    b'{"sha256":"%s","supersedes":1,"supersedes":1}' % (b"00" * 32),
    b'{"sha256":"%s", "kind" : "a" , "\\u006bind": "b"}' % (b"00" * 32),
    b'{"sha256":"%s","key":"\\u0022\\u0022\\u0022","kind":"a","kind":"b"}' % (b"00" * 32),
]
"""Lines that name a field twice."""
ONCE = [
    b'{"sha256":"%s"}' % (b"00" * 32),
    b'{"sha256":"%s","kind":"document","blinded":false,"sm3":null}' % (b"00" * 32),
    b'{ "sha256" : "%s" , "kind" : "kind", "key": "key" }' % (b"00" * 32),
    b'{"sha256":"%s","kind":"a","key":"\\"kind\\":\\"b\\",\\u00e9"}' % (b"00" * 32),
]
"""Lines that do not."""


@pytest.mark.parametrize("line", TWICE)
def test_field_given_twice_is_refused_in_its_line_only(line: bytes) -> None:
    assert read_alike((line + b"\n") * 3, LIMIT, allow) is None
    lines = [ONCE[1], line, ONCE[2], line]
    decoded = decode_lines(b"\n".join(lines) + b"\n", LIMIT)
    assert [type(one) for one in decoded] == [Line, Fault, Line, Fault]
    fault = decoded[1]
    assert isinstance(fault, Fault)
    assert fault.code == "malformed-line"
    assert re.search(r"`(sha256|kind|blinded|supersedes)` is given twice", fault.message)


@given(st.lists(st.sampled_from([*TWICE, *ONCE]), min_size=1, max_size=6))
def test_field_given_twice_is_found_among_whatever_lines(lines: list[bytes]) -> None:
    decoded = decode_lines(b"".join(line + b"\n" for line in lines), LIMIT)
    assert [isinstance(one, Fault) for one in decoded] == [line in TWICE for line in lines]


@given(mutated(block("", "", "")))
def test_what_is_read_together_is_what_is_read_one_by_one(data: bytes) -> None:
    data = data.removesuffix(b"\n") + b"\n"
    read = read_alike(data, LIMIT, allow)
    if read is not None:
        each = [make_draft(one, {}, allow) for one in decode_lines(data, LIMIT)]  # type: ignore[arg-type]
        assert b"".join(draft.sha256 for draft in each) == read.sha256
        assert {(draft.kind, draft.valid_until) for draft in each} == {
            (read.kind, read.valid_until)
        }


@given(
    st.lists(st.binary(max_size=4).map(lambda b: b.replace(b"\n", b"")), min_size=1),
    st.integers(1, 9),
)
def test_block_is_cut_after_so_many_lines(lines: list[bytes], count: int) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    first, rest = cut_lines(whole, count)
    assert first + rest == whole
    assert first.split(b"\n")[:-1] == lines[:count]
