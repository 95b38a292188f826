"""Whom this gateway relies on: the policy of each log, who cosigns what, and who must have."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chopmark.core.errors import ConfigurationError, RefusedError
from chopmark.core.member import Member
from chopmark.core.policy import NONE, Policy
from chopmark.core.ports import Clock
from chopmark.core.quorum import Generated, WitnessRule, generate
from chopmark.core.wording import format_time
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.witness import Cosigner
from chopmark.mesh.bulletins import Handler
from chopmark.mesh.mesh import Mesh
from chopmark.service.config_model import Config
from chopmark.service.membership import Membership
from chopmark.service.quorum import Quorum
from chopmark.service.witnessing import Witness

LOG: Final = logging.getLogger("chopmark.witness")

Policies = Mapping[str, Generated]
"""By origin, the policy of each log and the groups that were dropped from it."""


def make_policies(own: Member, peers: Sequence[Member], rule: WitnessRule | None) -> Policies:
    """The policy of each log.

    Raises:
        ConfigurationError: `witness-rule`: the rule cannot be kept with these members.
    """
    members = [own, *peers]
    voters = [member for member in members if member.is_active]
    try:
        return {member.origin: generate(member, voters, rule) for member in members}
    except RefusedError as error:
        hint = error.hint and f"{error.hint}; or change [witness] rule"
        raise ConfigurationError("witness-rule", error.message, hint=hint) from error


def policies_of(membership: Membership, config: Config) -> Policies:
    """The policy of each log, by the rule of the roster, or without one of the configuration.

    A roster was checked before it was adopted, but emergency keys may have suspended members since
    whom its groups count on: then each jurisdiction that is left is a group. Notaries stay what
    they are: where too few are left, nothing of their kind is witnessed.

    Raises:
        ConfigurationError: `witness-rule`.
    """
    own, peers = membership.own, membership.peers
    if membership.signed is None:
        return make_policies(own, peers, config.witness.parsed())
    rule = membership.signed.roster.rule()
    try:
        return make_policies(own, peers, rule)
    except ConfigurationError as error:
        LOG.error("%s", error.message, extra={"code": error.code})  # noqa: TRY400 - expected
        return make_policies(own, peers, replace(rule, groups=()))


class Trust:
    """Our part as a witness of others, and theirs as witnesses of ours.

    Attributes:
        policies: of each log.
        cosigner: cosigns peers' heads, and our own as heartbeats.
        quorum: collects the cosignatures of our heads; None if none are demanded.
        witnesses: by member id, what we keep of each peer's quorum, and cosign if we are named.
    """

    def __init__(
        self,
        own: Member,
        log: Log,
        replicas: Sequence[Replica],
        policies: Policies,
        cosigner: Cosigner,
        clock: Clock,
    ) -> None:
        self.policies = policies
        self.cosigner = cosigner
        self._origin = own.origin
        self._dropped = policies[own.origin].dropped
        self._mesh: Mesh | None = None
        self._members = {replica.peer: replica.member for replica in replicas}
        for replica in replicas:
            replica.policy = self.policy(replica.origin)
        self.quorum: Quorum | None = None
        if self.policy(own.origin).quorum != NONE:
            known = {replica.peer: replica.member.cosigner_keys for replica in replicas}
            policy = self.policy(own.origin)
            self.quorum = Quorum(own, log, policy, known, clock, self._tell)
        self.witnesses = {
            replica.peer: Witness(
                *(own.id, replica, cosigner, clock, self._tell),
                named=own.cosigner_key in replica.policy.witnesses.values(),
            )
            for replica in replicas
            if replica.policy.quorum != NONE
        }

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What takes the mesh's notes for us."""
        return {} if self.quorum is None else {"cosignature": self.quorum.take}

    def policy(self, origin: str) -> Policy:
        """The policy of a log that is known here."""
        return self.policies[origin].policy

    def describe(self, size: int, witnessed: int) -> dict[str, Any]:
        """How our log is witnessed, as JSON; sizes of its signed and of its witnessed head."""
        quorum = self.quorum
        if quorum is None:
            return {"state": "none", "size": None, "lag": None, "dropped": [], "cosigned": {}}
        missing = quorum.unreachable and witnessed < size
        return {
            "state": "missing" if missing else "reached" if witnessed >= size else "waiting",
            "size": witnessed,
            "lag": size - witnessed,
            "dropped": list(self._dropped),
            "cosigned": {
                peer: {"size": seen.size, "at": format_time(seen.time * 1000)}
                for peer, seen in sorted(quorum.seen.items())
            },
        }

    def describe_peer(self, replica: Replica) -> dict[str, Any]:
        """How a peer's log is witnessed, as far as we know, and what we have cosigned of it."""
        last = self.cosigner.last(replica.origin)
        return {
            "quorum": self.policy(replica.origin).quorum != NONE,
            "witnessed_size": replica.log.state.witnessed_size,
            "cosigned_size": None if last is None else last.head.size,
        }

    def alarms(self, size: int, witnessed: int) -> list[dict[str, str]]:
        """What an operator must look after."""
        missing = [] if self.quorum is None else self.quorum.unnotarised
        found = [_lacks_notaries(self.policy(self._origin), kind) for kind in missing]
        if self.describe(size, witnessed)["state"] != "missing":
            return found
        message = f"{size - witnessed} entries wait for the quorum: their proofs are provisional"
        hint = "are the peers that must countersign connected? `chopmark peers list` shows them"
        return [{"code": "quorum-missing", "message": message, "hint": hint}, *found]

    def join(self, mesh: Mesh) -> None:
        """Publish through this mesh from now on."""
        self._mesh = mesh
        mesh.on_connect = self.tell_again
        mesh.on_returned = self.take_back
        if self.quorum is not None:
            mesh.settle_heads(self.quorum.announced)

    def take_back(self, owner: str, note: bytes) -> None:
        """A note of a peer's log with our cosignature, as a broker has kept it."""
        if owner in self._members:
            self.cosigner.take_back(self._members[owner], note)
        if owner in self.witnesses:
            self.witnesses[owner].take_back()

    def tell_again(self) -> None:
        """Publish once more what a broker may have lost."""
        for witness in self.witnesses.values():
            witness.tell_again()
        if self.quorum is not None:
            self.quorum.tell_again()

    async def run(self) -> None:
        """Witness, and be witnessed, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for name, witness in self.witnesses.items():
                tasks.create_task(witness.run(), name=f"witness-{name}")
            if self.quorum is not None:
                tasks.create_task(self.quorum.run(), name="quorum")
            await asyncio.Event().wait()  # though there be none of them

    def _tell(self, topic: str, payload: bytes) -> None:
        if self._mesh is not None:
            self._mesh.tell(topic, payload)


def _lacks_notaries(policy: Policy, kind: str) -> dict[str, str]:
    message = f"what is attested of the kind {kind} waits for its notaries"
    hint = f"is there {policy.describe_notaries(kind)} among those that are connected?"
    return {"code": "notary-missing", "message": message, "hint": hint}
