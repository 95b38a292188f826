"""The list of keys: ours first, whatever they are called in the token, then all others."""

from dataclasses import replace

from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import ED25519, VerifierKey
from chopmark.core.member import PastKey
from chopmark.hsm.attributes import TokenKey
from chopmark.service.config import parse_config
from chopmark.service.keylist import describe_keys, find_witness, know_keys
from configs import BASE, cosigner, p256
from ledgers import COSIGNER, LOG, member

HSM = parse_config(BASE.encode()).hsm
FIRST, SECOND, OTHER = p256(LOG.name, 4), p256(LOG.name, 5), p256("", 6)
OWN = replace(member(), past_log_keys=(PastKey(FIRST, 0, bytes(32)),))
MADE = [(SECOND, "log", "chopmark-log-3"), (LOG.vkey, "log", "chopmark-log-2")]


def nameless(key: VerifierKey) -> VerifierKey:
    return VerifierKey("", ED25519 if not key.is_p256 else 2, key.public)


def test_keys_in_use_come_first_and_take_the_labels_of_the_ledger() -> None:
    known = know_keys(OWN, HSM, MADE, None)  # type: ignore[arg-type]  # literals in a list
    assert [(one.key, one.label, one.in_use) for one in known] == [
        (LOG.vkey, "chopmark-log-2", True),
        (COSIGNER.vkey, "chopmark-cosigner", True),
        (SECOND, "chopmark-log-3", False),
        (FIRST, None, False),
    ]


def test_first_key_is_listed_while_the_token_still_has_it() -> None:
    known = know_keys(OWN, HSM, (), None)
    token = (TokenKey("chopmark-log", nameless(FIRST), 1, {}),)
    rows = describe_keys(known, token, lambda vkey: "retired" if vkey == FIRST.encode() else None)
    first = next(row for row in rows if row["vkey"] == FIRST.encode())
    assert (first["label"], first["roster"], first["role"]) == ("chopmark-log", "retired", "log")
    assert FIRST.encode() not in {row["vkey"] for row in describe_keys(known, (), lambda _: None)}


def test_key_that_the_token_lacks_is_named() -> None:
    rows = describe_keys(know_keys(member(), HSM, (), None), (), lambda _: "active")
    assert [(row["in_token"], row["wrong"]) for row in rows] == [(False, ["not in the token"])] * 2
    rows = describe_keys(know_keys(member(), HSM, (), None), None, lambda _: "active")
    assert [(row["in_token"], row["wrong"]) for row in rows] == [(None, [])] * 2


def test_other_keys_come_last_with_neither_role_nor_vkey() -> None:
    token = (
        TokenKey("a-tls", OTHER, 1, {"SENSITIVE": True}, ("ECDSA",)),
        TokenKey("chopmark-log", nameless(LOG.vkey), 1, {}),
        TokenKey("rsa", None, 1, {}),
    )
    rows = describe_keys(know_keys(member(), HSM, (), None), token, lambda _: None)
    assert [(row["label"], row["role"], row["vkey"] is None) for row in rows] == [
        ("chopmark-log", "log", False),
        ("chopmark-cosigner", "cosigner", False),
        ("a-tls", None, True),
        ("rsa", None, True),
    ]
    fingerprint = Fingerprint(encode_public(OTHER))
    assert (rows[2]["fingerprint"], rows[2]["words"]) == (fingerprint.hex, fingerprint.words)
    assert (rows[2]["attributes"], rows[2]["mechanisms"]) == ({"sensitive": True}, ["ECDSA"])
    assert rows[3]["fingerprint"] is None


def test_witness_key_is_found_by_its_label() -> None:
    key = cosigner("log.example/a/witness", "w")
    token = (TokenKey("chopmark-witness", nameless(key), None, {}),)
    assert find_witness(token, "chopmark-witness", "log.example/a") == key
    assert find_witness(token, "another", "log.example/a") is None
    known = know_keys(member(), HSM, (), key)
    assert [row["role"] for row in describe_keys(known, token, lambda _: None)][-1] == "witness"
