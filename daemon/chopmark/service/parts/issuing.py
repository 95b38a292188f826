"""What grows our own log: the sequencer, and all that may forbid it to issue or to sign."""

from dataclasses import dataclass

from chopmark.ledger.sequencer import Sequencer
from chopmark.ledger.worker import Worker
from chopmark.service.clockguard import ClockGuard
from chopmark.service.gates import first_refusal, hsm_gate
from chopmark.service.marks import Marks
from chopmark.service.parts.opening import Opened
from chopmark.service.salts import Salts
from chopmark.service.standing import Standing


@dataclass(frozen=True, slots=True)
class Issuing:
    """Our own log's writer, whether the ledger is its newest, what is held of the clock, salts."""

    sequencer: Sequencer
    standing: Standing
    guard: ClockGuard
    salts: Salts


def make_issuing(opened: Opened, blinding: Worker) -> Issuing:
    """Bring them together; each gate is asked in the order in which it says most.

    Args:
        opened: what they work on.
        blinding: the thread on which attestations are blinded.
    """
    config, clock, members = opened.config, opened.clock, opened.members
    sequencer = Sequencer(opened.log, opened.signer, clock)
    standing = _make_standing(opened)
    guard = opened.outside.make_guard(config.clock.require, opened.own.institution, clock)
    guard.look()
    sequencer.refuse = first_refusal(
        *(
            hsm_gate(opened.signer),
            standing.refuse,
            members.refuse,
            opened.storage.refuse,
            guard.refuse,
        )
    )
    sequencer.permitted = standing.permitted
    opened.trust.cosigner.may_cosign = standing.may_sign
    salts = Salts(opened.log, opened.signer, clock, blinding, opened.outside.random)
    return Issuing(sequencer, standing, guard, salts)


def _make_standing(opened: Opened) -> Standing:
    """What keeps our own log from being signed on a ledger that is not the newest."""
    signer = opened.signer
    return Standing(
        opened.log,
        opened.own,
        Marks(opened.log, signer, opened.outside.random),
        [peer.id for peer in opened.members.peers],
        lambda: signer.warning,
        alone=opened.config.start.alone,
    )
