import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import MalformedError
from chopmark.core.keys import (
    COSIGNATURE,
    ECDSA_P256,
    ED25519,
    MAX_NAME,
    VerifierKey,
    check_key_name,
    cosigned_message,
    parse_vkey,
)
from chopmark.core.text import MAX_INT, encode_base64
from mutations import flipped, is_canonical, mutated
from softkeys import SoftKey, cosigner, ed25519_key, log_key, p256_cosigner, p256_of

KEYS = [
    log_key("bank-a.example/sz-1"),
    ed25519_key("example.com/foo", 2),
    cosigner("bank-b.example/hk-1/cosigner", 3),
    p256_cosigner("bank-c.example/mo-1/cosigner", 4),
]
SPACES = [chr(code) for code in range(0x110000) if chr(code).isspace()]
TEXT = "a text\n"
FORM = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


@pytest.mark.parametrize("key", KEYS, ids=lambda key: hex(key.type))
def test_vkey_round_trip(key: SoftKey) -> None:
    text = key.vkey.encode()
    assert parse_vkey(text) == key.vkey
    assert text.startswith(f"{key.name}+{key.vkey.key_id.hex()}+")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: hex(key.type))
@given(data=st.data())
def test_vkey_mutations_are_refused_or_canonical(key: SoftKey, data: st.DataObject) -> None:
    changed = data.draw(mutated(key.vkey.encode().encode())).decode("latin-1")
    encoded = changed.encode()
    assert is_canonical(encoded, lambda _: parse_vkey(changed), lambda k: k.encode().encode())


def test_key_id_of_ecdsa_is_that_of_its_public_key_alone() -> None:
    first, second = log_key("bank-a.example/sz-1").vkey, log_key("bank-a.example/sz-2").vkey
    assert first.key_id == second.key_id == hashlib.sha256(first.public).digest()[:4]


def test_key_id_depends_on_name_and_type() -> None:
    public = bytes(32)
    ids = {
        VerifierKey(name, kind, public).key_id for name in "xy" for kind in (ED25519, COSIGNATURE)
    }
    assert len(ids) == 4


def vkey(name: str, blob: bytes) -> str:
    """A vkey with the right key id, whatever is in it."""
    made = VerifierKey(name, blob[0], blob[1:]) if blob else VerifierKey(name, 0, b"")
    return f"{name}+{made.key_id.hex()}+{encode_base64(blob)}"


def spki(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(*FORM)


POINT = p256_of(1).public_key()
COMPRESSED = POINT.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
NOT_P256 = {
    "nothing": b"",
    "P-384": spki(ec.generate_private_key(ec.SECP384R1())),
    "secp256k1": spki(ec.generate_private_key(ec.SECP256K1())),
    "RSA": rsa.RSAPublicNumbers(65537, 2**2047 + 1).public_key().public_bytes(*FORM),
    "Ed25519": spki(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "a byte too many": log_key("x").vkey.public + b"\x00",
    "a byte too few": log_key("x").vkey.public[:-1],
    "a point that is not on the curve": flipped(log_key("x").vkey.public, 8 * 90),
    "a compressed point": bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    + COMPRESSED,
    "a bare point": POINT.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    # Ends in an algorithm that nobody knows, which cryptography reports as another error.
    "an unknown algorithm": bytes.fromhex("300d30080604aa030405050003010000")[:15],
    "an unknown curve": log_key("x").vkey.public.replace(b"\xce\x3d\x03", b"\xce\x3d\x7f"),
}


@pytest.mark.parametrize("public", NOT_P256.values(), ids=NOT_P256.keys())
def test_vkey_refuses_ecdsa_keys_that_are_not_p256_in_der(public: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_vkey(vkey("x", bytes([ECDSA_P256]) + public))
    assert caught.value.code == "malformed-vkey"
    assert VerifierKey("x", ECDSA_P256, public).verify(b"", b"") is None


@given(st.binary(max_size=120))
def test_vkey_refuses_any_other_public_key(public: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_vkey(vkey("x", bytes([ECDSA_P256]) + public))


@given(mutated(log_key("x").vkey.public))
def test_vkey_takes_a_public_key_in_one_form_only(public: bytes) -> None:
    text = vkey("x", bytes([ECDSA_P256]) + public)
    assert is_canonical(text.encode(), lambda _: parse_vkey(text), lambda k: k.encode().encode())


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE])
@pytest.mark.parametrize("length", [0, 31, 33])
def test_vkey_refuses_ed25519_keys_of_another_length(kind: int, length: int) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_vkey(vkey("x", bytes([kind]) + b"\x05" * length))
    assert caught.value.code == "malformed-vkey"


def test_whoever_likes_can_sign_by_a_key_of_small_order_so_that_none_is_read() -> None:
    weak = VerifierKey("x", ED25519, b"\x01" + bytes(31))
    assert weak.verify(b"anything", b"\x01" + bytes(63)) == 0
    with pytest.raises(MalformedError):
        parse_vkey(weak.encode())


@pytest.mark.parametrize("kind", [0, 3, 5, 6, 0xFA, 0xFF])
def test_vkey_refuses_types_that_are_not_read(kind: int) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_vkey(vkey("x", bytes([kind]) + bytes(32)))
    assert caught.value.code == "unknown-key-type"
    assert caught.value.hint


def test_vkey_refuses_identifiers_that_are_not_ours() -> None:
    spki = log_key("x").vkey.public
    for identifier in (b"chopmark/sm2-sm3/v1\n", b"chopmark/cosignature-p256/v1", b""):
        with pytest.raises(MalformedError) as caught:
            parse_vkey(vkey("x", b"\xff" + identifier + spki))
        assert caught.value.code == "unknown-key-type"


def test_vkey_of_p256_cosigner_has_the_identifier_before_its_key() -> None:
    key = p256_cosigner("x", 4).vkey
    body = b"\xffchopmark/cosignature-p256/v1\n" + key.public
    key_hash = hashlib.sha256(b"x\n" + body).hexdigest()[:8]
    assert key.encode() == f"x+{key_hash}+{encode_base64(body)}"


def test_vkey_refuses_other_forms() -> None:
    good = KEYS[1].vkey.encode()
    name, key_hash, body = good.split("+", 2)
    bad = [
        "",
        name,
        f"{name}+{key_hash}",
        f"+{key_hash}+{body}",
        f"{name}+{key_hash.upper()}+{body}",
        f"{name}+{flipped(bytes.fromhex(key_hash)).hex()}+{body}",
        f"{name}+{key_hash[:-1]}+{body}",
        f"{name}x+{key_hash}+{body}",
        f"{name}+{key_hash}+",
        f"{name}+{key_hash}+{body}=",
        f"{name}+{key_hash}+ {body}",
        f"{good}\n",
        f" {good}",
    ]
    assert key_hash.upper() != key_hash
    for text in bad:
        with pytest.raises(MalformedError):
            parse_vkey(text)


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_key_name_refuses_unicode_spaces(space: str) -> None:
    with pytest.raises(MalformedError) as caught:
        check_key_name(f"bank{space}a")
    assert caught.value.code == "malformed-key-name"


@pytest.mark.parametrize("name", ["", "+", "a+b", "a\x00", "a\x1b[0m", "a\n", "\ud800", "a\udc80"])
def test_key_name_refuses(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        check_key_name(name)
    assert caught.value.code == "malformed-key-name"


@pytest.mark.parametrize(
    "name",
    ["a", "sum.golang.org", "https://x/?y=z#-", "香港銀行", "a\u200bb", "\U0001fae8", "\x7f"],
)
def test_key_name_takes_all_that_notes_may_hold(name: str) -> None:
    check_key_name(name)


@pytest.mark.parametrize("name", ["a\u200bb", "a\u202eb", "a\x9bb", "\x7f", "a" * (MAX_NAME + 1)])
def test_vkey_refuses_names_that_cannot_be_shown(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_vkey(vkey(name, bytes([ED25519]) + bytes(32)))
    assert caught.value.code == "malformed-key-name"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: hex(key.type))
@pytest.mark.parametrize("time", [1, 1795305600, MAX_INT])
def test_signature_is_good_for_its_text_and_key_only(key: SoftKey, time: int) -> None:
    payload = key.sign(TEXT, time).payload
    signed = time if key.vkey.is_cosigner else 0
    assert key.vkey.verify(TEXT.encode(), payload) == signed
    assert key.vkey.verify(TEXT.encode() + b"\n", payload) is None
    other = SoftKey(key.name, key.type, key.seed + 10)
    assert other.vkey.verify(TEXT.encode(), payload) is None


@pytest.mark.parametrize("key", KEYS, ids=lambda key: hex(key.type))
def test_signature_with_any_bit_flipped_is_bad(key: SoftKey) -> None:
    payload = key.sign(TEXT, 77).payload
    for bit in range(8 * len(payload)):
        assert key.vkey.verify(TEXT.encode(), flipped(payload, bit)) is None
    for bad in (b"", payload[:-1], payload + b"\x00", payload[1:]):
        assert key.vkey.verify(TEXT.encode(), bad) is None


@pytest.mark.parametrize("time", [0, MAX_INT + 1, 2**64 - 1])
def test_cosignature_refuses_times_out_of_range(time: int) -> None:
    key = KEYS[2]
    assert key.vkey.verify(TEXT.encode(), key.sign(TEXT, time).payload) is None


def test_cosignature_signs_time_and_whole_text() -> None:
    assert cosigned_message(7, b"o\n1\nr\n") == b"cosignature/v1\ntime 7\no\n1\nr\n"


def test_key_types_do_not_stand_in_for_each_other() -> None:
    plain, timed = ed25519_key("x", 5), cosigner("x", 5)
    assert plain.vkey.public == timed.vkey.public
    assert timed.vkey.verify(TEXT.encode(), plain.sign(TEXT).payload) is None
    assert plain.vkey.verify(TEXT.encode(), timed.sign(TEXT, 5).payload[8:]) is None


def test_ed25519_key_that_is_no_point_verifies_nothing() -> None:
    assert VerifierKey("x", ED25519, b"\xff" * 32).verify(b"", bytes(64)) is None
    assert VerifierKey("x", ED25519, b"short").verify(b"", bytes(64)) is None
