"""What each step of a key ceremony does, whatever keys it makes."""

import abc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from chopmark.core.ceremony_rules import KEYS
from chopmark.core.errors import RefusedError
from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.text import encode_base64
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.survey import DRAW, Survey, survey_token
from chopmark.service.audit_local import noting
from chopmark.service.ceremony import Leader, Made, shorten
from chopmark.service.ceremony_desk import AbortedError, Book, Desk
from chopmark.service.ceremony_token import Pins, TokenSigner
from chopmark.service.config_model import Config
from chopmark.service.places import log_path

MAX_OTHERS: Final = 20
NONE: Final = "-"


@dataclass(slots=True)
class Steps(abc.ABC):
    """The steps that all kinds have; what is made, and what follows the end, a kind says itself.

    Attributes:
        config: the gateway's configuration.
        desk: where the ceremony is held.
        book: its protocol.
        pins: gives PINs.
        hsm: the token, and its keys before the ceremony.
    """

    config: Config
    desk: Desk
    book: Book
    pins: Pins
    hsm: HsmConfig
    signer: TokenSigner = field(init=False)

    def __post_init__(self) -> None:
        self.signer = TokenSigner(self.config.gateway.origin, self.pins)

    def run(self, *, resumed: bool = False) -> str:
        """Hold the ceremony; gives the SHA-256 of the protocol.

        Raises:
            RefusedError: `ceremony-aborted`; the protocol says why.
            ChopmarkError: it broke off, and may go on.
        """
        leader = Leader(self.desk, self.book, self._steps(), self.pins.typed)
        with self.signer:
            try:
                if resumed:
                    leader.resume(self._look_again)
                leader.lead()
            except AbortedError as aborted:
                self._abort(leader, str(aborted))
            end = self.book.ceremony.end
            if end is not None and end.outcome == "aborted":  # all was done but the renaming
                self._close_aborted(end.reason)
            digest = self.finish()
            self.book.forget()
            return digest

    @abc.abstractmethod
    def needed(self) -> set[str]:
        """Mechanisms without which the keys cannot be made."""

    @abc.abstractmethod
    def go_ahead(self) -> Made:
        """Say what will be made."""

    @abc.abstractmethod
    def make(self) -> tuple[tuple[VerifierKey, ...], dict[str, str]]:
        """The pair of keys, and their attributes by label; those that are there already stay.

        Both are the log key first.
        """

    @abc.abstractmethod
    def finish(self) -> str:
        """Sign the protocol and put it in its place; gives its SHA-256."""

    @abc.abstractmethod
    def undo(self) -> str:
        """Take back what was made, if anything; says what was done."""

    def made_hsm(self) -> HsmConfig:
        """The token, and the keys that the ceremony made."""
        step, keys = self.book.ceremony.find("keys"), self.made()
        if step is None:
            return self.hsm
        return replace(
            self.hsm,
            log_label=step.fact("log-label"),
            cosigner_label=step.fact("cosigner-label"),
            cosigner_name=keys[1].name,
        )

    def _steps(self) -> dict[str, Callable[[], Made]]:
        return {
            "presence": self._presence,
            "token": self._token,
            "mechanisms": self._mechanisms,
            "go-ahead": self.go_ahead,
            "keys": self._keys,
            "read-aloud": self._read_aloud,
            "self-test": self._self_test,
            "backup": self._backup,
            "restore-drill": self._restore_drill,
            "close": self._close,
        }

    def _presence(self) -> Made:
        facts, present = [], 0
        for number, officer in enumerate(self.book.ceremony.officers, 1):
            here = self.desk.confirm(f"officer-{number}-present", f"{officer.name} is present?")
            present += here
            facts.append((f"officer-{number}", "present" if here else "absent"))
        for number in range(1, MAX_OTHERS):
            question = "Anybody else: name and what for ('-': nobody else)"
            said = self.desk.ask(f"person-{number}", question, NONE)
            if said == NONE:
                break
            facts.append((f"person-{number}", said))
        need = self.book.ceremony.need
        if present < need:
            return Made.failed(f"{present} officers are here: {need} must be", facts)
        return Made(tuple(facts))

    def _token(self) -> Made:
        found = survey_token(self.hsm)
        facts = _describe(found)
        self.desk.fields(facts)
        question = "Compare with the plate on the device and its papers. Is it the right token?"
        if not self.desk.confirm("right-token", question):
            return Made.failed("the officers say that it is not the right token", facts)
        return Made(tuple(facts))

    def _mechanisms(self) -> Made:
        found = survey_token(self.hsm)
        missing = sorted(self.needed() & set(found.missing))
        if missing:
            raise RefusedError("no-such-mechanism", f"the token lacks {', '.join(missing)}")
        if found.random is False:
            raise RefusedError("bad-random", "the token's random repeats itself")
        draws = f"two draws of {DRAW} bytes differ, and neither is a constant"
        facts = [
            ("offered", ", ".join(found.offered)),
            ("random", draws if found.random else "C_GenerateRandom is not offered"),
        ]
        self.desk.fields(facts)
        return Made(tuple(facts))

    def _keys(self) -> Made:
        keys, said = self.make()
        facts: list[tuple[str, str]] = []
        for role, key, label in zip(KEYS, keys, said, strict=True):
            print_ = Fingerprint(encode_public(key))
            facts += [
                (f"{role}-label", label),
                (f"{role}-key", key.encode()),
                (f"{role}-fingerprint", print_.hex),
                (f"{role}-words", print_.words),
                (f"{role}-attributes", said[label]),
            ]
        self.desk.fields([one for one in facts if not one[0].endswith("-key")])
        return Made(tuple(facts))

    def _read_aloud(self) -> Made:
        for role, key in zip(KEYS, self.made(), strict=True):
            said = Fingerprint(encode_public(key))
            self.desk.say()
            self.desk.fields(
                [
                    (f"{role} key", key.encode()),
                    ("fingerprint", said.hex),
                    ("in words", said.words),
                ]
            )
        self.desk.say()
        self.desk.say("One officer reads fingerprints and words aloud; the others write them down.")
        facts: list[tuple[str, str]] = []
        for number, name in self._present():
            if not self.desk.confirm(f"confirmed-{number}", f"{name} confirms what was read?"):
                return Made.failed(f"{name} does not confirm the public keys", facts)
            facts.append((f"officer-{number}", "confirmed"))
        return Made(tuple(facts))

    def _self_test(self) -> Made:
        facts = self._test(self.made_hsm())
        # The vendor's tool for the backup may want the token for itself.
        self.signer.close()
        return Made(facts)

    def _backup(self) -> Made:
        question = "Was the token backed up, by its vendor's means?"
        if not self.desk.confirm("backup-made", question):
            reason = self.desk.ask("backup-declined", "Why is there no backup?")
            return Made((("means", "none"),), "declined", shorten(reason))
        means = self.desk.ask("backup-means", "By which means, onto what (with serial number)?")
        kept = self.desk.ask("backup-kept", "Where is it kept, and by whom?")
        return Made((("means", means), ("kept", kept)))

    def _restore_drill(self) -> Made:
        self.desk.say("The module is stopped and started, and the keys are looked for again.")
        facts = self._test(self.made_hsm())
        again = "the same two keys were found after C_Finalize and C_Initialize"
        return Made((("reopened", again), *facts, *self._try_backup()))

    def _try_backup(self) -> tuple[tuple[str, str], ...]:
        if not self.desk.confirm("backup-token", "Is a backup token presented to this module?"):
            reason = self.desk.ask("no-backup-token", "Why not?")
            return (("backup-token", shorten(f"none presented: {reason}")),)
        self.signer.close()
        question = "Put the backup token in (and take the other one out). Its label"
        label = self.desk.ask("backup-label", question, self.hsm.token_label or NONE)
        serial = self.desk.ask("backup-serial", "Its serial number ('-': not needed)", NONE)
        number = None if serial == NONE else serial
        config = replace(
            self.made_hsm(), token_label=None if label == NONE else label, token_serial=number
        )
        found = survey_token(config)
        facts = self._test(config, backup=True)
        self.signer.close()
        self.desk.ask("token-back", "Put the gateway's own token back, then press Enter", "done")
        text = f"label {found.label}, serial {found.serial}: the same keys, good signatures"
        return (
            ("backup-token", shorten(text)),
            *((f"backup-{word}", value) for word, value in facts),
        )

    def _close(self) -> Made:
        remarks = self.desk.ask("remarks", "Remarks for the protocol ('-': none)", NONE)
        return Made((("remarks", "none" if remarks == NONE else remarks),))

    def _test(self, config: HsmConfig, *, backup: bool = False) -> tuple[tuple[str, str], ...]:
        made = self.signer.test(config, self.made(), backup=backup)
        self.desk.say("Both keys have signed the head of the empty log; both signatures verify.")
        return tuple(
            (f"{role}-signature", encode_base64(one.payload))
            for role, one in zip(KEYS, made, strict=True)
        )

    def _abort(self, leader: Leader, reason: str) -> NoReturn:
        """Take back what was made, if it can be, and write down that it was ended."""
        self.signer.close()
        undone = self.undo()
        reason = f"{reason}; {undone}" if undone else reason
        leader.abort(reason)
        self._close_aborted(reason)

    def _close_aborted(self, reason: str) -> NoReturn:
        path, kind = log_path(self.config.gateway.state), self.book.ceremony.kind
        message = f"the ceremony was aborted: {reason}"
        hint = f"its protocol is {self.book.final}"
        with noting(path, "key.ceremony", kind=kind) as about:
            about["protocol"] = self.book.close(None)
            self.book.forget()
            raise RefusedError("ceremony-aborted", message, hint=hint)

    def _look_again(self) -> tuple[tuple[str, str], ...]:
        step = self.book.ceremony.find("token")
        if step is None:
            return ()
        serial = survey_token(self.hsm).serial
        if serial != step.fact("serial"):
            raise RefusedError("wrong-token", f"this is another token, with serial {serial}")
        return (("serial", serial),)

    def made(self) -> tuple[VerifierKey, ...]:
        """The keys that the ceremony made, or none yet."""
        step = self.book.ceremony.find("keys")
        return () if step is None else tuple(parse_vkey(step.fact(f"{one}-key")) for one in KEYS)

    def _present(self) -> list[tuple[int, str]]:
        step = self.book.ceremony.find("presence")
        officers = enumerate(self.book.ceremony.officers, 1)
        here = [(n, one.name) for n, one in officers]
        return [(n, name) for n, name in here if step and step.fact(f"officer-{n}") == "present"]

    @property
    def label(self) -> str:
        """What the token is called."""
        return self.hsm.token_label or self.hsm.token_serial or ""


def _describe(found: Survey) -> list[tuple[str, str]]:
    facts = [
        ("module", found.module),
        ("module-sha256", found.digest),
        ("manufacturer", found.manufacturer),
        ("model", found.model),
        ("label", found.label),
        ("serial", found.serial),
        ("firmware", found.firmware),
        ("hardware", found.hardware),
    ]
    facts += [("warning", found.warning)] if found.warning else []
    # These are a device's words: whatever they hold must fit a line.
    return [(word, shorten(said)) for word, said in facts]
