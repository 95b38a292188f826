"""The ceremony that makes a gateway's first keys.

The keys are made in step `keys` and noted in `<state>/init.pending`; ledger and configuration come
after the end, as `initialise` makes them: a ceremony that is aborted leaves no gateway behind.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pkcs11.types import Session

from chopmark.core.errors import ChopmarkError, InternalError, RefusedError
from chopmark.core.keys import VerifierKey
from chopmark.hsm.ceremony import create_keys
from chopmark.hsm.survey import destroy_keys, look_at_keys, read_attributes
from chopmark.ledger.store import read_keys
from chopmark.service.audit_local import noting
from chopmark.service.ceremony import Made, shorten
from chopmark.service.ceremony_desk import AbortedError
from chopmark.service.ceremony_steps import Steps
from chopmark.service.config_text import render_config
from chopmark.service.initialise import (
    check_ready,
    forget,
    initialise,
    is_prepared,
    prepare,
    read_prepared,
)
from chopmark.service.places import log_path

_TYPES: Final = {"ed25519": "Ed25519", "p256": "ECDSA P-256"}


@dataclass(slots=True)
class InitSteps(Steps):
    """Its own steps.

    Attributes:
        path: where the gateway's configuration is to be.
        cosigner: type of the cosigner key.
    """

    path: Path
    cosigner: Literal["ed25519", "p256"]

    def needed(self) -> set[str]:
        """Mechanisms for P-256, and for Ed25519 if the cosigner key is to be that."""
        edwards = {"EC_EDWARDS_KEY_PAIR_GEN", "EDDSA"} if self.cosigner == "ed25519" else set()
        return {"EC_KEY_PAIR_GEN", "ECDSA"} | edwards

    def go_ahead(self) -> Made:
        """Say what will be made, and bind the configuration."""
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

    def make(self) -> tuple[tuple[VerifierKey, ...], dict[str, str]]:
        """Make both keys, or find those that an earlier try made; see `Steps`."""
        self._check_unchanged()
        said: dict[str, str] = {}

        def look(session: Session) -> None:
            said.update(read_attributes(session, self.hsm))

        def make() -> tuple[VerifierKey, VerifierKey]:
            origin = self.config.gateway.origin
            with self.pins.source(self.label) as pin:
                return create_keys(self.hsm, origin, pin, self.cosigner, look)

        keys = prepare(self.path, self.config, make, self._name())
        if not said:  # an earlier try made them, and broke off before it was written down
            with self.pins.source(self.label) as pin:
                said = look_at_keys(self.hsm, pin)
        return keys, said

    def finish(self) -> str:
        """Sign, make ledger and configuration, put the protocol in its place, note it."""
        ceremony, keys = self.book.ceremony, self.made()
        self._check_unchanged()
        signature = self.signer.sign(self.hsm, ceremony)
        self.signer.close()
        if not self._is_set_up(keys):
            made = initialise(self.path, self.config, _no_keys, self._name())
            if (made.log_key, made.cosigner_key) != keys:
                raise InternalError("other-keys", "these are not the keys of the ceremony")
        with noting(log_path(self.config.gateway.state), "key.ceremony", kind="init") as about:
            about["protocol"] = digest = self.book.close(signature)
        return digest

    def undo(self) -> str:
        """Destroy the keys, if the officers want it; never such as this ceremony has not made."""
        if self.book.ceremony.find("go-ahead") is None:
            return ""
        try:
            keys = read_prepared(self.config, self._name())
        except ChopmarkError as error:
            self.desk.say(shorten(str(error)))
            return "" if error.code == "init-pending" else "nobody can say whose keys there are"
        if keys is None:
            return ""
        labels = f"{self.hsm.log_label} and {self.hsm.cosigner_label}"
        try:
            if self.desk.confirm("destroy", f"Destroy the keys that were made ({labels})?"):
                with self.pins.source(self.label) as pin:
                    destroy_keys(self.hsm, pin, *keys)
                return f"the keys {labels} were destroyed"
        except (AbortedError, ChopmarkError) as error:
            self.desk.say("not destroyed", "red")
            self.desk.say(shorten(str(error)))
        finally:
            forget(self.config)
        return f"the keys {labels} stay in the token, and must not be used"

    def _name(self) -> str:
        """What the note of the keys knows this ceremony by: the hash of what was approved."""
        ceremony = self.book.ceremony
        step = ceremony.find("go-ahead")
        return "" if step is None else ceremony.hash_of(ceremony.steps.index(step) + 1).hex()

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

    def _digest(self) -> str:
        return hashlib.sha256(render_config(self.config).encode()).hexdigest()


def _no_keys() -> tuple[VerifierKey, VerifierKey]:
    hint = "the note of the keys is gone: what the token holds must not be used any more"
    raise InternalError("keys-lost", "the keys of the ceremony were not noted", hint=hint)
