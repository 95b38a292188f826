"""No private half is destroyed of which it is not sure that it is the one that is meant."""

from collections.abc import Iterator

import pytest
from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Object, Session

from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.attributes import read_pairs
from chopmark.hsm.ceremony import destroy_key, is_free
from chopmark.hsm.keys import P256_PARAMS, read_verifier
from chopmark.service.leftover import find_leftover
from integration.hsm_box import Box

LABEL = "tls"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        box = Box.make(tmp_path_factory.mktemp("d"), patch)
        with box.session() as opened:
            yield opened


@pytest.fixture(autouse=True)
def _emptied(session: Session) -> Iterator[None]:
    yield
    for one in list(session.get_objects()):
        one.destroy()


def make(session: Session, name: bytes, private_name: bytes | None = None) -> tuple[Object, Object]:
    domain = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: P256_PARAMS}, local=True
    )
    public, private = domain.generate_keypair(
        id=name,
        label=LABEL,
        store=True,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
    )
    if private_name is not None:
        private[Attribute.ID] = private_name
    return public, private


def privates(session: Session) -> int:
    return len(list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})))


def refused(session: Session, key: VerifierKey) -> str:
    before = len(list(session.get_objects()))
    with pytest.raises(ChopmarkError) as caught:
        destroy_key(session, LABEL, key)
    assert len(list(session.get_objects())) == before, "nothing may be lost by a refusal"
    return caught.value.code


def test_pair_is_destroyed_with_or_without_an_id(session: Session) -> None:
    for name, other in ((b"one", None), (b"", None), (b"one", b""), (b"", b"one")):
        public, _ = make(session, name, other)
        destroy_key(session, LABEL, read_verifier(public, LABEL))
        assert is_free(session, LABEL)


def test_private_half_of_another_key_with_the_same_label_is_not_destroyed(session: Session) -> None:
    public, _ = make(session, b"one")
    other, _ = make(session, b"two")
    other.destroy()  # as a key whose public half is in a certificate alone
    (pair,) = read_pairs(session, private=True)
    assert pair.private == 2
    assert pair.fingerprint is not None
    with pytest.raises(ChopmarkError) as caught:
        find_leftover([pair], LABEL, pair.fingerprint.hex)
    assert caught.value.code == "ambiguous-key"
    assert refused(session, read_verifier(public, LABEL)) == "ambiguous-key"


def test_private_half_with_another_id_is_not_destroyed(session: Session) -> None:
    public, _ = make(session, b"one", b"two")
    assert refused(session, read_verifier(public, LABEL)) == "ambiguous-key"


def test_private_half_alone_is_not_destroyed(session: Session) -> None:
    public, _ = make(session, b"one")
    key = read_verifier(public, LABEL)
    public.destroy()
    assert refused(session, key) == "no-such-key"
    assert privates(session) == 1


def test_public_half_alone_is_destroyed(session: Session) -> None:
    public, private = make(session, b"one")
    private.destroy()
    destroy_key(session, LABEL, read_verifier(public, LABEL))
    assert is_free(session, LABEL)


def test_key_that_is_gone_is_no_error(session: Session) -> None:
    public, private = make(session, b"one")
    key = read_verifier(public, LABEL)
    public.destroy()
    private.destroy()
    destroy_key(session, LABEL, key)
