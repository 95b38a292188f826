"""Keccak-256 as Ethereum and FISCO BCOS have it: SHA-3 before its padding was changed.

No library that we depend on has it. Less than a millisecond for each 136 bytes: it hashes one
transaction every some minutes, and a test compares the permutation with that of `hashlib`.
"""

from collections.abc import Sequence
from typing import Final

_RATE: Final = 136
"""Bytes that each round of 1600 bits takes in, of a digest of 256 bits (FIPS 202 §5.2)."""
_MASK: Final = (1 << 64) - 1
_PLACES: Final = tuple(x + 5 * y for y in range(5) for x in range(5))


def keccak_256(data: bytes, suffix: int = 0x01) -> bytes:
    """The digest, 32 bytes.

    Args:
        data: what is hashed.
        suffix: the byte at which padding begins: 0x01, or 0x06 for SHA3-256.
    """
    state = [0] * 25
    short = _RATE - len(data) % _RATE
    padded = bytearray(data + bytes([suffix]) + bytes(short - 1))
    padded[-1] |= 0x80
    for start in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            place = start + 8 * lane
            state[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        state = _permute(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def _rotate(lane: int, by: int) -> int:
    return ((lane << by) | (lane >> (64 - by))) & _MASK


def _permute(state: list[int]) -> list[int]:
    """Keccak-f[1600] (FIPS 202 §3.3): lane x, y stands at x + 5y."""
    for constant in _CONSTANTS:
        columns = [
            state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20]
            for x in range(5)
        ]
        mixed = [columns[x - 1] ^ _rotate(columns[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * 25
        for source, target, by in _MOVES:
            moved[target] = _rotate(state[source] ^ mixed[source % 5], by)
        state = [
            moved[place]
            ^ (
                ~moved[place - place % 5 + (place + 1) % 5]
                & moved[place - place % 5 + (place + 2) % 5]
            )
            for place in _PLACES
        ]
        state[0] ^= constant
    return state


def _make_moves() -> list[tuple[int, int, int]]:
    """Where each lane goes, and by how much it is rotated (ρ and π, FIPS 202 §3.2.2 and §3.2.3)."""
    moves = [(0, 0, 0)]
    x, y = 1, 0
    for step in range(24):
        by = (step + 1) * (step + 2) // 2 % 64
        target = y + 5 * ((2 * x + 3 * y) % 5)
        moves.append((x + 5 * y, target, by))
        x, y = y, (2 * x + 3 * y) % 5
    return moves


def _make_constants() -> list[int]:
    """One for each round (ι, FIPS 202 §3.2.5): bits of a shift register of eight bits."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for power in range(7):
            constant |= (register & 1) << ((1 << power) - 1)
            register <<= 1
            register ^= 0x171 * (register >> 8)
        constants.append(constant)
    return constants


_MOVES: Final[Sequence[tuple[int, int, int]]] = _make_moves()
_CONSTANTS: Final[Sequence[int]] = _make_constants()
