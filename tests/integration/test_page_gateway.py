"""A whole gateway with a page: accounts by the command, people who sign in, and what is kept."""

import json
import os
import pty
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from chopmark.api.signin.cookies import SESSION
from rig.authority import Authority
from rig.gateway import HONG_KONG, Cluster, Gateway
from rig.patience import PATIENCE

PASSWORD = "correct horse battery"
SHA = "0c" * 32
CLIENTS = """
[[api.client]]
name = "branch"
subject = "branch"
roles = ["verifier"]
"""


@dataclass
class Scene:
    """The gateway, and the CA of its certificates."""

    gateway: Gateway
    authority: Authority
    browsers: list[httpx.Client] = field(default_factory=list)

    def browser(self) -> httpx.Client:
        base = f"https://localhost:{self.gateway.page_port}"
        context = ssl.create_default_context(cafile=self.authority.path)
        made = httpx.Client(
            verify=context, base_url=base, headers={"origin": base}, timeout=PATIENCE
        )
        self.browsers.append(made)
        return made

    def sign_in(self, client: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
        answer = client.post("/v1/session", json={"name": name, "password": password})
        if answer.status_code == 201:
            client.headers["x-chopmark-csrf"] = answer.json()["csrf"]
        return answer

    def run(self, *words: str, told: str = "") -> subprocess.CompletedProcess[str]:
        """The command, with what is told it on standard input."""
        command = [sys.executable, "-m", "chopmark.cli.main", *words]
        return subprocess.run(
            command,
            env=self.gateway.environment(),
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )

    def add(self, name: str, *roles: str) -> None:
        words = [word for role in roles for word in ("--role", role)]
        done = self.run("account", "add", name, *words, told=f"{PASSWORD}\n")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("p")
    authority = Authority(folder)
    cluster = Cluster(folder / "c", (HONG_KONG,))
    gateway = cluster["hk-1"]
    gateway.serve_tls(authority, CLIENTS)
    gateway.serve_page(authority, 'open_to = ["10.9.8.0/24"]')
    made = Scene(gateway, authority)
    try:
        cluster.start()
        made.add("anna", "verifier", "issuer")
        made.add("olga", "operator", "auditor")
        yield made
    finally:
        for browser in made.browsers:
            browser.close()
        cluster.stop()


def code(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("code")


def test_person_attests_verifies_and_looks_and_the_audit_log_names_her(scene: Scene) -> None:
    with scene.browser() as client, scene.browser() as olga:
        assert code(client.get("/v1/status")) == (401, "sign-in-needed")
        assert scene.sign_in(client, "anna").status_code == 201
        made = client.post("/v1/attestations", json={"digests": {"sha256": SHA}})
        assert made.status_code == 201
        index = made.json()["index"]
        found = client.post("/v1/verifications", json={"digests": {"sha256": SHA}}).json()
        assert found["verdict"].startswith("valid")
        assert client.post("/v1/revocations", json={"index": index, "reason": 1}).status_code == 201
        assert client.delete("/v1/session").status_code == 200
        scene.sign_in(olga, "olga")
        records = olga.get("/v1/audit?limit=1000").json()["records"]
        assert code(olga.post("/v1/hsm/maintenance", json={"on": True})) == (403, "unix-only")
    told = {(one["actor"], one["action"], one["outcome"]) for one in records}
    for action in ("session.began", "revocation", "session.ended"):
        assert ("user anna", action, "done") in told
    assert any(one[1] == "account.added" and one[0].startswith("uid ") for one in told)
    assert PASSWORD not in json.dumps(records)


def test_client_certificate_needs_no_session_at_its_own_door(scene: Scene) -> None:
    pair = scene.authority.issue("branch")
    context = ssl.create_default_context(cafile=scene.authority.path)
    context.load_cert_chain(pair.certificate, pair.key)
    base = f"https://localhost:{scene.gateway.tls_port}"
    with httpx.Client(verify=context, base_url=base, timeout=PATIENCE) as client:
        who = client.get("/v1/session").json()
        assert (who["client"], who["by"], who["methods"]) == ("cert branch", "certificate", [])
        asked = {"name": "anna", "password": PASSWORD}
        assert code(client.post("/v1/session", json=asked)) == (409, "no-sign-in-here")
        assert client.get("/v1/session/oidc").json()["code"] == "no-sign-in-here"


def test_session_is_no_way_into_the_machines_door(scene: Scene) -> None:
    with scene.browser() as client:
        scene.sign_in(client, "anna")
        base = f"https://localhost:{scene.gateway.tls_port}"
        shown = {"cookie": f"{SESSION}={client.cookies[SESSION]}", "origin": base}
        answer = client.get(f"{base}/v1/status", headers=shown)
    assert code(answer) == (401, "no-client-certificate")


def test_socket_says_who_asks(scene: Scene) -> None:
    who = scene.gateway.get("/v1/session")
    assert (who["signed_in"], who["by"]) == (True, "socket")
    assert who["client"].startswith("uid ")


def test_operator_looks_after_accounts_by_the_command(scene: Scene) -> None:
    scene.add("carl", "verifier")
    with scene.browser() as client:
        scene.sign_in(client, "carl")
        shown = json.loads(scene.run("account", "sessions", "--json").stdout)
        assert ("user carl", "127.0.0.1") in {(one["client"], one["address"]) for one in shown}
        assert "carl" in scene.run("account", "sessions").stdout
        done = scene.run("account", "sign-out", "carl")
        assert "1 sessions have ended" in done.stdout
        assert code(client.get("/v1/status")) == (401, "session-ended")
        client.headers.pop("x-chopmark-csrf")
        new = "another four words here"
        assert scene.run("account", "password", "carl", told=f"{new}\n").returncode == 0
        for _ in range(11):  # her own browser has more tries
            last = scene.sign_in(client, "carl")
        assert code(last) == (429, "locked-out")
        alarms = [alarm["code"] for alarm in scene.gateway.get("/v1/status")["alarms"]]
        assert alarms == ["sign-in-locked"]
        assert "locked for" in scene.run("account", "list").stdout
        assert "carl may try again" in scene.run("account", "unlock", "carl").stdout
        assert scene.sign_in(client, "carl", new).status_code == 201
        assert scene.run("account", "remove", "carl").returncode == 0
        assert code(client.get("/v1/status")) == (401, "session-ended")
    assert scene.run("account", "remove", "carl").returncode == 66


def test_command_refuses_what_is_no_account_or_password(scene: Scene) -> None:
    cases = [
        (("add", "Anna", "--role", "verifier"), PASSWORD, "a name is"),
        (("add", "anna", "--role", "verifier"), PASSWORD, "there is an account anna already"),
        (("add", "dora", "--role", "verifier"), "short", "12 to 256 characters"),
        (("add", "dora", "--role", "boss"), PASSWORD, "roles"),
        (("add", "dora", "--role", "verifier"), "", "no password was given"),
        (("password", "nobody"), PASSWORD, "there is no account"),
    ]
    for words, told, why in cases:
        done = scene.run("account", *words, told=f"{told}\n" if told else "")
        assert done.returncode != 0, words
        assert why in done.stderr, (words, done.stderr)
        assert not told or told not in done.stderr.replace("short", "")


def test_password_is_asked_for_on_a_terminal_without_showing_it(scene: Scene) -> None:
    command = [sys.executable, "-m", "chopmark.cli.main", "account", "password", "anna"]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, command, scene.gateway.environment())  # noqa: S606
    shown = b""
    for question in (b"new password of anna: ", b"again: "):
        while not shown.endswith(question):
            shown += os.read(terminal, 1024)
        os.write(terminal, f"{PASSWORD}\n".encode())
    while True:
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # the other end has gone
            break
        if not piece:
            break
        shown += piece
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    os.close(terminal)
    assert PASSWORD.encode() not in shown
    assert b"anna" in shown


def test_nothing_secret_is_on_the_disk_in_the_log_or_in_the_environment(scene: Scene) -> None:
    with scene.browser() as client:
        scene.sign_in(client, "anna")
        scene.sign_in(client, "anna", "a wrong one of hers")
        token = client.cookies[SESSION]
    secrets = [PASSWORD.encode(), token.encode(), b"a wrong one of hers"]
    state = scene.gateway.state
    files = [scene.gateway.log, *(path for path in state.rglob("*") if path.is_file())]
    environment = Path(f"/proc/{scene.gateway.pid}/environ")
    for path in [*files, environment]:
        try:
            held = path.read_bytes()
        except FileNotFoundError:  # it is at work, and removes files
            continue
        assert not any(secret in held for secret in secrets), path
    accounts = state / "accounts.json"
    assert accounts.stat().st_mode & 0o777 == 0o600
    assert b"$argon2id$v=19$m=32768,t=4,p=1$" in accounts.read_bytes()


def test_restart_signs_people_out_and_keeps_accounts(scene: Scene) -> None:
    with scene.browser() as client:
        scene.sign_in(client, "anna")
        assert client.get("/v1/status").status_code == 200
        assert scene.gateway.stop() == 0
        scene.gateway.start()
        assert code(client.get("/v1/status")) == (401, "session-ended")
        client.headers.pop("x-chopmark-csrf")
        assert scene.sign_in(client, "anna").status_code == 201
