"""What the journal says about certificates that are refused: handshakes in memory."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chopmark.api import trust as module
from chopmark.api.certificates import Certificate, Material, TlsFiles, read_material
from chopmark.api.refusals import SERVER_LOG, OncePerMinute, Refusals
from chopmark.api.trust import PEER, Trust
from rig.authority import DAY, Authority, Pair
from rig.patience import PATIENCE

FORGED = "bank\nJan 1 00:00:00 gateway chopmark: all is well\x1b[2J"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trust(authority: Authority) -> Trust:
    pair = authority.issue("gateway")
    return Trust(TlsFiles(pair.certificate, pair.key, authority.path, authority.revoke()))


def make_weak(folder: Path, name: str = "weak") -> Pair:
    """A certificate that anybody makes up: self-signed, with a key that is too short."""
    key = generate_private_key(65537, 1024)  # noqa: S505 - too short on purpose
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .sign(key, SHA256())
    )
    pair = Pair(folder / "weak.pem", folder / "weak.key", made)
    pair.certificate.write_bytes(made.public_bytes(Encoding.PEM))
    forms = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair.key.write_bytes(key.private_bytes(*forms))
    return pair


def shake(trust: Trust, authority: Authority, pair: Pair, ports: range) -> None:
    """Try as often as there are ports."""
    context = ssl.create_default_context(cafile=authority.path)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(pair.certificate, pair.key)
    for port in ports:
        PEER.set(f"192.0.2.1:{port}")
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(down, up, server_hostname="localhost")
        server = trust.context.wrap_bio(up, down, server_side=True)
        for one in (client, server, client, server):
            with suppress(ssl.SSLWantReadError):
                one.do_handshake()


@pytest.fixture
def minutes() -> list[Callable[[], None]]:
    return []


@pytest.fixture(autouse=True)
def _quiet(minutes: list[Callable[[], None]]) -> Iterator[None]:
    quiet = OncePerMinute(Refusals(), lambda _, call: minutes.append(call))
    logging.getLogger(SERVER_LOG).addFilter(quiet)
    yield
    logging.getLogger(SERVER_LOG).removeFilter(quiet)


async def test_look_at_files_that_another_one_reads_waits_for_what_it_finds(
    trust: Trust, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, done = threading.Event(), threading.Event()

    def slow(*given: Any) -> Material:
        reading.set()
        assert done.wait(PATIENCE)
        return read_material(*given)

    monkeypatch.setattr(module, "read_material", slow)
    authority.folder.joinpath("gateway.pem").write_bytes(b"no certificate")
    first = asyncio.create_task(trust.look())
    assert await asyncio.to_thread(reading.wait, PATIENCE)
    second = asyncio.create_task(trust.look())
    try:
        assert not (await asyncio.wait({second}, timeout=0.2))[0]
    finally:
        done.set()
        await asyncio.gather(first, second)
    assert trust.wrong is not None


def test_made_up_certificates_are_one_line_a_minute(
    trust: Trust,
    authority: Authority,
    minutes: list[Callable[[], None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    shake(trust, authority, make_weak(authority.folder), range(5))
    (line,) = caplog.messages
    assert line.startswith("refused the client certificate of CN=weak, serial 7 at 192.0.2.1:0: ")
    minutes.pop()()
    assert "4 more in the last minute: refused a client certificate: " in caplog.messages[1]
    assert "192.0.2.1" not in caplog.messages[1]


def test_each_expired_certificate_has_a_line_of_its_own_a_minute(
    trust: Trust, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        shake(trust, authority, authority.issue(name, -DAY), range(3))
    assert [line.partition(",")[0] for line in caplog.messages] == [
        "refused the client certificate of CN=one",
        "refused the client certificate of CN=two",
    ]
    assert all(line.endswith("192.0.2.1:0: certificate has expired") for line in caplog.messages)


def test_name_in_a_certificate_forges_no_line(
    trust: Trust, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    shake(trust, authority, make_weak(authority.folder, FORGED), range(1))
    (line,) = caplog.messages
    assert line.isprintable()
    assert r"CN=bank\nJan 1 00:00:00" in line
    assert r"\x1b[2J" in line


def test_long_subject_is_cut() -> None:
    shown = str(Certificate("", "CN=" + "x" * 1000, (b"", 255), 0.0))
    assert shown == "CN=" + "x" * 197 + "…, serial ff"
