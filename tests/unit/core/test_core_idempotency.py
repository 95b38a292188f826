"""Idempotency keys, and what of a run they and duplicates stand for."""

import pytest

from chopmark.core.draft import Earlier, Recorded
from chopmark.core.errors import MalformedError
from chopmark.core.idempotency import MAX_KEY, key_reused, make_key, read_header

UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"
SAID = b'{"kind":"diploma"}'
KEY = make_key("uid 1000", UUID, SAID)


def test_key_is_the_same_for_the_same_request() -> None:
    assert make_key("uid 1000", UUID, SAID) == KEY


@pytest.mark.parametrize(("client", "text"), [("uid 1001", UUID), ("uid 1000", UUID[:-1])])
def test_another_clients_key_or_another_text_is_another_key(client: str, text: str) -> None:
    assert make_key(client, text, SAID).id != KEY.id


def test_client_and_text_cannot_be_shifted_into_each_other() -> None:
    assert make_key("a", "bc", SAID).id != make_key("ab", "c", SAID).id


def test_another_request_under_the_same_key_has_another_fingerprint() -> None:
    other = make_key("uid 1000", UUID, SAID + b" ")
    assert (other.id, other.fingerprint != KEY.fingerprint) == (KEY.id, True)


def test_fingerprint_is_not_found_without_the_key() -> None:
    assert make_key("uid 1000", UUID[:-1], SAID).fingerprint != KEY.fingerprint


@pytest.mark.parametrize("text", ["!", "~" * MAX_KEY, UUID])
def test_key_of_visible_characters_is_taken(text: str) -> None:
    assert make_key("uid 1000", text, SAID).id


@pytest.mark.parametrize("text", ["", "a" * (MAX_KEY + 1), "a b", 'a"', "a\\", "a\n", "é"])
def test_key_of_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        make_key("uid 1000", text, SAID)
    assert caught.value.code == "malformed-key"


@pytest.mark.parametrize("value", [b'"abc"', b"abc", b' \t"abc" '])
def test_header_is_read_with_and_without_quotes(value: bytes) -> None:
    assert read_header(value) == "abc"


@pytest.mark.parametrize("value", [b'"abc', b'abc"', b'"a", "b"', b"\xff"])
def test_header_that_is_no_string_makes_no_key(value: bytes) -> None:
    with pytest.raises(MalformedError):
        make_key("uid 1000", read_header(value), SAID)


def test_key_that_was_used_says_how_keys_are_used() -> None:
    assert (key_reused().code, "new key" in key_reused().hint) == ("key-reused", True)


@pytest.mark.parametrize(
    ("recorded", "last"),
    [
        (Recorded(5, 2, 0), 6),
        (Recorded(5, 2, 0, {0: Earlier(9, 0)}), 6),
        (Recorded(5, 0, 0, {0: Earlier(2, 0), 1: Earlier(3, 0)}), 3),
        (Recorded(5, 0, 0, {0: Earlier(2, 0), 1: key_reused()}), 2),
        (Recorded(5, 0, 0, {0: key_reused()}), -1),
    ],
)
def test_last_entry_of_a_run_is_new_or_else_the_newest_it_stands_for(
    recorded: Recorded, last: int
) -> None:
    assert recorded.last == last
