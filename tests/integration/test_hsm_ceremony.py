from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.exceptions import AttributeTypeInvalid, PKCS11Error
from pkcs11.mechanisms import KeyType, Mechanism

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import ConfigurationError, ExistsError, MissingError
from chopmark.core.keys import ECDSA_P256, OTHER, VerifierKey
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.hsm import ceremony, create_keys, generation, open_signer
from chopmark.hsm.keys import ED25519_PARAMS, P256_PARAMS
from chopmark.hsm.quirks import ANY
from integration.hsm_box import ORIGIN, Box
from rig.token import provision_token


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box.make(tmp_path, monkeypatch)


def test_keys_have_the_attributes_that_keep_them_in(box: Box) -> None:
    box.create()
    with box.session() as session:
        privates = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
        assert {key[Attribute.LABEL] for key in privates} == {"chopmark-log", "chopmark-cosigner"}
        for key in privates:
            for yes in ("TOKEN", "PRIVATE", "SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE"):
                assert key[Attribute[yes]] is True
            assert (key[Attribute.LOCAL], key[Attribute.SIGN]) == (True, True)
            for no in ("EXTRACTABLE", "MODIFIABLE", "DECRYPT", "UNWRAP", "DERIVE"):
                assert key[Attribute[no]] is False


def test_keys_cannot_be_loosened_or_read(box: Box) -> None:
    box.create()
    with box.session() as session:
        for key in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
            for name, value in (("EXTRACTABLE", True), ("SENSITIVE", False), ("LABEL", "other")):
                with pytest.raises(PKCS11Error):
                    key[Attribute[name]] = value
            with pytest.raises(PKCS11Error):
                key[Attribute.VALUE]


def test_keys_are_of_the_promised_types(box: Box) -> None:
    box.create()
    with box.session() as session:
        public = {
            key[Attribute.LABEL]: key[Attribute.EC_PARAMS]
            for key in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
        }
    assert public == {"chopmark-log": P256_PARAMS, "chopmark-cosigner": ED25519_PARAMS}


def test_existing_keys_are_refused_and_kept(box: Box) -> None:
    box.create()
    with pytest.raises(ExistsError) as caught:
        create_keys(box.config, ORIGIN, box.give_pin)
    assert caught.value.code == "key-exists"
    assert _read_keys(box) == 4


def test_one_existing_label_is_enough_to_refuse(box: Box) -> None:
    box.create()
    config = replace(box.config, log_label="new-log")
    with pytest.raises(ExistsError):
        create_keys(config, ORIGIN, box.give_pin)
    assert _read_keys(box) == 4


def test_failed_ceremony_leaves_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_session: object, label: str, _verifier: VerifierKey) -> None:
        if label == box.config.cosigner_label:
            raise ConfigurationError("key-not-protected", "as a careless token would have it")

    monkeypatch.setattr(ceremony, "find_private", fail)
    with pytest.raises(ConfigurationError):
        create_keys(box.config, ORIGIN, box.give_pin)
    assert _read_keys(box) == 0
    monkeypatch.undo()
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.token.conf))
    box.create()


def test_wrong_pin_is_tried_once(box: Box) -> None:
    box.pin = "not-the-pin"
    with pytest.raises(ConfigurationError) as caught:
        create_keys(box.config, ORIGIN, box.give_pin)
    assert (caught.value.code, box.pins_given) == ("pin-refused", 1)
    box.create()  # and the module was left in order


@pytest.mark.parametrize("flaw", ["EXTRACTABLE", "SENSITIVE"])
async def test_unprotected_key_is_refused(box: Box, flaw: str) -> None:
    box.create()
    _make_loose_key(box, flaw)
    config = replace(box.config, log_label="loose")
    with pytest.raises(ConfigurationError, match=flaw) as caught:
        await open_signer(config, ORIGIN, box.give_pin)
    assert caught.value.code == "key-not-protected"


@pytest.mark.parametrize("more", ["DECRYPT", "UNWRAP", "DERIVE"])
async def test_key_that_may_do_more_than_sign_is_refused(box: Box, more: str) -> None:
    box.create()
    _make_loose_key(box, more)
    config = replace(box.config, log_label="loose")
    with pytest.raises(ConfigurationError, match=f"more than sign: {more}") as caught:
        await open_signer(config, ORIGIN, box.give_pin)
    assert caught.value.code == "unfit-key"


@pytest.mark.parametrize("name", ["SIGN_RECOVER", "EXTRACTABLE", "DERIVE"])
def test_key_that_reads_back_otherwise_is_destroyed(
    box: Box, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    template = generation._PRIVATE
    monkeypatch.setitem(template, Attribute[name], value=True)  # as a careless token would have it
    with pytest.raises(ConfigurationError, match=name):
        box.create()
    assert _read_keys(box) == 0


class _Domain:
    """Domain parameters of a token that refuses some attributes of private keys."""

    def __init__(self, real: object, refused: Iterable[str]) -> None:
        self._real, self._refused = real, [Attribute[name] for name in refused]

    def generate_keypair(self, **rest: Any) -> object:
        if any(name in rest["private_template"] for name in self._refused):
            raise AttributeTypeInvalid
        return self._real.generate_keypair(**rest)  # type: ignore[attr-defined]  # the library's


class _Session:
    def __init__(self, real: object, *refused: str) -> None:
        self._real, self._refused = real, refused

    def create_domain_parameters(self, *rest: Any, **more: Any) -> _Domain:
        real = self._real.create_domain_parameters(*rest, **more)  # type: ignore[attr-defined]  # as above
        return _Domain(real, self._refused)


def test_key_is_made_unbound_where_keys_cannot_be_bound_to_a_mechanism(box: Box) -> None:
    with box.session() as real:
        session = _Session(real, "ALLOWED_MECHANISMS")
        _, private = generation.generate(session, "unbound", KeyType.EC, ANY)  # type: ignore[arg-type]  # stands for one
        assert private[Attribute.ALLOWED_MECHANISMS] == ()
        assert private[Attribute.SIGN] is True
        assert private[Attribute.DERIVE] is False


def test_token_that_refuses_what_keeps_a_key_in_makes_none(box: Box) -> None:
    with box.session() as real:
        session = _Session(real, "EXTRACTABLE")
        with pytest.raises(ConfigurationError) as caught:
            generation.generate(session, "none", KeyType.EC, ANY)  # type: ignore[arg-type]  # stands for one
    assert caught.value.code == "key-refused"
    assert _read_keys(box) == 0


async def test_p256_cosigner_is_made_and_cosigns(box: Box) -> None:
    log, cosigner = create_keys(box.config, ORIGIN, box.give_pin, "p256")
    assert (log.type, cosigner.type) == (ECDSA_P256, OTHER)
    signer = await open_signer(box.config, ORIGIN, box.give_pin)
    try:
        signature = await signer.cosign(Checkpoint(ORIGIN, 0, EMPTY_ROOT), 1_795_305_600)
    finally:
        await signer.close()
    text = Checkpoint(ORIGIN, 0, EMPTY_ROOT).encode().encode()
    assert signature.key_id == cosigner.key_id
    assert cosigner.verify(text, signature.payload) == 1_795_305_600


async def test_two_keys_of_one_label_are_refused(box: Box) -> None:
    box.create()
    for _ in range(2):
        _make_loose_key(box, "EXTRACTABLE")
    config = replace(box.config, log_label="loose")
    with pytest.raises(ConfigurationError) as caught:
        await open_signer(config, ORIGIN, box.give_pin)
    assert caught.value.code == "ambiguous-key"


async def test_two_tokens_of_one_label_need_a_serial(box: Box, tmp_path: Path) -> None:
    other = provision_token(tmp_path / "other", "hk-1")
    for token in other.tokens.iterdir():
        token.rename(box.token.tokens / token.name)
    with pytest.raises(ConfigurationError, match="token_serial") as caught:
        create_keys(box.config, ORIGIN, box.give_pin)
    assert caught.value.code == "ambiguous-token"
    serial = _read_serials({path.name for path in box.token.tokens.iterdir()})
    with_serial = [replace(box.config, token_serial=each) for each in serial]
    results = []
    for config in with_serial:
        try:
            create_keys(config, ORIGIN, box.give_pin)
            results.append("made")
        except ConfigurationError as error:
            results.append(error.code)
    assert sorted(results) == ["made", "pin-refused"]  # each token has its own PIN


async def test_token_found_by_serial_alone(box: Box) -> None:
    (folder,) = box.token.tokens.iterdir()
    (serial,) = _read_serials({folder.name})
    config = replace(box.config, token_label=None, token_serial=serial)
    create_keys(config, ORIGIN, box.give_pin)
    with pytest.raises(ConfigurationError, match="no token with serial"):
        await open_signer(replace(config, token_serial="0" * 16), ORIGIN, box.give_pin)


async def test_keys_are_missing_before_the_ceremony(box: Box) -> None:
    with pytest.raises(MissingError) as caught:
        await open_signer(box.config, ORIGIN, box.give_pin)
    assert (caught.value.code, caught.value.exit_code) == ("no-such-key", 66)


def _read_serials(folders: set[str]) -> list[str]:
    # SoftHSM makes the serial number of the last 16 digits of the folder's name.
    return [folder.replace("-", "")[-16:] for folder in sorted(folders)]


def _read_keys(box: Box) -> int:
    with box.session() as session:
        return len(list(session.get_objects()))


def _make_loose_key(box: Box, flaw: str) -> None:
    with box.session() as session:
        params = {Attribute.EC_PARAMS: P256_PARAMS}
        domain = session.create_domain_parameters(KeyType.EC, params, local=True)
        private = {
            Attribute.SENSITIVE: flaw != "SENSITIVE",
            Attribute.EXTRACTABLE: flaw == "EXTRACTABLE",
        }
        more = {} if flaw in ("EXTRACTABLE", "SENSITIVE") else {Attribute[flaw]: True}
        domain.generate_keypair(
            label="loose",
            store=True,
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template=private | more,
        )
