"""What a client asks to have attested, before the sequencer gives it a time and an index."""

from dataclasses import dataclass

import msgspec

from chopmark.core.entry import Attestation
from chopmark.core.errors import MalformedError

_DIGEST = 32


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An attestation to be made; see `Attestation` for the fields.

    A blinded one has its bare digests until it is blinded, just before it is recorded.
    """

    sha256: bytes
    kind: str
    sm3: bytes | None = None
    valid_until: int | None = None
    supersedes: int | None = None
    blinded: bool = False

    def __len__(self) -> int:
        """One; as `Drafts`."""
        return 1

    def columns(self) -> "Drafts":
        """As a column of one.

        Raises:
            MalformedError: `malformed-entry` if a digest does not have 32 bytes.
        """
        made = Drafts(
            *(self.sha256, self.kind, self.sm3, self.valid_until, self.supersedes, self.blinded)
        )
        if made.check() != 1:
            raise MalformedError("malformed-entry", "a draft has one digest of each sort")
        return made

    def made_at(self, ms: int) -> Attestation:
        """The attestation, made at this time."""
        return Attestation(
            *(ms, self.sha256, self.kind, self.sm3, self.valid_until, self.blinded),
            supersedes=self.supersedes,
        )


class Drafts(msgspec.Struct, frozen=True, gc=False):
    """Attestations to be made that differ in their digests only, in columns.

    Attributes:
        sha256: their SHA-256 digests, 32 bytes each, joined.
        kind: of all of them; see `Attestation` for this and what follows.
        sm3: their SM3 digests likewise, if they have some.
    """

    sha256: bytes
    kind: str
    sm3: bytes | None = None
    valid_until: int | None = None
    supersedes: int | None = None
    blinded: bool = False

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
        columns = [self.sha256] if self.sm3 is None else [self.sha256, self.sm3]
        if {len(column) for column in columns} != {_DIGEST * len(self)} or not self.sha256:
            raise MalformedError("malformed-entry", "a digest does not have 32 bytes")
        return len(self)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Entries that are durable in our log, in the order asked: [start, start + count).

    Attributes:
        made_at: their common time, ms since the Unix epoch; the minute only if all are blinded.
            If some are, these say its minute.
    """

    start: int
    count: int
    made_at: int
