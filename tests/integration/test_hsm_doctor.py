"""The doctor at a real token, and what keys say of themselves there."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest
from pkcs11.constants import Attribute, MechanismFlag
from pkcs11.exceptions import AttributeValueInvalid
from pkcs11.mechanisms import KeyType, Mechanism

from chopmark.core.selftest import SelfTest
from chopmark.hsm.attributes import read_pairs
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.diagnosis import Line, Need, diagnose
from chopmark.hsm.doctor import examine
from chopmark.hsm.facts import Facts
from chopmark.hsm.keys import P256_PARAMS, find_private, find_verifier
from chopmark.hsm.mapper import make_mapper
from chopmark.hsm.trial import Clocks, measure, sign_self_test
from integration.hsm_box import ORIGIN, Box

CLOCKS = Clocks(lambda: time.time_ns() // 1_000_000, time.monotonic)
NEED = Need(
    (("log", "chopmark-log"), ("cosigner", "chopmark-cosigner"), ("witness", "chopmark-witness")),
    ed25519=True,
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One token for all: each test leaves it as it was."""
    with pytest.MonkeyPatch.context() as patched:
        made = Box.make(tmp_path_factory.mktemp("doctor"), patched)
        made.create()
        yield made


def look(box: Box, config: HsmConfig | None = None, *, sign: bool = False) -> Facts:
    pin = box.give_pin if sign else None
    chosen = config or box.config
    return examine(chosen.module, chosen, origin=ORIGIN, pin=pin, clocks=CLOCKS)


def faults(lines: Sequence[Line]) -> dict[str, str]:
    return {line.name: line.text for line in lines if line.mark == "fault"}


def test_token_is_looked_at_without_a_pin(box: Box) -> None:
    before = box.pins_given
    facts = look(box)
    lines = diagnose(facts, NEED)
    assert (faults(lines), box.pins_given) == ({}, before)
    assert {line.section for line in lines} == {"module", "token", "mechanisms", "keys"}


def test_token_is_tried_out_with_a_login_and_left_as_it_was(box: Box) -> None:
    facts = look(box, sign=True)
    assert faults(diagnose(facts, NEED)) == {}
    assert facts.keeps_data == "kept"
    assert facts.probes is not None
    assert {one.name: one.refused is None for one in facts.probes} == {
        "read-private": False,
        "extractable": False,
        "not-sensitive": False,
        "no-digest": True,  # SoftHSM signs it
        "bind-mechanism": True,
    }
    assert facts.speed is not None
    assert facts.speed.label == "chopmark-log"
    assert 0 < facts.speed.p50 <= facts.speed.p99
    with box.session() as session:
        labels = [one[Attribute.LABEL] for one in session.get_objects()]
    assert sorted(labels) == sorted(["chopmark-log", "chopmark-cosigner"] * 2)


def test_module_is_looked_at_before_there_is_a_gateway(box: Box) -> None:
    facts = examine(box.token.module, None, pin=box.give_pin, clocks=CLOCKS)
    assert facts.token is not None
    assert facts.token.label == "hk-1"
    assert facts.speed is not None
    assert facts.speed.label == "a trial key"


def test_key_that_can_leave_the_token_is_a_fault(box: Box) -> None:
    with box.session() as session:
        params = {Attribute.EC_PARAMS: P256_PARAMS}
        domain = session.create_domain_parameters(KeyType.EC, params, local=True)
        domain.generate_keypair(
            label="loose",
            store=True,
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template={Attribute.EXTRACTABLE: True},
        )
    try:
        need = Need((("log", "loose"),))
        facts = look(box, replace(box.config, log_label="loose"), sign=True)
        found = faults(diagnose(facts, need))
        assert "EXTRACTABLE" in found["loose"]
        assert "NEVER_EXTRACTABLE" in found["loose"]
        assert facts.speed is None  # such a key signs nothing
    finally:
        with box.session() as session:
            for one in list(session.get_objects({Attribute.LABEL: "loose"})):
                one.destroy()


def test_wrong_pin_is_tried_once_and_named(box: Box) -> None:
    before = box.pins_given
    box.pin = "not the PIN"
    try:
        found = faults(diagnose(look(box, sign=True), NEED))
    finally:
        box.pin = None
    assert (list(found), box.pins_given) == (["login"], before + 1)
    assert "not the PIN" not in str(found)


def test_token_that_is_not_there_is_a_fault(box: Box) -> None:
    found = faults(diagnose(look(box, replace(box.config, token_label="other")), NEED))
    assert "no token with label 'other'" in found["token"]


def test_module_that_is_not_there_is_a_fault(box: Box, tmp_path: Path) -> None:
    config = replace(box.config, module=str(tmp_path / "none.so"))
    assert "there is no PKCS#11 module" in faults(diagnose(look(box, config), NEED))["module"]


async def test_signer_reads_back_what_the_token_says_of_each_key(box: Box) -> None:
    async with box.signer() as signer:
        pairs = await signer.read_keys()
    assert [(pair.label, pair.private, pair.wrong) for pair in pairs] == [
        ("chopmark-cosigner", 1, ()),
        ("chopmark-log", 1, ()),
    ]


def test_only_self_tests_are_signed(box: Box) -> None:
    with box.session() as session:
        verifier = find_verifier(session, "chopmark-log", ORIGIN, cosigner=False)
        key = find_private(session, "chopmark-log", verifier)

        class Crafted(SelfTest):
            def encode(self) -> bytes:
                return b"what somebody wants signed"

        with pytest.raises(TypeError):
            sign_self_test(key, Crafted(ORIGIN, 0))
        with pytest.raises(TypeError):
            sign_self_test(key, b"bytes")  # type: ignore[arg-type]
        assert measure(key, "a", ORIGIN, CLOCKS).count >= 5


def test_key_that_is_bound_to_a_mechanism_says_so(box: Box) -> None:
    library = pkcs11.lib(box.token.module)
    try:
        session = library.get_token(token_label="hk-1").open(
            rw=True, user_pin=box.token.read_pin(), attribute_mapper=make_mapper()
        )
        params = {Attribute.EC_PARAMS: P256_PARAMS}
        domain = session.create_domain_parameters(KeyType.EC, params, local=True)
        made = domain.generate_keypair(
            label="bound",
            store=True,
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template={Attribute.ALLOWED_MECHANISMS: [Mechanism.ECDSA, 0x8000_0B10]},
        )
        (pair,) = (one for one in read_pairs(session, private=True) if one.label == "bound")
        for half in made:
            half.destroy()
    finally:
        library.finalize()
    assert pair.mechanisms == ("ECDSA", "0x80000b10")
    assert "allowed for 0x80000b10" in pair.wrong


def test_trial_key_is_made_in_a_token_that_has_none_for_a_session_and_destroyed(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AttributeValueInvalid  # as tpm2-pkcs11 does

    monkeypatch.setattr("chopmark.hsm.trial._make_for_session", refuse)
    facts = examine(box.token.module, None, pin=box.give_pin, clocks=CLOCKS)
    assert facts.no_probes is None
    assert len(facts.probes or ()) == 5
    assert facts.speed is not None
    with box.session() as session:
        labels = {one[Attribute.LABEL] for one in session.get_objects()}
    assert "chopmark-doctor" not in labels
