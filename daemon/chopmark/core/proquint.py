"""Proquints (D. S. Wilkerson, arXiv:0901.4016): bytes as words that can be read over a telephone.

Sixteen bits are one word of five letters, consonants and vowels in turn: `lusab`, `babad`.
"""

from typing import Final

_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"


def spell(data: bytes) -> str:
    """The words of an even number of bytes, joined by hyphens."""
    pairs = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return "-".join(_spell_word(number) for number in pairs)


def _spell_word(number: int) -> str:
    return "".join(
        (
            _CONSONANTS[number >> 12],
            _VOWELS[number >> 10 & 3],
            _CONSONANTS[number >> 6 & 15],
            _VOWELS[number >> 4 & 3],
            _CONSONANTS[number & 15],
        )
    )
