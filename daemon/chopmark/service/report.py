"""How the gateway is, as JSON and in words (docs/api.md, `GET /v1/status`)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import chopmark
from chopmark.core.member import Member
from chopmark.core.ports import Clock
from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.sequencer import Sequencer
from chopmark.mesh.link import Broker
from chopmark.mesh.mesh import Mesh, Peer


class Report:
    """Looks at the parts and tells; changes nothing."""

    def __init__(
        self,
        own: Member,
        log: Log,
        sequencer: Sequencer,
        signer: HsmSigner,
        mesh: Mesh,
        broker: Broker,
        replicas: Sequence[Replica],
        clock: Clock,
    ) -> None:
        self._own = own
        self._log = log
        self._sequencer = sequencer
        self._signer = signer
        self._mesh = mesh
        self._broker = broker
        self._replicas = replicas
        self._clock = clock

    def status(self) -> dict[str, Any]:
        """State of the gateway."""
        own, state = self._own, self._log.state
        behind = any(index["state"] != "ready" for index in self._indices().values())
        degraded = bool(self.not_ready()) or not self._mesh.link.connected or behind
        return {
            "id": own.id,
            "origin": own.origin,
            "institution": own.institution,
            "jurisdiction": own.jurisdiction,
            "version": chopmark.__version__,
            "state": "degraded" if degraded else "ready",
            "ready": not self.not_ready(),
            "reasons": self.not_ready(),
            "size": state.size,
            "head": {
                "size": state.head.size,
                "root": encode_base64(state.head.root),
                "note": (state.note or b"").decode(),
            },
            "hsm": self._hsm(),
            "broker": self._link(),
            "index": self._indices(),
            "clock": {"now": format_time(self._clock.now_ms()), "guard": "none"},
            "counters": {**asdict(self._sequencer.counters), **self._signer.counts},
            "peers": self.peers(),
        }

    def peers(self) -> list[dict[str, Any]]:
        """State of each replica."""
        return [self._peer(replica, self._mesh.peers[replica.peer]) for replica in self._replicas]

    def not_ready(self) -> list[str]:
        """Why attesting does not work at present; empty when it does."""
        reasons = []
        if self._signer.state != "ready":
            reasons.append(f"HSM {self._signer.state}: {self._signer.reason}")
        elif self._sequencer.stalled:
            reasons.append(f"signing is stalled: {self._sequencer.stalled}")
        if self._log.state.note is None:
            reasons.append("no head has been signed yet")
        return reasons

    def sentence(self) -> str:
        """One line for systemd and people."""
        reasons = self.not_ready()
        if not self._mesh.link.connected:
            reasons.append(f"broker away: {self._mesh.link.reason}")
        reasons += [
            f"digest index of {member} {index['state']}: {index['position']} of {index['size']}"
            for member, index in self._indices().items()
            if index["state"] != "ready"
        ]
        following = sum(not replica.missing for replica in self._replicas)
        sizes = f"{self._log.signed_size} entries, {following} of {len(self._replicas)} peers"
        return "; ".join(reasons) if reasons else f"ready: {sizes} up to date"

    def _indices(self) -> dict[str, dict[str, Any]]:
        """How far the digest index of each log is."""
        logs = {self._own.id: self._log} | {one.peer: one.log for one in self._replicas}
        return {member: _describe_index(log) for member, log in logs.items()}

    def _hsm(self) -> dict[str, Any]:
        signer = self._signer
        return {
            "state": signer.state,
            "module": signer.module,
            "token": signer.token_label,
            "reason": signer.reason,
            "warning": signer.warning,
        }

    def _link(self) -> dict[str, Any]:
        link = self._mesh.link
        return {
            "state": "connected" if link.connected else "away",
            "host": self._broker.host,
            "port": self._broker.port,
            "reason": link.reason or None,
        }

    def _peer(self, replica: Replica, peer: Peer) -> dict[str, Any]:
        member, state = replica.member, replica.log.state
        return {
            "id": member.id,
            "origin": member.origin,
            "institution": member.institution,
            "jurisdiction": member.jurisdiction,
            "kinds": sorted(member.kinds),
            "size": state.size,
            "head_size": state.head.size,
            "missing": replica.missing,
            "as_of": format_time(state.seen_time * 1000) if state.seen_time else None,
            "online": peer.online,
            "state": _follow_state(replica, peer),
            "reason": replica.conflict or replica.problem,
            "counters": asdict(replica.counters),
        }


def _describe_index(log: Log) -> dict[str, Any]:
    state = "ready" if log.index.is_whole else "failed" if log.index.problem else "rebuilding"
    return {"state": state, "position": log.index.position, "size": log.state.size}


def _follow_state(replica: Replica, peer: Peer) -> str:
    if replica.conflict:
        return "failed"
    if peer.catch_up.running:
        return "catching-up"
    # An empty log has no head of ours, but a heartbeat that says that it is empty.
    return "following" if not replica.missing and replica.log.state.seen_time else "waiting"
