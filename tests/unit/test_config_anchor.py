"""What `[anchor]` may say."""

import pytest

from chopmark.core.errors import ConfigurationError
from chopmark.service.config import Config, parse_config
from chopmark.service.config_text import render_config, render_peer
from chopmark.service.token import chain_label
from configs import BASE, peer_block

CONTRACT = "0x" + "ab" * 20
GOOD = f"""
[anchor]
endpoints = ["http://127.0.0.1:8545", "https://node.example"]
contract = "{CONTRACT}"
"""


def parse(text: str) -> Config:
    return parse_config((BASE.replace("[[broker]]", f"{text}\n[[broker]]")).encode())


def test_anchor_has_defaults_of_fisco_bcos() -> None:
    anchor = parse(GOOD).anchor
    assert anchor is not None
    assert (anchor.chain_id, anchor.every, anchor.first_block, anchor.publish) == (
        20200,
        600,
        0,
        True,
    )


def test_without_the_table_there_is_no_chain_and_no_key_of_one() -> None:
    config = parse("")
    assert config.anchor is None
    assert chain_label(config) is None


def test_key_is_looked_for_in_the_token_only_where_it_is_to_be_there() -> None:
    assert chain_label(parse(GOOD)) == "chopmark-chain"
    assert chain_label(parse(GOOD + 'key = "file"\nkey_file = "/chain.pem"\n')) is None
    assert chain_label(parse(GOOD + "publish = false\n")) is None


def test_written_configuration_reads_back() -> None:
    config = parse(GOOD + 'key = "file"\nkey_file = "/chain.pem"\nevery = 60\n')
    assert parse_config(render_config(config).encode()) == config


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (GOOD.replace("http://127.0.0.1:8545", "127.0.0.1:8545"), "anchor.endpoints"),
        (GOOD.replace("http://127.0.0.1:8545", "http://u:p@node"), "anchor.endpoints"),
        (GOOD.replace("http://127.0.0.1:8545", "http://node:99999"), "anchor.endpoints"),
        (GOOD.replace("http://127.0.0.1:8545", "https://node.example"), "anchor.endpoints"),
        (GOOD.replace(CONTRACT, CONTRACT.upper()), "anchor.contract"),
        (GOOD.replace(CONTRACT, CONTRACT[:-1]), "anchor.contract"),
        (GOOD + 'key = "file"\n', "anchor.key_file"),
        (GOOD + 'key_file = "/chain.pem"\n', "anchor.key_file"),
        (GOOD + 'key = "file"\nkey_file = "chain.pem"\n', "anchor.key_file"),
        (GOOD + 'key_label = "chopmark-log"\n', "anchor.key_label"),
        (GOOD + 'key_label = ""\n', "anchor.key_label"),
        (GOOD + 'ca = "ca.pem"\n', "anchor.ca"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(wrong: str, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(wrong)
    assert caught.value.message.startswith(key)


def test_peer_names_its_account() -> None:
    peers = parse_config((BASE + peer_block() + f'chain = "{CONTRACT}"\n').encode()).peers
    assert [peer.chain for peer in peers] == [CONTRACT]
    assert f'chain = "{CONTRACT}"' in render_peer(peers[0])


def test_account_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not an account"):
        parse_config((BASE + peer_block() + 'chain = "0xab12"\n').encode())
