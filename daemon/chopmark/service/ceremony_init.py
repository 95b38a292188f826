"""The ceremony that makes a gateway's first keys: what each of its steps does.

The keys are made in step `keys` and noted in `<state>/init.pending`; ledger and configuration come
after the end, as `initialise` makes them: a ceremony that is aborted leaves no gateway behind.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NoReturn

from pkcs11.types import Session

from chopmark.core.ceremony_rules import KEYS
from chopmark.core.errors import ChopmarkError, InternalError, RefusedError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.roster import Fingerprint
from chopmark.core.text import encode_base64
from chopmark.hsm.ceremony import create_keys
from chopmark.hsm.config import HsmConfig
from chopmark.hsm.survey import (
    DRAW,
    Survey,
    destroy_keys,
    look_at_keys,
    read_attributes,
    survey_token,
)
from chopmark.ledger.store import read_keys
from chopmark.service.audit_local import noting
from chopmark.service.ceremony import Leader, Made, shorten
from chopmark.service.ceremony_desk import AbortedError, Book, Desk
from chopmark.service.ceremony_token import Pins, TokenSigner
from chopmark.service.config_model import Config
from chopmark.service.config_text import render_config
from chopmark.service.initialise import check_ready, forget, initialise, is_prepared, prepare
from chopmark.service.places import log_path
from chopmark.service.token import hsm_config

MAX_OTHERS: Final = 20
_NONE: Final = "-"
_TYPES: Final = {"ed25519": "Ed25519", "p256": "ECDSA P-256"}


@dataclass(slots=True)
class InitCeremony:
    """Steps, and what surrounds them.

    Attributes:
        path: where the gateway's configuration is to be.
        config: that configuration.
        cosigner: type of the cosigner key.
        desk: where the ceremony is held.
        book: its protocol.
        pins: gives PINs.
    """

    path: Path
    config: Config
    cosigner: Literal["ed25519", "p256"]
    desk: Desk
    book: Book
    pins: Pins
    hsm: HsmConfig = field(init=False)
    signer: TokenSigner = field(init=False)

    def __post_init__(self) -> None:
        self.hsm = hsm_config(self.config)
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
                return self._finish()
            except AbortedError as aborted:
                self._abort(leader, str(aborted))

    def _steps(self) -> dict[str, Callable[[], Made]]:
        return {
            "presence": self._presence,
            "token": self._token,
            "mechanisms": self._mechanisms,
            "go-ahead": self._go_ahead,
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
            said = self.desk.ask(f"person-{number}", question, _NONE)
            if said == _NONE:
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
        due = {"EC_KEY_PAIR_GEN", "ECDSA"}
        if self.cosigner == "ed25519":
            due |= {"EC_EDWARDS_KEY_PAIR_GEN", "EDDSA"}
        missing = sorted(due & set(found.missing))
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

    def _go_ahead(self) -> Made:
        check_ready(self.path, self.config)
        labels = f"{self.hsm.log_label} (ECDSA P-256)"
        facts = [
            ("token", self.hsm.token_name),
            ("to-be-made", f"{labels}, {self.hsm.cosigner_label} ({_TYPES[self.cosigner]})"),
            ("for-log", self.config.gateway.origin),
            ("configuration", self._digest()),
        ]
        self.desk.fields(facts)
        self.desk.say("Until the officers approve this, nothing is made.")
        return Made(tuple(facts))

    def _keys(self) -> Made:
        self._check_unchanged()
        said: dict[str, str] = {}

        def look(session: Session) -> None:
            said.update(read_attributes(session, self.hsm))

        def make() -> tuple[VerifierKey, VerifierKey]:
            pin = self.pins.source(self._label)
            origin = self.config.gateway.origin
            return create_keys(self.hsm, origin, pin, self.cosigner, look)

        keys = prepare(self.path, self.config, make)
        if not said:  # an earlier try made them, and broke off before it was written down
            said = look_at_keys(self.hsm, self.pins.source(self._label))
        facts: list[tuple[str, str]] = []
        for role, key, label in zip(KEYS, keys, said, strict=True):
            text = key.encode()
            print_ = Fingerprint(text)
            facts += [
                (f"{role}-label", label),
                (f"{role}-key", text),
                (f"{role}-fingerprint", print_.hex),
                (f"{role}-words", print_.words),
                (f"{role}-attributes", said[label]),
            ]
        self.desk.fields([one for one in facts if not one[0].endswith("-key")])
        return Made(tuple(facts))

    def _read_aloud(self) -> Made:
        step = self.book.ceremony.find("keys")
        for role in KEYS if step else ():
            digits = step.fact(f"{role}-fingerprint") if step else ""
            groups = " ".join(digits[at : at + 8] for at in range(0, 64, 8))
            self.desk.say()
            self.desk.fields(
                [
                    (f"{role} key", step.fact(f"{role}-key") if step else ""),
                    ("fingerprint", groups),
                    ("in words", step.fact(f"{role}-words") if step else ""),
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
        facts = self._test(self.hsm)
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
        facts = self._test(self.hsm)
        again = "the same two keys were found after C_Finalize and C_Initialize"
        return Made((("reopened", again), *facts, *self._try_backup()))

    def _try_backup(self) -> tuple[tuple[str, str], ...]:
        if not self.desk.confirm("backup-token", "Is a backup token presented to this module?"):
            reason = self.desk.ask("no-backup-token", "Why not?")
            return (("backup-token", shorten(f"none presented: {reason}")),)
        self.signer.close()
        question = "Put the backup token in (and take the other one out). Its label"
        label = self.desk.ask("backup-label", question, self.hsm.token_label or _NONE)
        serial = self.desk.ask("backup-serial", "Its serial number ('-': not needed)", _NONE)
        number = None if serial == _NONE else serial
        config = HsmConfig(
            self.hsm.module,
            None if label == _NONE else label,
            number,
            log_label=self.hsm.log_label,
            cosigner_label=self.hsm.cosigner_label,
        )
        found = survey_token(config)
        facts = self._test(config, backup=True)
        self.signer.close()
        self.desk.ask("token-back", "Put the gateway's own token back, then press Enter", "done")
        text = f"label {found.label}, serial {found.serial}: the same keys, good signatures"
        return (("backup-token", text), *((f"backup-{word}", value) for word, value in facts))

    def _close(self) -> Made:
        remarks = self.desk.ask("remarks", "Remarks for the protocol ('-': none)", _NONE)
        return Made((("remarks", "none" if remarks == _NONE else remarks),))

    def _test(self, config: HsmConfig, *, backup: bool = False) -> tuple[tuple[str, str], ...]:
        made = self.signer.test(config, self._made(), backup=backup)
        self.desk.say("Both keys have signed the head of the empty log; both signatures verify.")
        return tuple(
            (f"{role}-signature", encode_base64(one.payload))
            for role, one in zip(KEYS, made, strict=True)
        )

    def _finish(self) -> str:
        """Sign, make ledger and configuration, put the protocol in its place, note it."""
        end = self.book.ceremony.end
        if end is not None and end.outcome == "aborted":  # all was done but the last renaming
            return self._close_aborted(end.reason)
        ceremony, keys = self.book.ceremony, self._made()
        self._check_unchanged()
        signature = self.signer.sign(self.hsm, ceremony)
        self.signer.close()
        if not self._is_set_up(keys):
            made = initialise(self.path, self.config, _no_keys)
            if (made.log_key, made.cosigner_key) != keys:
                raise InternalError("other-keys", "these are not the keys of the ceremony")
        with noting(log_path(self.config.gateway.state), "key.ceremony", kind="init") as about:
            about["protocol"] = digest = self.book.close(signature)
        self.book.forget()
        return digest

    def _abort(self, leader: Leader, reason: str) -> NoReturn:
        """Destroy what was made, if it can be, and write down that it was ended."""
        self.signer.close()
        if is_prepared(self.config):
            reason = f"{reason}; {self._destroy()}"
        leader.abort(reason)
        self._close_aborted(reason)

    def _close_aborted(self, reason: str) -> NoReturn:
        self.book.close(None)
        self.book.forget()
        message = f"the ceremony was aborted: {reason}"
        hint = f"its protocol is {self.book.final}"
        raise RefusedError("ceremony-aborted", message, hint=hint)

    def _destroy(self) -> str:
        labels = f"{self.hsm.log_label} and {self.hsm.cosigner_label}"
        try:
            keys = prepare(self.path, self.config, _no_keys)
            if self.desk.confirm("destroy", f"Destroy the keys that were made ({labels})?"):
                destroy_keys(self.hsm, self.pins.source(self._label), *keys)
                return f"the keys {labels} were destroyed"
        except (AbortedError, ChopmarkError) as error:
            self.desk.say(f"not destroyed: {shorten(str(error))}", "red")
        finally:
            forget(self.config)
        return f"the keys {labels} stay in the token, and must not be used"

    def _look_again(self) -> tuple[tuple[str, str], ...]:
        step = self.book.ceremony.find("token")
        if step is None:
            return ()
        serial = survey_token(self.hsm).serial
        if serial != step.fact("serial"):
            raise RefusedError("wrong-token", f"this is another token, with serial {serial}")
        return (("serial", serial),)

    def _check_unchanged(self) -> None:
        step = self.book.ceremony.find("go-ahead")
        if step is None or step.fact("configuration") != self._digest():
            hint = "give the same options as when the ceremony began"
            message = "the configuration is not the one that the officers approved"
            raise RefusedError("ceremony-changed", message, hint=hint)

    def _is_set_up(self, keys: tuple[VerifierKey, ...]) -> bool:
        """Whether only the protocol's own name was missing when it broke off."""
        ledger = log_path(self.config.gateway.state)
        done = self.path.exists() and ledger.exists() and not is_prepared(self.config)
        return done and read_keys(ledger) == keys

    def _made(self) -> tuple[VerifierKey, ...]:
        step = self.book.ceremony.find("keys")
        return () if step is None else tuple(parse_vkey(step.fact(f"{one}-key")) for one in KEYS)

    def _present(self) -> list[tuple[int, str]]:
        step = self.book.ceremony.find("presence")
        officers = enumerate(self.book.ceremony.officers, 1)
        here = [(n, one.name) for n, one in officers]
        return [(n, name) for n, name in here if step and step.fact(f"officer-{n}") == "present"]

    def _digest(self) -> str:
        return hashlib.sha256(render_config(self.config).encode()).hexdigest()

    @property
    def _label(self) -> str:
        return self.hsm.token_label or self.hsm.token_serial or ""


def _no_keys() -> tuple[VerifierKey, VerifierKey]:
    hint = "the note of the keys is gone: what the token holds must not be used any more"
    raise InternalError("keys-lost", "the keys of the ceremony were not noted", hint=hint)


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
    return [*facts, ("warning", found.warning)] if found.warning else facts
