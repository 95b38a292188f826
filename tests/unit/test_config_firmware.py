"""What `[firmware]` may say."""

import pytest

from chopmark.core.errors import ConfigurationError
from chopmark.service.config import Config, parse_config
from chopmark.service.config_model import Firmware
from chopmark.service.config_text import render_config
from configs import BASE

URL = "https://updates.bank-hk.example/chopmark/"


def parse(source: str, *more: str) -> Config:
    lines = ("[firmware]", f'source = "{source}"', *more, "")
    return parse_config((BASE + "\n".join(lines)).encode())


def firmware(source: str, *more: str) -> Firmware:
    found = parse(source, *more).firmware
    assert found is not None
    return found


def test_box_connects_to_the_source_or_else_to_the_proxy_alone() -> None:
    assert firmware(URL).reached == ("updates.bank-hk.example", 443)
    assert firmware("https://[2001:db8::7]:8443/").reached == ("2001:db8::7", 8443)
    proxied = firmware(URL, 'proxy = "proxy.bank-hk.example:3128"')
    assert proxied.reached == ("proxy.bank-hk.example", 3128)
    assert proxied.source_address == ("updates.bank-hk.example", 443)


def test_without_the_table_there_is_no_source() -> None:
    assert parse_config(BASE.encode()).firmware is None


def test_written_configuration_reads_back() -> None:
    config = parse(URL, 'ca = "/ca.pem"', 'certificate = "/us.pem"', 'proxy = "[::1]:3128"')
    assert parse_config(render_config(config).encode()) == config


@pytest.mark.parametrize(
    "source",
    [
        "http://updates.example/",
        "ftp://updates.example/",
        "updates.example/",
        "https:///chopmark/",
        "https://updates.example",
        "https://updates.example/chopmark",
        "https://updates.example:0/",
        "https://updates.example:99999/",
        "https://[::1/",
        "https://user@updates.example/",
        "https://user:secret@updates.example/",
        "https://@updates.example/",
        "https://updates.example/?x=/",
        "https://updates.example/#/",
        "https://updates.example/a b/",
        "https://updates.example/\\u00e9/",
        "https://a..b/",
        "https://updates.example/" + "x" * 1000 + "/",
    ],
)
def test_source_that_is_no_folder_by_https_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError, match=r"firmware\.source") as caught:
        parse(source)
    assert caught.value.code == "config-value"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('proxy = "proxy.example"', "proxy"),
        ('proxy = "proxy.example:0"', "proxy"),
        ('proxy = "proxy.example:70000"', "proxy"),
        ('proxy = "http://proxy.example:3128"', "proxy"),
        ('proxy = "a..b:3128"', "proxy"),
        ('ca = "ca.pem"', "ca"),
        ('certificate = "us.pem"', "certificate"),
    ],
)
def test_wrong_value_is_refused_with_its_key(line: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"firmware\.{key}"):
        parse(URL, line)
