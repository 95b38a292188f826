"""Verdicts (docs/verdicts.md): the words, their exit codes, and what they are made from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chopmark.core.entry import Attestation


class Word(StrEnum):
    """What a verification may answer."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"
    MISMATCH = "mismatch"
    UNTRUSTED = "untrusted"
    VALID_AS_OF = "valid-as-of"
    UNWITNESSED = "unwitnessed"
    ATTESTATION_ONLY = "attestation-only"
    AMBIGUOUS = "ambiguous"


EXIT: Final = {
    Word.VALID: 0,
    Word.REVOKED: 1,
    Word.EXPIRED: 1,
    Word.SUPERSEDED: 1,
    Word.UNKNOWN: 2,
    Word.MISMATCH: 3,
    Word.UNTRUSTED: 4,
    Word.VALID_AS_OF: 5,
    Word.UNWITNESSED: 6,
    Word.ATTESTATION_ONLY: 7,
    Word.AMBIGUOUS: 8,
}
"""Exit code of `chopmark verify` for each word."""

WORST_FIRST: Final = (
    Word.UNTRUSTED,
    Word.MISMATCH,
    Word.REVOKED,
    Word.SUPERSEDED,
    Word.EXPIRED,
    Word.UNKNOWN,
    Word.AMBIGUOUS,
    Word.UNWITNESSED,
    Word.ATTESTATION_ONLY,
    Word.VALID_AS_OF,
    Word.VALID,
)
"""Of several files the worst word decides; of several attestations of one document the best."""

DEFAULT_MAX_AGE: Final = 24 * 3600
"""Seconds after which an answer is only `valid-as-of`, where nothing else is said."""


class Match(StrEnum):
    """How the document's digests compare with those that the attestation names."""

    ALL = "all"
    DIFFERS = "differs"
    RESAVED = "resaved"
    """The bytes differ, and a canonical digest says that the content does not: a mismatch too."""
    MISSING = "missing"
    """The attestation names an algorithm whose digest was not given: nothing differs, but not
    everything could be compared."""
    NO_DOCUMENT = "no-document"
    BLINDED = "blinded"
    """The attestation is blinded, and the salt that opens it was not given."""

    @property
    def is_other(self) -> bool:
        """Whether the document is known to be another one."""
        return self in (Match.DIFFERS, Match.RESAVED)


class Source(StrEnum):
    """Where an attestation was found."""

    OWN = "own"
    REPLICA = "replica"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose log it is, as the configuration or the roster says."""

    id: str
    origin: str
    institution: str
    jurisdiction: str
    successor: str | None = None
    """Origin of the log in which the institution goes on, if this one has ended."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """An effective revocation: the entry's index, its reason, when it was made (ms)."""

    index: int
    reason: int
    at: int


class Standing(StrEnum):
    """How an attestation stands that has replaced another one."""

    LIVE = "live"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Link:
    """An attestation that has replaced the one before it.

    Attributes:
        made_at: ms; None where its body was removed here, as it is over.
    """

    index: int
    made_at: int | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Pruned:
    """An attestation whose body was removed here, as its validity was over.

    Eight bytes of its digest are the document's: it is most likely of this document, and neither
    proves anything nor takes part in the verdict.
    """

    issuer: Issuer
    index: int
    must_wait: bool = False
    """Whether there is no verdict without it: it was pointed at, or revoked for error, fraud or
    key compromise since it was pruned."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """The first anchor on a chain over an attestation.

    Attributes:
        chain_id: of the chain.
        size: entries under the head that was anchored.
        block: the block in which it was.
        transaction: hash of the transaction.
    """

    chain_id: int
    size: int
    block: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known about one attestation; times in ms since the Unix epoch.

    Attributes:
        entry: the attestation; None where it could not be read.
        problem: the failed check, in words, or None.
        warning: what the reader must know though no check failed, in words, or None.
        match: how the document compares.
        referred: whether the caller pointed at this very attestation by proof or reference.
        revoked: the effective revocation, if any.
        superseded_by: index of the attestation that replaced this one.
        chain: that one, the one that replaced it, and so on, as far as they are looked at.
        chain_cut: whether more follow.
        quorum: `none`, `reached` or `missing`.
        notaries: those that the kind demands besides, if nothing but they is missing, in words.
        existed_by: time by which the quorum had cosigned.
        witnesses: who cosigned, and when.
        dropped: groups of the policy that leaving out the issuer has emptied.
        as_of: time up to which revocation was checked; None without a replica.
        max_age: seconds for which an answer about this kind is fresh.
        anchored: the first anchor over it on a chain, if there is one that is followed.
    """

    issuer: Issuer
    index: int
    entry: Attestation | None
    source: Source
    match: Match
    referred: bool = False
    problem: str | None = None
    revoked: Revoked | None = None
    superseded_by: int | None = None
    quorum: str = "none"
    existed_by: int | None = None
    witnesses: tuple[tuple[str, int], ...] = ()
    dropped: tuple[str, ...] = ()
    as_of: int | None = None
    max_age: int = DEFAULT_MAX_AGE
    warning: str | None = None
    notaries: str | None = None
    chain: tuple[Link, ...] = ()
    chain_cut: bool = False
    anchored: Anchored | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller asks besides the digests.

    Attributes:
        now: time of asking, ms since the Unix epoch; one reference time for the whole answer.
        expect_issuer: institution, member id or origin that the caller expects.
        expect_kind: kind that the caller expects.
        max_age: seconds; can only shorten what the kind allows.
    """

    now: int
    expect_issuer: str | None = None
    expect_kind: str | None = None
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One attestation's verdict, with a sentence in plain words."""

    word: Word
    sentence: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: one word, one sentence, and the judgements, newest attestation first."""

    word: Word
    sentence: str
    judgements: tuple[Judgement, ...]
    asked_at: int
    as_of: int | None
    pruned: tuple[Pruned, ...] = ()
    others: tuple[Judgement, ...] = ()
    """Of an unknown document: who attests these bytes, though not as was expected."""

    @property
    def exit_code(self) -> int:
        """Exit code of the CLI."""
        return EXIT[self.word]


def worst(words: list[Word]) -> Word:
    """The word that decides for several files."""
    return min(words, key=WORST_FIRST.index)
