"""The note of a release: whatever it holds, it is a release or refused; only newer ones come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.admin.release import Release, find_sort, parse_release, refuse_older
from chopmark.core.errors import ChopmarkError
from releaseserver import SORT, Signer

SIGNER = Signer()
KEY = SIGNER.verifier.encode()
GOOD = SIGNER.note("ab" * 32, "0.2.0")


def test_good_note_is_a_release() -> None:
    assert parse_release(GOOD, KEY + "\n", SORT) == Release(SORT, "0.2.0", "ab" * 32, 6)


@given(st.binary(max_size=5000) | st.text(max_size=500).map(str.encode))
def test_whatever_is_no_good_note_is_refused(data: bytes) -> None:
    with pytest.raises(ChopmarkError) as caught:
        parse_release(data, KEY, SORT)
    assert caught.value.code == "firmware-refused"


@given(st.integers(0, len(GOOD) * 8 - 1))
def test_note_with_a_changed_bit_is_refused(bit: int) -> None:
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ChopmarkError) as caught:
        parse_release(bytes(changed), KEY, SORT)
    assert caught.value.code == "firmware-refused"


@pytest.mark.parametrize(
    "text",
    [
        "chopmark/firmware/v2\nchopmark-x86-64 1\nsha256 " + "0" * 64 + "\nledger 6\n",
        "chopmark/firmware/v1\nchopmark-x86-64 1\nsha256 " + "0" * 63 + "\nledger 6\n",
        "chopmark/firmware/v1\nchopmark-x86-64 1\nsha256 " + "A" * 64 + "\nledger 6\n",
        "chopmark/firmware/v1\nchopmark-x86-64 1\nsha256 " + "0" * 64 + "\nledger 06\n",
        "chopmark/firmware/v1\nchopmark-x86-64 ../1\nsha256 " + "0" * 64 + "\nledger 6\n",
        "chopmark/firmware/v1\nchopmark-x86-64 1\nsha256 " + "0" * 64 + "\nledger 6\nmore\n",
        "bank-hk.example/hk-1\n7\nAAAA\n",
    ],
)
def test_other_text_than_a_releases_is_refused_though_it_is_signed(text: str) -> None:
    with pytest.raises(ChopmarkError, match="not about firmware"):
        parse_release(SIGNER.note("", text=text), KEY, SORT)


@pytest.mark.parametrize(
    ("version", "running", "newer"),
    [
        ("0.2.0", "0.1.9", True),
        ("0.10.0", "0.9.0", True),
        ("1.0", "0.9.9.9", True),
        ("0.1.0+fix", "0.1.0", True),
        ("0.1.0", "0.1.0+fix", True),
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1", True),
        ("0.1", "0.1.0", True),
        ("0.1", "0.1.1", False),
        ("0.0.9", "0.1.0", False),
        ("~rc", "0.1.0", False),
    ],
)
def test_numbers_decide_what_is_older_and_the_same_is_not_newer(
    version: str, running: str, *, newer: bool
) -> None:
    if newer:
        refuse_older(version, running)
        return
    with pytest.raises(ChopmarkError) as caught:
        refuse_older(version, running)
    assert caught.value.code == "firmware-older"


def test_sort_of_box_is_raucs() -> None:
    assert find_sort("[system]\ncompatible=chopmark-x86-64\nbootloader=grub\n") == SORT
    assert find_sort("[system]\n#compatible=chopmark-x86-64\n") == ""
