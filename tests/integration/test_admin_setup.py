"""What root does while a box is commissioned: token, PIN, certificate for brokers, first peers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from adminbox import AdminBox
from chopmark.console.admin import AdminClient
from chopmark.console.commands.show_gateway import hsm as show_hsm
from chopmark.console.tokens import find_only
from chopmark.core.fingerprint import Fingerprint
from chopmark.service.config import load_config
from configs import peer_block
from consoledesk import MemoryAdmin, MemoryDesk, surroundings
from rig.authority import Authority

TOKEN = {"module": "softhsm", "token_label": "hk-1"}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminBox]:
    """A box whose tests follow each other, as the steps of a commissioning do."""
    made = AdminBox(tmp_path_factory.mktemp("b")).start()
    try:
        assert made.token.label == "hk-1"
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def look(box: AdminBox, name: str) -> object:
    return box.do("setup-look")[name]


def test_bare_box_has_modules_and_nothing_else(box: AdminBox) -> None:
    assert box.do("setup-look") == {
        "configured": False,
        "pin": "missing",
        "modules": ["softhsm"],
        "clock": "none",
        "request": None,
        "ca": False,
        "certificate": False,
    }
    assert box.refused("pin-try", **TOKEN) == "pin-missing"


async def test_tokens_are_listed_before_there_is_a_gateway(box: AdminBox) -> None:
    settings = (box.folder / "admin.toml").read_text()
    found = box.do("tokens-look")["modules"]
    assert list(found) == ["softhsm"], settings
    (token,) = found["softhsm"]["tokens"]
    assert (token["label"], token["model"], token["tries"]) == ("hk-1", "SoftHSM v2", "full")
    desk = MemoryDesk()
    around = surroundings(desk, config=box.config, admin=AdminClient(box.socket))
    await show_hsm(around, {})
    assert "softhsm  hk-1" in " ".join(desk.text.split("\n"))
    assert "SoftHSM v2" in desk.text
    assert not [line for line in desk.said if len(line) > 79]


async def test_module_that_is_not_there_or_has_no_token_is_told() -> None:
    away = {"code": "no-hsm-module", "status": 500, "detail": "no file", "hint": ""}
    broken = {"code": "hsm-away", "status": 503, "detail": "CKR_DEVICE_ERROR", "hint": "plug"}
    modules = {
        "apart": {"tokens": [], "error": broken},
        "softhsm": {"tokens": [], "error": None},
        "tpm2": {"tokens": [], "error": away},
    }
    desk = MemoryDesk()
    admin = MemoryAdmin({"tokens-look": lambda **_: {"modules": modules}})
    await show_hsm(surroundings(desk, admin=admin), {})
    assert "E-1010 CKR_DEVICE_ERROR" in desk.text
    assert "softhsm: the module is there, and shows no token" in desk.text
    assert "Not installed: tpm2" in desk.text
    assert find_only(modules) is None


async def test_module_without_a_token_beside_one_that_has_one_takes_a_line() -> None:
    broken = {"code": "hsm-away", "status": 503, "detail": "CKR_DEVICE_ERROR", "hint": "plug"}
    token = {"label": "hk-1", "maker": "m", "model": "SoftHSM v2", "serial": "1"}
    modules = {
        "apart": {"tokens": [], "error": broken},
        "softhsm": {"tokens": [token], "error": None},
    }
    desk = MemoryDesk()
    admin = MemoryAdmin({"tokens-look": lambda **_: {"modules": modules}})
    await show_hsm(surroundings(desk, admin=admin), {})
    assert "apart: no token to be seen (E-1010)" in desk.said
    assert "CKR_DEVICE_ERROR" not in desk.text


def test_token_tells_of_itself_without_a_pin(box: AdminBox) -> None:
    told = box.do("token-look", **TOKEN)
    assert (told["model"], told["tries"], told["refused"]) == ("SoftHSM v2", "full", None)
    other = {**TOKEN, "token_label": "other"}
    assert box.refused("token-look", **other) == "no-such-token"
    assert box.refused("token-look", **{**TOKEN, "module": "none"}) == "no-such-module"


def test_refused_pin_is_not_tried_again_until_another_is_put_in_place(box: AdminBox) -> None:
    box.do("pin-put", pin="999999")
    assert box.refused("pin-try", **TOKEN) == "pin-refused"
    assert box.do("token-look", **TOKEN)["tries"] == "low"
    said = box.ask("pin-try", **TOKEN)["error"]
    assert said["code"] == "pin-refused"
    assert "CKR_PIN_INCORRECT" in box.do("token-look", **TOKEN)["refused"]
    assert box.refused("gateway-init", **box.who()) == "pin-refused"
    box.do("pin-put", pin=box.token.read_pin())
    assert box.do("token-look", **TOKEN)["refused"] is None
    box.do("pin-try", **TOKEN)
    assert box.do("token-look", **TOKEN)["tries"] == "full"
    assert box.token.read_pin() not in (box.folder / "admin.log").read_text()


def test_gateway_that_is_set_up_says_who_it_is(box: AdminBox) -> None:
    box.do("gateway-init", **box.who())
    who = box.do("identity")
    assert (who["id"], who["log_vkey"].split("+")[0]) == ("hk-1", "bank-hk.example/hk-1")
    assert look(box, "configured") is True


def test_pin_of_a_gateway_that_is_there_is_put_and_not_allowed(box: AdminBox) -> None:
    folder = box.state / "hsm"
    before = (folder / "pin").read_bytes()
    (folder / "pin").write_bytes(b'{"refused":"it was wrong","unfinished":0,"given":false}')
    box.do("pin-put", pin=box.token.read_pin())
    assert box.do("token-look", **TOKEN)["refused"] == "it was wrong"
    (folder / "pin").write_bytes(before)


def test_request_is_the_same_each_time_and_its_key_is_the_daemons(box: AdminBox) -> None:
    request = box.do("transport-request")["request"]
    assert box.do("transport-request")["request"] == request == look(box, "request")
    parsed = x509.load_pem_x509_csr(request.encode())
    assert parsed.is_signature_valid
    assert parsed.subject.rfc4514_string() == "CN=hk-1"
    assert (files(box) / "hk-1.key").stat().st_mode & 0o777 == 0o400


def test_request_that_was_not_finished_is_made_anew(box: AdminBox) -> None:
    before = box.do("transport-request")["request"]
    (files(box) / "hk-1.csr").unlink()
    assert box.do("transport-request")["request"] != before


def test_certificate_is_taken_for_this_key_and_name_from_this_ca_only(
    box: AdminBox, authority: Authority, tmp_path: Path
) -> None:
    request = x509.load_pem_x509_csr(box.do("transport-request")["request"].encode())
    good = issue(authority, request, "hk-1")
    assert box.refused("transport-put", certificate=good) == "no-ca"
    assert box.refused("transport-put", ca="nothing") == "malformed-certificate"
    box.do("transport-put", ca=authority.path.read_text())
    other = authority.issue("hk-1").certificate.read_text()
    assert box.refused("transport-put", certificate=other) == "tls-key-mismatch"
    wrong = issue(authority, request, "sz-1")
    assert box.refused("transport-put", certificate=wrong) == "tls-wrong-cn"
    stranger = issue(Authority(tmp_path, "stranger"), request, "hk-1")
    assert box.refused("transport-put", certificate=stranger) == "tls-unknown-ca"
    assert look(box, "certificate") is False
    assert box.do("transport-put", certificate=good)["certificate"] is True
    assert (files(box) / "hk-1.pem").read_text() == good


def test_only_broker_is_replaced_by_itself_with_tls(box: AdminBox) -> None:
    port = load_config(box.config).broker[0].port
    tls = {"host": "127.0.0.1", "port": port, "tls": True}
    box.do("config-change", remove_broker=["127.0.0.1", port], add_broker=tls)
    box.do("config-commit", seconds=600)
    box.do("config-confirm")
    (broker,) = load_config(box.config).broker
    assert broker.tls is not None
    assert broker.tls.key == files(box) / "hk-1.key"


def test_first_peers_are_pinned_by_their_fingerprint_once(box: AdminBox) -> None:
    blocks = peer_block()
    words = Fingerprint(blocks.encode()).words
    assert box.refused("peers-pin", blocks=blocks, fingerprint="lusab " * 8) == "wrong-fingerprint"
    more = f"{blocks}\n[start]\nalone = true\n"
    more_words = Fingerprint(more.encode()).words
    assert box.refused("peers-pin", blocks=more, fingerprint=more_words).startswith("config-")
    box.do("config-change", jurisdiction="MO")
    box.do("config-commit", seconds=600)  # with the peers in the file it could not be taken back
    assert box.refused("peers-pin", blocks=blocks, fingerprint=words) == "commit-pending"
    box.do("config-rollback")
    assert load_config(box.config).peer == ()
    done = box.do("peers-pin", blocks=blocks, fingerprint=words.replace("-", " ").upper())
    assert done["peers"] == [one.id for one in load_config(box.config).peer]
    assert box.refused("peers-pin", blocks=blocks, fingerprint=words) == "peers-there"


def files(box: AdminBox) -> Path:
    return box.config.parent / "broker"


def issue(authority: Authority, request: x509.CertificateSigningRequest, name: str) -> str:
    """A certificate for the key of a request."""
    ca, subject = authority.certificate, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ca.not_valid_before_utc)
        .not_valid_after(ca.not_valid_after_utc)
        .sign(authority.key, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()
