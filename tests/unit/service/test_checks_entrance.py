"""What `chopmark doctor` finds at the API's own door, provoked by certificates."""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import configs
from chopmark.service.checks import entrance
from chopmark.service.checks.entrance import check_entrance
from chopmark.service.checks.finding import Scene
from chopmark.service.config import parse_config
from rig.authority import DAY, Authority, Pair

CLIENT_ONLY = [ExtendedKeyUsageOID.CLIENT_AUTH]
HOST = socket.gethostname()


@dataclass
class Door:
    """A configuration whose files are good, but for what a test changes."""

    ca: Authority
    own: Pair
    client_ca: Path
    crl: Path
    more: str = '[[api.client]]\nname = "core"\nsubject = "core"\nroles = ["issuer"]\n'

    def codes(self, now: float | None = None) -> list[str]:
        text = f"""{configs.BASE}
[api.tls]
listen = "127.0.0.1:8443"
certificate = "{self.own.certificate}"
key = "{self.own.key}"
client_ca = "{self.client_ca}"
crl = "{self.crl}"
{self.more}"""
        config = parse_config(text.encode())
        ms = int((time.time() if now is None else now) * 1000)
        scene = Scene(Path("/none"), config, ms, None, locked=False, uid=os.geteuid())
        found = list(check_entrance(scene))
        assert all(one.finding and one.remedy for one in found)
        return [one.code for one in found]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    ca = Authority(tmp_path)
    return Door(ca, ca.issue("gateway", hosts=[HOST]), ca.path, ca.revoke())


@pytest.mark.parametrize(
    ("blocks", "codes"),
    [
        ("", ["console-unlimited"]),
        ('user = "nobody"\nroles = ["operator", "auditor"]', []),
        ('user = "65534"\nroles = ["issuer", "operator"]', ["console-unlimited"]),
        ('user = "nobody"\nroles = ["auditor"]', ["console-barred"]),
        ('group = "nogroup"\nroles = ["operator"]', []),
        ('user = "root"\nroles = ["operator"]', ["console-barred"]),
    ],
)
def test_console_has_what_it_needs_and_no_more(
    monkeypatch: pytest.MonkeyPatch, blocks: str, codes: list[str]
) -> None:
    monkeypatch.setattr(entrance, "CONSOLE_USER", "nobody")
    more = f"[[api.user]]\n{blocks}\n" if blocks else ""
    config = parse_config(f"{configs.BASE}\n{more}".encode())
    scene = Scene(Path("/none"), config, 0, None, locked=False, uid=os.geteuid())
    assert [one.code for one in check_entrance(scene)] == codes


def test_machine_without_a_console_has_nothing_to_say_of_it() -> None:
    scene = Scene(Path("/none"), parse_config(configs.BASE.encode()), 0, None, locked=False, uid=0)
    assert not list(check_entrance(scene))


def test_door_whose_files_are_good_has_no_finding(door: Door) -> None:
    assert door.codes() == []


@pytest.mark.parametrize(
    ("life", "hosts", "uses", "codes"),
    [
        (-DAY, [HOST], None, ["tls-certificate-expired"]),
        (20 * DAY, [HOST], None, ["tls-certificate-expiring"]),
        (90 * DAY, [HOST], CLIENT_ONLY, ["tls-server-use"]),
        (90 * DAY, [], None, ["tls-name"]),
        (90 * DAY, ["other.example"], None, ["tls-name"]),
        (90 * DAY, ["*.bank-hk.example"], None, []),
        (90 * DAY, [f"{HOST}.bank-hk.example"], None, []),
    ],
)
def test_certificate_of_our_own(
    door: Door, life: timedelta, hosts: Sequence[str], uses: list[object] | None, codes: list[str]
) -> None:
    more = {} if uses is None else {"uses": uses}
    door.own = door.ca.issue("other", life, hosts=hosts, **more)  # type: ignore[arg-type]
    assert door.codes() == codes


def test_certificate_that_does_not_hold_yet(door: Door) -> None:
    assert "tls-not-yet" in door.codes(time.time() - 40 * 86_400)


def test_files_that_cannot_be_used(door: Door, tmp_path: Path) -> None:
    good = door.own
    other = door.ca.issue("other", hosts=[HOST])
    door.own = replace(good, key=other.key)
    assert door.codes() == ["tls-mismatch"]
    door.own = replace(good, certificate=tmp_path / "none.pem")
    assert door.codes() == ["tls-missing"]
    door.own = replace(good, certificate=good.key)
    assert door.codes() == ["tls-malformed"]
    door.own = good
    good.key.chmod(0o644)
    assert door.codes() == ["tls-exposed"]


def test_authorities_that_are_none_or_have_ended(door: Door) -> None:
    door.client_ca = door.own.certificate
    assert door.codes() == ["tls-no-ca", "tls-crl-missing"]
    door.client_ca = door.ca.path
    assert "tls-ca-expired" in door.codes(time.time() + 4000 * 86_400)


def test_lists_that_are_missing_or_too_old(door: Door, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other CA")
    other.folder.mkdir()
    door.crl = other.revoke()
    assert door.codes() == ["tls-crl-missing"]
    door.crl = door.ca.revoke(life=timedelta(hours=-1))
    assert door.codes() == ["tls-crl-out-of-date"]


def test_user_that_the_system_does_not_know(door: Door) -> None:
    door.more += '[[api.user]]\nuser = "nobody-knows-him"\nroles = ["verifier"]\n'
    assert door.codes() == ["config-value"]


def test_door_that_nobody_may_use(door: Door) -> None:
    door.more = ""
    assert door.codes() == ["no-clients"]


def test_certificate_of_the_page_is_looked_at_too(door: Door) -> None:
    page = door.ca.issue("page", -1 * DAY, hosts=[HOST])
    door.more += f"""
[api.page]
listen = "127.0.0.1:8444"
certificate = "{page.certificate}"
key = "{page.key}"
"""
    assert door.codes() == ["tls-certificate-expired"]
    page.key.chmod(0o644)
    assert door.codes() == ["tls-exposed"]


def test_page_with_the_certificate_of_the_machines_door_is_told_of_once(door: Door) -> None:
    door.more += '[api.page]\nlisten = "127.0.0.1:8444"\n'
    assert door.codes() == []
    door.own = door.ca.issue("gateway", -1 * DAY, hosts=[HOST])
    assert door.codes() == ["tls-certificate-expired"]
