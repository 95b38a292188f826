"""Support bundles: what is sealed opens, and what is not as it must be is refused."""

import json
import random
from typing import Any

import pytest

import make_vectors
from bundlevectors import FILES, OFFICE, OTHER, pem
from chopmark.client.bundle import MAX_BUNDLE, open_bundle, parse_private, parse_public, seal
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError

VECTORS: dict[str, Any] = json.loads((make_vectors.FOLDER / "bundle.json").read_text("utf-8"))
KEY = parse_private(VECTORS["private_key"].encode())


@pytest.mark.parametrize("case", VECTORS["good"], ids=lambda one: one["name"])
def test_vector_made_by_another_hpke_opens(case: dict[str, Any]) -> None:
    assert open_bundle(bytes.fromhex(case["hex"]), KEY) == case["files"]


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda one: one["name"])
def test_bad_vector_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ChopmarkError) as caught:
        open_bundle(bytes.fromhex(case["hex"]), KEY)
    assert caught.value.code in ("malformed-bundle", "bundle-not-ours")


def test_sealed_twice_differs_and_opens() -> None:
    one, other = (seal(FILES, OFFICE.public_key()) for _ in range(2))
    assert one != other
    assert open_bundle(one, OFFICE) == open_bundle(other, OFFICE) == FILES


def test_each_flipped_bit_is_noticed() -> None:
    data = seal({"a.txt": "x"}, OFFICE.public_key())
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(MalformedError):
            open_bundle(changed, OFFICE)


def test_key_of_somebody_else_is_named() -> None:
    with pytest.raises(RefusedError, match="it is encrypted to the key") as caught:
        open_bundle(seal(FILES, OFFICE.public_key()), OTHER)
    assert caught.value.code == "bundle-not-ours"


def test_bundle_that_would_be_too_large_is_refused() -> None:
    noise = random.Random(1).randbytes(2 * MAX_BUNDLE).hex()  # noqa: S311 - packs to its half
    with pytest.raises(RefusedError) as caught:
        seal({"log.txt": noise}, OFFICE.public_key())
    assert caught.value.code == "bundle-too-large"


def test_names_that_no_bundle_has_are_our_bug() -> None:
    with pytest.raises(ValueError, match="names"):
        seal({"../log.txt": ""}, OFFICE.public_key())


def test_keys_that_are_none() -> None:
    certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for data in (b"", certificate, pem(OFFICE).encode()):
        with pytest.raises(MalformedError, match="no public X25519 key"):
            parse_public(data)
    with pytest.raises(MalformedError, match="no private X25519 key"):
        parse_private(b"x")
