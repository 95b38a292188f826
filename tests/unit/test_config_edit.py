"""Changing values in a configuration's text: comments stay, and what cannot be done is refused."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.errors import ConfigurationError
from chopmark.service.config import parse_config
from chopmark.service.config_edit import set_brokers, set_firmware, set_names
from chopmark.service.config_model import Broker, Firmware
from chopmark.service.config_text import render_config
from configs import BASE, TLS, peer_block

COMMENTED = """\
# of the whole file
[gateway] # of the table
id = "hk-1"
origin = "bank-hk.example/hk-1"
# of the bank
institution = "Bank of Hong Kong (example)" # the old name
jurisdiction = "HK"

# of the token
[hsm]
module = "/usr/lib/softhsm/libsofthsm2.so"
token_label = "hk-1"

# of the first broker
[[broker]]
host = "127.0.0.1"
# within the first

# of the second
[[broker]]
host = "b.example"
# of its TLS
[broker.tls]
ca = "/ca.pem"
certificate = "/hk-1.pem"
key = "/hk-1.key"

# at the end
"""
NAMES = {"institution": 'Bank "New"', "jurisdiction": "MO"}
THIRD = Broker(host="c.example", port=1883)


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


@pytest.mark.parametrize("text", [BASE, COMMENTED, BASE + TLS + peer_block(), "\ufeff"[:0] + BASE])
def test_set_names_changes_them_and_nothing_else(text: str) -> None:
    before, changed = parse_config(text.encode()), set_names(text, NAMES)
    gateway = msgspec.structs.replace(before.gateway, **NAMES)
    assert parse_config(changed.encode()) == msgspec.structs.replace(before, gateway=gateway)
    assert comments(changed) == comments(text)
    assert len(changed.splitlines()) == len(text.splitlines())


def test_set_names_changes_a_file_that_init_has_written() -> None:
    text = render_config(parse_config(BASE.encode()))
    changed = set_names(text, NAMES)
    differ = [
        one for one in zip(text.splitlines(), changed.splitlines(), strict=True) if one[0] != one[1]
    ]
    assert [new for _, new in differ] == ['institution = "Bank \\"New\\""', 'jurisdiction = "MO"']


def test_set_brokers_adds_one_behind_the_last() -> None:
    before = parse_config(COMMENTED.encode())
    changed = set_brokers(COMMENTED, (*before.broker, THIRD))
    assert parse_config(changed.encode()).broker == (*before.broker, THIRD)
    assert set(comments(COMMENTED)) <= set(comments(changed))


@pytest.mark.parametrize("gone", [0, 1])
def test_set_brokers_removes_one_with_what_belongs_to_it(gone: int) -> None:
    before = parse_config(COMMENTED.encode())
    left = tuple(one for at, one in enumerate(before.broker) if at != gone)
    changed = set_brokers(COMMENTED, left)
    assert parse_config(changed.encode()).broker == left
    assert ("# of its TLS" in changed) == (gone == 0)
    assert {"# of the first broker", "# of the second", "# at the end"} <= set(comments(changed))


def test_set_brokers_replaces_all() -> None:
    assert parse_config(set_brokers(COMMENTED, (THIRD,)).encode()).broker == (THIRD,)


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace('[[broker]]\nhost = "127.0.0.1"', ""),
        BASE.replace('[[broker]]\nhost = "127.0.0.1"', "").replace(
            "[hsm]", 'broker = [{host = "a"}]\n[hsm]'
        ),
    ],
)
def test_set_brokers_refuses_what_is_written_otherwise(text: str) -> None:
    with pytest.raises(ConfigurationError):
        set_brokers(text, (THIRD,))


@pytest.mark.parametrize(
    "written",
    [
        'institution = """\nBank"""',
        '"institution" = "Bank"',
        'institution = """\\\nBank"""',
    ],
)
def test_set_names_refuses_what_is_written_otherwise(written: str) -> None:
    text = BASE.replace('institution = "Bank of Hong Kong (example)"', written)
    assert text != BASE
    parse_config(text.encode())
    with pytest.raises(ConfigurationError):
        set_names(text, {"institution": "New"})


def test_set_names_refuses_a_value_that_may_not_be() -> None:
    with pytest.raises(ConfigurationError) as caught:
        set_names(BASE, {"jurisdiction": "nowhere"})
    assert caught.value.code == "config-value"


@given(st.text(min_size=1, max_size=60))
def test_set_names_writes_any_text_as_it_is_or_refuses_it(name: str) -> None:
    try:
        changed = set_names(COMMENTED, {"institution": name})
    except (ConfigurationError, UnicodeEncodeError):
        return
    assert parse_config(changed.encode()).gateway.institution == name


@pytest.mark.parametrize("text", [BASE, COMMENTED, BASE + TLS + peer_block()])
def test_source_of_releases_comes_changes_and_goes_again(text: str) -> None:
    before = parse_config(text.encode())
    for firmware in (
        Firmware(source="https://updates.example/", proxy="proxy.example:3128"),
        Firmware(source="https://other.example/", ca=Path("/ca.pem")),
        None,
    ):
        text = set_firmware(text, firmware)
        wanted = msgspec.structs.replace(before, firmware=firmware)
        assert parse_config(text.encode()) == wanted
        assert text.count("[firmware]") == (firmware is not None)


def test_source_of_releases_in_another_form_is_refused() -> None:
    text = 'firmware = { source = "https://updates.example/" }\n' + BASE
    with pytest.raises(ConfigurationError) as caught:
        set_firmware(text, None)
    assert caught.value.code == "config-shape"
