"""The roster of a running gateway: signs, takes, adopts and tells versions of it.

Rules:
1. Without a pinned version nothing is taken from peers: an operator pins one by its fingerprint.
2. A version that follows the one in force by the rules is kept and adopted, whoever brings it, but
   not before it is issued by our clock: until then it is refused, and comes again.
3. A second valid text of a version is kept as evidence; from then on nothing is adopted or signed
   until an operator pins one of the two.
4. Of each version one text is signed (`ledger.rosters`).
5. What is adopted is entered into our own log, and told to all. Peers' entries are read: when
   members of two institutions have adopted a newer version than ours, we are stale.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from chopmark.core.entry import Adoption
from chopmark.core.errors import (
    ChopmarkError,
    ExistsError,
    MalformedError,
    MissingError,
    RefusedError,
)
from chopmark.core.member import Member
from chopmark.core.note import DASH, Note, parse_note
from chopmark.core.ports import AuditSink, Clock, NoAudit, Signer
from chopmark.core.roster import Fingerprint, Officer, Roster
from chopmark.core.roster_follow import SignedRoster, check_change, check_successor, open_roster
from chopmark.core.roster_message import RosterMessage, make_message, parse_message
from chopmark.core.roster_rules import check_roster
from chopmark.core.roster_text import parse_roster
from chopmark.core.suspension import HEADER as SUSPENSION
from chopmark.core.suspension import SignedSuspension, open_suspension
from chopmark.core.text import parse_utf8
from chopmark.core.wording import format_time
from chopmark.ledger import rosters as table
from chopmark.ledger.log import Log
from chopmark.ledger.rosters import Held
from chopmark.mesh.topics import Topic
from chopmark.mesh.topics import roster as roster_topic
from chopmark.service.membership import (
    Membership,
    find_own,
    open_held,
    suspended,
)
from chopmark.service.roster_pin import open_pinned, store_pinned
from chopmark.service.roster_report import Alarm, behind, conflict, expiry, show

LOG: Final = logging.getLogger("chopmark.roster")
AHEAD: Final = 60
"""Seconds by which the clock of who proposes a version may go before ours."""
LOOK: Final = 1.0
"""Seconds between two looks at what peers have adopted."""
RECORD: Final = 10.0
"""Seconds to wait until an adoption is recorded."""
TELL: Final = 300
"""Looks between two times that we tell what we hold, for brokers that forget."""


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    adopted: int = 0
    refused: int = 0
    signed: int = 0


@dataclass(slots=True)
class Rosters:
    """Implements `api.ports.Rosters`, and handles what peers publish.

    Attributes:
        changed: set once the members are others than those this was made with.
        tell: publishes a retained note.
        record: appends an adoption to our own log.
        audit: takes note of adoptions.
    """

    membership: Membership
    held: Held
    log: Log
    signer: Signer
    clock: Clock
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    tell: Callable[[str, bytes], None] = lambda _topic, _payload: None
    record: Callable[[Adoption], Awaitable[object]] | None = None
    audit: AuditSink = field(default_factory=NoAudit)
    logs: Sequence[tuple[Member, Log]] = ()
    counters: Counters = field(default_factory=Counters)
    _chain: dict[int, SignedRoster] = field(init=False)
    _newer: dict[str, Adoption] = field(default_factory=dict)
    _warned: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._chain = {one.roster.version: one for one in self.membership.chain}

    @property
    def current(self) -> SignedRoster | None:
        """The version in force."""
        return self._chain[max(self._chain)] if self._chain else None

    def officers(self) -> tuple[Officer, ...] | None:
        """Those whom the version in force names; None without one."""
        return None if self.current is None else self.current.roster.officer

    async def run(self) -> None:
        """Look after it for ever."""
        while True:
            self._publish()
            for _ in range(TELL):
                await self._look()
                await asyncio.sleep(LOOK)

    async def take(self, _sender: str, _topic: Topic, payload: bytes) -> None:
        """Take what a peer publishes; what is good is kept, whatever else is there.

        Raises:
            ChopmarkError: the first that was wrong; as `mesh.bulletins.Handler`.
        """
        if self.current is None:
            raise MissingError("no-roster", "no version of the roster was pinned here")
        try:
            await self._take_all(parse_message(payload))
        except MalformedError:
            self.counters.refused += 1
            raise

    async def _take_all(self, message: RosterMessage) -> None:
        wrong: MalformedError | None = None
        calls = [(self._offer, note) for note in message.rosters]
        for call, note in calls + [(self._suspend, note) for note in message.suspensions]:
            try:
                await call(note)
            except MalformedError as error:
                wrong = wrong or error
        if wrong is not None:
            raise wrong

    async def sign(self, data: bytes, *, confirmed: bool = False) -> bytes:
        """Sign a text of the roster; gives the note with our line among those it had.

        Args:
            data: the text, or a note of it.
            confirmed: an operator says that no other text of this version was signed here.

        Raises:
            MalformedError, RefusedError: it breaks a rule.
            ExistsError: `roster-signed`, `roster-lost`, `roster-conflict`.
            TryAgainError: the HSM or the disk; nothing is out of our hands.
        """
        note = read_note(data)
        text = note.text
        roster = parse_roster(text)
        check_roster(roster)
        self._check_conflict()
        self._check_signable(roster, text)
        digest = Fingerprint(text).digest
        current = self.current
        issued = 0 if current is None else int(current.roster.issued.timestamp())

        def record(db: Any) -> None:
            table.record_signing(db, roster.version, digest, issued, confirmed=confirmed)

        await self.log.write(lambda store: store.change(record))
        line = await self.signer.sign_roster(roster)
        self.counters.signed += 1
        return note.with_signature(line).encode()

    async def publish(self, data: bytes) -> dict[str, Any]:
        """Take a version, or a suspension, that an operator hands us, and tell the others.

        Raises:
            MissingError: `no-roster`.
            MalformedError, RefusedError: it breaks a rule.
            ExistsError: `roster-conflict`.
        """
        if self.current is None:
            hint = "pin the version that is in force: `chopmark roster pin`"
            raise MissingError("no-roster", "no version of the roster was pinned here", hint=hint)
        if data.startswith(SUSPENSION.encode()):
            await self._suspend(data)
        else:
            await self._offer(data)
            self._check_conflict()
        return self.show()

    async def pin(self, data: bytes, fingerprint: str) -> dict[str, Any]:
        """Put a version in force because an operator says so by its fingerprint.

        Raises:
            MalformedError, RefusedError: it breaks a rule of rosters; `wrong-fingerprint`;
                `roster-older`.
        """
        signed = open_pinned(data, fingerprint, self._chain, self.held)
        time = self.clock.now_ms() // 1000

        def store_it(db: Any) -> None:
            store_pinned(db, signed, self._chain, self.held, time)

        async with self._turn:
            await self.log.write(lambda store: store.change(store_it))
            await self._adopted(signed)
        return self.show()

    def show(self) -> dict[str, Any]:
        """The roster as JSON (docs/api.md, `GET /v1/roster`)."""
        return show(self.current, self.membership.own, self.held, self.alarms())

    def describe(self) -> dict[str, Any]:
        """The short form for `GET /v1/status`."""
        whole = self.show()
        return {key: value for key, value in whole.items() if key not in ("note", "alarms")}

    def counts(self) -> dict[str, int]:
        """What happened since the start, for status and metrics."""
        return {f"rosters_{name}": value for name, value in asdict(self.counters).items()}

    def days_left(self) -> float | None:
        """Days until the version in force expires; None without one."""
        now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        return None if self.current is None else self.current.roster.expires_in(now)

    def alarms(self) -> list[Alarm]:
        """What an operator must look after."""
        found = [self._expiry(), conflict(self.held), self._behind()]
        return [one for one in found if one is not None]

    def _expiry(self) -> Alarm | None:
        return expiry(self.days_left())

    def _behind(self) -> Alarm | None:
        newest = max((one.version for one in self._newer.values()), default=0)
        return behind(self._ahead(), newest)

    def _ahead(self) -> set[str]:
        """Institutions that have adopted a newer version."""
        held = max(self._chain, default=0)
        owners = {member.id: member.institution for member, _ in self.logs if member.is_active}
        return {
            owners[peer]
            for peer, one in self._newer.items()
            if one.version > held and peer in owners
        }

    async def _look(self) -> None:
        for member, log in self.logs:
            found = await log.read(lambda reader, state: reader.adopted(state.head.size))
            if found is not None:
                self._newer[member.id] = found
        await self._enter()
        if not self._warned and (alarm := self._expiry()) is not None:
            self._warned = True
            LOG.warning("%s: %s", alarm["message"], alarm["hint"], extra={"code": alarm["code"]})

    async def _enter(self) -> None:
        """Enter what we have adopted into our own log, once."""
        signed = self.current
        if signed is None or self.record is None or self.membership.refusal is not None:
            return
        if find_own(signed.roster, self.membership.own) is None:
            return
        last = await self.log.read(lambda reader, state: reader.adopted(state.size))
        due = Adoption(0, signed.roster.version, signed.digest)
        if last is None or (last.version, last.digest) != (due.version, due.digest):
            with suppress(ChopmarkError):  # it is tried again
                await self.record(due)

    async def _offer(self, data: bytes) -> None:
        """Take one version, from whomever; raises what is wrong with it."""
        async with self._turn:
            text = parse_note(data).text
            known = self._chain.values()
            if any(one.note.text == text for one in known):
                return
            roster = parse_roster(text)
            before = self._chain.get(roster.version - 1)
            if before is None:
                if roster.version <= min(self._chain):
                    return  # older than what was pinned: nothing can be said of it
                message = f"version {roster.version} of the roster has come before the one before"
                raise RefusedError("roster-gap", message, hint="ask for the versions between")
            signed = open_roster(data, before.roster)
            check_successor(signed, before)
            if roster.version not in self._chain:
                self._check_issued(roster)
            await self._keep(signed)

    def _check_issued(self, roster: Roster) -> None:
        if roster.issued.timestamp() > self.clock.now_ms() / 1000 + AHEAD:
            issued = format_time(int(roster.issued.timestamp() * 1000))
            message = f"version {roster.version} of the roster is issued in the future: {issued}"
            hint = "see whether this gateway's clock is right, or publish it again at that time"
            raise RefusedError("roster-early", message, hint=hint)

    async def _keep(self, signed: SignedRoster) -> None:
        version, note = signed.roster.version, signed.encode()
        if self.held.conflict is not None and version > self.held.conflict:
            return  # which of the two it is to follow is not decided; it comes again
        fresh = version not in self._chain and self.held.conflict is None
        time = self.clock.now_ms() // 1000

        def store_it(db: Any) -> Held:
            table.keep(db, version, signed.digest, note)
            if fresh:
                table.adopt(db, version, signed.digest, time)
            return table.read_held(db)

        before = self.held.conflict
        self.held = await self.log.write(lambda store: store.change(store_it))
        if self.held.conflict is not None and before is None:
            LOG.error(
                "there are two valid texts of version %d of the roster",
                self.held.conflict,
                extra={"code": "roster-conflict"},
            )
        if fresh:
            await self._adopted(signed)

    async def _adopted(self, signed: SignedRoster) -> None:
        self.held = await self.log.write(lambda store: store.change(table.read_held))
        self._chain = {one.roster.version: one for one in map(open_held, self.held.notes)}
        self.counters.adopted += 1
        digest = signed.digest.hex()
        self.audit.note("roster.adopted", version=signed.roster.version, digest=digest)
        LOG.info(
            "version %d of the roster is in force: %s",
            signed.roster.version,
            signed.fingerprint.words,
        )
        self._publish()
        self.changed.set()

    async def _suspend(self, data: bytes) -> None:
        async with self._turn:
            signed = self._open_suspension(data)
            listed = self._roster().find(signed.suspension.member)
            vkey = listed.emergency if listed is not None else None
            if vkey is None or vkey in {known for known, _ in self.held.suspensions}:
                return

            def store_it(db: Any) -> Held:
                table.suspend(db, vkey, signed.note)
                return table.read_held(db)

            self.held = await self.log.write(lambda store: store.change(store_it))
            LOG.error(
                "%s is suspended by its own emergency key",
                signed.suspension.origin,
                extra={"code": "member-suspended", "peer": signed.suspension.member},
            )
            self._publish()
            self.changed.set()

    def _open_suspension(self, data: bytes) -> SignedSuspension:
        return open_suspension(data, self._roster())

    def _roster(self) -> Roster:
        if self.current is None:
            raise MissingError("no-roster", "no version of the roster was pinned here")
        return self.current.roster

    def _check_conflict(self) -> None:
        alarm = conflict(self.held)
        if alarm is not None:
            raise ExistsError(alarm["code"], alarm["message"], hint=alarm["hint"])

    def _check_signable(self, roster: Roster, text: str) -> None:
        """What is signed follows the version in force, or is that version, or the first."""
        current = self.current
        if current is None:
            if roster.version != 1:
                hint = "pin the version that is in force first: `chopmark roster pin`"
                raise RefusedError("no-roster", "no version was pinned here", hint=hint)
        elif text != current.note.text:
            check_change(roster, current)

    def _publish(self) -> None:
        if not self._chain:
            return
        notes = [self._chain[version].encode() for version in sorted(self._chain)]
        wanted = suspended(self._roster(), self.held)
        emergency = {one.emergency for one in self._roster().member if one.id in wanted}
        stops = [note for vkey, note in self.held.suspensions if vkey in emergency]
        payload = make_message(notes, stops).encode()
        self.tell(roster_topic(self.membership.own.id), payload)


def read_note(data: bytes) -> Note:
    """A note, or a text that nobody has signed yet; raises as `parse_note`."""
    text = parse_utf8(data, "a roster")
    return parse_note(data) if f"\n\n{DASH}" in text else Note(text, ())
