import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.checkpoint import (
    MAX_ORIGIN,
    Checkpoint,
    check_origin,
    open_checkpoint,
    parse_checkpoint,
)
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import Note, Verified
from chopmark.core.text import MAX_INT, encode_base64
from mutations import is_canonical, mutated
from softkeys import SoftKey, SoftSigner, cosigner, ed25519_key, log_key, sign_head

ORIGIN = "bank-a.example/sz-1"
ROOT = encode_base64(b"r" * 32)
HEAD = Checkpoint(ORIGIN, 2, b"r" * 32)
LOG = log_key(ORIGIN)
WITNESS = cosigner("bank-b.example/hk-1/cosigner", 3)

ORIGINS = st.from_regex(r"[a-z0-9.-]{1,20}(/[a-z0-9.-]{1,20}){0,2}", fullmatch=True).filter(
    lambda origin: not origin.startswith(("chopmark/", "cosignature/"))
)
HEADS = st.builds(
    Checkpoint, ORIGINS, st.integers(1, MAX_INT), st.binary(min_size=32, max_size=32)
) | st.builds(Checkpoint, ORIGINS, st.just(0), st.just(EMPTY_ROOT))


@given(HEADS)
def test_checkpoint_round_trip(head: Checkpoint) -> None:
    assert parse_checkpoint(head.encode()) == head


@given(HEADS.flatmap(lambda head: mutated(head.encode().encode())))
def test_checkpoint_mutations_are_refused_or_canonical(data: bytes) -> None:
    text = data.decode("latin-1")
    parsed = is_canonical(
        text.encode(), lambda _: parse_checkpoint(text), lambda head: head.encode().encode()
    )
    assert parsed


BAD = {
    "nothing": "",
    "two lines": f"{ORIGIN}\n2\n",
    "no line feed at the end": f"{ORIGIN}\n2\n{ROOT}",
    "extension line": f"{ORIGIN}\n2\n{ROOT}\nmore\n",
    "empty extension line": f"{ORIGIN}\n2\n{ROOT}\n\n",
    "empty origin": f"\n2\n{ROOT}\n",
    "leading zero": f"{ORIGIN}\n02\n{ROOT}\n",
    "sign": f"{ORIGIN}\n+2\n{ROOT}\n",
    "negative size": f"{ORIGIN}\n-2\n{ROOT}\n",
    "underscore": f"{ORIGIN}\n1_0\n{ROOT}\n",
    "Arabic digit": f"{ORIGIN}\n٣\n{ROOT}\n",
    "size beyond 63 bits": f"{ORIGIN}\n{2**63}\n{ROOT}\n",
    "no size": f"{ORIGIN}\n\n{ROOT}\n",
    "space": f"{ORIGIN}\n2 \n{ROOT}\n",
    "root in hexadecimal": f"{ORIGIN}\n2\n{'00' * 32}\n",
    "root too short": f"{ORIGIN}\n2\n{encode_base64(bytes(31))}\n",
    "root with unused bits": f"{ORIGIN}\n2\n{ROOT[:-2]}J=\n",
    "empty tree with a root": f"{ORIGIN}\n0\n{ROOT}\n",
    "line separator of Unicode": f"{ORIGIN}\u20282\n{ROOT}\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_checkpoint_refuses(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(text)


@pytest.mark.parametrize("size", [1, 9, 10, MAX_INT])
def test_checkpoint_takes_sizes(size: int) -> None:
    assert parse_checkpoint(f"{ORIGIN}\n{size}\n{ROOT}\n").size == size


@pytest.mark.parametrize(
    "origin", ["a", "bank-a.example/sz-1", "a/b/c", "x" * MAX_ORIGIN, "chopmark", "chopmark.x/y"]
)
def test_origin_takes(origin: str) -> None:
    check_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a b",
        "a+b",
        "a_b",
        "a:b",
        "https://a",
        "é",
        "a\n",
        "a\n2",
        "x" * (MAX_ORIGIN + 1),
        "chopmark/roster/v1",
        "chopmark/x",
        "cosignature/v1",
    ],
)
def test_origin_refuses(origin: str) -> None:
    with pytest.raises(MalformedError) as caught:
        check_origin(origin)
    assert caught.value.code == "malformed-origin"


def test_origin_cannot_make_a_checkpoint_that_reads_as_a_cosigned_message() -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(f"cosignature/v1\n2\n{ROOT}\n")


@pytest.mark.parametrize("key", [LOG, ed25519_key(ORIGIN, 7)], ids=lambda key: hex(key.type))
def test_open_checkpoint_gives_head_and_signatures(key: SoftKey) -> None:
    signed = open_checkpoint(sign_head(HEAD, key, {WITNESS: 9}), key.vkey, (WITNESS.vkey,))
    assert signed.checkpoint == HEAD
    assert signed.verified == (Verified(key.vkey, 0), Verified(WITNESS.vkey, 9))
    assert signed.note.text == HEAD.encode()


def test_open_checkpoint_demands_the_signature_of_the_log() -> None:
    text = HEAD.encode()
    note = Note(text, (WITNESS.sign(text, 9),)).encode()
    with pytest.raises(RefusedError) as caught:
        open_checkpoint(note, LOG.vkey, (WITNESS.vkey,))
    assert caught.value.code == "no-known-signature"


def test_open_checkpoint_refuses_the_signature_of_another_key_of_that_name() -> None:
    with pytest.raises(RefusedError) as caught:
        open_checkpoint(sign_head(HEAD, log_key(ORIGIN, 8)), LOG.vkey)
    assert caught.value.code == "no-known-signature"


def test_open_checkpoint_refuses_a_bad_cosignature_of_a_known_witness() -> None:
    other = Checkpoint(ORIGIN, 3, b"r" * 32).encode()
    note = Note(HEAD.encode(), (LOG.sign(HEAD.encode()), WITNESS.sign(other, 9))).encode()
    assert open_checkpoint(note, LOG.vkey).checkpoint == HEAD
    with pytest.raises(RefusedError) as caught:
        open_checkpoint(note, LOG.vkey, (WITNESS.vkey,))
    assert caught.value.code == "bad-signature"


def test_open_checkpoint_refuses_a_head_of_another_log() -> None:
    key = log_key("bank-a.example/sz-2")
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(sign_head(HEAD, key), key.vkey)
    assert caught.value.code == "malformed-checkpoint"


async def test_open_checkpoint_takes_what_a_signer_has_signed() -> None:
    signer = SoftSigner(LOG, WITNESS)
    text = HEAD.encode()
    lines = await signer.sign_checkpoint(HEAD), await signer.cosign(HEAD, 9)
    signed = open_checkpoint(Note(text, lines).encode(), signer.log_key, (signer.cosigner_key,))
    assert [one.time for one in signed.verified] == [0, 9]
