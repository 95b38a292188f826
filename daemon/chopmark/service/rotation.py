"""New keys for old ones, while the gateway runs.

1. `generate` makes a key in the token. It signs nothing yet.
2. A version of the roster names it beside the old one: peers take both.
3. `activate` lets it sign, and the old one no more; parts are made anew for it.
4. A later version of the roster ends the old one, a log key at a head from after step 3.
5. `retire` destroys the old one in the token.
"""

from dataclasses import dataclass
from typing import Any

from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.hsm.attributes import TokenKey
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger import rotation as table
from chopmark.ledger.log import Log
from chopmark.ledger.rotation import Role
from chopmark.service.config import Config
from chopmark.service.keylist import (
    KnownKey,
    describe_keys,
    know_keys,
    list_made,
    roster_state,
)
from chopmark.service.leftover import find_leftover, refuse_listed, refuse_ours
from chopmark.service.rosters import Rosters
from chopmark.service.token import chain_label


@dataclass(frozen=True, slots=True)
class Rotation:
    """Implements `api.ports.Keys`."""

    config: Config
    log: Log
    signer: HsmSigner
    rosters: Rosters

    async def keys(self) -> list[dict[str, Any]]:
        """Every key of ours, and what else lies in the token, with all that is known of each.

        A token that does not answer is no error: what only it knows is then left out.
        """
        try:
            token: tuple[TokenKey, ...] | None = await self.signer.read_keys()
        except TryAgainError:
            token = None
        return describe_keys(await self._known(), token, self._state)

    async def generate(self, role: Role) -> dict[str, Any]:
        """Make a key.

        Raises:
            TryAgainError: `hsm-away`.
        """
        base = self.config.hsm.log_label if role == "log" else self.config.hsm.cosigner_label
        name = self.signer.log_key.name if role == "log" else await self._next_name()
        label, key = await self.signer.generate(role, name, base)
        vkey = key.encode()
        await self.log.write(
            lambda store: store.change(lambda db: table.add_key(db, vkey, role, label))
        )
        return {"vkey": vkey, "role": role, "in_use": False, "roster": None}

    async def activate(self, vkey: str) -> list[dict[str, Any]]:
        """Let a key sign from now on.

        Raises:
            MissingError: `no-such-key`, also of one whose destruction has begun.
            RefusedError: `key-not-in-roster`: peers would not take what it signs.
        """
        await self.log.write(lambda store: store.change(lambda db: table.find_key(db, vkey)))
        if self.rosters.current is not None and self._state(vkey) != "active":
            hint = "`chopmark roster propose --add-key ID=VKEY`, and have it signed"
            raise RefusedError("key-not-in-roster", "the roster does not name this key", hint=hint)
        await self.log.write(lambda store: store.change(lambda db: table.set_due(db, vkey)))
        listed = await self.keys()  # before the parts are made anew, and the signer with them
        self.rosters.changed.set()
        return listed

    async def retire(self, vkey: str) -> list[dict[str, Any]]:
        """Destroy a key in the token, for good.

        Raises:
            MissingError: `no-such-key`, also of one that is destroyed already.
            RefusedError: `key-in-use`: it signs, or is due to, or the roster says that it may;
                `ambiguous-key`: its private half may be another key's.
        """
        key, label = await self._find(vkey)
        used = (self.signer.log_key.encode(), self.signer.cosigner_key.encode())
        if vkey in used or self._state(vkey) == "active":
            hint = "activate another one, and have the roster end this one"
            raise RefusedError("key-in-use", "this key is in use", hint=hint)
        # From here on it cannot be activated any more, however long the token takes.
        await self.log.write(lambda store: store.change(lambda db: table.begin_retiring(db, vkey)))
        await self.signer.destroy(label, key)
        await self.log.write(lambda store: store.change(lambda db: table.forget_key(db, vkey)))
        return await self.keys()

    async def destroy(self, label: str, fingerprint: str) -> list[dict[str, Any]]:
        """Destroy, for good, a key in the token that is none of ours, or of a member's.

        Args:
            label: of the key.
            fingerprint: of its public half, in hexadecimal or in words.

        Raises:
            MissingError: `no-such-key`: no key has this label and this fingerprint.
            RefusedError: `key-in-use`: it is ours, or the roster or the configuration names it;
                `ambiguous-key`: several have the label.
            TryAgainError: `hsm-away`.
        """
        hsm = self.config.hsm
        chain = [one] if (one := chain_label(self.config)) is not None else []
        public = find_leftover(await self.signer.read_keys(), label, fingerprint)
        labels = (hsm.log_label, hsm.cosigner_label, hsm.witness_label, *chain)
        refuse_ours(label, public, labels, await self._known())
        membership, current = self.rosters.membership, self.rosters.current
        versions = [*membership.chain, *([current] if current is not None else [])]
        members = (membership.own, *membership.peers)
        refuse_listed(label, public, members, (one.roster for one in versions))
        await self.signer.destroy(label, public)
        return await self.keys()

    async def _known(self) -> list[KnownKey]:
        made = await self.log.write(lambda store: store.change(list_made))
        own = self.rosters.membership.own
        return know_keys(own, self.config.hsm, made, self.signer.witness_key)

    async def _find(self, vkey: str) -> tuple[VerifierKey, str]:
        """A key and its label; of the first ones the configuration has it.

        While a first one is in use no other key can have been it: that one is gone.
        """
        hsm, signer = self.config.hsm, self.signer
        own = self.rosters.membership.own
        past: list[VerifierKey] = [*own.log_keys, *own.known_cosigner_keys]
        made = await self.log.write(lambda store: store.change(table.list_keys))
        known = {one for one, _, _ in made}
        key = next((one for one in past if one.encode() == vkey and vkey not in known), None)
        if key is not None:
            used = signer.cosigner_key if key.is_cosigner else signer.log_key
            if key == used or used.encode() in known:
                return key, hsm.cosigner_label if key.is_cosigner else hsm.log_label
        _, label = await self.log.write(
            lambda store: store.change(lambda db: table.find_key(db, vkey))
        )
        return parse_vkey(vkey), label

    def _state(self, vkey: str) -> str | None:
        """What the roster says of a key of ours."""
        current = self.rosters.current
        roster = None if current is None else current.roster
        return roster_state(roster, self.rosters.membership.own, vkey)

    async def _next_name(self) -> str:
        made = await self.log.write(lambda store: store.change(table.list_keys))
        own = self.rosters.membership.own
        names = {vkey.partition("+")[0] for vkey, _, _ in made}
        names |= {key.name for key in own.known_cosigner_keys}
        numbered = (f"{own.origin}/cosigner-{number}" for number in range(2, 1000))
        return next(name for name in numbered if name not in names)
