import hashlib
from dataclasses import replace
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import MalformedError
from chopmark.core.keccak import keccak_256
from chopmark.core.keys import ED25519
from chopmark.core.note import Note
from chopmark.core.secp256k1 import ORDER, account_of, complete
from chopmark.core.transaction import (
    Anchor,
    Transaction,
    origin_hash,
    to_transaction,
    transaction_hash,
)
from softkeys import SoftKey

ORIGIN: Final = "bank-hk.example/hk-1"
EIP155_KEY: Final = 0x4646464646464646464646464646464646464646464646464646464646464646


def sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
    return r.to_bytes(32) + s.to_bytes(32)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def make_note(size: int = 7, origin: str = ORIGIN) -> bytes:
    text = Checkpoint(origin, size, b"\x01" * 32).encode()
    return Note(text, (SoftKey(origin, ED25519, 1).sign(text),)).encode()


ANCHOR: Final = Anchor(20_200, b"\x11" * 20, 3, make_note())


@given(st.binary(max_size=700))
def test_permutation_is_that_of_sha3(data: bytes) -> None:
    assert keccak_256(data, 0x06) == hashlib.sha3_256(data).digest()


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"anchor(bytes32,uint64,bytes)", "a7b1ba17"),
    ],
)
def test_keccak_pads_as_ethereum(data: bytes, digest: str) -> None:
    assert keccak_256(data).hex().startswith(digest)


def test_account_is_that_of_a_known_key() -> None:
    key = ec.derive_private_key(EIP155_KEY, ec.SECP256K1())
    assert account_of(point_of(key)) == "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"


def test_low_s_and_recovery_id_verify_for_many_keys() -> None:
    seen = set()
    for number in range(1, 17):
        key = ec.derive_private_key(number, ec.SECP256K1())
        digest = hashlib.sha256(bytes([number])).digest()
        found = complete(point_of(key), digest, sign(key, digest))
        assert found is not None
        r, s, recovery = found
        assert s <= ORDER // 2
        high = complete(point_of(key), digest, r.to_bytes(32) + (ORDER - s).to_bytes(32))
        assert high == found, "the higher s means the same signature"
        seen.add(recovery)
    assert seen == {0, 1}


def test_signature_of_something_else_does_not_verify() -> None:
    key = ec.derive_private_key(5, ec.SECP256K1())
    digest = hashlib.sha256(b"one").digest()
    good = sign(key, digest)
    assert complete(point_of(key), hashlib.sha256(b"two").digest(), good) is None
    other = ec.derive_private_key(6, ec.SECP256K1())
    assert complete(point_of(other), digest, good) is None
    flipped = good[:40] + bytes([good[40] ^ 1]) + good[41:]
    assert complete(point_of(key), digest, flipped) is None


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(64), bytes(32) + b"\x01" * 32, b"\x01" * 32 + bytes(32), b"\xff" * 64],
)
def test_signature_that_is_none_does_not_verify(signature: bytes) -> None:
    key = ec.derive_private_key(5, ec.SECP256K1())
    assert complete(point_of(key), bytes(32), signature) is None


def test_signature_that_leads_to_no_point_does_not_verify() -> None:
    # r·key = -digest·base, so that the sum is the point at infinity: key = base, r = -digest.
    point = point_of(ec.derive_private_key(1, ec.SECP256K1()))
    digest = (ORDER - 5).to_bytes(32)
    assert complete(point, digest, (5).to_bytes(32) + (1).to_bytes(32)) is None


def test_doubling_is_reached_where_both_summands_are_one_point() -> None:
    # digest·base + r·key with key = base and r = digest: the same point twice; r does not fit.
    point = point_of(ec.derive_private_key(1, ec.SECP256K1()))
    assert complete(point, (5).to_bytes(32), (5).to_bytes(32) + (1).to_bytes(32)) is None


def test_transaction_is_encoded_as_eip155_says() -> None:
    raw = Transaction(1, 9, 21_000, b"\x35" * 20, b"").signed(1, 2, 0)
    # nonce 9, price 0, gas 21000, to, value 0, no data, v = 37, r, s
    items = "09" + "80" + "825208" + "94" + "35" * 20 + "80" + "80" + "25" + "01" + "02"
    assert raw.hex() == f"{0xC0 + len(items) // 2:02x}{items}"


def test_what_is_signed_names_the_chain() -> None:
    items = "09" + "80" + "825208" + "94" + "35" * 20 + "80" + "80" + "01" + "80" + "80"
    unsigned = bytes.fromhex(f"{0xC0 + len(items) // 2:02x}{items}")
    assert Transaction(1, 9, 21_000, b"\x35" * 20, b"").digest() == keccak_256(unsigned)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 255, 256, 70_000])
def test_lengths_of_data_are_prefixed_as_rlp_says(size: int) -> None:
    raw = Transaction(20_200, 0, 0, b"", b"\xaa" * size).signed(1, 1, 1)
    if size > 55:
        length = size.to_bytes((size.bit_length() + 7) // 8)
        assert bytes([0xB7 + len(length)]) + length + b"\xaa" * size in raw
    else:
        expected = b"\x81\xaa" if size == 1 else bytes([0x80 + size]) + b"\xaa" * size
        assert expected in raw


def test_anchor_calls_the_contract_with_the_head_of_its_note() -> None:
    data = ANCHOR.transaction().data
    assert data[:4].hex() == "a7b1ba17"
    assert data[4:36] == origin_hash(ORIGIN)
    assert int.from_bytes(data[36:68]) == 7
    length = int.from_bytes(data[100:132])
    assert data[132 : 132 + length] == ANCHOR.note
    assert not any(data[132 + length :])
    assert len(data) % 32 == 4


def test_anchor_of_another_log_is_not_signed() -> None:
    assert to_transaction(ANCHOR, ORIGIN) == ANCHOR.transaction()
    with pytest.raises(ValueError, match="no other log's heads"):
        to_transaction(ANCHOR, "bank-sz.example/sz-1")


def test_only_an_anchor_is_signed() -> None:
    class Crafted(Anchor):
        pass

    with pytest.raises(TypeError, match="an Anchor is signed"):
        to_transaction(Crafted(1, b"\x11" * 20, 0, make_note()), ORIGIN)


@pytest.mark.parametrize(
    "wrong", [{"chain_id": 0}, {"nonce": -1}, {"contract": b"\x11" * 19}], ids=str
)
def test_anchor_with_a_number_that_is_none_is_not_signed(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not an anchor"):
        replace(ANCHOR, **wrong).transaction()  # type: ignore[arg-type]


def test_anchor_of_no_checkpoint_is_not_signed() -> None:
    with pytest.raises(MalformedError):
        to_transaction(replace(ANCHOR, note=b"chopmark/roster/v1\n"), ORIGIN)


def test_hash_of_a_transaction_is_that_of_its_bytes() -> None:
    assert transaction_hash(b"") == "0x" + keccak_256(b"").hex()
