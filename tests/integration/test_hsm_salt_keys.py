"""Salt keys in a real SoftHSM token."""

from pathlib import Path

import pytest
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import FunctionNotSupported, RandomNoRNG

from chopmark.core.blinding import SaltKey
from chopmark.core.errors import ChopmarkError
from chopmark.hsm import salt_keys
from integration.hsm_box import HEAD, ORIGIN, Box

KEY = SaltKey(ORIGIN, 7, b"k" * 32)
LABEL = "chopmark-log-salt-key"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box.make(tmp_path, monkeypatch)
    made.create()
    return made


def put(box: Box, value: bytes) -> None:
    template = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.LABEL: LABEL,
        Attribute.VALUE: value,
    }
    with box.session() as session:
        session.create_object(template)


def files(box: Box) -> set[Path]:
    return set(Path(box.token.tokens).rglob("*.object"))


async def test_key_is_private_and_gone_for_good_once_destroyed(box: Box) -> None:
    async with box.signer() as signer:
        before = files(box)
        await signer.write_salt_key(KEY)
        (made,) = files(box) - before
        assert KEY.key not in made.read_bytes()
        await signer.destroy_salt_keys(8)
        assert files(box) == before
    with box.session() as session:
        wanted = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: LABEL}
        assert list(session.get_objects(wanted)) == []


async def test_what_is_no_key_of_this_log_is_left_alone(box: Box) -> None:
    foreign = SaltKey("bank-sz.example/sz-1", 1, bytes(32))
    for value in (b"junk", foreign.encode()):
        put(box, value)
    async with box.signer() as signer:
        assert await signer.read_salt_keys() == ()
        await signer.write_salt_key(KEY)
        assert await signer.destroy_salt_keys(10**15) == 1
        assert await signer.read_salt_keys() == ()
    with box.session() as session:
        wanted = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: LABEL}
        assert len(list(session.get_objects(wanted))) == 2


async def test_token_without_data_objects_says_so(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        """A session that makes no data objects, as a session of a token without them."""

        def __init__(self, real: object) -> None:
            self.get_objects = real.get_objects  # type: ignore[attr-defined]

        def create_object(self, _template: object) -> None:
            raise FunctionNotSupported

    real = salt_keys.write_salt_key
    monkeypatch.setattr(
        "chopmark.hsm.device.write_salt_key", lambda session, *rest: real(Session(session), *rest)
    )
    async with box.signer() as signer:
        with pytest.raises(ChopmarkError) as caught:
            await signer.write_salt_key(KEY)
        assert caught.value.code == "salt-key-refused"
        assert signer.state == "ready"
        await signer.sign_checkpoint(HEAD)


@pytest.mark.parametrize("error", [FunctionNotSupported, RandomNoRNG])
def test_token_without_a_generator_gives_nothing(error: type[Exception]) -> None:
    class Session:
        def generate_random(self, _bits: int) -> bytes:
            raise error

    assert salt_keys.random_bytes(Session(), 32) == b""  # type: ignore[arg-type]
