"""Enrolments: written and read in one spelling, sealed to one box, by one key."""

import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.boxkey import BoxKey, box_key_of, parse_box_key, unseal
from chopmark.core.cbor import encode_cbor
from chopmark.core.enrolment import (
    LONGEST,
    MAX_ENROLMENT,
    MOST,
    Enrolment,
    Person,
    Secret,
    check_fresh,
    check_id,
    make_enrolment,
    open_enrolment,
    parse_enrolment,
)
from chopmark.core.errors import ChopmarkError
from chopmark.core.note import Note, Signature
from technicians import DAY, HASH, NOW, PEOPLE, authority, heading, office, secret, signed

PRIVATE = X25519PrivateKey.from_private_bytes(b"\x07" * 32)
BOX = box_key_of("SN-0001", PRIVATE)
TEXT = parse_enrolment(signed(heading(BOX), HASH))[1].text
SECRETS = {one.id: secret(one.id, HASH) for one in PEOPLE}


def code_of(data: bytes) -> str:
    with pytest.raises(ChopmarkError) as caught:
        open_enrolment(data, authority())
    return caught.value.code


def by_office(text: str) -> bytes:
    """A text that head office has signed as it is, whatever it says."""
    key = authority()
    line = Signature(key.name, key.key_id, office().sign(text.encode()))
    return Note(text, (line,)).encode()


def test_file_says_who_and_the_box_opens_what_they_sign_in_with() -> None:
    data = signed(heading(BOX, 3), HASH)
    made = open_enrolment(data, authority())
    assert made.heading == heading(BOX, 3)
    assert made.unseal(PRIVATE) == SECRETS
    assert made.find("lee") == Person("lee", "service")
    assert made.find("x") is None
    assert HASH.encode() not in data
    assert max(map(len, data.decode().splitlines())) < 130, "to be pasted into any terminal"


def test_most_technicians_fit() -> None:
    people = tuple(Person(f"technician-{number:05}", "service") for number in range(MOST))
    data = signed(heading(BOX, 2**63 - 1, people), HASH)
    assert len(data) < MAX_ENROLMENT / 2
    assert len(open_enrolment(data, None).unseal(PRIVATE)) == MOST


def test_another_box_does_not_open_it_nor_this_one_after_a_change_above() -> None:
    made = parse_enrolment(signed(heading(BOX), HASH))[0]
    with pytest.raises(ChopmarkError) as caught:
        made.unseal(X25519PrivateKey.generate())
    assert caught.value.code == "not-for-this-box"
    moved = replace(made.heading, people=(*PEOPLE[:2], Person("leo", "service")))
    for one in (Enrolment(moved, made.sealed), Enrolment(made.heading, made.sealed[:-1])):
        with pytest.raises(ChopmarkError) as caught:
            one.unseal(PRIVATE)
        assert caught.value.code == "not-for-this-box"
    with pytest.raises(ChopmarkError):
        unseal(b"", PRIVATE, b"")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("enrolment/v1", "enrolment/v2", "malformed-enrolment"),
        ("version 1", "version 01", "malformed-number"),
        ("version 1", "version 0", "malformed-enrolment"),
        ("issued ", "since ", "malformed-enrolment"),
        ("issued 2026", "issued 26", "malformed-enrolment"),
        ("expires 2027", "expires 2025", "malformed-enrolment"),
        ("expires 2027", "expires 2028", "malformed-enrolment"),
        ("technician chan service\n", "", "signature"),
        ("chan service", "chan root", "malformed-enrolment"),
        ("chan service", "Chan service", "malformed-enrolment"),
        ("chan service", "enrol service", "malformed-enrolment"),
        ("technician chan service\n", "technician chan service\n" * 2, "malformed-enrolment"),
        ("service", "observe", "malformed-enrolment"),
        ("technician ho", "reason ho", "malformed-enrolment"),
        ("SN-0001+", "SN-0002+", "malformed-box-key"),
        ("SN-0001+", "S/1+", "malformed-box-key"),
        ("box SN-0001+", "box +", "malformed-box-key"),
        ("/console+", "/consolE+", "malformed-vkey"),
        ("sealed ", "sealed  ", "malformed-base64"),
        ("Z\n", "Z \n", "malformed-enrolment"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(old: str, new: str, code: str) -> None:
    text = parse_enrolment(signed(heading(BOX), HASH))[1].text
    assert old in text
    changed = text.replace(old, new)
    if code == "signature":
        assert code_of(signed(heading(BOX), HASH).replace(old.encode(), b"")) == "bad-signature"
        assert parse_enrolment(by_office(changed))
    else:
        assert code_of(by_office(changed)) == code


def test_lines_in_another_order_or_pieces_are_refused() -> None:
    text = parse_enrolment(signed(heading(BOX), HASH))[1].text
    sealed = re.findall("sealed (.*)\n", text)
    for changed in (
        text.replace(f"sealed {sealed[0]}\nsealed ", f"sealed {sealed[0]}"),
        text.replace("technician chan service\ntechnician ho observe\n", "x\n").replace(
            "x\n", "technician ho observe\ntechnician chan service\n"
        ),
        text + "technician zoe observe\n",
        text.replace("\n", "\r\n"),
    ):
        assert changed != text
        assert code_of(by_office(changed)).startswith("malformed")


def test_signature_of_another_key_or_over_another_text_is_refused() -> None:
    assert code_of(signed(heading(BOX), HASH, seed=2)) == "no-known-signature"
    data = signed(heading(BOX), HASH)
    assert code_of(data.replace(b"version 1", b"version 2")) == "bad-signature"
    assert open_enrolment(data, None).heading.authority == authority()
    assert code_of(b"x" * (MAX_ENROLMENT + 1)) == "malformed-enrolment"


def test_no_flipped_bit_is_taken() -> None:
    data = signed(heading(BOX), HASH)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(ChopmarkError):
            open_enrolment(changed, authority())


@pytest.mark.parametrize("name", ["bank-hk.example/hk-1", "console", "bank/console2"])
def test_key_of_another_sort_signs_no_enrolment(name: str) -> None:
    made = replace(heading(BOX), authority=authority(name=name))
    with pytest.raises(ChopmarkError) as caught:
        make_enrolment(made, list(SECRETS.values()))
    assert caught.value.code == "malformed-enrolment"


@pytest.mark.parametrize(
    "row",
    [
        [HASH.replace("m=32768", "m=3276800"), b"a" * 20, b"b" * 20, 0],
        [HASH.replace("argon2id", "argon2i"), b"a" * 20, b"b" * 20, 0],
        [HASH, b"a" * 19, b"b" * 20, 0],
        [HASH, b"a" * 20, "b" * 20, 0],
        [HASH, b"a" * 20, b"b" * 20, -1],
        [HASH, b"a" * 20, b"b" * 20, True],
        [HASH, b"a" * 20, b"b" * 20],
        {0: HASH},
    ],
)
def test_sealed_part_that_is_not_as_it_should_be_is_refused(row: object) -> None:
    """Head office's own mistake, or a hash that would keep the box busy for minutes."""
    people = (Person("chan", "service"),)
    top = heading(BOX, 1, people)
    for value in ([row], row, [row, row]):
        sealed = BOX.seal(encode_cbor(value), top.encode().encode())
        with pytest.raises(ChopmarkError) as caught:
            Enrolment(top, sealed).unseal(PRIVATE)
        assert caught.value.code == "malformed-enrolment"


def test_making_checks_too() -> None:
    with pytest.raises(ChopmarkError):
        make_enrolment(heading(BOX), [])
    with pytest.raises(ChopmarkError):
        make_enrolment(replace(heading(BOX), expires=NOW + LONGEST + 1), list(SECRETS.values()))
    with pytest.raises(ChopmarkError):
        make_enrolment(heading(BOX, 1, (Person("ho", "observe"),)), [SECRETS["ho"]])
    assert "argon2" not in repr(Secret(HASH, b"a", b"b"))


def test_file_has_expired_from_its_last_second_on() -> None:
    made = parse_enrolment(signed(heading(BOX), HASH))[0]
    check_fresh(made, NOW + 365 * DAY - 1)
    with pytest.raises(ChopmarkError) as caught:
        check_fresh(made, NOW + 365 * DAY)
    assert caught.value.code == "enrolment-expired"


@pytest.mark.parametrize("name", ["", "a" * 17, "1a", "a b", "a+b", "ä", "commissioning"])
def test_what_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(ChopmarkError):
        check_id(name)


def test_key_of_a_box_reads_as_it_was_written() -> None:
    assert parse_box_key(BOX.encode()) == BOX
    line = BOX.encode()
    for wrong in (
        *("", "a+b", line + "=", line[:-4], line.replace("SN-0001", "SN-0002")),
        BoxKey("x" * 65, BOX.public).encode(),
        BoxKey("SN-0001", BOX.public + b"x").encode(),
        authority().encode(),
    ):
        with pytest.raises(ChopmarkError):
            parse_box_key(wrong)


@given(st.text(max_size=200), st.integers(0, 900), st.integers(0, 900))
def test_whatever_stands_in_a_signed_text_is_read_or_refused(
    more: str, start: int, end: int
) -> None:
    text = TEXT[:start] + more + TEXT[end:]
    try:
        made = parse_enrolment(by_office(text))[0]
    except ChopmarkError:
        return
    assert made.encode() == text
