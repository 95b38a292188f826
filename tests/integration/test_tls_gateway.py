"""A whole gateway with a door for TLS: the command by HTTPS, and a thousand who say nothing."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from documents import attest, some_document

from chopmark.client.credentials import Credentials, make_context
from rig.authority import DAY, Authority, Pair
from rig.broker import free_port
from rig.gateway import HONG_KONG, Cluster, Gateway
from rig.patience import PATIENCE

PAGE = Path(__file__).parents[2] / "docs/integration.md"
MEGABYTE = 1_000_000
CLIENTS = """
[[api.client]]
name = "core-banking"
subject = "bank"
roles = ["issuer", "verifier", "auditor"]

[[api.client]]
name = "branch"
subject = "branch"
roles = ["verifier"]
"""


@dataclass
class Scene:
    """The gateway, its CA, and certificates by the name of their subject."""

    gateway: Gateway
    authority: Authority
    pairs: dict[str, Pair] = field(default_factory=dict)

    def pair(self, name: str) -> Pair:
        if name not in self.pairs:
            self.pairs[name] = self.authority.issue(name)
        return self.pairs[name]

    @property
    def address(self) -> str:
        return f"https://localhost:{self.gateway.tls_port}"

    def run(self, pair: Pair, *words: str) -> subprocess.CompletedProcess[str]:
        """The command, as somebody with this certificate has it on another machine."""
        files = ("--ca", self.authority.path, "--cert", pair.certificate, "--key", pair.key)
        return self.gateway.cli("--gateway", self.address, *map(str, files), *words, check=False)

    def context(self, pair: Pair) -> ssl.SSLContext:
        return make_context(Credentials(self.authority.path, pair.certificate, pair.key))

    def peak(self) -> int:
        """The most memory that the daemon has ever had resident, in bytes."""
        text = Path(f"/proc/{self.gateway.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    cluster = Cluster(folder / "c", (HONG_KONG,))
    try:
        cluster["hk-1"].serve_tls(authority, CLIENTS)
        yield Scene(cluster.start()["hk-1"], authority)
    finally:
        cluster.stop()


def test_command_attests_and_verifies_from_another_machine(scene: Scene, tmp_path: Path) -> None:
    document = tmp_path / "statement.pdf"
    document.write_bytes(os.urandom(1000))
    bank = scene.pair("bank")
    done = scene.run(bank, "attest", str(document))
    assert done.returncode == 0, done.stderr
    done = scene.run(bank, "verify", str(document), "--expect-issuer", "hk-1", "--json")
    assert json.loads(done.stdout)["verdict"].startswith("valid")


def test_page_on_integration_says_what_works(scene: Scene, tmp_path: Path) -> None:
    folder, pair = tmp_path / "tls", scene.pair("bank")
    folder.mkdir()
    files = {"ca.pem": scene.authority.path, "client.pem": pair.certificate, "client.key": pair.key}
    for name, path in files.items():
        shutil.copy(path, folder / name)
    document = tmp_path / "april.pdf"
    document.write_bytes(os.urandom(100))
    names: dict[str, Any] = {"document": document}
    places = {
        "https://gateway.bank.example:8443": f"https://localhost:{free_port()}",  # is away
        "https://gateway-2.bank.example:8443": scene.address,
    }
    page, sdk = (PAGE.with_name(name).read_text("utf-8") for name in (PAGE.name, "sdk.md"))
    blocks = re.findall(r"```(python|sh)\n(.*?)```", page, re.DOTALL)
    blocks += [("python", one) for one in re.findall(r"```python\n(.*?)```", sdk, re.DOTALL)][1:2]
    for language, block in blocks:
        text = block.replace("/etc/core-banking/tls", str(folder))
        last = "ADDRESSES" in text
        for there, here in places.items():
            text = text.replace(there, here if last else scene.address)
        if last:
            names["ADDRESS"] = places["https://gateway.bank.example:8443"]
        if language == "sh":
            subprocess.run(["bash", "-ec", text], cwd=folder, check=True, capture_output=True)
        else:
            exec(text, names)  # noqa: S102 - our own page
    assert len(blocks) == 6
    assert names["verdict"]["verdict"].startswith("valid")


def test_command_finds_its_files_in_the_environment(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = scene.pair("bank")
    monkeypatch.setenv("CHOPMARK_CA", str(scene.authority.path))
    monkeypatch.setenv("CHOPMARK_CERT", str(bank.certificate))
    monkeypatch.setenv("CHOPMARK_KEY", str(bank.key))
    done = scene.gateway.cli("--gateway", scene.address, "status", "--json")
    assert json.loads(done.stdout)["alarms"] == []


def test_page_is_served_by_https_and_asks_as_its_user_may(scene: Scene) -> None:
    context = scene.context(scene.pair("branch"))
    with httpx.Client(verify=context, base_url=scene.address, timeout=PATIENCE) as browser:
        page = browser.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert browser.get("/page/js/main.js").status_code == 200
        own = {"origin": scene.address}
        body = {"digests": {"sha256": "0a" * 32}}
        asked = browser.post("/v1/verifications", json=body, headers=own)
        assert asked.json()["verdict"] == "unknown"
        refused = browser.post("/v1/attestations", json=body, headers=own)
        assert refused.json()["code"] == "role-missing"
        foreign = browser.post(
            "/v1/verifications", json=body, headers={"origin": "https://x.example"}
        )
        assert foreign.json()["code"] == "foreign-origin"


def test_manifest_goes_by_https_in_compact_form(scene: Scene, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest"
    manifest.write_text("".join(f"{os.urandom(32).hex()}  {n}.pdf\n" for n in range(20_000)))
    done = scene.run(scene.pair("bank"), "attest", "--manifest", str(manifest), "--no-proofs")
    assert done.returncode == 0, done.stderr
    assert "20,000 documents" in done.stdout


def test_command_says_who_lacks_which_role(scene: Scene, tmp_path: Path) -> None:
    document = tmp_path / "x"
    document.write_bytes(b"x")
    done = scene.run(scene.pair("branch"), "attest", str(document))
    assert done.returncode == 77
    assert "cert branch may not do this: it lacks the role issuer" in done.stderr
    assert "[[api.client]]" in done.stderr


def test_command_says_why_a_certificate_is_refused(scene: Scene) -> None:
    stranger = Authority(scene.authority.folder, "other CA").issue("bank", file="stranger")
    expired = scene.authority.issue("bank", -1 * DAY, "expired")
    revoked = scene.authority.issue("bank", file="revoked")
    scene.authority.revoke([revoked])
    words = {"has expired": expired, "is not of a CA": stranger, "has been revoked": revoked}
    said: dict[str, str] = {}

    def all_said() -> bool:  # the list is taken up within seconds
        for text, pair in words.items():
            done = scene.run(pair, "status")
            said[text] = done.stderr
            if done.returncode != 77 or text not in done.stderr:
                return False
        return True

    scene.gateway.wait_for(all_said, "to refuse all three")
    journal = scene.gateway.log.read_text()
    assert f"serial {revoked.x509.serial_number:x}" in journal
    assert f"serial {expired.x509.serial_number:x}" in journal


def test_command_does_not_trust_a_gateway_of_another_name_or_ca(scene: Scene) -> None:
    bank, other = scene.pair("bank"), Authority(scene.authority.folder, "foreign CA")
    files = ("--cert", str(bank.certificate), "--key", str(bank.key))
    foreign = ("--gateway", scene.address, "--ca", str(other.path), *files, "status")
    done = scene.gateway.cli(*foreign, check=False)
    assert done.returncode == 77
    assert "certificate of the gateway" in done.stderr
    assert "--ca" in done.stderr


def test_audit_log_names_the_client(scene: Scene) -> None:
    index = attest(scene.gateway, some_document("revoked by tls"))["index"]
    bank = scene.pair("bank")
    assert (
        scene.run(bank, "revoke", f"{HONG_KONG.origin}#{index}", "--reason", "error").returncode
        == 0
    )
    done = scene.run(bank, "audit", "show", "--json")
    assert done.returncode == 0, done.stderr
    assert '"cert core-banking"' in done.stdout


def test_thousand_who_say_nothing_keep_nobody_out(scene: Scene) -> None:
    bank = scene.pair("bank")
    context, before = scene.context(bank), scene.peak()
    where = ("127.0.0.1", scene.gateway.tls_port)
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            client = stack.enter_context(socket.create_connection(where, timeout=PATIENCE))
            if number % 10 == 1:  # half of a handshake
                client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            if number % 10 == 2:  # all of it, and no request
                stack.enter_context(context.wrap_socket(client, server_hostname="localhost"))
        done = scene.run(bank, "status", "--json")
        assert done.returncode == 0, done.stderr
        attest(scene.gateway, some_document("beside a thousand"))
        assert len(os.listdir(f"/proc/{scene.gateway.pid}/fd")) < 800  # noqa: PTH208
    growth = scene.peak() - before
    print(f"grown by {growth / MEGABYTE:.1f} MB")  # noqa: T201
    assert growth < 96 * MEGABYTE
