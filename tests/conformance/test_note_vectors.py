"""Small vectors of the C2SP formats, made by other software, that need no file."""

import pytest

from chopmark.core.errors import MalformedError
from chopmark.core.keys import COSIGNATURE, ECDSA_P256, ED25519, VerifierKey, parse_vkey
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import Note, Verified, parse_note, verify_note
from chopmark.core.tiles import TileName, encode_tile_index, parse_tile_name
from mutations import flipped

# C2SP signed-note.md, §Example.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuw"
    "HjG1Yu72IneyaQM=\n"
).encode()

# transparency-dev/formats, note/note_verifier_test.go: what two public logs have signed with
# ECDSA P-256 (type 0x02). Neither key's name is the first line of its text.
ECDSA = {
    "rekor": (
        (
            "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGv"
            "XwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc="
        ),
        (
            "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n"
            "— rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3"
            "+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n"
        ),
    ),
    "pixel 6": (
        (
            "pixel6_transparency_log+91c16e30+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4N"
            "DdGZcX0aiWVdWM5XJVy0M4VWD3AvyW5Q6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8="
        ),
        (
            "DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n"
            "— pixel6_transparency_log kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0"
            "cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n"
        ),
    ),
}


def test_note_of_the_specification_verifies() -> None:
    key = parse_vkey(VKEY)
    assert (key.name, key.type, key.encode()) == ("example.com/foo", ED25519, VKEY)
    note = parse_note(NOTE)
    assert note.encode() == NOTE
    assert note.text == "This is an example message.\n"
    assert verify_note(note, [key]) == (Verified(key, 0),)


def test_note_of_the_specification_fails_with_any_bit_of_its_text_flipped() -> None:
    key = parse_vkey(VKEY)
    note = parse_note(NOTE)
    text = note.text.encode()
    for bit in range(8 * len(text)):
        changed = flipped(text, bit).decode("latin-1")
        with pytest.raises(MalformedError):
            verify_note(Note(changed, note.signatures), [key])


@pytest.mark.parametrize(("vkey", "note"), ECDSA.values(), ids=ECDSA.keys())
def test_note_of_a_public_ecdsa_log_verifies(vkey: str, note: str) -> None:
    key = parse_vkey(vkey)
    assert (key.type, key.encode()) == (ECDSA_P256, vkey)
    parsed = parse_note(note.encode())
    assert parsed.encode() == note.encode()
    assert verify_note(parsed, [key]) == (Verified(key, 0),)
    with pytest.raises(MalformedError):
        verify_note(Note("x" + parsed.text, parsed.signatures), [key])


@pytest.mark.parametrize(
    ("key", "key_id"),
    [
        (VerifierKey("x", COSIGNATURE, bytes(32)), "009f0572"),
        (parse_vkey(VKEY), "530d903a"),
    ],
)
def test_key_id(key: VerifierKey, key_id: str) -> None:
    assert key.key_id.hex() == key_id


@pytest.mark.parametrize(
    ("index", "path"), [(1234067, "x001/x234/067"), (0, "000"), (273, "273"), (1000, "x001/000")]
)
def test_tile_path(index: int, path: str) -> None:
    assert encode_tile_index(index) == path
    assert parse_tile_name(f"tile/0/{path}") == TileName(0, index)


def test_empty_tree_has_the_hash_of_nothing_for_its_root() -> None:
    # RFC 9162 §2.1.1
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
