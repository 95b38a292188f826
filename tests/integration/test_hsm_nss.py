"""NSS's softokn: a module that is told at its start where its files are, and has its own ways."""

from pathlib import Path

import pytest
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.mechanisms import KeyType
from pkcs11.types import Session

from chopmark.core.errors import ConfigurationError, TryAgainError
from chopmark.core.mark import HeadMark
from chopmark.core.note import Note, verify_note
from chopmark.hsm import HsmConfig, create_keys, open_signer
from chopmark.hsm.beside import in_session
from chopmark.hsm.doctor import examine
from chopmark.hsm.keys import P256_PARAMS, find_objects
from chopmark.hsm.module import Module
from integration.hsm_box import HEAD, ORIGIN

MODULE = str(next(Path("/usr/lib").glob("*/libsoftokn3.so")))
PIN = "nss-pin-4711"


@pytest.fixture
def config(tmp_path: Path) -> HsmConfig:
    """A new database with a PIN."""
    told = f"configdir='sql:{tmp_path}' certPrefix='' keyPrefix='' secmod='' flags=noModDB"
    told += " dbTokenDescription='hk-1'"
    module = Module(MODULE, told)
    try:
        token = next(one for one in module.library.get_slots() if one.slot_id == 2).get_token()
        token.open(rw=True, so_pin="").init_pin(PIN)
    finally:
        module.close()
    return HsmConfig(MODULE, "hk-1", init_string=told)


def give_pin() -> str:
    return PIN


async def test_keys_are_made_and_sign_and_the_head_mark_is_refused(config: HsmConfig) -> None:
    keys = create_keys(config, ORIGIN, give_pin, "p256")
    signer = await open_signer(config, ORIGIN, give_pin)
    try:
        assert (signer.log_key, signer.cosigner_key) == keys
        note = Note(HEAD.encode(), (await signer.sign_checkpoint(HEAD),))
        assert verify_note(note.with_signature(await signer.cosign(HEAD, 1)), keys)
        with pytest.raises(ConfigurationError) as caught:
            await signer.write_mark(HeadMark(HEAD, 1, b"e" * 16, clean=False), None)
        assert (caught.value.code, signer.state) == ("mark-refused", "ready")
        assert [key.wrong for key in await signer.read_keys()] == [(), ()]
        assert "rollback" in (signer.warning or "")
    finally:
        await signer.close()


async def test_wrong_pin_is_tried_once(config: HsmConfig) -> None:
    keys = create_keys(config, ORIGIN, give_pin, "p256")
    given = []

    def give_wrong() -> str:
        given.append(1)
        return "wrong"

    signer = await open_signer(config, ORIGIN, give_wrong, known=keys)
    try:
        for _ in range(2):
            with pytest.raises(TryAgainError, match="locked to us"):
                await signer.sign_checkpoint(HEAD)
        assert (signer.state, given) == ("latched", [1])
    finally:
        await signer.close()


async def test_key_from_elsewhere_is_refused_though_no_key_is_marked_as_made_here(
    config: HsmConfig,
) -> None:
    create_keys(config, ORIGIN, give_pin, "p256")
    in_session(config, give_pin, lambda session, _: _bring_in(session), ("", ""))
    with pytest.raises(ConfigurationError) as caught:
        await open_signer(config, ORIGIN, give_pin)
    assert caught.value.code == "key-not-protected"
    assert "NEVER_EXTRACTABLE" in caught.value.message


def _bring_in(session: Session) -> None:
    """Another private half in the place of the log key's, marked as well as it goes."""
    (ours,) = find_objects(session, ObjectClass.PRIVATE_KEY, "chopmark-log")
    ours.destroy()
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.SIGN: True,
            Attribute.LABEL: "chopmark-log",
            Attribute.EC_PARAMS: P256_PARAMS,
            Attribute.VALUE: b"\1" * 32,
        }
    )


def test_module_that_is_told_nothing_says_so(config: HsmConfig) -> None:
    facts = examine(MODULE, None)
    assert "wants set-up parameters" in facts.failures[0].message
    facts = examine(MODULE, config, reserved=config.init_string)
    assert (facts.failures, facts.token.label if facts.token else "") == ([], "hk-1")
