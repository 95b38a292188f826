"""Certificate and broker of the wizard, with root's real service; the desk is in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from adminbox import AdminBox
from chopmark.console.admin import AdminClient
from chopmark.console.commissioning import members, transport
from chopmark.console.commissioning.noted import Notes
from chopmark.console.commissioning.scene import Scene
from chopmark.console.desk import InterruptedByUserError
from chopmark.core.armour import armour
from chopmark.core.errors import ChopmarkError
from chopmark.core.fingerprint import Fingerprint
from chopmark.service.config import load_config
from configs import peer_block
from consoledesk import CTRL_C, MemoryDesk, surroundings
from rig.authority import Authority


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminBox]:
    """A gateway whose broker is on another machine, and that does not run yet."""
    made = AdminBox(tmp_path_factory.mktemp("b")).start()
    try:
        made.do("pin-put", pin=made.token.read_pin())
        made.do("gateway-init", **made.who(broker=["broker.bank-hk.example", 8883]))
        yield made
    finally:
        made.close()


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


@pytest.fixture
def scene(box: AdminBox, desk: MemoryDesk, tmp_path: Path) -> Scene:
    around = surroundings(desk, admin=AdminClient(box.socket), config=box.config)
    return Scene(around, Notes(tmp_path))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def test_broker_on_another_machine_needs_a_certificate_and_tls(scene: Scene) -> None:
    assert not (await transport.look_certificate(scene)).done
    assert not (await transport.look_broker(scene)).done


async def test_request_is_shown_and_the_step_is_left_until_the_certificate_comes(
    scene: Scene, desk: MemoryDesk
) -> None:
    desk.answers += ("no", CTRL_C)
    with pytest.raises(InterruptedByUserError):
        await transport.do_certificate(scene)
    assert "CN=hk-1" in desk.text
    assert x509.load_pem_x509_csr(request_of(desk)).is_signature_valid


async def test_certificate_that_came_another_day_is_taken_without_a_new_request(
    scene: Scene, desk: MemoryDesk, authority: Authority, box: AdminBox
) -> None:
    request = box.do("transport-request")["request"].encode()
    box.do("transport-put", ca=authority.path.read_text())
    desk.answers += ("yes", "armour")
    paste(desk, "hk-1.pem", issue(authority, request))
    await transport.do_certificate(scene)
    assert (await transport.look_certificate(scene)).done
    assert "BEGIN CERTIFICATE REQUEST" not in desk.text


async def test_broker_is_taken_by_tls_and_that_is_confirmed(
    scene: Scene, desk: MemoryDesk, box: AdminBox
) -> None:
    desk.answers += ("888x", "")
    await transport.do_broker(scene)
    assert "888x" in desk.text
    assert (await transport.look_broker(scene)).done
    (broker,) = load_config(box.config).broker
    assert (broker.host, broker.port, broker.publish_port) == ("broker.bank-hk.example", 8883, 8884)
    assert broker.tls is not None
    assert box.do("config-state")["seconds_left"] is None


async def test_change_of_the_broker_that_waits_is_not_done_and_is_confirmed(
    scene: Scene, box: AdminBox
) -> None:
    box.do("config-change", institution="Another bank")
    box.do("config-commit", seconds=600)
    assert not (await transport.look_broker(scene)).done
    await transport.do_broker(scene)
    assert (await transport.look_broker(scene)).done


async def test_peers_of_other_words_are_not_taken_and_the_right_ones_are_not_told(
    scene: Scene, desk: MemoryDesk, box: AdminBox
) -> None:
    blocks = peer_block().encode()
    desk.answers += ("peers", "armour", "lusab " * 8)
    paste(desk, "peers", blocks)
    with pytest.raises(ChopmarkError) as caught:
        await members.do_members(scene)
    assert caught.value.code == "wrong-fingerprint"
    told = f"{caught.value.message} {caught.value.hint} {desk.text}"
    assert Fingerprint(blocks).words not in told
    assert load_config(box.config).peer == ()


def paste(desk: MemoryDesk, name: str, data: bytes) -> None:
    text = "".join(f"{line}\r\n" for line in armour(name, data))
    desk.wire.incoming.put_nowait(text.encode())


def request_of(desk: MemoryDesk) -> bytes:
    begin, end = (f"-----{word} CERTIFICATE REQUEST-----" for word in ("BEGIN", "END"))
    text = "\n".join(desk.said)
    return (text[text.index(begin) : text.index(end)] + end).encode()


def issue(authority: Authority, request: bytes) -> bytes:
    parsed, ca = x509.load_pem_x509_csr(request), authority.certificate
    builder: Any = x509.CertificateBuilder().subject_name(parsed.subject).issuer_name(ca.subject)
    builder = builder.public_key(parsed.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(ca.not_valid_before_utc)
    made = builder.not_valid_after(ca.not_valid_after_utc).sign(authority.key, SHA256())
    data: bytes = made.public_bytes(Encoding.PEM)
    return data
