"""Key ceremonies (docs/formats/ceremony.md): the protocol of who was there, and what was done.

The text of a signed note. Each step ends with the hash of everything above it, so that no step can
be left out or changed later, and officers approve by signing that hash. Here is what it says and
how it is written; `ceremony_text` reads it, `ceremony_rules` says which one is good.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from chopmark.core.officers import fingerprint
from chopmark.core.proquint import spell
from chopmark.core.text import encode_base64

HEADER: Final = "chopmark/ceremony/v1"
APPROVAL_HEADER: Final = "chopmark/ceremony-approval/v1"
MAX_OFFICERS: Final = 16
MAX_STEPS: Final = 64
MAX_FACTS: Final = 40
MAX_VALUE: Final = 600
"""Characters of what a line says: a vkey with a long name, and room to spare."""
TIME: Final = "%Y-%m-%dT%H:%M:%SZ"

Kind = Literal["init", "rotate-log", "rotate-cosigner"]
Result = Literal["done", "declined", "failed"]
Outcome = Literal["completed", "aborted"]


@dataclass(frozen=True, slots=True)
class PresentOfficer:
    """Somebody who may approve: name and institution, and the X.509 certificate (DER)."""

    name: str
    institution: str
    certificate: bytes

    def encode(self) -> str:
        """Its four lines."""
        return (
            f"officer {self.name}\nof {self.institution}\n"
            f"fingerprint {fingerprint(self.certificate)}\n"
            f"certificate {encode_base64(self.certificate)}\n"
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """An officer's signature over a step's hash.

    Attributes:
        officer: its number in the head of the text, from 1.
        signature: over `Ceremony.approval_text`.
    """

    officer: int
    signature: bytes

    def encode(self) -> str:
        """Its line."""
        return f"approval {self.officer} {encode_base64(self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: which one; see `ceremony_rules.PLANS`.
        begun: seconds since the Unix epoch.
        ended: the same.
        facts: what was seen and said: a word, unique in its step, and a line of text.
        result: how it ended.
        reason: why it was declined or failed; empty if it is done.
        approvals: signatures over the hash of all up to here.
    """

    name: str
    begun: int
    ended: int
    facts: tuple[tuple[str, str], ...] = ()
    result: Result = "done"
    reason: str = ""
    approvals: tuple[Approval, ...] = ()

    def fact(self, word: str) -> str:
        """What a fact says; empty if there is no such fact."""
        return dict(self.facts).get(word, "")

    def encode(self, number: int) -> str:
        """The lines that its hash covers, besides all before them."""
        facts = "".join(f"{word} {value}\n" for word, value in self.facts)
        return (
            f"\nstep {number} {self.name}\nbegun {encode_time(self.begun)}\n{facts}"
            f"ended {encode_time(self.ended)}\nresult {f'{self.result} {self.reason}'.rstrip()}\n"
        )

    def add_to(self, above: str, number: int) -> str:
        """The text above it with this step, its hash and its approvals."""
        approvals = "".join(one.encode() for one in self.approvals)
        return seal(above + self.encode(number)) + approvals


@dataclass(frozen=True, slots=True)
class End:
    """How a ceremony ended: when, and why it was aborted, if it was."""

    outcome: Outcome
    time: int
    reason: str = ""

    def encode(self) -> str:
        """Its lines, without the hash."""
        what = f"{self.outcome} {self.reason}".rstrip()
        return f"\nend {what}\ntime {encode_time(self.time)}\n"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """The protocol, which may not have ended yet.

    Attributes:
        origin: of the log whose keys are made.
        kind: what for.
        gateway: its member id.
        institution: that owns it.
        place: where it was held.
        software: name and version of the program that led through it.
        need: so many officers must approve.
        officers: who may.
        notice: what every reader must know, such as that it is a rehearsal; or empty.
        steps: in their order.
        end: how it ended, or None.
    """

    origin: str
    kind: Kind
    gateway: str
    institution: str
    place: str
    software: str
    need: int
    officers: tuple[PresentOfficer, ...]
    notice: str = ""
    steps: tuple[Step, ...] = ()
    end: End | None = None

    def encode(self) -> str:
        """The text of the note."""
        text = self.until(len(self.steps))
        if self.end is not None:
            text = seal(text + self.end.encode())
        return text

    def until(self, count: int) -> str:
        """The text up to and with so many steps and their approvals."""
        text = self._head()
        for number, step in enumerate(self.steps[:count], 1):
            text = step.add_to(text, number)
        return text

    def hash_of(self, number: int) -> bytes:
        """The hash at the end of a step, counted from 1."""
        text = self.until(number - 1) + self.steps[number - 1].encode(number)
        return hashlib.sha256(text.encode()).digest()

    def approval_text(self, number: int) -> str:
        """What an officer signs to approve a step, counted from 1."""
        name = self.steps[number - 1].name
        digest = self.hash_of(number).hex()
        return f"{APPROVAL_HEADER}\norigin {self.origin}\nstep {number} {name}\nhash {digest}\n"

    def with_step(self, step: Step) -> "Ceremony":
        """The same with one more step."""
        return replace(self, steps=(*self.steps, step))

    def with_approval(self, approval: Approval) -> "Ceremony":
        """The same with an approval of the last step."""
        *before, last = self.steps
        last = replace(last, approvals=(*last.approvals, approval))
        return replace(self, steps=(*before, last))

    def find(self, name: str) -> Step | None:
        """The step of this name that did not fail, if there is one."""
        found = (one for one in self.steps if one.name == name and one.result != "failed")
        return next(found, None)

    def _head(self) -> str:
        notice = f"notice {self.notice}\n" if self.notice else ""
        return (
            f"{HEADER}\norigin {self.origin}\nkind {self.kind}\n{notice}"
            f"gateway {self.gateway}\ninstitution {self.institution}\nplace {self.place}\n"
            f"software {self.software}\nneed {self.need}\n"
        ) + "".join(one.encode() for one in self.officers)


def seal(text: str) -> str:
    """A text with its own hash below it, in hexadecimal and in words."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"{text}hash {digest.hex()}\nwords {spell(digest[:16])}\n"


def encode_time(time: int) -> str:
    """A time as RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(time, UTC).strftime(TIME)
