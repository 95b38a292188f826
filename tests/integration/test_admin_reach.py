"""Network tests without a secret: names, ports, and a real TLS server's certificate."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server, socket

import pytest

from chopmark.service.checks.reach import check_reach
from configs import BASE
from rig.authority import Authority
from rig.broker import free_port
from rig.patience import PATIENCE


@contextmanager
def listening(context: ssl.SSLContext | None) -> Iterator[int]:
    """A server that shakes hands, and wants a certificate if the context says so."""
    server = create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            _shake(connection, context)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(2)
        server.close()
        thread.join(10)


def _shake(connection: socket, context: ssl.SSLContext | None) -> None:
    with connection:
        connection.settimeout(PATIENCE)
        try:
            if context is None:
                connection.recv(100)
                connection.sendall(b"no TLS here\r\n")
            else:
                context.wrap_socket(connection, server_side=True).close()
        except OSError:
            pass


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server_context(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    pair = authority.issue("localhost", file=f"server-{version.name}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    return context


def write_config(folder: Path, port: int, ca: Path, name: str = "localhost") -> Path:
    tls = f'[broker.tls]\nca = "{ca}"\ncertificate = "/none.pem"\nkey = "/none.key"\n'
    path = folder / "gateway.toml"
    path.write_text(f'{BASE}port = {port}\n{tls}name = "{name}"\n')
    return path


def codes(path: Path) -> dict[str, list[str]]:
    return {one["check"]: [found["code"] for found in one["findings"]] for one in check_reach(path)}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_good_broker_is_good_as_far_as_can_be_seen_without_our_key(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion
) -> None:
    with listening(server_context(authority, version)) as port:
        found = codes(write_config(tmp_path, port, authority.path))
    others = {"names": [], "syslog": [], "chain": [], "releases": []}
    assert found == {**others, "brokers": ["not-looked-at"]}


def test_broker_with_another_name_another_authority_or_no_tls_is_found(
    tmp_path: Path, authority: Authority
) -> None:
    with listening(server_context(authority, ssl.TLSVersion.TLSv1_3)) as port:
        named = codes(write_config(tmp_path, port, authority.path, "other.example"))
        stranger = Authority(tmp_path, "another CA").path
        foreign = codes(write_config(tmp_path, port, stranger))
        without = codes(write_config(tmp_path, port, Path("/none.pem")))
    with listening(None) as port:
        plain = codes(write_config(tmp_path, port, authority.path))
    assert named["brokers"] == ["tls-wrong-name"]
    assert foreign["brokers"] == ["tls-unknown-ca"]
    assert without["brokers"] == ["not-looked-at"]
    assert plain["brokers"] == ["tls-none"]


def test_port_without_a_listener_is_found(tmp_path: Path, authority: Authority) -> None:
    found = codes(write_config(tmp_path, free_port(), authority.path))
    assert found["brokers"] == ["broker-unreachable"]


def test_program_writes_a_line_for_each_check(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f"{BASE}port = {free_port()}\n")
    command = [sys.executable, "-m", "chopmark.admin.reach"]
    environment = {**os.environ, "CHOPMARK_CONFIG": str(path)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["check"] for one in lines] == ["names", "brokers", "syslog", "chain", "releases"]
    assert [one["result"] for one in lines] == ["ok", "fault", "ok", "ok", "ok"]
    path.unlink()
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout)["findings"][0]["code"] == "config-missing"
