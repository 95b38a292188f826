"""Technicians, enrolments and a console's access for tests; keys and secrets are of no worth."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chopmark.console.access.judging import Access
from chopmark.console.access.store import Store
from chopmark.core.boxkey import BoxKey
from chopmark.core.enrolment import Duty, Heading, Person, Secret, make_enrolment
from chopmark.core.keys import ED25519, VerifierKey
from chopmark.core.note import Note, Signature

NOW = 1_795_305_600
DAY = 86_400
PIN = "271828"
HASH = (
    "$argon2id$v=19$m=32768,t=4,p=1$Y2hvcG1hcmsgdGVzdHMhIQ"
    "$XIUaeVgkD/Ane6wm0rJG+mK2rBkmWpzULvCwTkD8CGs"
)
"""Of the PIN."""
AUTHORITY = "bank-hk.example/console"
CODE = "ABCD-EFGH-IJKL-MNOP"
PEOPLE: tuple[Person, ...] = (
    Person("chan", "service"),
    Person("ho", "observe"),
    Person("lee", "service"),
)


def office(seed: int = 1) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def authority(seed: int = 1, name: str = AUTHORITY) -> VerifierKey:
    public = office(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return VerifierKey(name, ED25519, public)


@dataclass
class Telephone:
    """A technician's authenticator."""

    name: str
    counter: int = 0

    @property
    def totp(self) -> bytes:
        return sha256(f"totp {self.name}".encode()).digest()[:20]

    @property
    def hotp(self) -> bytes:
        return sha256(f"hotp {self.name}".encode()).digest()[:20]

    def by_clock(self, now: float) -> str:
        return pyotp.TOTP(_base32(self.totp)).at(int(now))

    def by_counter(self) -> str:
        self.counter += 1
        return pyotp.HOTP(_base32(self.hotp)).at(self.counter - 1)


def secret(name: str, hashed: str) -> Secret:
    phone = Telephone(name)
    return Secret(hashed, phone.totp, phone.hotp)


def heading(box: BoxKey, number: int = 1, people: Sequence[Person] = PEOPLE) -> Heading:
    return Heading(box, number, NOW, NOW + 365 * DAY, authority(), tuple(people))


def signed(made: Heading, hashed: str, seed: int = 1) -> bytes:
    """The file of an enrolment in which all have this hash of a PIN."""
    text = make_enrolment(made, [secret(one.id, hashed) for one in made.people]).encode()
    key = authority(seed)
    return Note(text, (Signature(key.name, key.key_id, office(seed).sign(text.encode())),)).encode()


class QuickHasher:
    """Stands in for Argon2, which takes a tenth of a second each time; some tests use the real."""

    async def check(self, known: str | None, pin: str) -> bool:
        return known == HASH and pin == PIN


@dataclass
class Box:
    """A box whose clock, uptime and sleep are the test's."""

    folder: Path
    now: float = NOW + 10.0
    up: float = 100.0
    kept: bool = True
    slept: list[float] = field(default_factory=list)
    hasher: Any = field(default_factory=QuickHasher)

    def __post_init__(self) -> None:
        self.key = Store(self.folder).make("SN-1", CODE)
        self.access = self.reopened()

    def reopened(self) -> Access:
        """As after a restart of the console: nothing is known but what is on the disk."""
        self.access = Access(
            *(Store(self.folder), self.hasher, lambda: self.up, lambda: self.now),
            *(lambda: self.kept, self._sleep),
        )
        return self.access

    async def enrol(self, number: int = 1, duties: dict[str, Duty] | None = None) -> bytes:
        people = PEOPLE if duties is None else [Person(*one) for one in sorted(duties.items())]
        data = signed(heading(self.key, number, people), HASH)
        await self.access.take(data, first=True)
        return data

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode()
