"""The ceremony that makes a key to follow one in use, while the gateway runs.

The daemon makes it (`rotation`), so that it knows of it; this process opens the token beside the
daemon to look at the key and to try it. It signs nothing for the log until the roster names it and
it is activated: that comes after the ceremony (docs/operations/roster.md).
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from chopmark.core.errors import ChopmarkError, MissingError, RefusedError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.hsm.listing import LabelledKey, list_keys
from chopmark.hsm.survey import look_at_keys
from chopmark.service.audit_local import noting
from chopmark.service.ceremony import Made, shorten
from chopmark.service.ceremony_desk import AbortedError
from chopmark.service.ceremony_steps import Steps
from chopmark.service.places import log_path
from chopmark.service.token import hsm_config

_BEFORE: Final = "keys-before"


class Gateway(Protocol):
    """The running gateway: what `client.gateway` has of it."""

    def keys(self) -> list[dict[str, Any]]:
        """The keys in use and those made after them."""

    def generate_key(self, role: str) -> dict[str, Any]:
        """Make a key."""

    def retire_key(self, vkey: str) -> list[dict[str, Any]]:
        """Destroy a key that is not in use."""


@dataclass(slots=True)
class RotateSteps(Steps):
    """Its own steps.

    Attributes:
        role: which key is to be followed.
        gateway: the running gateway.
    """

    role: Literal["log", "cosigner"]
    gateway: Gateway

    def needed(self) -> set[str]:
        """Mechanisms of the key in use: the new one is of the same type."""
        if parse_vkey(self._in_use()[self.role]).is_p256:
            return {"EC_KEY_PAIR_GEN", "ECDSA"}
        return {"EC_EDWARDS_KEY_PAIR_GEN", "EDDSA"}

    def go_ahead(self) -> Made:
        """Say what will be made, and which keys there are."""
        before = [_key_id(vkey) for vkey in self._of_role()]
        used = self._in_use()[self.role]
        facts = [
            ("token", self.hsm.token_name),
            ("to-be-made", f"a {self.role} key to follow {used}"),
            ("for-log", self.config.gateway.origin),
            (_BEFORE, ", ".join(before)),
        ]
        self.desk.fields(facts)
        self.desk.say("Until the officers approve this, nothing is made.")
        return Made(tuple(facts))

    def make(self) -> tuple[tuple[VerifierKey, ...], dict[str, str]]:
        """Have the gateway make the key, or take the one that an earlier try had it make."""
        vkey = self.book.made or self._generate()
        self._refuse_others(vkey)
        pair = {role: parse_vkey(one) for role, one in (self._in_use() | {self.role: vkey}).items()}
        there = list_keys(hsm_config(self.config), self.config.gateway.origin)
        labels = (_label_of(there.log, pair["log"]), _label_of(there.cosigner, pair["cosigner"]))
        hsm = replace(self.hsm, log_label=labels[0], cosigner_label=labels[1])
        with self.pins.source(self.label) as pin:
            said = look_at_keys(hsm, pin)
        return (pair["log"], pair["cosigner"]), said

    def finish(self) -> str:
        """Sign, put the protocol in its place, note it."""
        signature = self.signer.sign(self.made_hsm(), self.book.ceremony)
        self.signer.close()
        path, kind = log_path(self.config.gateway.state), self.book.ceremony.kind
        with noting(path, "key.ceremony", kind=kind) as about:
            about["protocol"] = digest = self.book.close(signature)
        return digest

    def undo(self) -> str:
        """Have the gateway destroy the key, if the officers want it."""
        vkey = self.book.made
        if not vkey:
            return ""
        try:
            if self.desk.confirm("destroy", f"Destroy the key that was made ({vkey})?"):
                self.gateway.retire_key(vkey)
                return f"the key {_key_id(vkey)} was destroyed"
        except (AbortedError, ChopmarkError) as error:
            self.desk.say("not destroyed", "red")
            self.desk.say(shorten(str(error)))
        return "the key that was made stays in the token, and must not be used"

    def _generate(self) -> str:
        self._refuse_others()
        vkey = str(self.gateway.generate_key(self.role)["vkey"])
        # If it breaks off before this, nobody can say that the key was made for the ceremony.
        self.book.note_made(vkey)
        return vkey

    def _refuse_others(self, ours: str | None = None) -> None:
        """Refuse keys that were made since the go-ahead, but ours.

        Raises:
            RefusedError: `other-keys`.
        """
        step = self.book.ceremony.find("go-ahead")
        before = step.fact(_BEFORE).split(", ") if step else []
        new = [one for one in self._of_role() if _key_id(one) not in before and one != ours]
        if new:
            message = f"since the go-ahead keys were made beside this ceremony: {', '.join(new)}"
            hint = "`chopmark hsm retire` destroys them; then try again, or go on by --resume"
            raise RefusedError("other-keys", message, hint=hint)

    def _of_role(self) -> list[str]:
        return [str(one["vkey"]) for one in self._list() if one["role"] == self.role]

    def _list(self) -> list[dict[str, Any]]:
        return self.gateway.keys()

    def _in_use(self) -> dict[str, str]:
        return {one["role"]: one["vkey"] for one in self._list() if one["in_use"]}


def _key_id(vkey: str) -> str:
    return vkey.split("+")[1]


def _label_of(there: tuple[LabelledKey, ...], key: VerifierKey) -> str:
    for one in there:
        if one.key.public == key.public:
            return one.label
    message = f"the token, as it is seen from here, has no key {key.encode()}"
    raise MissingError("no-such-key", message, hint="is it the token of the running gateway?")
