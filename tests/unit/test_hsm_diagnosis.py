"""What the doctor says of what it found: marks, and the next step for each fault."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from pkcs11.constants import TokenFlag
from pkcs11.mechanisms import Mechanism

from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.demands import KEPT
from chopmark.hsm.diagnosis import Line, Need, diagnose, has_faults
from chopmark.hsm.facts import (
    Facts,
    Failure,
    Library,
    MechanismFacts,
    Probe,
    SlotFacts,
    Speed,
    TokenFacts,
)
from chopmark.hsm.tokeninfo import Room
from configs import ed25519, p256

FINE = TokenFlag.LOGIN_REQUIRED | TokenFlag.USER_PIN_INITIALIZED | TokenFlag.TOKEN_INITIALIZED
TOKEN = TokenFacts("hk-1", "01", "Maker", "Model", "1.0", FINE, Room(1, 16, 60_000, None, 4))
MAKES = MechanismFacts(112, 521, signs=False, generates=True)
SIGNS = MechanismFacts(112, 521, signs=True, generates=False)
LABELS = (("log", "chopmark-log"), ("cosigner", "chopmark-cosigner"), ("witness", "w"))
NEED = Need(LABELS, ed25519=True)
FLAGS = dict(KEPT)


def make_facts() -> Facts:
    return Facts(
        Library("/m.so", "Maker", "Module", "1.0", "2.40"),
        None,
        (SlotFacts(0, "a slot", "hk-1 (serial 01)"),),
        TOKEN,
        {
            Mechanism.EC_KEY_PAIR_GEN: MAKES,
            Mechanism.ECDSA: SIGNS,
            Mechanism.EC_EDWARDS_KEY_PAIR_GEN: MAKES,
            Mechanism.EDDSA: SIGNS,
        },
        (
            TokenKey("chopmark-log", p256("", 3), 1, FLAGS),
            TokenKey("chopmark-cosigner", ed25519("", "a"), 1, FLAGS),
        ),
        logged_in=True,
        keeps_data="kept",
        probes=(Probe("read-private", "AttributeSensitive"), Probe("bind-mechanism", None)),
        speed=Speed("chopmark-log", 200, 0.1, 0.4, 0.9),
    )


def found(lines: Sequence[Line], mark: str) -> list[str]:
    return [line.name for line in lines if line.mark == mark]


def test_good_token_has_no_finding() -> None:
    lines = diagnose(make_facts(), NEED)
    assert {line.mark for line in lines} == {"ok"}
    assert [line.section for line in lines if line.section == "speed"] == ["speed"]
    assert "2,000 signatures/s" in lines[-1].text


def set_flags(flags: TokenFlag) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        facts.token = replace(TOKEN, flags=flags)

    return change


def set_mechanism(which: Mechanism, to: MechanismFacts | None) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        facts.mechanisms = {**facts.mechanisms, which: to}

    return change


def set_room(**room: int) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        assert TOKEN.room
        facts.token = replace(TOKEN, room=replace(TOKEN.room, **room))

    return change


def set_keys(*keys: TokenKey) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        facts.keys = keys

    return change


def put(**values: object) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        for name, value in values.items():
            setattr(facts, name, value)

    return change


LOG, SECOND = TokenKey("chopmark-log", p256("", 3), 1, FLAGS), TokenKey("w", None, 1, FLAGS)
SMALL = MechanismFacts(112, 200, signs=True, generates=True)
BYTES = MechanismFacts(32, 32, signs=True, generates=True)
COUNT, FINAL = TokenFlag.USER_PIN_COUNT_LOW, TokenFlag.USER_PIN_FINAL_TRY


@pytest.mark.parametrize(
    ("change", "mark", "names"),
    [
        (set_flags(FINE | TokenFlag.USER_PIN_LOCKED), "fault", ["PIN"]),
        (set_flags(FINE | COUNT | FINAL), "fault", ["PIN"]),
        (set_flags(FINE | COUNT), "warning", ["PIN"]),
        (set_flags(FINE | TokenFlag.USER_PIN_TO_BE_CHANGED), "warning", ["PIN"]),
        (set_flags(TokenFlag.LOGIN_REQUIRED), "fault", ["PIN"]),
        (set_flags(TokenFlag.USER_PIN_INITIALIZED), "warning", ["login"]),
        (set_flags(FINE | TokenFlag.WRITE_PROTECTED), "warning", ["write-protected"]),
        (set_flags(FINE | TokenFlag.PROTECTED_AUTHENTICATION_PATH), "ok", []),
        (set_room(sessions=15), "warning", ["sessions"]),
        (set_room(sessions=15, max_sessions=0), "ok", []),
        (set_room(free_private=100), "warning", ["memory"]),
        (set_mechanism(Mechanism.ECDSA, None), "fault", ["ECDSA"]),
        (set_mechanism(Mechanism.ECDSA, MAKES), "fault", ["ECDSA"]),
        (set_mechanism(Mechanism.EC_KEY_PAIR_GEN, SMALL), "fault", ["EC_KEY_PAIR_GEN"]),
        (set_mechanism(Mechanism.EC_KEY_PAIR_GEN, BYTES), "ok", []),
        (set_mechanism(Mechanism.EDDSA, None), "fault", ["EDDSA"]),
        (set_keys(LOG), "fault", ["chopmark-cosigner"]),
        (set_keys(*make_facts().keys or (), LOG), "fault", ["chopmark-log"]),
        (set_keys(*make_facts().keys or (), SECOND), "fault", ["w"]),
        (put(keeps_data="TemplateInconsistent"), "warning", ["data objects"]),
        (put(warning="kept on the disk"), "warning", ["storage"]),
        (put(probes=(Probe("extractable", None),)), "warning", ["making a key extractable"]),
        (put(probes=(Probe("read-private", None),)), "fault", ["giving a private key away"]),
        (put(probes=(Probe("no-digest", None),)), "ok", []),
        (put(probes=(Probe("bind-mechanism", "AttributeValueInvalid"),)), "ok", []),
        (put(probes=None, no_probes="TemplateIncomplete"), "ok", []),
        (put(speed=Speed("chopmark-log", 5, 10.0, 2000, 3000)), "warning", ["chopmark-log"]),
        (put(slots=(SlotFacts(1, "a slot", None, "DeviceError"),)), "fault", ["tokens"]),
    ],
)
def test_finding_has_its_mark_and_a_next_step(
    change: Callable[[Facts], None], mark: str, names: list[str]
) -> None:
    facts = make_facts()
    change(facts)
    lines = diagnose(facts, NEED)
    assert found(lines, mark) == names or mark == "ok"
    assert has_faults(lines) == (mark == "fault")
    assert all(line.hint for line in lines if line.mark != "ok")


def test_token_without_ed25519_may_still_become_a_gateways() -> None:
    facts = make_facts()
    set_mechanism(Mechanism.EDDSA, None)(facts)
    lines = diagnose(facts, Need())
    assert found(lines, "warning") == ["EDDSA"]
    assert "--cosigner-key p256" in next(line.hint for line in lines if line.name == "EDDSA")


def test_gateway_of_p256_keys_misses_no_ed25519() -> None:
    facts = make_facts()
    set_mechanism(Mechanism.EDDSA, None)(facts)
    assert {line.mark for line in diagnose(facts, Need(LABELS, ed25519=False))} == {"ok"}


def test_key_that_nobody_needs_is_never_more_than_a_warning() -> None:
    facts = make_facts()
    facts.keys = (*(facts.keys or ()), TokenKey("left", None, 0, {}))
    assert found(diagnose(facts, NEED), "warning") == ["left"]


def test_several_tokens_need_a_name() -> None:
    slot = SlotFacts(0, "a slot", "hk-1 (serial 01)")
    lines = diagnose(Facts(make_facts().library, slots=(slot, slot)), Need())
    assert found(lines, "fault") == ["token"]


def test_module_that_does_not_load_is_the_only_line() -> None:
    (line,) = diagnose(Facts(failures=[Failure("module", "no such file", "see there")]), Need())
    assert (line.section, line.mark, line.hint) == ("module", "fault", "see there")


def test_curve_of_chain_accounts_is_told_where_it_was_tried() -> None:
    facts = make_facts()
    assert not [line for line in diagnose(facts, NEED) if line.name == "secp256k1"]
    facts.chain_curve = "made"
    told = next(line for line in diagnose(facts, NEED) if line.name == "secp256k1")
    assert (told.mark, told.section) == ("ok", "mechanisms")


def test_token_without_the_curve_is_a_fault_only_where_the_account_is_to_be_in_it() -> None:
    facts = make_facts()
    facts.chain_curve = "CurveNotSupported"
    told = next(line for line in diagnose(facts, NEED) if line.name == "secp256k1")
    assert told.mark == "ok"
    assert "one in software" in told.text
    wanted = replace(NEED, labels=(*NEED.labels, ("chain", "chopmark-chain")))
    lines = diagnose(facts, wanted)
    assert next(line for line in lines if line.name == "secp256k1").mark == "fault"
    missing = next(line for line in lines if line.name == "chopmark-chain")
    assert missing.mark == "warning"


def test_key_of_the_chain_account_is_no_fault_for_its_curve() -> None:
    facts = make_facts()
    facts.keys = (*(facts.keys or ()), TokenKey("chopmark-chain", None, 1, FLAGS, chain=True))
    wanted = replace(NEED, labels=(*NEED.labels, ("chain", "chopmark-chain")))
    told = next(line for line in diagnose(facts, wanted) if line.name == "chopmark-chain")
    assert told.mark == "ok"
    assert "secp256k1" in told.text
