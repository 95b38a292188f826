"""Which versions of the mesh's protocol a gateway speaks (docs/formats/mesh.md#versions).

Rules:
1. A release speaks version n, and n - 1 if there is one: members update one by one, over months.
2. What a version adds, earlier ones skip: unknown keys of a map, unknown kinds of topics. Only what
   a gateway of the version before would misread makes a new version.
3. A status says which versions a gateway speaks, in keys that no version changes.
4. Two gateways without a version in common ask each other nothing. What is signed is still taken:
   it proves itself, or is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions that a gateway speaks, from the oldest to the newest."""

    newest: int
    oldest: int

    def meets(self, other: "Versions") -> bool:
        """Whether there is one that both speak."""
        return self.oldest <= other.newest and other.oldest <= self.newest

    def __str__(self) -> str:
        same = self.newest == self.oldest
        return str(self.newest) if same else f"{self.oldest} to {self.newest}"


OURS: Final = Versions(newest=1, oldest=1)
"""What this software speaks."""


def in_use(peers: Iterable[Versions]) -> int:
    """The newest version that we and all of these speak; those with none in common do not count."""
    return min([OURS.newest, *(peer.newest for peer in peers if OURS.meets(peer))])
