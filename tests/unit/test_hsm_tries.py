"""When a PIN is not tried at all. The flags are put on by hand: no module of Debian has them."""

from types import SimpleNamespace
from typing import Any

import pytest
from pkcs11.constants import TokenFlag

from chopmark.hsm.book import Unkept
from chopmark.hsm.errors import PinRefusedError
from chopmark.hsm.quirks import ANY, Profile
from chopmark.hsm.token import _check_tries

USUAL = TokenFlag.LOGIN_REQUIRED | TokenFlag.USER_PIN_INITIALIZED


def token(flags: TokenFlag) -> Any:
    return SimpleNamespace(flags=USUAL | flags)


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        (TokenFlag.USER_PIN_LOCKED, "locked"),
        (TokenFlag.USER_PIN_FINAL_TRY, "one more wrong PIN would lock"),
        (TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_COUNT_LOW, "one more wrong PIN"),
    ],
)
def test_pin_is_not_tried_where_one_more_wrong_one_would_lock(flag: TokenFlag, reason: str) -> None:
    with pytest.raises(PinRefusedError, match=reason):
        _check_tries(token(flag), Unkept(), ANY)


def test_pin_that_was_refused_is_not_tried() -> None:
    with pytest.raises(PinRefusedError, match="it is wrong"):
        _check_tries(token(USUAL), Unkept(refused="it is wrong"), ANY)


def test_refusal_that_is_read_but_once_has_its_words() -> None:
    """The book lies on a disk, which may fail at one look and not at the next."""

    class Failing(Unkept):
        looks = 0

        @property
        def refused(self) -> str | None:
            self.looks += 1
            return "the note of it cannot be read" if self.looks == 1 else None

        @refused.setter
        def refused(self, reason: str | None) -> None:
            pass

    with pytest.raises(PinRefusedError, match="cannot be read"):
        _check_tries(token(USUAL), Failing(), ANY)


@pytest.mark.parametrize(("unfinished", "flag"), [(5, USUAL), (0, TokenFlag.USER_PIN_COUNT_LOW)])
def test_pin_is_tried_where_nothing_says_that_ours_was_wrong(
    unfinished: int, flag: TokenFlag
) -> None:
    _check_tries(token(flag), Unkept(unfinished=unfinished), ANY)


def test_pin_is_not_tried_after_a_cut_if_a_wrong_one_was_counted() -> None:
    with pytest.raises(PinRefusedError, match="counted a wrong try"):
        _check_tries(token(TokenFlag.USER_PIN_COUNT_LOW), Unkept(unfinished=1), ANY)


def test_pin_is_tried_once_more_after_a_cut_where_the_token_tells_nothing() -> None:
    silent = Profile(tells_tries=False)
    _check_tries(token(USUAL), Unkept(unfinished=1), silent)
    with pytest.raises(PinRefusedError, match="does not say"):
        _check_tries(token(USUAL), Unkept(unfinished=2), silent)
