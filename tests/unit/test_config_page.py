"""The page and the OpenID provider in the configuration: what loads, and what breaks a rule."""

from pathlib import Path

import pytest

from chopmark.api.signin.oidc import Oidc
from chopmark.core.errors import ConfigurationError
from chopmark.service.callers import open_entrance, page_files
from chopmark.service.config import parse_config
from chopmark.service.config_model_api import Api
from chopmark.service.provider import open_provider
from configs import BASE
from rig.authority import Authority

TLS = """
[api.tls]
listen = "0.0.0.0:8443"
certificate = "/etc/tls/api.pem"
key = "/etc/tls/api.key"
client_ca = "/etc/tls/ca.pem"
"""
PAGE = '[api.page]\nlisten = "0.0.0.0:8444"\n'
OWN = PAGE + 'certificate = "/etc/tls/page.pem"\nkey = "/etc/tls/page.key"\n'
OIDC = """
[api.oidc]
issuer = "https://login.example/realms/staff"
client_id = "chopmark"
address = "https://gateway.example:8444/"
secret_credential = "oidc-secret"
"""
GROUP = '[[api.oidc.group]]\nname = "clerks"\nroles = ["verifier"]\n'
WHOLE = OWN + OIDC + GROUP


def api(text: str) -> Api:
    return parse_config((BASE + text).encode()).api


def test_page_has_the_certificate_of_its_own_or_that_of_the_machines_door() -> None:
    own, shared = api(OWN), api(TLS + PAGE)
    assert own.page is not None
    assert shared.page is not None
    assert page_files(own, own.page).certificate == Path("/etc/tls/page.pem")
    files = page_files(shared, shared.page)
    assert (files.certificate, files.client_ca) == (Path("/etc/tls/api.pem"), None)
    assert own.page.listen_address == ("0.0.0.0", 8444)  # noqa: S104 -- any address will do


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (PAGE, "api.page: there is no [api.tls]"),
        (OWN.replace("0.0.0.0:8444", "localhost:8444"), "api.page.listen"),
        (TLS + OWN.replace("8444", "8443"), "api.page.listen: the same"),
        (OWN.replace("0.0.0.0:", "127.0.0.1:") + '[api]\nlisten = "127.0.0.1:8444"', "api.page.l"),
        (OWN.replace('key = "/etc/tls/page.key"\n', ""), "api.page: a certificate goes"),
        (OWN.replace("/etc/tls/page.key", "page.key"), "api.page.key"),
        (OWN + 'open_to = ["10.1.2.3/24"]', "not a network: '10.1.2.3/24'"),
        (OWN + 'open_to = ["branch"]', "not a network: 'branch'"),
        (OWN + 'open_to = ["0.0.0.0/0"]', "larger than /8"),
        (OWN + 'open_to = ["::/0"]', "larger than /32"),
        (OWN + 'open_to = ["10.0.0.0/8", "10.0.0.0/8"]', "there twice"),
        (OWN + f"open_to = {[f'10.{n}.0.0/16' for n in range(65)]}", "more than 64"),
        (OWN + "open_rate = 0", "open_rate"),
        (OWN + "idle = 59", "api.page.idle"),
        (OWN + "idle = 900\nlongest = 899", "api.page.longest"),
        (OWN + "longest = 604801", "api.page.longest"),
        (TLS + OIDC + GROUP, "api.oidc: there is no [api.page]"),
        (OWN + OIDC, "0 [[api.oidc.group]] blocks"),
        (WHOLE + GROUP, "api.oidc.group[2].name: the same"),
        (WHOLE.replace('"verifier"', '"boss"'), "roles"),
        (WHOLE.replace('["verifier"]', "[]"), "api.oidc.group[1].roles"),
        (WHOLE.replace('"clerks"', '""'), "api.oidc.group[1].name"),
        (WHOLE + "kinds = []", "api.oidc.group[1].kinds"),
        (WHOLE.replace("https://login", "http://login"), "api.oidc.issuer"),
        (WHOLE.replace("/realms/staff", "/realms?x=1"), "api.oidc.issuer"),
        (WHOLE.replace(":8444/", ":8444/page"), "api.oidc.address"),
        (WHOLE.replace(":8444/", ":x"), "api.oidc.address"),
        (WHOLE.replace('"chopmark"', '" "'), "api.oidc.client_id"),
        (WHOLE.replace("oidc-secret", "/etc/secret"), "api.oidc.secret_credential"),
        (WHOLE.replace(GROUP, 'scope = "profile"\n' + GROUP), "api.oidc.scope"),
        (WHOLE.replace(GROUP, 'ca = "ca.pem"\n' + GROUP), "api.oidc.ca"),
        (WHOLE.replace(GROUP, 'hosts = ["https://keys.example"]\n' + GROUP), "api.oidc.hosts"),
        (WHOLE.replace(GROUP, 'hosts = ["keys.example:65536"]\n' + GROUP), "api.oidc.hosts"),
        (WHOLE.replace(GROUP, 'hosts = ["2001:db8::1"]\n' + GROUP), "api.oidc.hosts"),
        (WHOLE.replace(GROUP, 'hosts = ["a", "a"]\n' + GROUP), "api.oidc.hosts: 16 at most"),
        (WHOLE.replace(GROUP, f"hosts = {[str(n) for n in range(17)]}\n{GROUP}"), "16 at most"),
    ],
)
def test_rule_that_is_broken_is_named(text: str, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        api(text)
    assert where in caught.value.message


def test_further_hosts_of_the_provider_have_a_port_or_that_of_https() -> None:
    hosts = '"keys.example", "tokens.example:8443", "[2001:db8::1]", "[2001:db8::2]:8444"'
    found = api(WHOLE.replace(GROUP, f"hosts = [{hosts}]\n{GROUP}")).oidc
    assert found is not None
    assert found.reached == (
        ("login.example", 443),
        ("keys.example", 443),
        ("tokens.example", 8443),
        ("2001:db8::1", 443),
        ("2001:db8::2", 8444),
    )


def test_provider_has_what_the_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = api(WHOLE + '[[api.oidc.group]]\nname = "others"\nroles = ["issuer"]\n').oidc
    assert found is not None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        open_provider(found)
    assert caught.value.code == "secret-missing"
    (tmp_path / "oidc-secret").write_text("hunter2\n")
    (tmp_path / "oidc-secret").chmod(0o400)
    made = open_provider(found)
    assert isinstance(made, Oidc)
    agreed = made._settings
    assert agreed.redirect == "https://gateway.example:8444/v1/session/oidc/callback"
    assert agreed.secret == "hunter2"
    assert agreed.groups["others"] == (frozenset({"issuer"}), frozenset({"*"}))
    (tmp_path / "oidc-secret").chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        open_provider(found)
    assert caught.value.code == "secret-exposed"


def test_cas_of_the_provider_that_are_none_are_told(tmp_path: Path) -> None:
    text = WHOLE.replace(GROUP, f'ca = "{tmp_path}/none.pem"\n' + GROUP)
    found = api(text.replace('secret_credential = "oidc-secret"\n', "")).oidc
    assert found is not None
    with pytest.raises(ConfigurationError) as caught:
        open_provider(found)
    assert caught.value.code == "oidc-ca"


def test_entrance_asks_nobody_at_the_page_for_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("gateway")
    text = OWN.replace("/etc/tls/page.pem", str(pair.certificate))
    text = text.replace("/etc/tls/page.key", str(pair.key)) + "idle = 60\n"
    base = BASE.replace("[hsm]", f'state = "{tmp_path}"\n[hsm]', 1)
    entrance = open_entrance(parse_config((base + text).encode()))
    assert entrance.trust is None
    assert entrance.page is not None
    assert entrance.page.material.context.verify_mode.name == "CERT_NONE"
    assert entrance.desk.sessions.idle == 60
    assert entrance.desk.provider is None
    assert entrance.alarms() == []
