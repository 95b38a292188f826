"""What of a run gets no new entry: what a key names, duplicates, and what was revoked for good.

It is looked for on the writer's thread, just before the entries are written: what was recorded
before, be it in the same transaction, is known then, and of two equal requests at once the second
one gets the first one's entry.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from chopmark.core.columns import Columns
from chopmark.core.draft import Asking, Draft, Drafts, Earlier
from chopmark.core.errors import ChopmarkError, RefusedError, TryAgainError
from chopmark.core.idempotency import Key, key_reused
from chopmark.ledger import idempotency
from chopmark.ledger.duplicates import Duplicates, is_same
from chopmark.ledger.idempotency import Record
from chopmark.ledger.store import Store

Known = Mapping[int, Earlier | ChopmarkError]
"""By place in a run."""


@dataclass(slots=True)
class Fresh:
    """What the transaction at hand has made so far, and what it keeps of idempotency keys.

    Attributes:
        store: what is durable.
        duplicates: looks there.
        now: ms since the Unix epoch.
        made: by digest, attestations that may be asked for again: the entry, client, and draft.
        named: by id of the key, its fingerprint and what it stands for from now on.
    """

    store: Store
    duplicates: Duplicates
    now: int
    made: dict[bytes, list[tuple[Earlier, str, Draft]]] = field(default_factory=dict)
    named: dict[bytes, tuple[bytes, Earlier]] = field(default_factory=dict)

    def look(
        self, drafts: Mapping[int, Draft], asking: Asking, start: int, made_at: int
    ) -> dict[int, Earlier | ChopmarkError]:
        """What is known of a run; of what is new, note is taken.

        Args:
            drafts: by place in the run, those that may have been attested before.
            asking: how they are asked for.
            start: index that the run's first new entry will have.
            made_at: time that it will say, ms since the Unix epoch.
        """
        known: dict[int, Earlier | ChopmarkError] = {}
        for place in sorted({*drafts, *asking.keys}):
            key, draft = asking.keys.get(place), drafts.get(place)
            index = start + place - len(known)
            found = self._by_key(key) if key is not None else None
            if found is not None:
                known[place] = found
                continue
            refused = self._grave(draft, asking)
            if refused is not None:
                known[place] = refused  # and its key stands for nothing
                continue
            earlier = self._duplicate(draft, asking)
            if earlier is not None:
                known[place] = earlier
            else:
                end, blinded = (draft.valid_until, draft.blinded) if draft else (None, False)
                earlier = Earlier(index, made_at, end, duplicate=False, blinded=blinded)
                if draft is not None:
                    self.made.setdefault(draft.sha256, []).append((earlier, asking.client, draft))
            if key is not None:
                self.named[key.id] = key.fingerprint, earlier
        return known

    def check_room(self, keys: Iterable[Key], *, batch: bool) -> None:
        """Refuse idempotency keys beyond the bound; those that are kept need no room.

        Args:
            keys: of a run.
            batch: whether it is of a batch: that leaves room for single requests.

        Raises:
            TryAgainError: `too-many-keys`.
        """
        more = {key.id for key in keys} - self.named.keys()
        held = self.store.count_records() + len(self.named)
        most = idempotency.MAX_KEPT * 9 // 10 if batch else idempotency.MAX_KEPT
        if held + len(more) <= most:
            return
        fresh = [one for one in more if self.store.find_record(one, self.now) is None]
        if fresh and held + len(fresh) > most:
            message = f"{held:,} idempotency keys are kept, and there is no room for more"
            hint = "leave the key out: what was attested is found again all the same"
            raise TryAgainError("too-many-keys", message, hint=hint, retry_after=600)

    def records(self) -> list[Record]:
        """What is to be kept of the keys."""
        return [
            Record(key, fingerprint, entry.index, entry.made_at, self.now, entry.duplicate)
            for key, (fingerprint, entry) in self.named.items()
        ]

    def _by_key(self, key: Key) -> Earlier | ChopmarkError | None:
        if key.id in self.named:
            fingerprint, entry = self.named[key.id]
            return entry if fingerprint == key.fingerprint else key_reused()
        record = self.store.find_record(key.id, self.now)
        if record is None or record.entry >= self.store.size:  # its entry was lost
            return None
        same = record.fingerprint == key.fingerprint
        return self.duplicates.read(record) if same else key_reused()

    def _grave(self, draft: Draft | None, asking: Asking) -> ChopmarkError | None:
        """Why a draft is not attested any more, if so; of blinded ones nothing can be said here."""
        if draft is None or asking.again or draft.blinded:
            return None
        try:
            self.duplicates.check_grave(draft, self.store.size)
        except RefusedError as error:
            return error
        return None

    def _duplicate(self, draft: Draft | None, asking: Asking) -> Earlier | None:
        if draft is None or asking.again or not asking.client or draft.blinded:
            return None
        number = self.store.clients.numbers.get(asking.client)
        if number is not None:
            found = self.duplicates.find(draft, number, self.store.size, self.now)
            if found is not None:
                return found
        for entry, client, made in self.made.get(draft.sha256, ()):
            if client == asking.client and is_same(draft, made.made_at(self.now)):
                return replace(entry, duplicate=True)
        return None


def pick(items: Sequence[object], places: Sequence[int]) -> dict[int, Draft]:
    """The drafts at some places of a run, ascending."""
    return dict(_pick(items, places))


def _pick(items: Sequence[object], places: Sequence[int]) -> Iterator[tuple[int, Draft]]:
    wanted = iter(places)
    place = next(wanted, None)
    start = 0
    for item in items:
        end = start + (len(item) if isinstance(item, Drafts) else 1)
        while place is not None and place < end:
            if isinstance(item, Draft):
                yield place, item
            elif isinstance(item, Drafts):
                yield place, item.at(place - start)
            place = next(wanted, None)
        start = end


def leave_out(made: Sequence[Columns], known: Known) -> list[Columns]:
    """The entries of a run without those at some places."""
    left: list[Columns] = []
    start = 0
    for columns in made:
        parts = [part for place, part in enumerate(columns.parts, start) if place not in known]
        start += len(columns)
        if parts:
            left.append(Columns(parts, columns.head, columns.tail))
    return left
