"""Who may do what, in the configuration: what loads, and each rule with a text that breaks it."""

import os
import pwd

import pytest

from chopmark.api.identity import ROLES
from chopmark.core.errors import ConfigurationError
from chopmark.service.callers import make_callers
from chopmark.service.config import parse_config
from chopmark.service.config_model_api import Api
from configs import BASE

TLS = """
[api.tls]
listen = "0.0.0.0:8443"
certificate = "/etc/tls/api.pem"
key = "/etc/tls/api.key"
client_ca = "/etc/tls/ca.pem"
"""
CLIENT = '[[api.client]]\nname = "core"\nsubject = "Core Banking"\nroles = ["issuer"]\n'
USER = '[[api.user]]\nuser = "root"\nroles = ["operator", "auditor"]\n'


def api(text: str) -> Api:
    return parse_config((BASE + text).encode()).api


def refuse(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        api(text)
    return caught.value


def test_tables_may_be_left_out() -> None:
    found = api("")
    assert (found.tls, found.client, found.user) == (None, (), ())


def test_tables_give_what_they_say() -> None:
    found = api(TLS + CLIENT + USER)
    assert found.tls is not None
    assert found.tls.listen_address == ("0.0.0.0", 8443)  # noqa: S104 -- any address will do
    assert found.client[0].kinds == ("*",)
    assert found.client[0].rate is None
    assert set(found.user[0].roles) == {"operator", "auditor"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (TLS.replace("0.0.0.0:8443", "localhost:8443"), "api.tls.listen"),
        (TLS.replace(":8443", ""), "api.tls.listen"),
        (TLS.replace("0.0.0.0:8443", "127.0.0.1:1") + '[api]\nlisten = "127.0.0.1:1"', "api.tls.l"),
        (TLS.replace("/etc/tls/api.key", "api.key"), "api.tls.key"),
        (TLS + 'crl = "crl.pem"', "api.tls.crl"),
        (CLIENT, "api.client: there is no [api.tls]"),
        (TLS + CLIENT.replace('"core"', '"Core"'), "api.client[1].name"),
        (TLS + CLIENT.replace('"Core Banking"', '""'), "api.client[1].subject"),
        (TLS + CLIENT.replace('"Core Banking"', '"a\\nb"'), "api.client[1].subject"),
        (TLS + CLIENT + CLIENT, "api.client[2].name"),
        (TLS + CLIENT + CLIENT.replace('"core"', '"other"'), "api.client[2].subject"),
        (TLS + CLIENT.replace('["issuer"]', "[]"), "api.client[1].roles"),
        (TLS + CLIENT.replace('["issuer"]', '["issuer", "issuer"]'), "api.client[1].roles"),
        (TLS + CLIENT + 'kinds = ["Diploma"]', "api.client[1].kinds"),
        (USER + 'group = "root"', "api.user[1]"),
        ('[[api.user]]\nroles = ["issuer"]', "api.user[1]"),
        (USER.replace('"root"', '"a b"'), "api.user[1].user"),
        (USER + USER, "api.user[2].user"),
    ],
)
def test_rule_names_the_key(text: str, where: str) -> None:
    error = refuse(text)
    assert error.code == "config-value"
    assert where in error.message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (TLS + CLIENT.replace('"issuer"', '"boss"'), "api.client[1].roles"),
        (TLS + CLIENT + "rate = 0", "api.client[1].rate"),
        (TLS.replace("key =", "# key ="), "api.tls"),
    ],
)
def test_type_names_the_key(text: str, where: str) -> None:
    error = refuse(text)
    assert error.code == "config-type"
    assert where in error.message


def test_misspelt_word_is_told_which_there_are() -> None:
    hint = refuse(TLS + CLIENT.replace('"issuer"', '"isuer"')).hint
    assert all(f'"{role}"' in hint for role in ROLES)
    assert '"synchronised"' in refuse('[clock]\nrequire = "yes"\n').hint


def test_unknown_key_inside_a_table_that_may_be_left_out_is_named() -> None:
    error = refuse(TLS + 'certificat = "x"')
    assert (error.code, "api.tls.certificat" in error.message) == ("config-unknown-key", True)
    assert "certificate" in error.hint


def test_names_become_numbers() -> None:
    callers = make_callers(api(USER + '[[api.user]]\ngroup = "0"\nroles = ["issuer"]\n'))
    grants = callers.grants
    assert grants.users is not None
    assert grants.users[pwd.getpwnam("root").pw_uid].roles == {"operator", "auditor"}
    assert grants.groups[0][0] == 0
    assert make_callers(api("")).grants.users is None
    assert grants.groups[0][1].roles <= ROLES


@pytest.mark.parametrize("key", ["user", "group"])
def test_name_that_the_machine_does_not_know_is_an_error(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_callers(api(f'[[api.user]]\n{key} = "no-such-account"\nroles = ["issuer"]\n'))
    assert f"api.user[1].{key}" in caught.value.message


def test_name_and_number_of_one_user_are_the_same() -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    block = '[[api.user]]\nuser = "{}"\nroles = ["issuer"]\n'
    with pytest.raises(ConfigurationError, match="the same as one before"):
        make_callers(api(block.format(name) + block.format(os.getuid())))
