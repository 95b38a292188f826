"""Leftovers: what may be destroyed, and what somebody has a claim to."""

import pytest

from chopmark.core.errors import ChopmarkError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.attributes import TokenKey
from chopmark.service.leftover import find_leftover, refuse_listed
from configs import ed25519, p256
from rosters import HK, founding

KEY = p256("", 7)
PAIR = TokenKey("left", KEY, 1, {})
WORDS = PAIR.fingerprint.words if PAIR.fingerprint else ""


def code_of(pairs: list[TokenKey], label: str = "left", words: str = WORDS) -> str:
    with pytest.raises(ChopmarkError) as error:
        find_leftover(pairs, label, words)
    return error.value.code


def test_leftover_is_found_by_both_facts() -> None:
    assert find_leftover([PAIR], "left", WORDS) == KEY


def test_leftover_of_another_label_or_fingerprint_is_missing() -> None:
    assert code_of([PAIR], "right") == "no-such-key"
    assert code_of([PAIR], words="lusab-babad") == "no-such-key"


def test_leftover_without_public_half_is_not_destroyed() -> None:
    assert code_of([TokenKey("left", None, 1, {})]) == "no-such-key"


def test_leftover_that_is_one_of_several_is_not_destroyed() -> None:
    assert code_of([PAIR, TokenKey("left", ed25519("", "x"), 1, {})]) == "ambiguous-key"
    assert code_of([TokenKey("left", KEY, 2, {})]) == "ambiguous-key"


@pytest.mark.parametrize("key", [HK.log.vkey, HK.cosigner.vkey])
def test_key_that_a_roster_names_is_no_leftover(key: VerifierKey) -> None:
    nameless = VerifierKey("", key.type, key.public)
    with pytest.raises(ChopmarkError) as error:
        refuse_listed("left", nameless, (), [founding()])
    assert error.value.code == "key-in-use"
    refuse_listed("left", KEY, (), [founding()])
