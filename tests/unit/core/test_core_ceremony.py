"""Protocols of key ceremonies: the text, its chain of hashes, and who must have approved."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ceremonies import (
    COSIGNER,
    FACTS,
    HEAD,
    LOG,
    ORIGIN,
    SIGNED,
    TIME,
    approved,
    begun,
    ended,
    held,
    signed,
)
from chopmark.core.ceremony import MAX_VALUE, Approval, Ceremony, End, PresentOfficer, Result, Step
from chopmark.core.ceremony_rules import (
    PLAN,
    check_approval,
    check_ceremony,
    check_file,
    check_trusted,
    is_approved,
    next_step,
)
from chopmark.core.ceremony_text import CeremonyFile, check_line, parse_ceremony, parse_file
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.text import encode_base64
from mutations import is_canonical, mutated
from officers import CHAN, HO, LEE, Person
from softkeys import log_key

GOOD = ended()
FILE = signed(GOOD)
ABORTED = End("aborted", TIME + 900, "no time is left")


def code_of(ceremony: Ceremony) -> str:
    with pytest.raises(MalformedError) as caught:
        check_ceremony(parse_ceremony(ceremony.encode()))
    return caught.value.code


def test_protocol_is_read_as_it_was_written() -> None:
    file = parse_file(FILE)
    assert file.ceremony == GOOD
    assert file.encode() == FILE
    assert check_file(file) == (LOG.vkey, COSIGNER.vkey)
    for unfinished in (begun(), held("token"), held("read-aloud")):
        assert parse_file(unfinished.encode().encode()).ceremony == unfinished
        assert CeremonyFile(unfinished).encode() == unfinished.encode().encode()
        check_ceremony(unfinished)


def test_second_line_is_never_a_number() -> None:
    assert GOOD.encode().split("\n")[:2] == ["chopmark/ceremony/v1", f"origin {ORIGIN}"]


def test_hash_of_a_step_is_that_of_the_lines_above_it() -> None:
    lines = GOOD.encode().splitlines(keepends=True)
    at = [number for number, line in enumerate(lines) if line.startswith("hash ")]
    for number, index in enumerate(at[:-1], 1):
        digest = hashlib.sha256("".join(lines[:index]).encode()).hexdigest()
        assert lines[index] == f"hash {digest}\n"
        assert GOOD.hash_of(number).hex() == digest


LINE = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40)
WORDS = st.from_regex(r"\Ax-[a-z0-9-]{0,20}\Z")
RESULTS: list[Result] = ["done", "declined", "failed"]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    result = draw(st.sampled_from(RESULTS))
    begun_at = draw(st.integers(0, 2**32))
    facts = draw(st.dictionaries(WORDS, LINE, max_size=4))
    made = [Approval(n, draw(st.binary(min_size=1, max_size=80))) for n in draw(st.sets(ONE_TO_3))]
    reason = "" if result == "done" else draw(LINE)
    name = draw(WORDS)
    end = begun_at + draw(st.integers(0, 9999))
    return Step(name, begun_at, end, tuple(facts.items()), result, reason, tuple(made))


ONE_TO_3 = st.integers(1, 3)


ENDS = st.none() | st.builds(End, st.just("aborted"), st.integers(0, 2**32), LINE)


@given(st.lists(steps(), max_size=5), LINE, LINE, ENDS)
def test_any_protocol_is_read_as_it_was_written(
    some: list[Step], place: str, reason: str, end: End | None
) -> None:
    made = replace(begun(), place=place, notice=reason, steps=tuple(some), end=end)
    assert parse_ceremony(made.encode()) == made


@given(mutated(FILE))
def test_damaged_protocol_is_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_file, CeremonyFile.encode)
    if data != FILE:
        with pytest.raises(MalformedError):
            check_file(parse_file(data))


@pytest.mark.parametrize("name", PLAN)
def test_changed_byte_in_any_step_breaks_the_chain(name: str) -> None:
    text = GOOD.encode()
    start = text.index(f" {name}\nbegun ")
    for at in range(start, text.index("\nhash ", start), 7):
        other = "x" if text[at] != "x" else "y"
        changed = text[:at] + other + text[at + 1 :]
        with pytest.raises(MalformedError):
            check_ceremony(parse_ceremony(changed))
    with pytest.raises(RefusedError) as caught:
        parse_ceremony(text.replace(f"result done\nhash {_hash(name)}", _other_hash(name)))
    assert caught.value.code == "broken-chain"


def _hash(name: str) -> str:
    return GOOD.hash_of(PLAN.index(name) + 1).hex()


def _other_hash(name: str) -> str:
    return f"result done\nhash {hashlib.sha256(name.encode()).hexdigest()}"


@pytest.mark.parametrize("name", PLAN)
def test_step_altered_with_all_hashes_after_it_lacks_its_approvals(name: str) -> None:
    """Who writes the hashes anew cannot write the approvals anew."""
    number = PLAN.index(name)
    step = replace(GOOD.steps[number], facts=(*GOOD.steps[number].facts, ("x", "more")))
    changed = (*GOOD.steps[:number], step, *GOOD.steps[number + 1 :])
    assert code_of(replace(GOOD, steps=changed)) == "bad-signature"


@pytest.mark.parametrize("name", PLAN)
def test_step_left_out_is_noticed(name: str) -> None:
    left = tuple(one for one in GOOD.steps if one.name != name)
    assert code_of(replace(GOOD, steps=left)) in (
        "ceremony-order",
        "bad-signature",
        "officer-absent",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ceremony/v1", "ceremony/v2"),
        ("origin bank", "origin Bank"),
        ("origin bank-hk.example/hk-1\n", "7\n"),
        ("kind init", "kind other"),
        ("need 2", "need 02"),
        ("need 2", "need 0"),
        ("need 2", "need 4"),
        ("need 2\n", "need 2\nmore 1\n"),
        ("place Data", "place  Data"),
        ("place Data", f"place {'x' * MAX_VALUE}Data"),
        ("of Bank", "off Bank"),
        ("fingerprint ", "fingerprint 0"),
        ("certificate ", "certificates "),
        ("step 2 token", "step 3 token"),
        ("step 2 token", "step 02 token"),
        ("step 2 token", "step 2 Token"),
        ("step 2 token", "step 2"),
        ("firmware 7.4", "ended 7.4"),
        ("firmware 7.4", "hash 7.4"),
        ("firmware 7.4", "serial 7.4"),
        ("firmware 7.4", "Firmware 7.4"),
        ("firmware 7.4", "firmware"),
        ("result done", "result failed"),
        ("result done", "result done well"),
        ("result done", "result good reason"),
        ("T00:00:00Z", "T00:00:00"),
        ("T00:00:00Z", "T0:00:00Z"),
        ("approval 1 ", "approval 0 "),
        ("approval 1 ", "approval 4 "),
        ("approval 2 ", "approval 1 "),
        ("approval 1 ", "approval 1 ="),
        ("end completed", "end completed well"),
        ("end completed", "end aborted"),
        ("end completed", "end over reason"),
        ("end completed\n", "end completed\nstep 1\n"),
    ],
)
def test_protocol_rejects_other_spellings(old: str, new: str) -> None:
    text = GOOD.encode()
    assert old in text
    with pytest.raises(MalformedError):
        parse_ceremony(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "chopmark/ceremony/v1\n",
        GOOD.encode() + "\n",
        GOOD.encode()[:-1],
        GOOD.encode() + "\nstep 11 token\n",
        begun(()).encode(),
        f"{begun().encode()[:-1]}\r\n",
        begun().encode().rpartition("certificate ")[0],
    ],
)
def test_protocol_rejects_what_is_cut_or_longer(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_ceremony(text)


def test_protocol_rejects_too_much() -> None:
    many = tuple(Step("x", TIME, TIME) for _ in range(65))
    facts = tuple((f"x-{number}", "y") for number in range(41))
    officers = tuple(PresentOfficer(f"p{n}", "b", b"c") for n in range(17))
    for made in (
        replace(begun(), steps=many),
        begun().with_step(Step("x", TIME, TIME, facts)),
        replace(begun(), officers=officers),
        replace(begun(), notice="x" * 60_000),
    ):
        with pytest.raises(MalformedError):
            parse_ceremony(made.encode())
    with pytest.raises(MalformedError):
        parse_file(b"x" * 70_000)
    with pytest.raises(MalformedError):
        parse_file(b"\xff")


def test_line_is_checked() -> None:
    assert check_line("Au Wing", "a name") == "Au Wing"
    for bad in ("", " x", "a\tb", "x" * (MAX_VALUE + 1)):
        with pytest.raises(MalformedError):
            check_line(bad, "a name")


def changed(name: str, *, drop: str = "", **facts: str) -> Ceremony:
    """A ceremony in which a step says something else, approved as it stands."""
    given_facts = {word.replace("_", "-"): value for word, value in facts.items()}
    said = dict(FACTS[name]) | given_facts
    said.pop(drop, None)
    at = TIME + 60 * PLAN.index(name)
    return ended(held(changes={name: Step(name, at, at, tuple(said.items()))}))


def _cosigned(time: int) -> str:
    return encode_base64(COSIGNER.sign(HEAD, time).payload)


OTHER = log_key(ORIGIN, 9)
STRANGE = {
    "no serial": (changed("token", drop="serial"), "ceremony-facts"),
    "an officer of whom nothing is said": (changed("presence", drop="officer-3"), "ceremony-facts"),
    "an officer who is somewhere": (changed("presence", officer_3="somewhere"), "ceremony-facts"),
    "an officer who did not confirm": (changed("read-aloud", drop="officer-2"), "ceremony-facts"),
    "an officer who denied": (changed("read-aloud", officer_2="denied"), "ceremony-facts"),
    "another fingerprint": (changed("keys", log_fingerprint="0" * 64), "ceremony-facts"),
    "other words": (changed("keys", cosigner_words="babab"), "ceremony-facts"),
    "a log key that is none": (changed("keys", log_key="x"), "malformed-vkey"),
    "a signature by another key": (
        changed("self-test", log_signature=SIGNED[1][1]),
        "bad-signature",
    ),
    "a cosignature of a later time": (
        changed("self-test", cosigner_signature=_cosigned(TIME)),
        "bad-signature",
    ),
    "a signature that is none": (changed("restore-drill", log_signature="!"), "malformed-base64"),
    "one approval": (ended(held(by=[1])), "officers-missing"),
    "no approval": (ended(held(by=[])), "officers-missing"),
    "an approval by one who was absent": (ended(held(by=[1, 3])), "officer-absent"),
    "a step after the last one": (
        ended(held().with_step(Step("close", TIME + 800, TIME + 801))),
        "ceremony-order",
    ),
    "a clock that goes back": (
        held("token").with_step(Step("mechanisms", TIME, TIME, FACTS["mechanisms"])),
        "ceremony-order",
    ),
    "a step that ends before it begins": (
        begun().with_step(Step("presence", TIME, TIME - 1, FACTS["presence"])),
        "ceremony-order",
    ),
    "an end before its last step": (replace(held(), end=End("completed", TIME)), "ceremony-order"),
    "completed too early": (
        replace(held("keys"), end=End("completed", TIME + 900)),
        "ceremony-order",
    ),
    "a step declined that must be": (
        held("mechanisms").with_step(
            Step("go-ahead", TIME + 200, TIME + 200, (), "declined", "no")
        ),
        "ceremony-order",
    ),
    "keys of other roles": (
        changed(
            "keys",
            **{
                word.replace("cosigner", "log").replace("-", "_"): value
                for word, value in FACTS["keys"]
                if word.startswith("cosigner")
            },
        ),
        "ceremony-facts",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_protocol_that_breaks_a_rule_is_refused(name: str) -> None:
    ceremony, code = STRANGE[name]
    assert code_of(ceremony) == code


def test_one_person_twice_among_the_officers_is_refused() -> None:
    twin = Person("Chan Tai  Man", 9)
    same_key = Person("Somebody Else", 1)
    assert code_of(begun((CHAN, twin))) == "officers-missing"
    assert code_of(begun((CHAN, same_key))) == "officers-missing"
    assert check_ceremony(begun((CHAN, LEE, HO))) == ()


def test_approval_with_an_expired_certificate_is_refused() -> None:
    late = replace(CHAN, days=1)
    made = begun((late, LEE), need=1)
    for name in PLAN[:4]:
        facts = tuple(one for one in FACTS[name] if one[0] != "officer-3")
        made = made.with_step(Step(name, TIME, TIME, facts))
    approval = Approval(1, late.sign(made.approval_text(4)).signature)
    with pytest.raises(RefusedError) as caught:
        check_approval(made, 4, approval)
    assert caught.value.code == "certificate-expired"
    by_lee = made.with_approval(Approval(2, LEE.sign(made.approval_text(4)).signature))
    assert (is_approved(made, 4), is_approved(by_lee, 4)) == (False, True)


def test_nobody_approves_before_presence_was_written_down() -> None:
    made = begun().with_step(Step("presence", TIME, TIME, (), "failed", "nobody is here"))
    with pytest.raises(RefusedError) as caught:
        check_ceremony(approved(made, 1))
    assert caught.value.code == "officer-absent"


def test_failed_step_is_followed_by_another_try_of_it() -> None:
    made = held("presence")
    failed = Step("token", TIME + 60, TIME + 61, (), "failed", "no such token")
    resumed = Step("resumed", TIME + 70, TIME + 71, (("by", "Chan"),))
    again = Step("token", TIME + 80, TIME + 81, FACTS["token"])
    made = made.with_step(failed)
    assert next_step(made) == "token"
    made = made.with_step(resumed).with_step(again)
    assert next_step(made) == "mechanisms"
    assert check_ceremony(parse_ceremony(made.encode())) == ()
    assert (made.find("token"), made.find("keys")) == (again, None)
    skipped = Step("mechanisms", TIME + 90, TIME + 90)
    assert code_of(held("presence").with_step(failed).with_step(skipped)) == "ceremony-order"
    assert next_step(GOOD) is None


def test_backup_may_be_declined() -> None:
    at = TIME + 60 * 7
    declined = Step("backup", at, at, (("means", "none"),), "declined", "it comes next week")
    assert check_file(parse_file(signed(ended(held(changes={"backup": declined})))))


def test_aborted_ceremony_needs_neither_key_nor_last_approval() -> None:
    for upto in ("presence", "go-ahead", "keys"):
        made = replace(held(upto, by=[1] if upto == "go-ahead" else [1, 2]), end=ABORTED)
        assert len(check_file(parse_file(made.encode().encode()))) == (2 if upto == "keys" else 0)
    early = replace(held("token"), end=replace(ABORTED, time=TIME))
    assert code_of(early) == "ceremony-order"


def test_file_is_refused_unless_the_new_key_signed_it() -> None:
    for data, code in (
        (GOOD.encode().encode(), "no-known-signature"),
        (held().encode().encode(), "ceremony-unfinished"),
        (FILE.replace(b"need 2", b"need 1", 1), "broken-chain"),
    ):
        with pytest.raises(RefusedError) as caught:
            check_file(parse_file(data))
        assert caught.value.code == code


def test_signature_of_another_text_or_key_is_refused() -> None:
    file = parse_file(FILE)
    assert file.note is not None
    for other, code in (
        (LOG.sign(held().encode()), "bad-signature"),
        (OTHER.sign(GOOD.encode()), "no-known-signature"),
    ):
        note = replace(file.note, signatures=(other,))
        with pytest.raises(RefusedError) as caught:
            check_file(CeremonyFile(GOOD, note))
        assert caught.value.code == code


def test_reader_may_name_the_officers_whom_he_knows() -> None:
    check_trusted(GOOD, [one.certificate for one in (CHAN, LEE, HO)])
    with pytest.raises(RefusedError) as caught:
        check_trusted(GOOD, [CHAN.certificate, LEE.certificate])
    assert caught.value.code == "unknown-officer"
