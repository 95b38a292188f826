"""What is wrong with a key pair, by what the token says of it."""

import pytest

from chopmark.hsm.attributes import TokenKey
from configs import ed25519, p256

GOOD = {
    "SENSITIVE": True,
    "ALWAYS_SENSITIVE": True,
    "EXTRACTABLE": False,
    "NEVER_EXTRACTABLE": True,
    "LOCAL": True,
    "SIGN": True,
    "DECRYPT": False,
    "UNWRAP": None,
    "DERIVE": False,
    "SIGN_RECOVER": True,
}
P256 = p256("", 3)


def test_good_key_has_nothing_wrong() -> None:
    assert TokenKey("a", P256, 1, GOOD, ("ECDSA",)).wrong == ()
    assert TokenKey("a", ed25519("", "x"), 1, GOOD, None).type == "ed25519"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("EXTRACTABLE", True, "EXTRACTABLE"),
        ("SENSITIVE", False, "not SENSITIVE"),
        ("LOCAL", None, "LOCAL is not told"),
        ("SIGN", False, "not SIGN"),
        ("DERIVE", True, "DERIVE"),
    ],
)
def test_wrong_attribute_is_named(name: str, value: object, wrong: str) -> None:
    assert TokenKey("a", P256, 1, GOOD | {name: value}).wrong == (wrong,)  # type: ignore[dict-item]


def test_local_is_asked_only_of_tokens_that_mark_their_own_keys() -> None:
    assert TokenKey("a", P256, 1, GOOD | {"LOCAL": False}).wrong == ("not LOCAL",)
    elsewhere = GOOD | {"LOCAL": False, "NEVER_EXTRACTABLE": False}
    for flags, wrong in ((GOOD | {"LOCAL": False}, ()), (elsewhere, ("not NEVER_EXTRACTABLE",))):
        assert TokenKey("a", P256, 1, flags, marks_local=False).wrong == wrong


def test_key_bound_to_other_mechanisms_is_wrong() -> None:
    assert TokenKey("a", P256, 1, GOOD, ("ECDSA", "ECDH1_DERIVE")).wrong == (
        "allowed for ECDH1_DERIVE",
    )


def test_halves_that_are_missing_or_too_many_are_named() -> None:
    assert TokenKey("a", P256, 0, {}).wrong == ("no private half",)
    assert TokenKey("a", P256, 2, {}).wrong == ("2 private halves have this label",)
    alone = TokenKey("a", None, 1, GOOD)
    assert (alone.type, alone.fingerprint, len(alone.wrong)) == ("other", None, 1)


def test_nothing_is_wrong_with_what_was_not_looked_at() -> None:
    assert TokenKey("a", P256, None, {}).wrong == ()
