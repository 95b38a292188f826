"""The contract, as bytes: what it is called with, what it answers, what it tells in events.

Its source is anchor/ChopmarkAnchor.sol; `contract.json` is what the compiler made of it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from chopmark.core.errors import MalformedError
from chopmark.core.text import MAX_INT

ANCHORED: Final = "0xd5476de467707d6ccd17fd636d49196362dc721de44dc2cb35bf56df38461bbc"
"""Topic of `Anchored(address,bytes32,uint64,uint64,uint64,bytes)`."""
_LATEST_OF: Final = bytes.fromhex("f07542cd")
"""Selector of `latestOf(address[],bytes32[])`."""
_WORD: Final = 32
_MOST: Final = 2**64
_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})*", re.ASCII | re.IGNORECASE)
_QUANTITY: Final = re.compile(r"0x[0-9a-f]{1,64}", re.ASCII | re.IGNORECASE)

Key = tuple[str, bytes]
"""An account (`0x…`, lower case), and SHA-256 of an origin: what the contract counts by."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest anchor of a log; all zero before the first.

    Attributes:
        number: how many there are.
        size: entries under its head.
        block: where it stands.
        note_hash: SHA-256 of its note.
    """

    number: int = 0
    size: int = 0
    block: int = 0
    note_hash: bytes = bytes(_WORD)


@dataclass(frozen=True, slots=True)
class Event:
    """One anchor, as an event tells of it. Nothing in it was checked.

    Attributes:
        number: 1 for the first of its account and origin, and so on without a gap.
        size: below 2^64, which is more than a log can have.
        previous: block of the one before it.
        block: where it stands, and `place` where in it: of the transaction, and of the event there.
        transaction: hash of the transaction.
    """

    account: str
    origin_hash: bytes
    number: int
    size: int
    previous: int
    note: bytes
    block: int
    place: tuple[int, int]
    transaction: str

    @property
    def key(self) -> Key:
        """What the contract counts it by."""
        return self.account, self.origin_hash


@cache
def load_contract() -> Mapping[str, Any]:
    """What the compiler made: `abi`, `bytecode`, `deployed` and `methods`."""
    made: Mapping[str, Any] = json.loads(files(__package__).joinpath("contract.json").read_bytes())
    return made


def encode_latest_of(keys: Sequence[Key]) -> bytes:
    """The call that asks for the newest anchors of many logs."""
    count = _word(len(keys))
    accounts = b"".join(bytes(12) + bytes.fromhex(account[2:]) for account, _ in keys)
    origins = b"".join(origin for _, origin in keys)
    second = 2 * _WORD + _WORD + len(accounts)
    return _LATEST_OF + _word(2 * _WORD) + _word(second) + count + accounts + count + origins


def decode_latest_of(data: bytes, count: int) -> list[Latest]:
    """Its answer.

    Raises:
        MalformedError: `malformed-answer`.
    """
    if len(data) != _WORD * (2 + 4 * count) or data[: 2 * _WORD] != _word(_WORD) + _word(count):
        raise malformed("the contract's answer has another length")
    words = [data[place : place + _WORD] for place in range(2 * _WORD, len(data), _WORD)]
    return [
        Latest(_small(number), _small(size), _small(block), note_hash)
        for number, size, block, note_hash in zip(*[iter(words)] * 4, strict=True)
    ]


def parse_event(log: object, contract: str) -> Event:
    """Read one item of the answer to `eth_getLogs`.

    Args:
        log: the item.
        contract: `0x…`, whose events were asked for: any other one could tell of whatever account.

    Raises:
        MalformedError: `malformed-answer`.
    """
    if not isinstance(log, dict) or log.get("removed") is True:
        raise malformed("an event is none")
    if _text(log.get("address")) != contract:
        raise malformed("an event is of another contract")
    topics = log.get("topics")
    if not isinstance(topics, list) or len(topics) != 4 or _text(topics[0]) != ANCHORED:
        raise malformed("an event is of another sort")
    data = read_bytes(log.get("data"))
    length = _small(data[96:128])
    note = data[128 : 128 + length]
    if _small(data[64:96]) != 96 or len(note) != length or len(data) != 128 + length + -length % 32:
        raise malformed("the note of an event is cut off")
    account = read_bytes(topics[1])
    if len(account) != _WORD or any(account[:12]):
        raise malformed("the account of an event is none")
    return Event(
        "0x" + account[12:].hex(),
        read_bytes(topics[2], _WORD),
        _small(read_bytes(topics[3], _WORD)),
        _small(data[:32]),
        _small(data[32:64]),
        note,
        read_number(log.get("blockNumber")),
        (read_number(log.get("transactionIndex")), read_number(log.get("logIndex"))),
        "0x" + read_bytes(log.get("transactionHash"), _WORD).hex(),
    )


def read_number(value: object) -> int:
    """A quantity such as `0x1f`, below 2^63: no block, nonce or number of a chain is larger.

    Raises:
        MalformedError: `malformed-answer`.
    """
    text = _text(value)
    if not _QUANTITY.fullmatch(text) or (number := int(text, 16)) > MAX_INT:
        raise malformed("a number is none, or too large")
    return number


def read_bytes(value: object, length: int | None = None) -> bytes:
    """Bytes such as `0x00ff`; raises as `read_number`."""
    text = _text(value)
    if not _HEX.fullmatch(text) or (length is not None and len(text) != 2 + 2 * length):
        raise malformed("bytes are none, or of another length")
    return bytes.fromhex(text[2:])


def malformed(why: str) -> MalformedError:
    """The error of an answer that makes no sense."""
    return MalformedError("malformed-answer", f"the node's answer makes no sense: {why}")


def _text(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD)


def _small(word: bytes) -> int:
    """A number below 2^64.

    Raises:
        MalformedError: `malformed-answer`.
    """
    number = int.from_bytes(word)
    if len(word) != _WORD or number >= _MOST:
        raise malformed("a number is missing, or too large")
    return number
