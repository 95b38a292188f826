"""Finds the attestation that stands already for what a client asks for again.

It counts if it names the same digests and kind, was made for the same client, and lives: it is not
revoked, not superseded, and not expired. Of several the first is taken, among the newest `LOOKED`
attestations of the digest. About the end of validity and supersession:

1. Who names an end means this end: another one makes another attestation.
2. Who names none means whatever the catalogue of kinds sets: an attestation with an end counts
   if the catalogue sets one, and one without an end if it sets none.
3. Who supersedes an attestation means one that supersedes it; who supersedes none, any.
"""

from typing import Final

from chopmark.core.draft import Draft, Earlier
from chopmark.core.entry import REASONS, Attestation, parse_entry
from chopmark.core.errors import ChopmarkError, RefusedError
from chopmark.core.idempotency import Key, key_reused
from chopmark.ledger.clients import client_at
from chopmark.ledger.idempotency import Record, find_record
from chopmark.ledger.index import DigestIndex
from chopmark.ledger.reader import Reader

LOOKED: Final = 8
"""Attestations of one digest that are looked at: some 0.3 ms."""
_GRAVES: Final = 16
"""Gravely revoked ones that are; the digests of all of them begin alike."""


class Duplicates:
    """Looks in our own log. Use it on one thread, which has the reader to itself."""

    def __init__(self, index: DigestIndex, reader: Reader) -> None:
        self._index = index
        self._reader = reader

    def find(self, draft: Draft, client: int, size: int, now: int) -> Earlier | None:
        """The attestation that stands for a draft; None if none does, or the index is rebuilt.

        Args:
            draft: what is asked for.
            client: by its number.
            size: entries to look at: [0, size).
            now: ms since the Unix epoch.
        """
        try:
            places = self._index.find(draft.sha256, size, LOOKED)
        except ChopmarkError:  # it does not answer: better attested again than not at all
            return None
        for place in places:
            entry = _attestation(self._reader, place)
            if entry is not None and is_same(draft, entry) and self._lives(place, entry, size, now):
                if self._reader.look(client_at, place) != client:
                    continue
                return Earlier(place, entry.made_at, entry.valid_until)
        return None

    def check_grave(self, draft: Draft, size: int) -> None:
        """See `check_grave`."""
        check_grave(self._reader, draft, size)

    def read(self, record: Record) -> Earlier:
        """The entry that an idempotency key names."""
        return read_entry(self._reader, record)

    def _lives(self, place: int, entry: Attestation, size: int, now: int) -> bool:
        if entry.valid_until is not None and entry.valid_until <= now:
            return False
        return self._reader.references(place, size) == (None, -1)


def check_grave(reader: Reader, draft: Draft, size: int) -> None:
    """Refuse to attest what every receiver would be told is revoked.

    That an attestation of these digests was revoked for error, fraud or key compromise speaks
    against all others of this institution (docs/verdicts.md), whatever their kind.

    Args:
        reader: of our log.
        draft: what is asked for, with its bare digests.
        size: entries to look at: [0, size).

    Raises:
        RefusedError: `revoked-for-good`.
    """
    for place in reader.graves(draft.sha256, size, _GRAVES):
        entry = _attestation(reader, place)
        if entry is None or entry.blinded or entry.sha256 != draft.sha256:
            continue
        if None not in (entry.sm3, draft.sm3) and entry.sm3 != draft.sm3:
            continue
        revoked, _ = reader.references(place, size)
        why = "for good" if revoked is None else f"as {REASONS[revoked[1]]}"
        message = (
            f"entry {place} attests this very document and was revoked {why}: that speaks against "
            "every attestation of it by this institution, and a new one would be shown as revoked"
        )
        hint = "hand out a corrected document; or ask for `again` if it is meant all the same"
        raise RefusedError("revoked-for-good", message, hint=hint)


def find_named(reader: Reader, key: Key, size: int, now: int) -> Earlier | None:
    """What an idempotency key stands for; None if it is new, or its entry is not there.

    Args:
        reader: of our log.
        key: as the client gave it.
        size: entries of the log. An entry beyond is just being made, and the writer knows of it;
            or it was lost, and is made anew.
        now: ms since the Unix epoch.

    Raises:
        RefusedError: `key-reused`.
    """
    record = reader.look(find_record, key.id, now)
    if record is None or record.entry >= size:
        return None
    if record.fingerprint != key.fingerprint:
        raise key_reused()
    return read_entry(reader, record)


def read_entry(reader: Reader, record: Record) -> Earlier:
    """The entry that an idempotency key names; of one that cannot be read, what is known."""
    entry = _attestation(reader, record.entry)
    end, blinded = (entry.valid_until, entry.blinded) if entry else (None, False)
    return Earlier(record.entry, record.made_at, end, bool(record.duplicate), blinded)


def _attestation(reader: Reader, place: int) -> Attestation | None:
    try:
        entry = parse_entry(reader.entry(place))
    except ChopmarkError:  # it is not there yet, means nothing, or is damaged: `fsck` says so
        return None
    return entry if isinstance(entry, Attestation) else None


def is_same(draft: Draft, entry: Attestation) -> bool:
    """Whether an attestation says what a draft does; see above for validity and supersession."""
    if draft.blinded or entry.blinded:
        return False
    if draft.supersedes is not None and draft.supersedes != entry.supersedes:
        return False
    if draft.default_end:
        ends_alike = entry.valid_until is not None
    else:
        ends_alike = entry.valid_until == draft.valid_until
    digests = entry.sha256, entry.sm3, entry.canonical
    same = digests == (draft.sha256, draft.sm3, draft.canonical) and entry.kind == draft.kind
    return ends_alike and same
