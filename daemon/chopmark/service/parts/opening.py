"""What lies on the disk: our own log, the members that follow from it, replicas, cosigner rows."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from chopmark.core.errors import ConfigurationError, InternalError
from chopmark.core.keys import VerifierKey
from chopmark.core.member import Member
from chopmark.core.ports import Clock
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.log import Log, open_log
from chopmark.ledger.replica import Replica
from chopmark.ledger.store import create_store
from chopmark.ledger.witness import open_cosigner
from chopmark.ledger.worker import Worker
from chopmark.service.config import Config, own_member
from chopmark.service.locking import refusal_named
from chopmark.service.membership import Membership
from chopmark.service.parts.outside import Outside
from chopmark.service.places import index_path, log_path, old_index_files, replica_path
from chopmark.service.releases import set_aside_released
from chopmark.service.roster_start import open_rosters
from chopmark.service.rosters import Rosters
from chopmark.service.storage import Storage
from chopmark.service.trust import Trust, policies_of


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened, and what it was opened with."""

    config: Config
    outside: Outside
    signer: HsmSigner
    reading: Worker
    log: Log
    rosters: Rosters
    storage: Storage
    replicas: Sequence[Replica]
    trust: Trust

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.outside.clock

    @property
    def members(self) -> Membership:
        """Who the members are."""
        return self.rosters.membership

    @property
    def own(self) -> Member:
        """This gateway."""
        return self.members.own


async def open_ledgers(
    config: Config, signer: HsmSigner, reading: Worker, stack: AsyncExitStack, outside: Outside
) -> Opened:
    """Open the logs with a signer that is there, in the order in which a fault is best explained.

    Raises:
        ChopmarkError: with the first thing that is wrong.
    """
    state = config.gateway.state
    own = own_member(config, signer.log_key, signer.cosigner_key)
    files = _Files(state, reading, stack, outside.open_index)
    log = await files.open(log_path(state), own)
    rosters = await open_rosters(config, log, signer, outside.clock)
    members = rosters.membership
    policies = policies_of(members, config)
    storage = await _watch(config, log, stack)
    await set_aside_released(log, state, members.peers)
    replicas = [
        Replica(peer, await files.open_replica(peer), outside.clock) for peer in members.peers
    ]
    rosters.logs = [(replica.member, replica.log) for replica in replicas]
    cosigner = await open_cosigner(log, signer)
    trust = Trust(members.own, log, replicas, policies, cosigner, outside.clock)
    return Opened(config, outside, signer, reading, log, rosters, storage, replicas, trust)


def make_folder(path: Path) -> None:
    """Make a folder of the state, unless it is there; its owner alone may look into it."""
    with refusal_named(path):
        path.mkdir(mode=0o700, exist_ok=True)


async def _watch(config: Config, log: Log, stack: AsyncExitStack) -> Storage:
    """The disk, looked at once: nothing is issued before we know how full it is."""
    bounds = config.storage
    storage = Storage(config.gateway.state, bounds.alarm, bounds.stop, lambda: log.state.size)
    stack.callback(storage.close)
    await storage.look()
    return storage


@dataclass(frozen=True, slots=True)
class _Files:
    """Opens the logs of one gateway; `stack` closes them."""

    state: Path
    reading: Worker
    stack: AsyncExitStack
    open_index: Callable[[Path], DigestIndex]

    async def open_replica(self, peer: Member) -> Log:
        path = replica_path(self.state, peer.id)
        if not path.exists():  # derived data: an empty one fills itself from the peers
            make_folder(path.parent)
            create_store(path, peer.log_key, peer.cosigner_key)
        try:
            return await self.open(path, peer)
        except InternalError as error:
            hint = f"move {path}* away and start again: a replica fills from its peers"
            raise InternalError(error.code, error.message, hint=hint) from error

    async def open(self, path: Path, member: Member) -> Log:
        def check(log_key: VerifierKey, cosigner_key: VerifierKey) -> None:
            if log_key not in member.log_keys or cosigner_key not in member.known_cosigner_keys:
                message = f"{path} was made for other keys than those of {member.origin}"
                hint = "is this the right token, and the right [[peer]] block?"
                raise ConfigurationError("keys-changed", message, hint=hint)

        index = index_path(self.state, member.id)
        await self.reading.run(self._clear_way, index, member)
        log = await open_log(path, index, self.reading, self.open_index, check)
        self.stack.push_async_callback(log.close)
        return log

    def _clear_way(self, index: Path, member: Member) -> None:
        """A folder for the index, without what earlier software left there."""
        make_folder(index.parent)
        for old in old_index_files(self.state, member.id):
            with refusal_named(old):
                old.unlink(missing_ok=True)
