"""How the gateway is, as JSON and in words (docs/api.md, `GET /v1/status`)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import chopmark
from chopmark.core.errors import MissingError, TryAgainError, UnreachableError
from chopmark.core.member import Member
from chopmark.core.ports import Clock
from chopmark.core.text import encode_base64
from chopmark.core.wording import format_time
from chopmark.hsm.signer import HsmSigner
from chopmark.ledger.log import Log
from chopmark.ledger.replica import Replica
from chopmark.ledger.sequencer import Sequencer
from chopmark.mesh.mesh import Mesh
from chopmark.mesh.pace import MAX_LAG
from chopmark.mesh.peer import Peer
from chopmark.mesh.versions import OURS, Versions, in_use
from chopmark.service.audit_syslog import AuditSyslog
from chopmark.service.clockguard import ClockGuard
from chopmark.service.config_model import Hsm
from chopmark.service.forks import Forks
from chopmark.service.history import History
from chopmark.service.hsm_state import describe_hsm, hsm_alarms
from chopmark.service.live import Standings
from chopmark.service.looplag import LoopLag
from chopmark.service.replicas import describe_index, describe_replica
from chopmark.service.retention import Retention
from chopmark.service.rosters import Rosters
from chopmark.service.salts import Salts
from chopmark.service.standing import Standing
from chopmark.service.storage import Storage
from chopmark.service.trust import Trust


class Anchors(Protocol):
    """Anchoring, where there is any."""

    def describe(self) -> dict[str, Any]:
        """How it is, as JSON."""
        ...

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        ...


class Report:
    """Looks at the parts and tells; changes nothing."""

    def __init__(
        self,
        own: Member,
        log: Log,
        sequencer: Sequencer,
        signer: HsmSigner,
        mesh: Mesh,
        replicas: Sequence[Replica],
        clock: Clock,
        storage: Storage,
        lag: LoopLag,
        forks: Forks,
        guard: ClockGuard,
        trust: Trust,
        standing: Standing,
        rosters: Rosters,
        retention: Retention,
        salts: Salts,
        history: History,
        hsm: Hsm,
        syslog: AuditSyslog | None = None,
    ) -> None:
        self._own = own
        self._log = log
        self._sequencer = sequencer
        self._signer = signer
        self._mesh = mesh
        self._replicas = replicas
        self._clock = clock
        self._storage = storage
        self._lag = lag
        self._forks = forks
        self._guard = guard
        self._trust = trust
        self._standing = standing
        self._rosters = rosters
        self._retention = retention
        self._salts = salts
        self._history = history
        self._hsm = hsm
        self.more_alarms: Callable[[], list[dict[str, str]]] = list
        self._syslog = syslog
        self.anchoring: Anchors | None = None

    def status(self) -> dict[str, Any]:
        """State of the gateway."""
        own, state = self._own, self._log.state
        behind = any(index["state"] != "ready" for index in self._indices().values())
        degraded = bool(self.not_ready()) or not self._mesh.links.connected or behind
        return {
            "id": own.id,
            "origin": own.origin,
            "institution": own.institution,
            "jurisdiction": own.jurisdiction,
            "version": chopmark.__version__,
            "protocol": {**asdict(OURS), "in_use": in_use(self._spoken())},
            "state": "degraded" if degraded else "ready",
            "ready": not self.not_ready(),
            "reasons": self.not_ready(),
            "size": state.size,
            "head": {
                "size": state.head.size,
                "root": encode_base64(state.head.root),
                "note": (state.note or b"").decode(),
            },
            "witnessed": self._trust.describe(state.head.size, state.witnessed_size),
            "standing": self._standing.describe(),
            "hsm": describe_hsm(self._signer, self._hsm),
            "broker": self._broker(),
            "brokers": self._brokers(),
            "pace": self._pace(),
            "index": self._indices(),
            "storage": self._storage.describe(),
            "alarms": self.alarms(),
            "roster": self._rosters.describe(),
            "retention": self._retention.describe(),
            "audit": {"syslog": None if self._syslog is None else self._syslog.describe()},
            "anchor": None if self.anchoring is None else self.anchoring.describe(),
            "event_loop": {"lag_ms_max_minute": round(self._lag.worst() * 1000, 1)},
            "intake": {"entries": self._sequencer.waiting},
            "clock": self._guard.describe(),
            "counters": self._counters(),
            "peers": self.peers(),
        }

    def peers(self) -> list[dict[str, Any]]:
        """State of each replica."""
        return [self._peer(replica, self._mesh.peers[replica.peer]) for replica in self._replicas]

    async def round_trip(self, member: str) -> float:
        """Seconds that a question to a peer and its answer take.

        Raises:
            MissingError: `no-such-member`, of this gateway itself too: nobody asks himself.
            TryAgainError: `no-reply`, `broker-away`.
        """
        if member not in self._mesh.peers:
            raise MissingError("no-such-member", f"{member!r} is no peer")
        started = time.monotonic()
        try:
            await self._mesh.ask_heads(member)
        except UnreachableError as error:
            raise TryAgainError(error.code, error.message, hint=error.hint) from error
        return time.monotonic() - started

    def replicas(self) -> list[dict[str, Any]]:
        """What is held of each peer's log."""
        now, removed = self._clock.now_ms(), self._retention.describe()["removed"]
        warning = self._forks.releases.warning
        return [
            describe_replica(one, now, warning(one.origin), removed.get(one.peer))
            for one in self._replicas
        ]

    def rates(self) -> dict[str, Any]:
        """How much was done each minute of the last day."""
        return self._history.describe()

    def live(self) -> Standings:
        """What events tell the changes of, besides the logs."""
        mesh = self._mesh
        return Standings(
            {one["code"]: one for one in reversed(self.alarms())},
            {one.peer: mesh.online(mesh.peers[one.peer]) for one in self._replicas},
            {f"{one['host']}:{one['port']}": one["state"] for one in self._brokers()},
        )

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        state = self._log.state
        unwitnessed = self._trust.alarms(state.head.size, state.witnessed_size)
        forks, clock = self._forks.alarms(), self._guard.alarms()
        own = hsm_alarms(self._signer) + self._standing.alarms() + self._storage.alarms()
        own += self._salts.alarms() + self._faults()
        waiting = [] if self._syslog is None else self._syslog.alarms()
        others = unwitnessed + forks + clock + self._rosters.alarms() + self._protocols()
        if self.anchoring is not None:
            waiting = waiting + self.anchoring.alarms()
        return own + others + waiting + self.more_alarms()

    def not_ready(self) -> list[str]:
        """Why attesting does not work at present; empty when it does."""
        reasons = []
        if self._signer.state != "ready":
            reasons.append(f"HSM {self._signer.state}: {self._signer.reason}")
        elif self._sequencer.stalled:
            reasons.append(f"signing is stalled: {self._sequencer.stalled}")
        elif (refusal := self._standing.may_sign()) is not None:
            reasons.append(refusal.message)
        if not self._storage.issuing:
            reasons.append(f"the disk is {self._storage.space.part:.1%} full: nothing is issued")
        if (wrong := self._guard.refuse(0)) is not None:
            reasons.append(wrong.message)
        if (refusal := self._rosters.membership.refusal) is not None:
            reasons.append(refusal.message)
        if self._log.state.note is None:
            reasons.append("no head has been signed yet")
        return reasons

    def sentence(self) -> str:
        """One line for systemd and people."""
        reasons = self.not_ready()
        for broker in self._brokers():
            if broker["state"] == "away":
                address = f"{broker['host']}:{broker['port']}"
                reasons.append(f"broker {address} away: {broker['reason']}")
        reasons += [
            f"digest index of {member} {index['state']}: {index['position']} of {index['size']}"
            for member, index in self._indices().items()
            if index["state"] != "ready"
        ]
        following = sum(not replica.missing for replica in self._replicas)
        sizes = f"{self._log.signed_size} entries, {following} of {len(self._replicas)} peers"
        return "; ".join(reasons) if reasons else f"ready: {sizes} up to date"

    def _spoken(self) -> list[Versions]:
        """What the members speak that count."""
        pairs = [(replica.member, self._mesh.peers[replica.peer]) for replica in self._replicas]
        return [peer.speaks for member, peer in pairs if member.is_active and peer.speaks]

    def _protocols(self) -> list[dict[str, str]]:
        """An alarm for each peer with which we have no version of the protocol in common."""
        return [
            {"code": "peer-protocol", **_describe_stranger(peer.log.peer, peer.speaks)}
            for peer in self._mesh.peers.values()
            if peer.speaks is not None and not peer.is_understood
        ]

    def _faults(self) -> list[dict[str, str]]:
        """An alarm for each broker that does not let us in or keep us, and will not by itself."""
        links = self._mesh.links
        return [
            {
                "code": "broker-fault",
                "message": f"broker {broker}: {link.fault.message}",
                "hint": link.fault.hint,
            }
            for broker, link in zip(links.brokers, links.each, strict=True)
            if link.fault is not None
        ]

    def _indices(self) -> dict[str, dict[str, Any]]:
        """How far the digest index of each log is."""
        logs = {self._own.id: self._log} | {one.peer: one.log for one in self._replicas}
        return {member: describe_index(log) for member, log in logs.items()}

    def _counters(self) -> dict[str, int]:
        mesh = self._mesh
        return {
            **asdict(self._sequencer.counters),
            **self._signer.counts,
            "live_skipped": sum(publisher.skipped for publisher in mesh.publishers),
            "requests_repeated": mesh.server.repeated,
            "requests_dropped": mesh.server.dropped,
            "strangers": mesh.strangers,
            **self._rosters.counts(),
        }

    def _broker(self) -> dict[str, Any]:
        """The first that is connected, or else the first: whether there is one at all."""
        brokers = self._brokers()
        return next((one for one in brokers if one["state"] == "connected"), brokers[0])

    def _brokers(self) -> list[dict[str, Any]]:
        links = self._mesh.links
        return [
            {
                "state": "connected" if link.connected else "away",
                "host": broker.host,
                "port": broker.port,
                "reason": link.reason or link.refusal or None,
            }
            for broker, link in zip(links.brokers, links.each, strict=True)
        ]

    def _pace(self) -> dict[str, Any]:
        mesh = self._mesh
        return {"slowed": mesh.slowed, "bound": MAX_LAG, "lags": dict(mesh.lags())}

    def _peer(self, replica: Replica, peer: Peer) -> dict[str, Any]:
        member, state = replica.member, replica.log.state
        unverified = peer.intake.unverified
        return {
            "id": member.id,
            "origin": member.origin,
            "institution": member.institution,
            "jurisdiction": member.jurisdiction,
            "membership": member.state,
            "successor": member.successor,
            "kinds": sorted(member.kinds),
            "size": state.size,
            "head_size": state.head.size,
            "missing": replica.missing,
            **self._trust.describe_peer(replica),
            "as_of": format_time(state.seen_time * 1000) if state.seen_time else None,
            "online": self._mesh.online(peer),
            "protocol": peer.speaks and asdict(peer.speaks),
            "state": _follow_state(replica, peer),
            "reason": replica.conflict or _paused(replica) or replica.problem,
            "asked": peer.catch_up.in_flight,
            "unverified": {"bytes": unverified.bytes, "limit": unverified.limit},
            "counters": {
                **asdict(replica.counters),
                "repeated": peer.intake.duplicates,
                "skipped": unverified.dropped,
            },
        }


def _describe_stranger(name: str, speaks: Versions) -> dict[str, str]:
    message = f"{name} speaks version {speaks} of the protocol, and this gateway {OURS}: neither "
    message += "asks the other for anything"
    newer = speaks.oldest > OURS.newest
    hint = "update this gateway" if newer else "call its operator: it must be updated"
    return {"message": message, "hint": hint}


def _paused(replica: Replica) -> str | None:
    held_back = replica.paused and replica.missing
    return "nothing is taken in: the disk is nearly full" if held_back else None


def _follow_state(replica: Replica, peer: Peer) -> str:
    if replica.conflict:
        return "failed"
    if peer.catch_up.running:
        return "catching-up"
    # An empty log has no head of ours, but a heartbeat that says that it is empty.
    return "following" if not replica.missing and replica.log.state.seen_time else "waiting"
