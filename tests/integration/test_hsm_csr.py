"""Certificate requests signed in a real token; openssl checks them."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from pkcs11.constants import Attribute, MechanismFlag
from pkcs11.mechanisms import KeyType, Mechanism

from chopmark.core.errors import ChopmarkError
from chopmark.hsm.csr import Request, make_request
from chopmark.hsm.keys import P256_PARAMS
from chopmark.hsm.listing import list_pairs
from integration.hsm_box import Box
from rig.patience import PATIENCE

REQUEST = Request("hk-1", ("gw.bank-hk.example", "*.gw.bank-hk.example"))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One token for all: each test leaves log key and cosigner key as they are."""
    with pytest.MonkeyPatch.context() as patched:
        made = Box.make(tmp_path_factory.mktemp("csr"), patched)
        made.create()
        yield made


def ask(box: Box, label: str, *, new: bool, ours: bytes = b"") -> bytes:
    return make_request(box.config, REQUEST, label, box.give_pin, ours={ours}, new=new)


def code_of(box: Box, label: str, *, new: bool = False, ours: bytes = b"") -> str:
    with pytest.raises(ChopmarkError) as error:
        ask(box, label, new=new, ours=ours)
    return error.value.code


def test_request_is_accepted_by_openssl(box: Box, tmp_path: Path) -> None:
    path = tmp_path / "hk-1.csr"
    path.write_bytes(ask(box, "tls", new=True))
    done = subprocess.run(
        ["openssl", "req", "-in", path, "-noout", "-verify", "-text"],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "verify OK" in done.stdout + done.stderr
    assert "CN = hk-1" in done.stdout
    assert "DNS:gw.bank-hk.example, DNS:*.gw.bank-hk.example" in done.stdout


def test_request_for_a_key_that_is_there_names_the_same_key(box: Box) -> None:
    assert code_of(box, "again") == "no-such-key"
    first, second = ask(box, "again", new=True), ask(box, "again", new=False)
    keys = [x509.load_pem_x509_csr(one).public_key() for one in (first, second)]
    assert keys[0] == keys[1]
    assert code_of(box, "again", new=True) == "key-exists"


@pytest.mark.parametrize(
    "label",
    ["chopmark-log", "chopmark-cosigner", "chopmark-witness", "chopmark-log-2", "CHOPMARK-LOG"],
)
def test_label_of_a_key_of_the_log_is_refused_without_a_login(box: Box, label: str) -> None:
    before = box.pins_given
    assert code_of(box, label, new=True) == "not-a-transport-key"
    assert code_of(box, label) == "not-a-transport-key"
    assert box.pins_given == before


def test_label_of_a_later_key_guards_those_before_and_after(box: Box) -> None:
    later = replace(box.config, log_label="chopmark-log-3", first_label="chopmark-log")
    with pytest.raises(ChopmarkError) as error:
        make_request(later, REQUEST, "chopmark-log-4", box.give_pin, ours=(), new=True)
    assert error.value.code == "not-a-transport-key"


def test_key_of_the_log_is_refused_under_any_label(box: Box) -> None:
    """The configuration has forgotten the label, and the ledger knows the key."""
    renamed = replace(box.config, log_label="a", cosigner_label="b", witness_label="c")
    for key, label in zip(box.keys, ("chopmark-log", "chopmark-cosigner"), strict=True):
        with pytest.raises(ChopmarkError) as error:
            make_request(renamed, REQUEST, label, box.give_pin, ours={key.public}, new=False)
        assert error.value.code == "not-a-transport-key"


def test_halves_that_are_no_pair_sign_no_request(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody gave the log key's private half, or another one, the label of a TLS key."""
    with box.session() as session:
        params = {Attribute.EC_PARAMS: P256_PARAMS}
        domain = session.create_domain_parameters(KeyType.EC, params, local=True)
        for gone in (0, 1):
            made = domain.generate_keypair(
                label="mixed",
                store=True,
                mechanism=Mechanism.EC_KEY_PAIR_GEN,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template={Attribute.EXTRACTABLE: False},
            )
            made[gone].destroy()
    monkeypatch.setattr("chopmark.hsm.csr._sign_info", lambda *_: pytest.fail("it signed"))
    assert code_of(box, "mixed") == "not-a-transport-key"


def test_key_that_is_not_p256_is_refused(box: Box) -> None:
    renamed = replace(box.config, log_label="a", cosigner_label="b", witness_label="c")
    with pytest.raises(ChopmarkError) as error:
        make_request(renamed, REQUEST, "chopmark-cosigner", box.give_pin, ours=(), new=False)
    assert error.value.code == "unfit-key"


def test_new_key_that_may_not_sign_is_not_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no more")

    with monkeypatch.context() as patched:
        patched.setattr("chopmark.hsm.csr._build", fail)
        with pytest.raises(OSError, match="no more"):
            ask(box, "lost", new=True)
    assert "lost" not in {pair.label for pair in list_pairs(box.config)}


def test_wrong_pin_is_tried_once(box: Box) -> None:
    before = box.pins_given
    box.pin = "not the PIN"
    try:
        assert code_of(box, "tls-2", new=True) == "pin-refused"
    finally:
        box.pin = None
    assert box.pins_given == before + 1


@pytest.mark.parametrize(
    ("name", "dns"),
    [
        ("", ()),
        ("a\nb", ()),
        ("-hk", ()),
        ("x" * 65, ()),
        ("hk-1", ("GW.example",)),
        ("hk-1", ("a..b",)),
        ("hk-1", (".a",)),
        ("hk-1", ("a b",)),
        ("hk-1", ("é.example",)),
        ("hk-1", tuple(f"a{n}" for n in range(33))),
        ("hk-1", (".".join(["a" * 63] * 4),)),
    ],
)
def test_request_rejects_names_that_are_none(name: str, dns: tuple[str, ...]) -> None:
    with pytest.raises(ChopmarkError) as error:
        Request(name, dns)
    assert error.value.code == "malformed-request"
