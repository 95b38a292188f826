"""What `chopmark hsm doctor` finds out about a module and a token, before anybody judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pkcs11.constants import TokenFlag
from pkcs11.mechanisms import Mechanism

from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.tokeninfo import Room

NEEDED: Final = (
    Mechanism.EC_KEY_PAIR_GEN,
    Mechanism.ECDSA,
    Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
    Mechanism.EDDSA,
)
"""The mechanisms that matter to us; the latter two for Ed25519 only."""


@dataclass(frozen=True, slots=True)
class Library:
    """The module, by its own words."""

    path: str
    manufacturer: str
    description: str
    version: str
    cryptoki: str


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """One slot.

    Attributes:
        number: its id.
        description: what the module calls it.
        token: label and serial number of the token in it, or None.
        fault: why it does not answer, or None.
    """

    number: int
    description: str
    token: str | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """The token that is meant."""

    label: str
    serial: str
    manufacturer: str
    model: str
    firmware: str
    flags: TokenFlag
    room: Room | None = None


@dataclass(frozen=True, slots=True)
class MechanismFacts:
    """One mechanism of the token: sizes of keys as it counts them, and what it may be used for."""

    smallest: int
    largest: int
    signs: bool
    generates: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """Something that was tried on a throw-away key.

    Attributes:
        name: `wrong-length`, `loosen`, `read-private` or `bind-mechanism`.
        refused: why the token refused it, or None if it did it.
    """

    name: str
    refused: str | None


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a key signs: each signature timed by itself, one after the other.

    Attributes:
        label: of the key.
        count: signatures made, all of which verified.
        seconds: that they took together.
        p50: the median, in milliseconds.
        p99: what 99 of 100 stay within, in milliseconds.
    """

    label: str
    count: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Signatures a second."""
        return self.count / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Where looking further was not possible: what for, why, and what to do."""

    name: str
    message: str
    hint: str = ""


@dataclass(slots=True)
class Facts:
    """All of it; what was not reached is None or empty."""

    library: Library | None = None
    warning: str | None = None
    """What must be said about tokens of this make."""
    slots: tuple[SlotFacts, ...] = ()
    token: TokenFacts | None = None
    mechanisms: Mapping[Mechanism, MechanismFacts | None] = field(default_factory=dict)
    keys: tuple[TokenKey, ...] | None = None
    logged_in: bool = False
    keeps_data: str | None = None
    """`kept`, or why the token takes no private data object; None if not tried."""
    probes: tuple[Probe, ...] | None = None
    no_probes: str | None = None
    """Why there is no throw-away key to try things on."""
    chain_curve: str | None = None
    """`made`, or why the token makes no key on the curve of chain accounts; None if not tried."""
    speed: Speed | None = None
    failures: list[Failure] = field(default_factory=list)
