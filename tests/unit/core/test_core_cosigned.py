"""Cosignatures of one head, and the note that is made of them."""

from dataclasses import replace

from chopmark.core.checkpoint import Checkpoint, open_checkpoint
from chopmark.core.cosigned import MAX_LINES, Cosignatures
from chopmark.core.note import parse_note
from chopmark.core.policy import Policy
from softkeys import SoftKey, cosigner, log_key, sign_head

ORIGIN = "bank-hk.example/hk-1"
LOG = log_key(ORIGIN)
HEAD = Checkpoint(ORIGIN, 7, bytes(32))
WITNESSES = [cosigner(f"bank-{n}.example/b-{n}/cosigner", n + 10) for n in range(20)]


def policy(threshold: int, *needed: SoftKey) -> Policy:
    names = {key.name: key.vkey for key in WITNESSES}
    group = {"g": (threshold, tuple(key.name for key in needed))}
    return Policy((LOG.vkey,), names, group, "g")


def collect(times: dict[SoftKey, int]) -> Cosignatures:
    made = Cosignatures(HEAD, LOG.sign(HEAD.encode()))
    for key, time in times.items():
        assert made.add(key.vkey, time, key.sign(HEAD.encode(), time))
    return made


def test_note_has_the_log_first_then_a_minimal_quorum_then_others_as_they_fit() -> None:
    needed = WITNESSES[15:18]
    made = collect({key: 100 + n for n, key in enumerate(WITNESSES)})

    note = parse_note(made.note(policy(2, *needed)))

    names = [line.name for line in note.signatures]
    assert len(names) == MAX_LINES
    assert names[:3] == [ORIGIN, WITNESSES[15].name, WITNESSES[16].name]
    assert set(names[3:]) == {key.name for key in WITNESSES[:12]}


def test_note_has_the_notaries_among_the_first() -> None:
    made = collect({key: 100 + n for n, key in enumerate(WITNESSES)})
    notary = WITNESSES[19]
    asked = replace(policy(1, WITNESSES[15]), notaries={"diploma": (1, (notary.name,))})

    names = [line.name for line in parse_note(made.note(asked)).signatures]

    assert len(names) == MAX_LINES
    assert names[1:3] == [WITNESSES[15].name, notary.name]


def test_note_verifies_with_all_its_lines() -> None:
    made = collect({WITNESSES[0]: 5, WITNESSES[1]: 6})
    data = made.note(policy(2, *WITNESSES[:2]))

    signed = open_checkpoint(data, LOG.vkey, [key.vkey for key in WITNESSES])

    assert signed.checkpoint == HEAD
    assert {one.time for one in signed.verified} == {0, 5, 6}
    assert signed.log_note() == parse_note(sign_head(HEAD, LOG))


def test_quorum_existed_by_the_time_of_the_last_that_it_needed() -> None:
    made = collect({WITNESSES[0]: 50, WITNESSES[1]: 90, WITNESSES[2]: 70})

    assert made.existed_by(policy(2, *WITNESSES[:3])) == 70
    assert made.existed_by(policy(4, *WITNESSES[:4])) is None


def test_of_one_key_the_first_cosignature_stays() -> None:
    made = collect({WITNESSES[0]: 50})

    assert not made.add(WITNESSES[0].vkey, 60, WITNESSES[0].sign(HEAD.encode(), 60))
    assert made.lines[WITNESSES[0].vkey][0] == 50
