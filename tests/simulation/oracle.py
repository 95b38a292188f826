"""What must hold in every run: the one place that says whether a simulation went well.

1. What was answered as recorded is in the issuer's log, at its index, with its digest and time;
   what was answered as signed is under a signed head, and its proof holds. What was refused as
   not recorded is not there.
2. A log key never signs two heads of one size with different roots.
3. What a gateway held durably it still holds after any crash; heads and as-of times never go back.
4. A live message whose entries continue the replica is acknowledged only when they are durable,
   unless the same, or something else that says it begins there too, has come as well.
5. A replica is a prefix of its issuer's log. Once faults end it is all of it.
6. If the issuer was forked (restored from an old disk, it signed on), a replica is a prefix of one
   history, never a mix; it holds the newest or has stopped, and keeps the evidence, for good.
7. The time of entries never decreases within a log.
8. A verdict was right at its as-of: what is `valid` was attested, and was not revoked or superseded
   in what the replica had; `unknown` was not covered; and the replica had all that was cosigned
   before its as-of.
9. `fsck` finds nothing but the evidence of a fork. Each day of the audit log that is over has one
   entry, and its records lead to it.
10. Evidence convicts none but a forked issuer; and once faults end, whoever runs has it if one has,
    and follows that issuer no more.
11. A gateway whose disk was put back to one from before its last start, and whose token was not,
    signs and cosigns nothing any more.
12. A cosigner signs no head but one that its gateway holds in full. No cosigner key signs two roots
    of one size of a log; of what was published none is smaller than what it signed before, and what
    it has cosigned by its own rows never goes back, unless its disk was an old one. A proof that is
    said to be witnessed has its quorum. Once faults end every log is witnessed, and its replicas
    know.
13. With an attacker among the members all of this holds of the others, and once access rules are in
    force what they attested is `valid` as of then; none of them is said to have forked its log or
    sent what does not verify; what is kept of what comes is bounded, each gateway's journal has one
    line a minute for each kind of trouble with a peer, and its metrics name the attacker.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from chopmark.core.checkpoint import Checkpoint
from chopmark.core.draft import Recorded
from chopmark.core.entry import GRAVE_REASONS, Attestation, Revocation, parse_entry
from chopmark.core.errors import ChopmarkError
from chopmark.core.package import parse_package, peek_run
from chopmark.core.tiles import parse_bundle
from chopmark.core.verdict import Judgement, Source, Verdict, Word

Item = bytes | tuple[int, int]
"""What was asked for: the digest of an attestation, or (target, reason) of a revocation."""
FRESH = (Word.VALID, Word.VALID_AS_OF)
KNOWN = (*FRESH, Word.REVOKED, Word.SUPERSEDED, Word.EXPIRED)


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Floor:
    """What a gateway held of one log: it must never hold less."""

    size: int = 0
    signed: int = 0
    seen: int = 0
    frozen: bool = False


@dataclass(frozen=True)
class Given:
    """A verdict, and the signed sizes of all logs there before and after it."""

    box: str
    digest: bytes
    verdict: Verdict
    before: Mapping[str, int]
    after: Mapping[str, int]


class History:
    """One history of a log, from its entries."""

    def __init__(self, origin: str, entries: Sequence[bytes]) -> None:
        self.origin, self.raw = origin, list(entries)
        self.entries = [parse_entry(entry) for entry in entries]
        self.where: dict[bytes, list[int]] = defaultdict(list)
        self.ended: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
        for index, entry in enumerate(self.entries):
            if isinstance(entry, Attestation):
                self.where[entry.sha256].append(index)
                if entry.supersedes is not None:
                    self.ended[entry.supersedes].append((index, None))
            elif isinstance(entry, Revocation):
                self.ended[entry.target].append((index, entry.reason))

    def says(self, index: int) -> Item | None:
        """What was asked for at an index."""
        entry = self.entries[index] if index < len(self.entries) else None
        if isinstance(entry, Attestation):
            return entry.sha256
        return (entry.target, entry.reason) if isinstance(entry, Revocation) else None

    def standing(self, random: Random) -> bytes | None:
        """A digest that was attested here once, and that nothing has ended."""
        found = [
            digest
            for digest, where in self.where.items()
            if len(where) == 1 and where[0] not in self.ended
        ]
        return random.choice(found) if found else None

    def is_ended(self, index: int, size: int) -> bool:
        """Whether the first `size` entries revoke or supersede an attestation."""
        return any(source < size for source, _ in self.ended.get(index, ()))

    def is_grave(self, digest: bytes, size: int) -> bool:
        """Whether they revoke an attestation of a digest for a grave reason."""
        return any(
            source < size and reason in GRAVE_REASONS
            for index in self.where.get(digest, ())
            if index < size
            for source, reason in self.ended.get(index, ())
        )


@lru_cache(maxsize=1024)
def _run_of(payload: bytes) -> tuple[str, int, int] | None:
    """Origin of a package, and where its entries lie; None for what is no package."""
    try:
        package = parse_package(payload)
        return package.origin, package.start, package.start + len(parse_bundle(package.bundle))
    except ChopmarkError:
        return None


@dataclass
class Oracle:
    """Gathers what was seen during a run, outside the gateways, and judges it."""

    violations: list[str] = field(default_factory=list)
    heads: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    beats: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    promises: dict[str, dict[int, tuple[Item, int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    signed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refusals: list[tuple[str, bytes]] = field(default_factory=list)
    asked: Counter[bytes] = field(default_factory=Counter)
    floors: dict[tuple[str, str], Floor] = field(default_factory=dict)
    verdicts: list[Given] = field(default_factory=list)
    histories: dict[str, list[History]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    restored: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    fenced: set[str] = field(default_factory=set)
    """Logs put back with their tokens whose gateways have noticed: they sign nothing any more."""
    junk: set[bytes] = field(default_factory=set)
    unsteady: set[str] = field(default_factory=set)
    cosigned: dict[tuple[str, str], list[tuple[int, bytes, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    published: dict[tuple[str, str], set[tuple[int, bytes, int]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    attackers: set[str] = field(default_factory=set)
    tainted: set[str] = field(default_factory=set)

    def fail(self, rule: int, message: str) -> None:
        """Note that a rule does not hold."""
        self.violations.append(f"rule {rule}: {message}")

    @property
    def old_disks(self) -> set[str]:
        """Logs whose gateways go on from a disk that was put back."""
        return self.restored | self.behind

    # While it runs

    def head_signed(self, head: Checkpoint) -> None:
        """A log key has signed."""
        if head.origin in self.behind:
            self.fail(11, f"{head.origin} was signed on a disk that was put back")
        known = self.heads[head.origin].setdefault(head.size, head.root)
        if known != head.root and head.origin not in self.restored:
            self.fail(2, f"two signed heads of {head.origin} have size {head.size}")

    def head_cosigned(self, by: str, head: Checkpoint, time: int, held: bytes | None) -> None:
        """The cosigner key of `by` has signed: a head of its own log, or of another.

        Args:
            by: whose cosigner it is.
            head: what it has signed.
            time: seconds since the epoch.
            held: root of what its gateway holds at that size; None if that is less.
        """
        if by in self.behind:
            self.fail(11, f"{by} vouched for {head.origin} on a disk that was put back")
        if held != head.root:
            self.fail(12, f"{by} cosigned {head.origin} at {head.size}, and does not hold it")
        if head.origin == by:
            self.beats[by].append((time, head.size))
        made = self.cosigned[by, head.origin]
        other = any(size == head.size and root != head.root for size, root, _ in made)
        if other and by not in self.restored:
            self.fail(12, f"{by} cosigned two heads of {head.origin} of size {head.size}")
        made.append((head.size, head.root, time))

    def cosignature_seen(self, by: str, head: Checkpoint, time: int) -> None:
        """A cosignature has been published."""
        made = (head.size, head.root, time)
        if made not in self.cosigned[by, head.origin]:
            self.fail(12, f"{by} has not cosigned what bears its name: {head}")
        self.published[by, head.origin].add(made)

    def row_held(self, witness: str, origin: str, size: int, *, after: bool) -> None:
        """What a cosigner has cosigned of a log; see `held`."""
        if size < self.rows[witness, origin] and witness not in self.restored | self.behind:
            floor = self.rows[witness, origin]
            self.fail(12, f"{witness} had cosigned {origin} at {floor}, and now at {size}")
        if not after:
            self.rows[witness, origin] = size

    def check_cosigners(self) -> None:
        """Rule 12, by the order in which the keys have signed what was published."""
        for (by, origin), made in self.cosigned.items():
            sizes = [one[0] for one in made if one in self.published[by, origin]]
            if sizes != sorted(sizes) and by not in self.restored:
                self.fail(12, f"{by} has cosigned a smaller head of {origin} after a larger")

    def recorded(self, origin: str, recorded: Recorded, items: Sequence[Item]) -> None:
        """A client was told that its items are recorded."""
        if recorded.count != len(items):
            self.fail(1, f"{origin} answered for {recorded.count} of {len(items)} entries")
        for index, item in enumerate(items, recorded.start):
            if index in self.promises[origin]:
                self.fail(1, f"entry {index} of {origin} was given to two clients")
            self.promises[origin][index] = (item, recorded.made_at)

    def answered_signed(self, origin: str, end: int) -> None:
        """A client was told that entries below `end` are signed."""
        if all(size < end for size in self.heads[origin]):
            self.fail(1, f"{origin} answered that {end} entries are signed, and they are not")
        self.signed[origin] = max(self.signed[origin], end)

    def held(self, box: str, origin: str, now: Floor, *, after: bool) -> None:
        """What a gateway holds: remembered when it ends, compared `after` it has started."""
        floor = self.floors.get((box, origin), Floor())
        short = now.size < floor.size or now.signed < floor.signed or now.seen < floor.seen
        if short or (floor.frozen and not now.frozen):
            self.fail(3, f"{box} held {floor} of {origin}, and now {now}")
        if not after:
            self.floors[box, origin] = now
        own = origin.endswith("/" + box)
        if own and max(self.promises[origin], default=-1) >= now.size:
            self.fail(1, f"{origin} has {now.size} entries, and answered for more")
        if own and self.signed[origin] > now.signed:
            self.fail(1, f"{origin} has a head of size {now.signed}, and answered for more")

    def watched(self, life: Any, replicas: Mapping[str, Any], message: Any) -> None:
        """A message has come to a gateway, or is acknowledged by it."""
        kind = message.topic.split("/")[3]
        if kind not in ("entries", "reply"):
            return
        run = _run_of(message.payload)
        if run is None or message.payload in self.junk:
            self._note_junk(life, replicas, message)
            return
        replica = replicas.get(run[0])
        owner = message.topic.split("/")[2]
        if replica is None or {message.by, owner} & self.attackers:
            return
        origin, start, end = run
        held = replica.log.state.size
        if not message.acknowledged:
            message.held = held
            life.came[origin, start] += 1
            return
        if owner in self.tainted:
            return  # another's junk may have been there first
        due = start <= message.held and replica.conflict is None and life.came[origin, start] == 1
        if kind == "entries" and due and held < end:
            box = life.box.id
            self.fail(4, f"{box} acknowledged entries up to {end} of {origin}, has {held}")

    @staticmethod
    def _note_junk(life: Any, replicas: Mapping[str, Any], message: Any) -> None:
        """What cannot be read, or lies elsewhere, may still take the place of what is good.

        A gateway keeps the first of two that begin at one entry, and asks for the other again.
        """
        run = peek_run(message.payload)
        if run is not None and not message.acknowledged:
            life.came.update((origin, run[0]) for origin in replicas)  # its own cannot be trusted

    def restore(self, box: str, history: History) -> None:
        """A gateway's disk is put back: what it told before belongs to another history."""
        self.put_back(box, history)
        self.behind.discard(history.origin)
        self.restored.add(history.origin)

    def put_back(self, box: str, history: History) -> None:
        """A gateway's disk is put back, and its token is not: it must sign nothing any more."""
        origin = history.origin
        self._check_promises(history)
        self.histories[origin].append(history)
        self.behind.add(origin)
        self.promises[origin].clear()
        self.signed[origin] = 0
        for key in [key for key in self.floors if key[0] == box]:
            del self.floors[key]

    # At the end

    def close(self, histories: Sequence[History]) -> None:
        """Judge what was answered by the histories that there are in the end."""
        for history in histories:
            self._check_promises(history)
            self.histories[history.origin].append(history)
        for origin, branches in self.histories.items():
            for branch in branches:
                self._check_times(branch)
            for digest in (digest for where, digest in self.refusals if where == origin):
                if self.asked[digest] == 1 and any(digest in branch.where for branch in branches):
                    self.fail(1, f"{origin} refused a digest, and has recorded it")
        for given in self.verdicts:
            self._check_verdict(given)

    def check_replica(self, box: str, origin: str, entries: Sequence[bytes], state: Any) -> None:
        """Compare a replica with its issuer's histories."""
        branches = self.histories[origin]
        entries = list(entries)
        fits = [branch for branch in branches if branch.raw[: len(entries)] == entries]
        if not fits:
            rule = 6 if origin in self.restored else 5
            self.fail(rule, f"the replica of {origin} at {box} is no prefix of any history")
        newest = branches[-1]
        whole = entries == newest.raw and state.head.size == len(entries)
        behind = newest.raw == entries[: len(newest.raw)]  # it was restored, and added nothing
        frozen = state.fork_note is not None
        if frozen and origin not in self.restored:
            self.fail(6, f"{box} says that {origin} was forked")
        # What was recorded on a disk that was put back may never be signed: peers lack it then.
        unsigned = self.behind - self.restored | self.fenced
        excused = origin in unsigned or (origin in self.restored and behind)
        if not whole and not frozen and not excused:
            text = f"{len(entries)} of {len(newest.raw)} entries, head {state.head.size}"
            self.fail(5, f"{box} has {text} of {origin} once faults have ended")

    def check_evidence(self, held: Mapping[str, Mapping[str, Any]]) -> None:
        """What each gateway holds against whom: by box, the stop of each origin, or None."""
        accused = {origin for stops in held.values() for origin, stop in stops.items() if stop}
        for origin in accused - set(self.restored):
            self.fail(10, f"there is evidence against {origin}, which was never forked")
        for box, stops in held.items():
            for origin in accused:
                if stops[origin] is None:
                    self.fail(10, f"{box} has no evidence against {origin}, and others have")

    def _check_promises(self, history: History) -> None:
        for index, (item, made_at) in self.promises[history.origin].items():
            entry = history.entries[index] if index < len(history.entries) else None
            if history.says(index) != item or getattr(entry, "made_at", None) != made_at:
                self.fail(1, f"entry {index} of {history.origin} is not what was answered")

    def _check_times(self, history: History) -> None:
        times = [getattr(entry, "made_at", 0) for entry in history.entries]
        if times != sorted(times):
            self.fail(7, f"the times of {history.origin} decrease")

    def _check_verdict(self, given: Given) -> None:
        for judgement in given.verdict.judgements:
            self._check_judgement(given, judgement)
        word = given.verdict.word
        for origin, size in given.before.items():
            for branch in self.histories.get(origin, ()) if origin not in self.restored else ():
                covered = any(index < size for index in branch.where.get(given.digest, ()))
                if word == Word.UNKNOWN and covered:
                    self.fail(8, f"{given.box} did not know what it had of {origin}")
        best = [j for j in given.verdict.judgements if j.word == word]
        origin = best[0].facts.issuer.origin if len(best) == 1 else ""
        if word in FRESH and origin in self.histories:
            graves = [
                b.is_grave(given.digest, given.before[origin]) for b in self.histories[origin]
            ]
            if all(graves):
                self.fail(8, f"{given.box} said {word} of what {origin} had revoked gravely")

    def _check_judgement(self, given: Given, judgement: Judgement) -> None:
        facts, word = judgement.facts, judgement.word
        origin, index = facts.issuer.origin, facts.index
        if word not in KNOWN or facts.issuer.id in self.attackers:
            return
        branches = [b for b in self.histories[origin] if b.says(index) == given.digest]
        stored = facts.source != Source.PROOF
        if not branches or (stored and index >= given.after[origin]):
            self.fail(8, f"{given.box} said {word} of what {origin} has not attested")
        elif word in FRESH and all(b.is_ended(index, given.before[origin]) for b in branches):
            self.fail(8, f"{given.box} said {word} of entry {index} of {origin}, which was ended")
        elif word == Word.REVOKED and not any(index in b.ended for b in branches):
            self.fail(8, f"{given.box} said {word} of entry {index} of {origin}, which was not")
        as_of = facts.as_of or 0
        if facts.source == Source.REPLICA and origin not in self.unsteady | self.restored:
            vouched = [size for time, size in self.beats[origin] if time * 1000 < as_of]
            if max(vouched, default=0) > given.after[origin]:
                self.fail(8, f"{given.box} lacked entries of {origin} from before its as-of")
