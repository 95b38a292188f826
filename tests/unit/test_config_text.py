"""Written configuration text parses to what it was written from."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.member import Member
from chopmark.service.config import Config, parse_config, parse_peer
from chopmark.service.config_text import render_config, render_peer
from configs import BASE, TLS, cosigner, other_peer, p256, peer_block

API_TLS = """
[api.tls]
listen = "0.0.0.0:8443"
certificate = "/etc/tls/api.pem"
key = "/etc/tls/api.key"
client_ca = "/etc/tls/ca.pem"
[api.page]
listen = "0.0.0.0:8444"
open_to = ["10.1.2.0/24"]
[api.oidc]
issuer = "https://login.example/realms/staff"
client_id = "chopmark"
address = "https://gateway.example:8444"
[[api.oidc.group]]
name = "clerks"
roles = ["verifier"]
[[api.client]]
name = "core-banking"
subject = "core-banking.bank-hk.example"
roles = ["issuer", "verifier"]
kinds = ["bank-statement"]
rate = 500
"""
FULL = (
    BASE
    + '[api]\nlisten = "127.0.0.1:8080"\n'
    + API_TLS
    + '[[api.user]]\nuser = "1000"\nroles = ["operator"]\n'
    + '[kinds."kyc.v2"]\nmax_age = 60\n[kinds.diploma]\n'
    + peer_block()
    + other_peer(kinds='["diploma", "kyc.v2"]')
)


BROKERS = BASE + TLS + '[[broker]]\nhost = "b"\npublish_port = 8884\n' + TLS


@pytest.mark.parametrize("text", [BASE, FULL, BROKERS])
def test_render_config_parses_to_the_same(text: str) -> None:
    config = parse_config(text.encode())
    assert parse_config(render_config(config).encode()) == config


def test_render_config_comments_each_key() -> None:
    config = parse_config(BASE.encode())
    lines = render_config(config).splitlines()
    for section in (config.gateway, config.hsm, config.api, config.broker[0]):
        for field in msgspec.structs.fields(section):
            if field.name in ("tls", "page", "oidc", "client", "user"):  # tables of their own
                continue
            place = next(i for i, line in enumerate(lines) if f"{field.name} = " in line)
            assert lines[place - 1].startswith("# ")


def test_render_config_shows_absent_keys_as_comments() -> None:
    text = render_config(parse_config(BASE.encode()))
    assert '\n# listen = "127.0.0.1:8080"\n' in text
    assert "\n# token_serial = " in text


def test_render_peer_parses_to_the_same() -> None:
    member = parse_peer(peer_block().encode())
    assert parse_peer(render_peer(member).encode()) == member
    assert render_peer(member).startswith("[[peer]]\n")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_render_config_escapes_any_text(text: str) -> None:
    config = msgspec.structs.replace(
        parse_config(BASE.encode()),
        gateway=msgspec.structs.replace(parse_config(BASE.encode()).gateway, institution=text),
    )
    decoded = msgspec.toml.decode(render_config(config))
    assert decoded["gateway"]["institution"] == text
    assert isinstance(config, Config)


def test_render_peer_escapes_institution() -> None:
    key, second = p256("a.example/x", 3), cosigner("a.example/x/cosigner", "x")
    name = 'The "Bank" \\ 澳門 # [x]'
    member = Member("x", "a.example/x", key, second, name, "MO", frozenset(["b", "a"]))
    text = render_peer(member)
    assert parse_peer(text.encode()) == member
    assert 'kinds = ["a", "b"]' in text
