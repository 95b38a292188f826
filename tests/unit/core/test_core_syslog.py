"""Audit records as syslog messages (RFC 5424)."""

import re

from hypothesis import given
from hypothesis import strategies as st

from chopmark.core.audit import Record
from chopmark.core.syslog import MAX_MESSAGE, Sender, encode_message, frame_message

SENDER = Sender("hk-box.bank.example", "hk-1", "bank-hk.example/hk-1")
CHAIN = bytes(range(32))
RECORD = Record(1_795_305_600_123, "unix uid=1000 pid=5", "revocation", "done", {"index": 5})
_VALUE = r'"((?:[^"\\\]]|\\["\\\]])*)"'
_ELEMENT = rf"\[[!-~]{{1,32}}(?: [!-<>-Z^-~]{{1,32}}={_VALUE})*\]"
MESSAGE = re.compile(
    r"<1(?:08|09)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]{1,255} chopmark - [!-~]{1,32} "
    rf"{_ELEMENT}(?:{_ELEMENT})? [ -~]*"
)
"""What RFC 5424 §6 allows of what we write."""


def test_message_has_header_data_and_text() -> None:
    said = (
        "<109>1 2026-11-22T00:00:00.123Z hk-box.bank.example chopmark - revocation "
        '[record@32473 id="hk-1" origin="bank-hk.example/hk-1" number="17" '
        f'chain="{CHAIN.hex()}" actor="unix uid=1000 pid=5" action="revocation" outcome="done"]'
        '[about@32473 index="5"] revocation by unix uid=1000 pid=5: done'
    )
    assert encode_message(SENDER, 17, CHAIN, RECORD).decode() == said


def test_what_was_refused_is_a_warning_and_about_nothing_has_no_element() -> None:
    record = Record(0, "gateway", "hsm.unlocked", "pin-latched")
    said = encode_message(Sender("", "hk-1", "o", 64512), 0, CHAIN, record).decode()
    assert said.startswith(
        "<108>1 1970-01-01T00:00:00.000Z - chopmark - hsm.unlocked [record@64512 "
    )
    assert said.endswith('outcome="pin-latched"] hsm.unlocked by gateway: pin-latched')


def test_quotes_backslashes_brackets_and_control_characters_do_no_harm() -> None:
    record = Record(0, 'a"b\\c]d\n\x1b[1m', "x", about={"k": "é\x00\x9b"})
    said = encode_message(SENDER, 0, CHAIN, record).decode()
    assert r'actor="a\"b\\c\]d��[1m"' in said
    assert '[about@32473 k="é��"]' in said
    assert said.endswith(r' x by a"b\c]d??[1m: done')


def test_message_that_is_too_large_says_that_it_is_cut() -> None:
    about = {f"k{number}": '"' * 250 for number in range(16)}
    large = encode_message(SENDER, 0, CHAIN, Record(0, "gateway", "x", about=about))
    assert b'[about@32473 cut="true"]' in large
    assert len(large) < MAX_MESSAGE


def test_frame_is_the_length_in_decimal_and_a_space() -> None:
    assert frame_message("é".encode()) == b"2 \xc3\xa9"


@given(
    st.text(max_size=64),
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True),
    st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True),
        st.text(max_size=64) | st.integers(0, 2**63 - 1),
        max_size=3,
    ),
)
def test_any_record_makes_a_message_of_the_form(
    text: str, name: str, about: dict[str, str | int]
) -> None:
    record = Record(5, text or "x", name, about=about)
    sender = Sender(text, "hk-1", "bank-hk.example/hk-1")
    assert MESSAGE.fullmatch(encode_message(sender, 3, CHAIN, record).decode("utf-8"))
