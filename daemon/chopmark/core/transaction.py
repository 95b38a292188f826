"""Transactions for FISCO BCOS's Web3 interface, and the one that a gateway signs: an anchor.

Legacy transactions with a chain id (EIP-155): every node takes them, and no other chain does. The
price of gas is 0, as these chains have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chopmark.core.checkpoint import Checkpoint, parse_checkpoint
from chopmark.core.keccak import keccak_256
from chopmark.core.note import parse_note

ANCHOR: Final = bytes.fromhex("a7b1ba17")
"""Selector of `anchor(bytes32,uint64,bytes)`."""
GAS: Final = 2_000_000
"""What an anchor may use: a note of the largest size needs half of it."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that is still to be signed.

    Attributes:
        chain_id: of the chain; positive.
        nonce: how many transactions the account has made before.
        gas: what it may use.
        to: the contract, 20 bytes; empty to create one.
        data: what the contract is told.
    """

    chain_id: int
    nonce: int
    gas: int
    to: bytes
    data: bytes

    def digest(self) -> bytes:
        """What is signed, 32 bytes."""
        return keccak_256(_list([*self._fields(), self.chain_id, 0, 0]))

    def signed(self, r: int, s: int, recovery: int) -> bytes:
        """The bytes that are sent."""
        return _list([*self._fields(), 35 + 2 * self.chain_id + recovery, r, s])

    def _fields(self) -> list[int | bytes]:
        return [self.nonce, 0, self.gas, self.to, 0, self.data]


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head of our log that goes on the chain: the only thing that the account's key signs.

    Attributes:
        chain_id: of the chain; positive.
        contract: 20 bytes.
        nonce: how many transactions the account has made before.
        note: the checkpoint note.
    """

    chain_id: int
    contract: bytes
    nonce: int
    note: bytes

    @property
    def checkpoint(self) -> Checkpoint:
        """The head in the note; its signatures are not looked at.

        Raises:
            MalformedError: it is none.
        """
        return parse_checkpoint(parse_note(self.note).text)

    def transaction(self) -> Transaction:
        """The call of `anchor`.

        Raises:
            MalformedError: the note is none of a checkpoint.
            ValueError: chain, contract or nonce is none.
        """
        if self.chain_id <= 0 or self.nonce < 0 or len(self.contract) != 20:
            raise ValueError("not an anchor: chain id, contract or nonce is none")
        head = self.checkpoint
        call = ANCHOR + origin_hash(head.origin) + _word(head.size) + _word(96)
        data = call + _word(len(self.note)) + self.note + bytes(-len(self.note) % 32)
        return Transaction(self.chain_id, self.nonce, GAS, self.contract, data)


def origin_hash(origin: str) -> bytes:
    """What the contract calls a log: SHA-256 of its origin."""
    return sha256(origin.encode()).digest()


def to_transaction(anchor: Anchor, origin: str) -> Transaction:
    """The transaction that anchors a head of the log with this origin; nothing else is signed.

    Raises:
        TypeError: it is no `Anchor`.
        MalformedError, ValueError: its note is none of a head of that log, or a number is none.
    """
    if type(anchor) is not Anchor:
        raise TypeError(f"an Anchor is signed, and nothing else: {type(anchor).__name__}")
    if anchor.checkpoint.origin != origin:
        raise ValueError(f"the account of {origin} anchors no other log's heads")
    return anchor.transaction()


def transaction_hash(raw: bytes) -> str:
    """By which nodes know a transaction that was signed: `0x` and 64 hexadecimal digits."""
    return "0x" + keccak_256(raw).hex()


def _word(number: int) -> bytes:
    return number.to_bytes(32)


def _list(items: Sequence[int | bytes]) -> bytes:
    """Recursive length prefix, of one list of numbers and strings of bytes."""
    body = b"".join(map(_string, items))
    return _prefix(0xC0, len(body)) + body


def _string(item: int | bytes) -> bytes:
    data = item if isinstance(item, bytes) else item.to_bytes((item.bit_length() + 7) // 8)
    if len(data) == 1 and data[0] < 0x80:
        return data
    return _prefix(0x80, len(data)) + data


def _prefix(kind: int, length: int) -> bytes:
    if length < 56:
        return bytes([kind + length])
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([kind + 55 + len(size)]) + size
