"""The texts that keys sign: each from an object of exactly one class, and only if it reads back.

A crafted origin or a subclass must not turn one thing into another that a key signs too (design:
what a key may sign).
"""

from collections.abc import Callable

from chopmark.core.ceremony import Ceremony
from chopmark.core.ceremony_rules import check_ceremony
from chopmark.core.ceremony_text import parse_ceremony
from chopmark.core.checkpoint import Checkpoint, parse_checkpoint
from chopmark.core.keys import VerifierKey
from chopmark.core.roster import Roster
from chopmark.core.roster_text import encode_roster, parse_roster
from chopmark.core.selftest import SelfTest, parse_self_test


def encode_checkpoint_text(
    checkpoint: Checkpoint, parse: Callable[[str], Checkpoint] = parse_checkpoint
) -> bytes:
    """The text of a head of a log; `parse` reads it back.

    Raises:
        TypeError: it is none.
        MalformedError, ValueError: it does not read back as itself.
    """
    if type(checkpoint) is not Checkpoint:
        raise TypeError(f"a Checkpoint is signed, and nothing else: {type(checkpoint).__name__}")
    text = checkpoint.encode()
    if parse(text) != checkpoint:
        raise ValueError("this checkpoint does not read back as itself")
    return text.encode()


def encode_roster_text(roster: Roster) -> bytes:
    """The text of a version of the roster; raises as `encode_checkpoint_text`."""
    if type(roster) is not Roster:
        raise TypeError(f"a Roster is signed, and nothing else: {type(roster).__name__}")
    text = encode_roster(roster)
    if parse_roster(text) != roster:
        raise ValueError("this roster does not read back as itself")
    return text.encode()


def encode_self_test_text(test: SelfTest) -> bytes:
    """The text of a self-test; raises as `encode_checkpoint_text`."""
    if type(test) is not SelfTest:
        raise TypeError(f"a SelfTest is signed, and nothing else: {type(test).__name__}")
    text = test.encode()
    if parse_self_test(text) != test:
        raise ValueError("this self-test does not read back as itself")
    return text


def encode_ceremony_text(ceremony: Ceremony, key: VerifierKey) -> bytes:
    """The text of a ceremony that was completed and made this key.

    Raises:
        RefusedError: it breaks a rule of `ceremony_rules`.
        TypeError, ValueError: as `encode_checkpoint_text`, or it did not make the key.
    """
    if type(ceremony) is not Ceremony:
        raise TypeError(f"a Ceremony is signed, and nothing else: {type(ceremony).__name__}")
    text = ceremony.encode()
    if parse_ceremony(text) != ceremony:
        raise ValueError("this ceremony does not read back as itself")
    if ceremony.end is None or ceremony.end.outcome != "completed":
        raise ValueError("this ceremony was not completed")
    if check_ceremony(ceremony)[:1] != (key,):
        raise ValueError(f"this ceremony did not make the key {key.encode()}")
    return text.encode()
