"""Reports of traces: each step follows from its proof, and nothing else is believed."""

import json
from dataclasses import replace

import msgspec
import pytest

from chopmark.core.consent import seal
from chopmark.core.digest import Digests
from chopmark.core.entry import Attestation, Revocation, encode_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.policy import parse_policy
from chopmark.core.trace import (
    MAX_STEPS,
    Party,
    Report,
    Step,
    StepOut,
    Teller,
    check_report,
    read_report,
)
from consentvectors import (
    GIVEN,
    POLICY,
    RECEIVER,
    document,
    entry_of,
    prove,
    shown_consent,
    shown_use,
    used,
)
from vectorparts import DIGESTS, MADE_AT, ORIGIN, PLAIN_ENTRY, SALT, SZ, TIME

ABOUT = (ORIGIN, 3)
POLICIES = {ORIGIN: POLICY, RECEIVER.name: POLICY}


def revoking(target: int, index: int) -> Step:
    data = encode_entry(Revocation(MADE_AT + 9000, target, 3))
    name = "revoked" if target == 3 else "withdrawn"
    return Step(name, ABOUT, prove(data, index))


def newer() -> Step:
    data = encode_entry(replace(PLAIN_ENTRY, sha256=bytes(32), supersedes=3))
    return Step("superseded", ABOUT, prove(data, 4))


ATTESTED = Step("attested", ABOUT, document())
WITNESSED = Step("witnessed", ABOUT, document(), TIME)
CONSENTED = Step("consented", ABOUT, shown_consent())
USED = Step("used", ABOUT, shown_use())
WHOLE = [ATTESTED, WITNESSED, newer(), CONSENTED, USED, revoking(5, 6), revoking(3, 6)]


def tell(*steps: Step, digests: Digests | None = DIGESTS) -> list[StepOut]:
    return Teller(POLICIES, digests).tell_all(steps)


def report(*steps: Step) -> Report:
    return Report(
        asked_at="2026-11-22T13:00:00.000Z",
        as_of=None,
        digests={"sha256": DIGESTS.sha256.hex()},
        parties={ORIGIN: Party("hk-1", "Bank", "HK")},
        policies={ORIGIN: POLICY.encode()},
        steps=tell(*steps),
    )


def again(made: Report) -> Report:
    return read_report(msgspec.json.encode(made))


def code_of(made: Report) -> str:
    with pytest.raises(MalformedError) as caught:
        check_report(again(made), POLICIES)
    return caught.value.code


def test_whole_life_is_told_and_checked_again() -> None:
    made = report(*WHOLE)
    assert check_report(again(made), POLICIES) == made.steps
    assert [one.step for one in made.steps] == [step.name for step in WHOLE]
    consented, used_ = made.steps[3], made.steps[4]
    assert (consented.receiver, consented.purpose) == (GIVEN.receiver, "sme-loan")
    assert (used_.consent, used_.origin) == (5, RECEIVER.name)
    assert made.steps[1].quorum == "reached"
    assert {one.name for one in made.steps[1].by} == {f"{key.name}" for key in (SZ,)} | {
        "bank-mo.example/mo-1/cosigner"
    }


def test_steps_may_come_in_any_order() -> None:
    assert tell(*reversed(WHOLE)) == list(reversed(tell(*WHOLE)))


@pytest.mark.parametrize("place", range(len(WHOLE)), ids=[step.name for step in WHOLE])
@pytest.mark.parametrize(
    "changes",
    [
        {"time": "2026-11-22T13:00:00.001Z"},
        {"index": 9},
        {"origin": "bank-mo.example/mo-1"},
        {"about": f"{ORIGIN}#2"},
        {"kind": "deed"},
        {"reason": 4},
        {"purpose": "mortgage"},
        {"receiver": "bank-mo.example/mo-1"},
        {"consent": 4},
        {"quorum": "missing"},
        {"valid_until": "2030-01-01T00:00:00.000Z"},
        {"blinded": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_step_that_says_something_else_than_its_proof_is_found(
    place: int, changes: dict[str, object]
) -> None:
    made = report(*WHOLE)
    steps = list(made.steps)
    steps[place] = msgspec.structs.replace(steps[place], **changes)
    assert code_of(msgspec.structs.replace(made, steps=steps)) == "bad-step"


@pytest.mark.parametrize("place", range(len(WHOLE)), ids=[step.name for step in WHOLE])
def test_step_whose_proof_is_changed_is_found(place: int) -> None:
    made = report(*WHOLE)
    steps = list(made.steps)
    text = steps[place].proof.replace(f"\n{7}\n", "\n8\n")
    steps[place] = msgspec.structs.replace(steps[place], proof=text)
    assert code_of(msgspec.structs.replace(made, steps=steps)) == "bad-signature"


@pytest.mark.parametrize(
    "step",
    [
        Step("attested", ABOUT, prove(encode_entry(Revocation(MADE_AT, 3, 0)), 6)),
        Step("attested", (ORIGIN, 2), document()),
        Step("witnessed", ABOUT, document(), TIME + 60),
        Step("superseded", ABOUT, document()),
        Step("revoked", ABOUT, prove(encode_entry(Revocation(MADE_AT, 2, 0)), 6)),
        Step("revoked", ABOUT, prove(encode_entry(Revocation(MADE_AT, 3, 0)), 2)),
        Step("withdrawn", ABOUT, prove(encode_entry(Revocation(MADE_AT, 4, 0)), 6)),
        Step("used", ABOUT, shown_consent()),
        Step("consented", ABOUT, shown_use()),
        Step("consented", (ORIGIN, 2), shown_consent()),
    ],
)
def test_step_that_is_not_what_it_is_called_is_refused(step: Step) -> None:
    with pytest.raises(RefusedError) as caught:
        tell(ATTESTED, CONSENTED, step)
    assert caught.value.code == "bad-step"


def test_consent_to_an_attestation_with_another_leaf_is_refused() -> None:
    other = replace(GIVEN, leaf=bytes(32))
    step = Step("consented", ABOUT, seal(prove(entry_of(other), 5), SALT, other))
    with pytest.raises(RefusedError, match="another document"):
        tell(ATTESTED, step)


def test_consent_without_its_attestation_is_refused() -> None:
    with pytest.raises(RefusedError, match="another document"):
        tell(CONSENTED)


def test_report_of_another_document_is_found() -> None:
    made = report(*WHOLE)
    other = msgspec.structs.replace(made, digests={"sha256": "00" * 32})
    assert code_of(other) == "bad-step"


def test_log_without_a_policy_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        check_report(again(report(*WHOLE)), {ORIGIN: POLICY})
    assert caught.value.code == "unknown-log"


def test_provisional_proof_says_that_the_quorum_is_missing() -> None:
    strict = parse_policy(POLICY.encode().replace("group peers 1", "group peers 2").encode())
    alone = replace(document(), note=prove(encode_entry(PLAIN_ENTRY), 3).note)
    lines = alone.note.decode().splitlines(keepends=True)
    partly = replace(alone, note="".join(lines[:-1]).encode())
    made = Teller({ORIGIN: strict}, DIGESTS).tell_all([Step("witnessed", ABOUT, partly)])
    assert made[0].quorum == "missing"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps({"format": "chopmark/trace/v2"}).encode(),
        b'{"steps": [' * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read_report(data)
    assert caught.value.code == "malformed-report"


def test_report_of_too_many_steps_is_refused() -> None:
    made = report(ATTESTED)
    long = msgspec.structs.replace(made, steps=made.steps * (MAX_STEPS + 1))
    with pytest.raises(MalformedError, match="too large"):
        read_report(msgspec.json.encode(long))


@pytest.mark.parametrize(
    "changes",
    [
        {"about": "x"},
        {"about": f"{ORIGIN}#03"},
        {"about": f"{ORIGIN}#-3"},
        {"seen_by": "yesterday"},
        {"proof": ""},
    ],
)
def test_step_that_cannot_be_read_is_refused(changes: dict[str, object]) -> None:
    made = report(WITNESSED)
    steps = [msgspec.structs.replace(made.steps[0], **changes)]
    assert code_of(msgspec.structs.replace(made, steps=steps)).startswith("malformed-")


@pytest.mark.parametrize("digests", [{}, {"sha256": "zz"}, {"sha256": "00"}, {"md5": "00" * 32}])
def test_digests_that_are_none_are_refused(digests: dict[str, str]) -> None:
    made = msgspec.structs.replace(report(ATTESTED), digests=digests)
    assert code_of(made) == "malformed-report"


def test_uses_and_consents_of_these_tests_belong_together() -> None:
    assert used().consent is not None
    assert isinstance(PLAIN_ENTRY, Attestation)
