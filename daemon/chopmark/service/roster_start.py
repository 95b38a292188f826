"""The roster at the start of a gateway's parts."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from chopmark.core.entry import Adoption
from chopmark.core.ports import Clock
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger import rosters as table
from chopmark.ledger.log import Log
from chopmark.ledger.sequencer import Sequencer
from chopmark.service.config import Config
from chopmark.service.membership import form_membership
from chopmark.service.rosters import LOG, RECORD, Rosters


async def open_rosters(config: Config, log: Log, signer: HsmSigner, clock: Clock) -> Rosters:
    """What is held in our own log's database, and the members that follow from it.

    Raises:
        ConfigurationError: what `form_membership` raises.
    """
    held = await log.read(lambda reader, _: reader.look(table.read_held))
    membership = form_membership(config, signer.log_key, signer.cosigner_key, held)
    if membership.chain and config.peer:
        LOG.warning("a roster is pinned: the [[peer]] blocks of the configuration are left aside")
    if membership.refusal is not None:
        LOG.error("%s", membership.refusal, extra={"code": membership.refusal.code})
    return Rosters(membership, held, log, signer, clock)


def make_record(sequencer: Sequencer) -> Callable[[Adoption], Awaitable[object]]:
    """Appends adoptions to our own log."""

    async def record(due: Adoption) -> object:
        return await sequencer.record([lambda time: replace(due, made_at=time)], RECORD)

    return record
