import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.core.note import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Note,
    Signature,
    Verified,
    parse_note,
    verify_note,
)
from mutations import flipped, is_canonical, mutated
from softkeys import cosigner, ed25519_key, log_key

LOG = log_key("bank-a.example/sz-1")
PLAIN = ed25519_key("example.com/foo", 2)
WITNESS = cosigner("bank-b.example/hk-1/cosigner", 3)
TEXT = "first\n\nlast\n"
NOTE = Note(TEXT, (LOG.sign(TEXT), PLAIN.sign(TEXT), WITNESS.sign(TEXT, 1795305600)))

LINES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32)]),
    max_size=12,
)
TEXTS = st.lists(LINES, min_size=1, max_size=4).map(lambda lines: "\n".join(lines) + "\n")
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+\x85"),
    min_size=1,
    max_size=9,
)
SIGNATURES = st.builds(
    Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)
)
NOTES = st.builds(Note, TEXTS, st.lists(SIGNATURES, min_size=1, max_size=4).map(tuple))


@given(NOTES)
def test_note_round_trip(note: Note) -> None:
    assert parse_note(note.encode()) == note


@given(NOTES.flatmap(lambda note: mutated(note.encode())))
def test_note_mutations_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_note, Note.encode)


@given(mutated(NOTE.encode()))
def test_note_mutations_never_verify_another_text(data: bytes) -> None:
    try:
        note = parse_note(data)
        verify_note(note, [LOG.vkey])
    except MalformedError:
        return
    assert note.text == TEXT


def line(name: str = "x", body: str = "AAAAAAA=") -> str:
    return f"\u2014 {name} {body}\n"


BAD = {
    "nothing": "",
    "no blank line": "text\n" + line(),
    "no signature": "text\n\n",
    "only a blank line": "\n\n",
    "no line feed at the end": "text\n\n" + line()[:-1],
    "blank line at the end": "text\n\n" + line() + "\n",
    "text between signatures": "text\n\n" + line() + "more\n" + line(),
    "carriage return": "text\r\n\n" + line(),
    "tab": "a\ttext\n\n" + line(),
    "null": "a\0text\n\n" + line(),
    "escape": "a\x1b[0mtext\n\n" + line(),
    "hyphen for dash": "text\n\n" + line().replace("\u2014", "-"),
    "no space after the dash": "text\n\n" + line().replace(" ", "", 1),
    "two spaces": "text\n\n" + line().replace(" ", "  ", 1),
    "no signature after the name": "text\n\n\u2014 x\n",
    "empty name": "text\n\n" + line(""),
    "plus in the name": "text\n\n" + line("a+b"),
    "no-break space in the name": "text\n\n" + line("a\u00a0b"),
    "line separator in the name": "text\n\n" + line("a\u2028b"),
    "next line in the name": "text\n\n" + line("a\u0085b"),
    "base64 without padding": "text\n\n" + line(body="AAAAAAA"),
    "base64 with unused bits": "text\n\n" + line(body="AAAAAAB="),
    "base64 for URLs": "text\n\n" + line(body="AAAAA-_="),
    "key id alone": "text\n\n" + line(body="AAAAAA=="),
    "space at the end": "text\n\n" + line(body="AAAAAAA= "),
    "byte order mark": "\ufefftext\n" + line(),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_note_refuses(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_note(text.encode())


def test_note_refuses_what_is_not_utf8() -> None:
    with pytest.raises(MalformedError) as caught:
        parse_note(b"\xff\n\n" + line().encode())
    assert caught.value.code == "malformed-utf8"


def test_note_is_split_at_its_last_blank_line() -> None:
    signed = "a\n\n" + line() + "\n"
    note = parse_note((signed + "\n" + line("y")).encode())
    assert note.text == signed
    assert [signature.name for signature in note.signatures] == ["y"]


def test_note_keeps_line_separators_of_unicode_in_its_text() -> None:
    text = "a\u2028b\u2029c\u0085d\n"
    assert parse_note((text + "\n" + line()).encode()).text == text


def test_note_takes_the_most_signatures_and_no_more() -> None:
    data = b"text\n\n" + line().encode() * MAX_SIGNATURES
    assert len(parse_note(data).signatures) == MAX_SIGNATURES >= 16
    with pytest.raises(MalformedError):
        parse_note(data + line().encode())


def test_note_takes_the_most_bytes_and_no_more() -> None:
    tail = b"\n\n" + line().encode()
    data = b"x" * (MAX_NOTE - len(tail)) + tail
    assert parse_note(data).encode() == data
    with pytest.raises(MalformedError):
        parse_note(b"x" + data)


@pytest.mark.parametrize("name", ["\u200b", "x" * 500, "\U0001fae8", "\x7f"])
def test_note_with_an_unknown_key_of_an_odd_name_is_good(name: str) -> None:
    note = parse_note(NOTE.encode() + line(name).encode())
    assert verify_note(note, [PLAIN.vkey]) == (Verified(PLAIN.vkey, 0),)


def test_verify_reports_each_known_key_and_its_time() -> None:
    keys = [WITNESS.vkey, LOG.vkey, cosigner("absent", 9).vkey]
    assert verify_note(NOTE, keys) == (Verified(LOG.vkey, 0), Verified(WITNESS.vkey, 1795305600))


@pytest.mark.parametrize("known", [[], [cosigner("absent", 9).vkey]])
def test_verify_refuses_a_note_without_a_known_key(known: list[VerifierKey]) -> None:
    with pytest.raises(RefusedError) as caught:
        verify_note(NOTE, known)
    assert caught.value.code == "no-known-signature"


@pytest.mark.parametrize("at", range(3))
def test_verify_refuses_a_note_with_one_bad_known_signature(at: int) -> None:
    signatures = list(NOTE.signatures)
    old = signatures[at]
    signatures[at] = Signature(old.name, old.key_id, flipped(old.payload, 100))
    note = Note(TEXT, tuple(signatures))
    keys = [LOG.vkey, PLAIN.vkey, WITNESS.vkey]
    with pytest.raises(RefusedError) as caught:
        verify_note(note, keys)
    assert caught.value.code == "bad-signature"
    assert len(verify_note(note, keys[:at] + keys[at + 1 :])) == 2


def test_verify_refuses_a_bad_signature_beside_a_good_one_of_the_same_key() -> None:
    good = NOTE.signatures[1]
    bad = Signature(good.name, good.key_id, flipped(good.payload))
    for signatures in ((good, bad), (bad, good)):
        with pytest.raises(RefusedError):
            verify_note(Note(TEXT, signatures), [PLAIN.vkey])


def test_verify_ignores_keys_that_share_only_name_or_id() -> None:
    good = NOTE.signatures[1]
    same_name = Signature(good.name, flipped(good.key_id), good.payload)
    same_id = Signature(good.name + "x", good.key_id, good.payload)
    note = Note(TEXT, (same_name, same_id, good))
    assert verify_note(note, [PLAIN.vkey]) == (Verified(PLAIN.vkey, 0),)
    with pytest.raises(RefusedError):
        verify_note(Note(TEXT, (same_name, same_id)), [PLAIN.vkey])


@pytest.mark.parametrize("times", [(5, 9, 7), (9, 5, 7), (7, 9, 5)])
def test_verify_takes_the_earliest_cosignature_in_any_order(times: tuple[int, ...]) -> None:
    note = Note(TEXT, tuple(WITNESS.sign(TEXT, time) for time in times))
    assert verify_note(note, [WITNESS.vkey]) == (Verified(WITNESS.vkey, 5),)


def test_with_signature_replaces_the_line_of_the_same_key() -> None:
    newer = WITNESS.sign(TEXT, 1795305700)
    note = NOTE.with_signature(newer)
    assert note.signatures == (*NOTE.signatures[:2], newer)
    assert NOTE.with_signature(line_of_other := ed25519_key("y", 4).sign(TEXT)).signatures == (
        *NOTE.signatures,
        line_of_other,
    )
