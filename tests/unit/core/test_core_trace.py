"""Reports of traces: each step follows from its proof, and nothing else is believed."""

import json
from dataclasses import replace

import msgspec
import pytest

from chopmark.core.blinding import blind
from chopmark.core.consent import seal
from chopmark.core.digest import Digests
from chopmark.core.entry import SHA256, Attestation, Revocation, encode_entry
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.merkle import leaf_hash
from chopmark.core.policy import parse_policy
from chopmark.core.proof import Extra, parse_extra
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
from softkeys import log_key
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


def replaced(step: StepOut, **changes: object) -> StepOut:
    return msgspec.structs.replace(step, **changes)


def again(made: Report) -> Report:
    return read_report(msgspec.json.encode(made))


def code_of(made: Report) -> str:
    with pytest.raises(MalformedError) as caught:
        check_report(again(made), POLICIES)
    return caught.value.code


def test_whole_life_is_told_and_checked_again() -> None:
    made = report(*WHOLE)
    checked = check_report(again(made), POLICIES)
    assert checked.remarks == []
    assert [replaced(one, seen_by=None) for one in checked.steps] == checked.steps
    assert sorted(one.step for one in checked.steps) == sorted(one.step for one in made.steps)
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


def test_time_that_only_the_report_says_is_not_among_what_it_proves() -> None:
    made = report(ATTESTED, WITNESSED)
    steps = [made.steps[0], replaced(made.steps[1], seen_by="2020-01-01T00:00:00.000Z")]
    checked = check_report(again(msgspec.structs.replace(made, steps=steps)), POLICIES)
    assert checked.steps[1] == replaced(made.steps[1], seen_by=None)
    assert not checked.steps[1].time.startswith("2020")


def test_steps_are_proven_in_the_order_of_their_times() -> None:
    made = report(*WHOLE)
    turned = msgspec.structs.replace(made, steps=list(reversed(made.steps)))
    times = {one.step: one.time for one in made.steps}
    told = [one.step for one in check_report(turned, POLICIES).steps]
    assert told[:2] == ["attested", "superseded"]  # both of one time
    assert [times[one] for one in told[2:]] == sorted(times[one] for one in told[2:])


def test_step_that_is_there_twice_is_refused() -> None:
    made = report(*WHOLE)
    assert code_of(msgspec.structs.replace(made, steps=[*made.steps, made.steps[4]])) == "bad-step"


def hidden_step(salt: bytes | None) -> Step:
    """Of a blinded attestation of the document, with its salt or without."""
    sha256 = blind(SALT, ORIGIN, SHA256, DIGESTS.sha256)
    data = encode_entry(replace(PLAIN_ENTRY, blinded=True, sha256=sha256, sm3=None, canonical=()))
    proof = prove(data, 2)
    return Step("attested", (ORIGIN, 2), replace(proof, extra=Extra(data, salt).encode()))


def test_blinded_attestation_without_its_salt_is_of_no_document() -> None:
    assert tell(hidden_step(SALT))[0].blinded
    assert tell(hidden_step(None), digests=None)[0].blinded
    with pytest.raises(RefusedError, match="nobody can tell of which document") as caught:
        tell(hidden_step(None))
    assert caught.value.code == "bad-step"


def test_report_without_digests_is_compared_with_the_document_at_hand() -> None:
    made = msgspec.structs.replace(report(ATTESTED), digests=None)
    assert check_report(made, POLICIES, DIGESTS).steps == made.steps
    with pytest.raises(RefusedError, match="another document"):
        check_report(made, POLICIES, Digests(bytes(32)))


def remarks(*steps: Step) -> str:
    teller = Teller(POLICIES, DIGESTS)
    teller.tell_all(steps)
    return "; ".join(teller.remarks)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"consent": None}, ""),
        ({"purpose": "mortgage"}, "entry 5 is for sme-loan"),
        ({"receiver": "bank-mo.example/mo-1"}, "entry 5 was given to bank-sz.example/sz-1"),
        ({"consent": (5, bytes(32))}, "another consent than the one in entry 5"),
        ({"consent": (4, bytes(32))}, "entry 4, is not shown"),
    ],
)
def test_use_that_goes_beyond_its_consent_is_remarked(
    changes: dict[str, object], said: str
) -> None:
    body = replace(used(), **changes)  # type: ignore[arg-type]
    log = RECEIVER if body.receiver == RECEIVER.name else log_key(body.receiver, 33)
    step = Step("used", ABOUT, seal(prove(entry_of(body), 1, log), SALT, body))
    policy = replace(POLICY, logs=(*POLICY.logs, log.vkey))
    teller = Teller({**POLICIES, log.name: policy}, DIGESTS)
    teller.tell_all([ATTESTED, CONSENTED, step])
    assert said in "; ".join(teller.remarks)
    assert bool(teller.remarks) == bool(said)


def test_use_after_the_end_of_its_consent_is_remarked() -> None:
    late = entry_of(used(), made_at=GIVEN.until + 1)
    step = Step("used", ABOUT, seal(prove(late, 1, RECEIVER), SALT, used()))
    assert "had ended" in remarks(ATTESTED, CONSENTED, step)


def test_use_of_another_document_than_its_consent_is_remarked() -> None:
    other = replace(GIVEN, index=2, leaf=hidden_leaf())
    consented = Step("consented", (ORIGIN, 2), seal(prove(entry_of(other), 5), SALT, other))
    body = replace(used(), consent=(5, leaf_hash(entry_of(other))))
    step = Step("used", ABOUT, seal(prove(entry_of(body), 1, RECEIVER), SALT, body))
    assert "to another document" in remarks(ATTESTED, hidden_step(SALT), consented, step)


def hidden_leaf() -> bytes:
    return leaf_hash(parse_extra(hidden_step(SALT).proof.extra).entry)


def test_step_that_its_ledger_alone_has_signed_is_remarked() -> None:
    lines = shown_use().note.decode().splitlines(keepends=True)
    alone = replace(shown_use(), note="".join(lines[:-2]).encode())
    assert "no quorum has countersigned" in remarks(ATTESTED, CONSENTED, Step("used", ABOUT, alone))


def test_uses_and_consents_of_these_tests_belong_together() -> None:
    assert used().consent is not None
    assert isinstance(PLAIN_ENTRY, Attestation)
