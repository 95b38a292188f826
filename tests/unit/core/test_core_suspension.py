"""Suspensions by emergency keys, and what travels about rosters."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given

from chopmark.core.cbor import encode_cbor
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError
from chopmark.core.note import Note
from chopmark.core.roster_message import (
    MAX_MESSAGE,
    MAX_SUSPENSIONS,
    MAX_VERSIONS,
    RosterMessage,
    make_message,
    parse_message,
)
from chopmark.core.suspension import (
    MAX_SUSPENSION,
    Suspension,
    emergency_name,
    open_suspension,
    parse_suspension,
)
from mutations import is_canonical, mutated
from rosters import HK, SZ, founding, with_member

FOUNDING = founding()
SUSPENSION = Suspension("hk-1", HK.origin, 1795305600)
TEXT = SUSPENSION.encode()


def test_suspension_by_the_emergency_key_is_read() -> None:
    assert emergency_name(HK.origin) == HK.emergency.name
    signed = open_suspension(HK.suspend(), FOUNDING)
    assert signed.suspension == SUSPENSION
    more = Note(TEXT, (SZ.log.sign(TEXT), HK.emergency.sign(TEXT)))
    assert open_suspension(more.encode(), FOUNDING) == signed


WRONG = {
    "header": TEXT.replace("suspension/v1", "roster/v1"),
    "no origin": TEXT.replace(f"origin {HK.origin}\n", ""),
    "id": TEXT.replace("hk-1\n", "HK\n", 1),
    "origin of another thing": TEXT.replace(HK.origin, "chopmark/x"),
    "time": TEXT.replace("since 2", "since x"),
    "time in one digit": TEXT.replace("since 2026-11-22", "since 2026-11-2"),
    "line too many": TEXT + "x\n",
    "no line feed": TEXT[:-1],
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_other_texts_are_refused(text: str) -> None:
    assert text != TEXT
    with pytest.raises(MalformedError):
        parse_suspension(text)


@given(mutated(TEXT.encode()))
def test_mutated_suspensions_are_refused_or_canonical(data: bytes) -> None:
    text = data.decode("utf-8", "replace").encode()
    assert is_canonical(
        text, lambda given: parse_suspension(given.decode()), lambda read: read.encode().encode()
    )


def by(sign: Callable[[str], object], text: str = TEXT) -> bytes:
    return Note(text, (sign(text),)).encode()  # type: ignore[arg-type]  # a signature


def test_suspension_by_any_other_key_is_refused() -> None:
    for data in (by(HK.log.sign), by(SZ.emergency.sign), HK.suspend()[:-8] + b"AAAAAA=\n"):
        with pytest.raises(ChopmarkError):
            open_suspension(data, FOUNDING)
    foreign = Suspension("sz-1", SZ.origin, 1795305600).encode()
    with pytest.raises(RefusedError):
        open_suspension(by(HK.emergency.sign, foreign), FOUNDING)


def test_suspension_of_whom_the_roster_does_not_name_so_is_refused() -> None:
    crossed = Suspension("hk-1", SZ.origin, 1795305600).encode()
    stranger = Suspension("xx-1", SZ.origin, 1795305600).encode()
    without = msgspec.structs.replace(
        FOUNDING, member=with_member(FOUNDING, "hk-1", emergency=None)
    )
    for data, roster in (
        (by(HK.emergency.sign, crossed), FOUNDING),
        (by(HK.emergency.sign, stranger), FOUNDING),
        (HK.suspend(), without),
    ):
        with pytest.raises(RefusedError) as error:
            open_suspension(data, roster)
        assert error.value.code == "no-such-member"


def test_suspension_too_large_is_refused() -> None:
    with pytest.raises(MalformedError):
        open_suspension(HK.suspend() + bytes(MAX_SUSPENSION), FOUNDING)


def test_message_carries_as_many_versions_as_fit() -> None:
    notes = [b"%d" % number * 20_000 for number in range(5)]
    made = make_message(notes, [HK.suspend()] * 9)
    assert made.rosters == tuple(notes[2:])
    assert made.suspensions == (HK.suspend(),) * MAX_SUSPENSIONS
    assert parse_message(made.encode()) == made
    assert make_message([b"x"] * 99, []).rosters == (b"x",) * MAX_VERSIONS
    assert make_message([], []) == RosterMessage(())


@pytest.mark.parametrize(
    "value",
    [
        [],
        {0: []},
        {0: [], 1: [], 2: []},
        {0: b"", 1: []},
        {0: ["x"], 1: []},
        {0: [b"x"] * (MAX_VERSIONS + 1), 1: []},
        {0: [], 1: [b"x"] * (MAX_SUSPENSIONS + 1)},
        {0: [bytes(MAX_MESSAGE)], 1: []},
    ],
    ids=range(8),
)
def test_other_messages_are_refused(value: object) -> None:
    with pytest.raises(MalformedError) as error:
        parse_message(encode_cbor(value))
    assert error.value.code == "malformed-roster-message"


@given(mutated(RosterMessage((b"one", b"two"), (b"three",)).encode()))
def test_mutated_messages_are_refused_or_canonical(data: bytes) -> None:
    assert is_canonical(data, parse_message, RosterMessage.encode)
