"""What the table of verbs takes, and what it refuses: each verb has values out of its set."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.admin.server import MAX_LINE
from chopmark.admin.table import VERBS, describe_values, parse_request
from chopmark.core.errors import ChopmarkError

INIT: dict[str, Any] = {
    "member": "hk-1",
    "origin": "bank-hk.example/hk-1",
    "institution": "Bank of Hong Kong",
    "jurisdiction": "HK",
    "module": "softhsm",
    "token_label": "hk-1",
    "broker": ["127.0.0.1", 1883],
}
BROKER = {"host": "b.example", "port": 8883, "tls": True}
NETWORK = {"method": "static", "address": "10.0.0.2/24", "seconds": 60}
WIPE = {"origin": "bank-hk.example/hk-1", "scope": "state"}
TOKEN = {"module": "softhsm", "token_label": "hk-1"}
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
PEERS = {"blocks": '[[peer]]\nid = "sz-1"\n', "fingerprint": "lusab babad"}
GOOD: dict[str, dict[str, Any]] = {
    "config-change": {"institution": "Bank", "add_broker": BROKER, "remove_broker": ["::1", 1]},
    "config-commit": {"seconds": 300},
    "doctor": {"checks": ["pin", "hsm"], "offline": True},
    "attest-first": {"kind": "bank-statement"},
    "pin-put": {"pin": "123456"},
    "pin-try": TOKEN,
    "token-look": TOKEN,
    "transport-put": {"ca": PEM, "certificate": PEM},
    "peers-pin": PEERS,
    "gateway-init": INIT,
    "unit-start": {"unit": "gateway"},
    "unit-stop": {"unit": "hsm"},
    "unit-restart": {"unit": "broker"},
    "reset-export": {"start": 0},
    "wipe": WIPE,
    "network-apply": NETWORK,
    "firmware-ca": {"ca": PEM},
    "slot-switch": {"slot": "b"},
}
BAD: dict[str, list[dict[str, Any]]] = {
    "config-change": [
        {"institution": "two\nlines"},
        {"institution": ""},
        {"institution": "x" * 201},
        {"jurisdiction": "hk"},
        {"add_broker": {**BROKER, "host": "-oProxyCommand=x"}},
        {"add_broker": {**BROKER, "host": "a b"}},
        {"add_broker": {**BROKER, "port": 0}},
        {"add_broker": {**BROKER, "port": "8883"}},
        {"add_broker": {**BROKER, "ca": "/etc/shadow"}},
        {"remove_broker": ["a"]},
        {"path": "/etc/passwd"},
        {"firmware": {"url": "http://updates.example/"}},
        {"firmware": {"url": "https://updates.example/ x"}},
        {"firmware": {"url": "https://updates.example/", "ca": "/etc/shadow"}},
        {"firmware": {"url": "https://updates.example/", "proxy": "-x:1"}},
        {"firmware": "/etc/passwd"},
    ],
    "firmware-ca": [{}, {"ca": PEM * 200}, {"ca": PEM, "path": "/etc/passwd"}],
    "config-commit": [{}, {"seconds": 0}, {"seconds": 3601}, {"seconds": 1.5}, {"seconds": True}],
    "doctor": [
        {"checks": ["brokers"]},
        {"checks": ["--config"]},
        {"checks": ["pin"] * 17},
        {"offline": "no"},
        {"config": "/etc/passwd"},
    ],
    "attest-first": [{}, {"kind": "A b"}, {"kind": "x", "text": "another"}],
    "pin-put": [{}, {"pin": ""}, {"pin": "a\nb"}, {"pin": 123456}, {"pin": "1" * 256}],
    "pin-try": [{}, {**TOKEN, "pin": "1"}, {**TOKEN, "module": "/tmp/x.so"}],  # noqa: S108 - as below
    "token-look": [{}, {**TOKEN, "token_label": "--pin"}, {**TOKEN, "state": "/"}],
    "transport-put": [{"ca": PEM * 200}, {"certificate": "\x00"}, {"key": PEM}, {"ca": "a\u00e9"}],
    "peers-pin": [
        {},
        {**PEERS, "blocks": "x" * 7001},
        {**PEERS, "blocks": "\x1b[2J"},
        {**PEERS, "fingerprint": "../x"},
        {**PEERS, "path": "/etc"},
    ],
    "gateway-init": [
        {},
        {**INIT, "member": "../x"},
        {**INIT, "member": "--config=/x"},
        {**INIT, "origin": "-x"},
        {**INIT, "module": "/tmp/evil.so"},  # noqa: S108 - what somebody might try
        {**INIT, "token_label": "--pin"},
        {**INIT, "cosigner_key": "rsa"},
        {**INIT, "broker": "127.0.0.1:1883"},
        {**INIT, "state": "/"},
        {**INIT, "jurisdiction": "HK\n"},
    ],
    "unit-start": [{}, {"unit": "sshd"}, {"unit": "chopmark.service"}, {"unit": "gateway hsm"}],
    "unit-stop": [{"unit": "../x"}, {"unit": ["gateway"]}, {"unit": None}],
    "unit-restart": [{"unit": "--force"}, {"unit": "gateway", "force": True}],
    "reset-export": [{}, {"start": -1}, {"start": 2**53}, {"start": "0"}],
    "wipe": [
        {},
        {**WIPE, "scope": "/"},
        {**WIPE, "audit": "no"},
        {**WIPE, "ledger": "skip"},
        {**WIPE, "keys": True},
        {**WIPE, "origin": "../../etc"},
    ],
    "network-apply": [
        {},
        {**NETWORK, "address": "eth0; reboot"},
        {**NETWORK, "vlan": 4095},
        {**NETWORK, "dns": ["1.1.1.1"] * 4},
        {**NETWORK, "interface": "eth0"},
    ],
    "slot-switch": [{}, {"slot": "c"}, {"slot": "A"}],
}


def parse(verb: str, values: dict[str, Any]) -> Any:
    return parse_request(msgspec.json.encode({"verb": verb, **values}))


def test_every_verb_of_the_table_is_asked_here() -> None:
    needs_nothing = {name for name in VERBS if name not in GOOD}
    assert set(GOOD) == set(BAD)
    assert all(not VERBS[name].request.__struct_fields__[1:] for name in needs_nothing)


@pytest.mark.parametrize("verb", VERBS)
def test_verb_takes_what_it_is_for(verb: str) -> None:
    name, asked = parse(verb, {**GOOD.get(verb, {}), "who": "chan+lee"})
    assert (name, asked.who) == (verb, "chan+lee")


@pytest.mark.parametrize(
    ("verb", "values"), [(verb, values) for verb, cases in BAD.items() for values in cases]
)
def test_verb_refuses_values_out_of_its_set(verb: str, values: dict[str, Any]) -> None:
    with pytest.raises(ChopmarkError) as caught:
        parse(verb, values)
    assert caught.value.code == "malformed-request"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("more", [{"x": 1}, {"who": "a b"}, {"who": "x" * 81}, {"who": "\n"}])
def test_verb_refuses_names_that_it_does_not_know(verb: str, more: dict[str, Any]) -> None:
    with pytest.raises(ChopmarkError) as caught:
        parse(verb, {**GOOD.get(verb, {}), **more})
    assert caught.value.code == "malformed-request"


def test_refusal_shows_no_value() -> None:
    with pytest.raises(ChopmarkError) as caught:
        parse("pin-put", {"pin": "not a secret\n"})
    assert "secret" not in str(caught.value)


def test_pin_is_shown_nowhere() -> None:
    _, asked = parse("pin-put", {"pin": "tell-tale"})
    assert "tell-tale" not in repr(asked)
    assert "tell-tale" not in str(describe_values(asked))


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"null", b'{"verb":[]}', b'{"verb":"exec"}'])
def test_line_that_names_no_verb_is_refused(line: bytes) -> None:
    with pytest.raises(ChopmarkError):
        parse_request(line)


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_request_or_refused(line: bytes) -> None:
    with suppress(ChopmarkError):
        name, asked = parse_request(line)
        assert isinstance(asked, VERBS[name].request)


@pytest.mark.parametrize("opener", [b"[", b'{"verb":'])
def test_deep_nesting_is_refused(opener: bytes) -> None:
    with pytest.raises(ChopmarkError):
        parse_request(opener * (MAX_LINE // len(opener)))
