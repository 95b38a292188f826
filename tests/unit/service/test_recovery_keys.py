"""Which of several keys in a token go on, by what peers have seen of them."""

import pytest

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.keys import VerifierKey
from chopmark.hsm.listing import LabelledKey, TokenKeys
from chopmark.service.config import parse_config
from chopmark.service.recovery_keys import choose
from chopmark.service.token import hsm_config
from configs import BASE
from softkeys import SoftKey, cosigner, log_key, sign_head

CONFIG = parse_config(BASE.encode())
ORIGIN = CONFIG.gateway.origin
LOGS = [log_key(ORIGIN, seed) for seed in (1, 2, 3)]
COSIGNERS = [
    cosigner(name, seed)
    for seed, name in ((4, f"{ORIGIN}/cosigner"), (5, f"{ORIGIN}/cosigner-7"), (6, "unknown"))
]
PEER = log_key("bank-sz.example/sz-1", 9)


def labelled(base: str, keys: list[SoftKey]) -> tuple[LabelledKey, ...]:
    """As the token shows them: a cosigner's name is not in it."""
    shown = []
    for number, one in enumerate(keys, 1):
        name = f"{ORIGIN}/cosigner" if "cosigner" in base else ORIGIN
        key = VerifierKey(name, one.vkey.type, one.vkey.public)
        shown.append(LabelledKey(base if number == 1 else f"{base}-{number}", number, key))
    return tuple(shown)


TOKEN = TokenKeys(labelled("chopmark-log", LOGS), labelled("chopmark-cosigner", COSIGNERS))


def own(size: int, key: SoftKey) -> bytes:
    return sign_head(Checkpoint(ORIGIN, size, bytes(32)), key)


def cosigned(time: int, key: SoftKey) -> bytes:
    return sign_head(Checkpoint(PEER.name, 5, bytes(32)), PEER, {key: time})


def chosen(*notes: bytes) -> tuple[str, str, str | None]:
    made = choose(CONFIG, hsm_config(CONFIG), TOKEN, notes)
    assert made.log_keys == tuple(key.vkey for key in LOGS)
    return made.hsm.log_label, made.hsm.cosigner_label, made.hsm.cosigner_name


@pytest.mark.parametrize(
    ("notes", "label"),
    [
        ([own(9, LOGS[0]), own(7, LOGS[1])], "chopmark-log"),
        ([own(7, LOGS[0]), own(9, LOGS[1])], "chopmark-log-2"),
        ([own(9, LOGS[1]), own(9, LOGS[0])], "chopmark-log-2"),
        ([own(9, LOGS[0]), b"no note", own(99, log_key(ORIGIN, 77))], "chopmark-log"),
        ([own(9, LOGS[0]), own(10, LOGS[2]).replace(b"\n10\n", b"\n99\n")], "chopmark-log"),
        ([cosigned(7, COSIGNERS[1])], "chopmark-log"),
    ],
)
def test_log_key_is_the_one_that_signed_the_largest_head(notes: list[bytes], label: str) -> None:
    assert chosen(*notes)[0] == label


def test_cosigner_is_the_one_that_cosigned_last_under_the_name_it_had() -> None:
    first, second, _ = COSIGNERS
    assert chosen(cosigned(5, first), cosigned(9, second))[1:] == (
        "chopmark-cosigner-2", f"{ORIGIN}/cosigner-7",
    )  # fmt: skip
    assert chosen(cosigned(9, first), cosigned(5, second))[1] == "chopmark-cosigner"


def test_cosignature_under_a_name_that_is_not_ours_counts_for_nothing() -> None:
    assert chosen(cosigned(9, COSIGNERS[2]))[1:] == ("chopmark-cosigner", None)


def test_last_keys_go_on_where_nobody_saw_any_and_the_first_are_gone() -> None:
    token = TokenKeys(TOKEN.log[1:], TOKEN.cosigner[1:])
    made = choose(CONFIG, hsm_config(CONFIG), token, []).hsm
    assert (made.log_label, made.cosigner_label, made.cosigner_name) == (
        "chopmark-log-3", "chopmark-cosigner-3", f"{ORIGIN}/cosigner-3",
    )  # fmt: skip


def test_later_keys_are_listed_with_their_labels_and_names() -> None:
    notes = [own(9, LOGS[1]), cosigned(9, COSIGNERS[1])]
    assert choose(CONFIG, hsm_config(CONFIG), TOKEN, notes).made == (
        (LOGS[1].vkey.encode(), "log", "chopmark-log-2"),
        (LOGS[2].vkey.encode(), "log", "chopmark-log-3"),
        (COSIGNERS[1].vkey.encode(), "cosigner", "chopmark-cosigner-2"),
    )
