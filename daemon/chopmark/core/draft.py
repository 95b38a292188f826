"""What a client asks to have attested, before the sequencer gives it a time and an index."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from chopmark.core.entry import Attestation
from chopmark.core.errors import ChopmarkError, MalformedError
from chopmark.core.idempotency import Key

_DIGEST = 32
_NAME: Final = 16
Canonical = tuple[tuple[str, bytes], ...]
"""Canonical digests by name, in the order of an entry (`sort_canonical`)."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An attestation to be made; see `Attestation` for the fields.

    A blinded one has its bare digests until it is blinded, just before it is recorded.
    `default_end` says that the end of validity was set by the catalogue, and not asked for.
    """

    sha256: bytes
    kind: str
    sm3: bytes | None = None
    valid_until: int | None = None
    supersedes: int | None = None
    blinded: bool = False
    default_end: bool = False
    canonical: Canonical = ()

    def __len__(self) -> int:
        """One; as `Drafts`."""
        return 1

    def columns(self) -> "Drafts":
        """As a column of one.

        Raises:
            MalformedError: `malformed-entry` if a digest does not have 32 bytes.
        """
        made = Drafts(
            *(self.sha256, self.kind, self.sm3, self.valid_until, self.supersedes, self.blinded),
            canonical=self.canonical,
        )
        if made.check() != 1:
            raise MalformedError("malformed-entry", "a draft has one digest of each sort")
        return made

    def made_at(self, ms: int) -> Attestation:
        """The attestation, made at this time."""
        return Attestation(
            *(ms, self.sha256, self.kind, self.sm3, self.valid_until, self.blinded),
            supersedes=self.supersedes,
            canonical=self.canonical,
        )


class Drafts(msgspec.Struct, frozen=True, gc=False):
    """Attestations to be made that differ in their digests only, in columns.

    Attributes:
        sha256: their SHA-256 digests, 32 bytes each, joined.
        kind: of all of them; see `Attestation` for this and what follows.
        sm3: their SM3 digests likewise, if they have some.
        canonical: canonical digests likewise, by name.
    """

    sha256: bytes
    kind: str
    sm3: bytes | None = None
    valid_until: int | None = None
    supersedes: int | None = None
    blinded: bool = False
    default_end: bool = False
    canonical: Canonical = ()

    def __len__(self) -> int:
        """How many they are."""
        return len(self.sha256) // _DIGEST

    def columns(self) -> "Drafts":
        """Itself; as `Draft`."""
        return self

    def check(self) -> int:
        """See that the columns fit; gives their length.

        Raises:
            MalformedError: `malformed-entry`.
        """
        columns = [self.sha256, *(column for _, column in self.canonical)]
        if self.sm3 is not None:
            columns.append(self.sm3)
        if {len(column) for column in columns} != {_DIGEST * len(self)} or not self.sha256:
            raise MalformedError("malformed-entry", "a digest does not have 32 bytes")
        return len(self)

    def at(self, place: int) -> Draft:
        """One of them."""
        part = slice(place * _DIGEST, (place + 1) * _DIGEST)
        return Draft(
            self.sha256[part],
            self.kind,
            None if self.sm3 is None else self.sm3[part],
            *(self.valid_until, self.supersedes, self.blinded, self.default_end),
            canonical=tuple((name, column[part]) for name, column in self.canonical),
        )


def sort_canonical(digests: Mapping[str, bytes]) -> Canonical:
    """Canonical digests in the order of an entry: shorter names first, then by their bytes.

    Raises:
        MalformedError: `malformed-entry`: a name of no or more than 16 bytes.
    """
    if not digests:
        return ()
    if any(not 1 <= len(name.encode()) <= _NAME for name in digests):
        message = f"a canonical digest has a name of 1 to {_NAME} bytes"
        raise MalformedError("malformed-entry", message)
    return tuple(sorted(digests.items(), key=lambda one: (len(one[0].encode()), one[0].encode())))


class Asking(msgspec.Struct, frozen=True):
    """How entries are asked for, beside what is to be in them.

    Attributes:
        client: who asks; empty for ourselves.
        again: whether to attest anew what this client has attested already.
        keys: idempotency keys, by the place in the run of what they stand for.
        batch: whether they are lines of a batch, and no single request.
    """

    client: str = ""
    again: bool = True
    keys: Mapping[int, Key] = {}  # a fresh one each
    batch: bool = False


PLAINLY: Final = Asking()
"""Without a key, whatever was there before."""


class Earlier(msgspec.Struct, frozen=True, gc=False):
    """An entry that was there before, and stands for what is asked for.

    Attributes:
        index: in the log.
        made_at: ms since the Unix epoch.
        valid_until: end of its validity (ms), if it ends.
        duplicate: whether it is the first of duplicates; false where an idempotency key names it.
        blinded: whether it is.
    """

    index: int
    made_at: int
    valid_until: int | None = None
    duplicate: bool = True
    blinded: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a run: its entries are durable in our log, in the order asked.

    Attributes:
        start: index of the first new entry.
        count: new entries, [start, start + count).
        made_at: their common time, ms since the Unix epoch; the minute only if all are blinded.
            If some are, these say its minute.
        known: by place in the run, what needed no new entry: one that was there before, or why its
            idempotency key stands for something else.
    """

    start: int
    count: int
    made_at: int
    known: Mapping[int, Earlier | ChopmarkError] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """Index of the newest entry that the run stands for; -1 if there is none."""
        newest = self.start + self.count - 1 if self.count else -1
        earlier = (one.index for one in self.known.values() if isinstance(one, Earlier))
        return max(earlier, default=newest) if newest < 0 else newest
