"""Leading officers through a key ceremony: steps in order, approvals, the end.

What was done is on the disk after each step (`Book`). Whatever breaks off, `lead` goes on from
there; a step that had not ended is done again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chopmark.client.files import replace_file
from chopmark.client.officers import read_or_make_signature
from chopmark.core.ceremony import MAX_VALUE, Approval, Ceremony, End, Result, Step
from chopmark.core.ceremony_rules import (
    GATES,
    PLAN,
    RESUMED,
    check_approval,
    is_approved,
    next_step,
)
from chopmark.core.errors import ChopmarkError
from chopmark.core.officers import fingerprint
from chopmark.core.proquint import spell
from chopmark.service.ceremony_desk import AbortedError, Book, Desk

TRIES: Final = 3
"""So often an officer may name a file for one approval."""
TITLES: Final = {
    "presence": "Who is present",
    "token": "The token is identified",
    "mechanisms": "What the token offers is tried",
    "go-ahead": "The officers give the go-ahead",
    "keys": "The keys are made",
    "read-aloud": "The public keys are read aloud",
    "self-test": "Each key signs, and is verified",
    "backup": "The token is backed up",
    "restore-drill": "Restore drill",
    "close": "The ceremony is closed",
}
_PASSES: Final = "-"
_AGAIN: Final = "Try this step again? (no ends the ceremony)"
_FATAL: Final = frozenset({"pin-refused", "pin-latched"})


@dataclass(frozen=True, slots=True)
class Made:
    """What a step came to: facts, and how it ended."""

    facts: tuple[tuple[str, str], ...] = ()
    result: Result = "done"
    reason: str = ""

    @classmethod
    def failed(cls, reason: str, facts: Sequence[tuple[str, str]] = ()) -> "Made":
        """A step that may be tried again."""
        return cls(tuple(facts), "failed", shorten(reason))


@dataclass(slots=True)
class Leader:
    """Leads a ceremony.

    Attributes:
        desk: where it is held.
        book: its protocol.
        steps: what each step of the plan does; one that cannot be done raises.
        retries_pins: whether a refused PIN may be followed by another: never by the same again.
        clock: seconds since the Unix epoch.
    """

    desk: Desk
    book: Book
    steps: Mapping[str, Callable[[], Made]]
    retries_pins: bool = True
    clock: Callable[[], float] = field(default=time.time)

    @property
    def ceremony(self) -> Ceremony:
        """What was written so far."""
        return self.book.ceremony

    def lead(self) -> None:
        """All steps that are due, and the end; does nothing after the end.

        Raises:
            AbortedError: the officers end it; that is not written down yet.
            ChopmarkError: what cannot be tried again now; the ceremony may go on later.
        """
        while self.ceremony.end is None:
            self._collect()
            name = next_step(self.ceremony)
            if name is None:
                self.book.finish(End("completed", self._now()))
                return
            self._do(name)

    def resume(self, look: Callable[[], tuple[tuple[str, str], ...]]) -> None:
        """Write down that it goes on after it broke off, and with what."""
        if self.ceremony.end is not None or not self.ceremony.steps:
            return
        self._collect()
        begun = self._now()
        who = self.desk.ask("resumed-by", "The ceremony broke off. Who goes on, and why did it?")
        self.book.add(Step(RESUMED, begun, self._now(), (("by", who), *look())))

    def abort(self, reason: str) -> None:
        """Write down that it was ended."""
        self.book.finish(End("aborted", self._now(), shorten(reason)))

    def _do(self, name: str) -> None:
        self.desk.say()
        self.desk.say(f"Step {PLAN.index(name) + 1} of {len(PLAN)}: {TITLES[name]}", "bold")
        begun, failure = self._now(), None
        try:
            made = self.steps[name]()
        except ChopmarkError as error:
            failure, made = error, Made.failed(error.message)
        self.book.add(Step(name, begun, self._now(), made.facts, made.result, made.reason))
        self.desk.say(made.result, _style(made))
        if made.reason:
            self.desk.say(made.reason)
        if failure is not None and failure.hint:
            self.desk.say(f"hint: {failure.hint}")
        if failure is not None and failure.code in _FATAL and not self.retries_pins:
            raise failure
        if made.result == "failed" and not self.desk.confirm("try-again", _AGAIN):
            raise AbortedError(f"step {name}: {made.reason}")

    def _collect(self) -> None:
        """Approvals of the last step, if it needs some."""
        if not self.ceremony.steps:
            return
        step, number = self.ceremony.steps[-1], self.book.last
        if step.name not in GATES or step.result != "done" or is_approved(self.ceremony, number):
            return
        text = self._show_approval(step, number)
        try:
            while not is_approved(self.ceremony, number):
                self._ask_officers(step, number)
        finally:
            text.unlink(missing_ok=True)

    def _show_approval(self, step: Step, number: int) -> Path:
        ceremony = self.ceremony
        text = ceremony.approval_text(number)
        path = self.book.final.with_name(f"{self.book.final.name}.step-{number}")
        replace_file(path, text.encode())
        digest = ceremony.hash_of(number)
        self.desk.say()
        self.desk.say(f"Approval of step {step.name} by {ceremony.need} of the officers", "bold")
        self.desk.fields(
            [
                ("hash of all steps", digest.hex()),
                ("in words", spell(digest[:16])),
                ("text to be signed", path),
                ("signed elsewhere", "openssl dgst -sha256 -sign KEY -out SIGNATURE TEXT"),
            ]
        )
        return path

    def _ask_officers(self, step: Step, number: int) -> None:
        presence = self.ceremony.find("presence")
        for officer, person in enumerate(self.ceremony.officers, 1):
            present = presence is not None and presence.fact(f"officer-{officer}") == "present"
            approved = any(
                one.officer == officer for one in self.ceremony.steps[number - 1].approvals
            )
            if present and not approved:
                self._ask_officer(f"approve-{step.name}-{officer}", officer, person.name)
        if is_approved(self.ceremony, number):
            return
        have = len(self.ceremony.steps[number - 1].approvals)
        self.desk.say(f"{have} of {self.ceremony.need} approvals: not enough", "yellow")
        if not self.desk.confirm("ask-again", "Ask the officers again? (no ends the ceremony)"):
            raise AbortedError(f"step {step.name} was not approved")

    def _ask_officer(self, question: str, officer: int, name: str) -> None:
        for _ in range(TRIES):
            said = self.desk.ask(
                question, f"{name}: file of your key (PEM, PKCS #12) or of your signature", _PASSES
            )
            if said == _PASSES:
                self.desk.say(f"{name} passes", "yellow")
                return
            try:
                self._approve(officer, Path(said), name)
            except ChopmarkError as error:
                self.desk.say("not taken", "red")
                self.desk.say(str(error))
            else:
                self.desk.say(f"approved by {name}", "green")
                return

    def _approve(self, officer: int, path: Path, name: str) -> None:
        number = self.book.last
        text = self.ceremony.approval_text(number)
        question = f"PIN of {name}'s key in {path.name}: "
        made = read_or_make_signature(text, path, lambda: self.desk.secret(question))
        approval = Approval(officer, made)
        check_approval(self.ceremony, number, approval)
        self.book.approve(approval)

    def _now(self) -> int:
        """Never before what was written last: a clock that is set back must not stop this."""
        return max(int(self.clock()), self.book.time)


def shorten(text: str) -> str:
    """A reason that fits a line of the protocol."""
    printable = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(printable.split())[: MAX_VALUE // 2] or "no reason given"


def describe_officers(ceremony: Ceremony) -> list[tuple[str, object]]:
    """For people: who may approve, by which certificate."""
    return [
        (f"officer {number}", f"{one.name}, {one.institution} ({fingerprint(one.certificate)})")
        for number, one in enumerate(ceremony.officers, 1)
    ]


def _style(made: Made) -> str:
    return {"done": "green", "declined": "yellow", "failed": "red"}[made.result]
