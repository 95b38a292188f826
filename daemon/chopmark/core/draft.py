"""What a client asks to have attested, before the sequencer gives it a time and an index."""

from dataclasses import dataclass

import msgspec

from chopmark.core.entry import Attestation


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An attestation to be made; see `Attestation` for the fields.

    Millions are made in a batch: a struct costs a seventh of a frozen dataclass.
    """

    sha256: bytes
    kind: str
    sm3: bytes | None = None
    valid_until: int | None = None
    supersedes: int | None = None

    def made_at(self, ms: int) -> Attestation:
        """The attestation, made at this time."""
        return Attestation(
            ms, self.sha256, self.kind, self.sm3, self.valid_until, supersedes=self.supersedes
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """Entries that are durable in our log, in the order asked: [start, start + count).

    Attributes:
        made_at: their common time, ms since the Unix epoch.
    """

    start: int
    count: int
    made_at: int
