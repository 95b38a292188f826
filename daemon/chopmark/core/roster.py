"""The roster (docs/formats/roster.md): who is a member, what each may issue, and who may change it.

A roster is the text of a signed note: a first line that says what it is, and TOML in one canonical
spelling. Here is what it says; `roster_text` reads and writes it, `roster_rules` holds its rules.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from chopmark.core import fingerprint, quorum
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.member import Member, PastKey
from chopmark.core.quorum import WitnessRule
from chopmark.core.text import parse_hash

HEADER: Final = "chopmark/roster/v1"
MAX_DAYS: Final = 400
"""Longest time that a roster may hold."""
WARN_DAYS: Final = 30
"""So long before it expires everything warns."""

KeyState = Literal["active", "retired", "compromised"]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
MemberState = Literal["active", "suspended", "left"]
Role = Literal["gateway", "notary"]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the text."""


class ListedKey(_Part, frozen=True, kw_only=True):
    """A key of a member.

    Attributes:
        vkey: its text.
        state: whether it signs now.
        last_size: of a log key that signs no more: the largest head that it vouches for…
        last_root: …and its root, in base64.
        since: when it ended, or was first in other hands.
    """

    vkey: str
    state: KeyState = "active"
    last_size: int | None = None
    last_root: str | None = None
    since: Time | None = None

    @property
    def key(self) -> VerifierKey:
        """The key, of a roster that was read."""
        return parse_vkey(self.vkey)


class ListedMember(_Part, frozen=True, kw_only=True):
    """One gateway.

    Attributes:
        institution: id of the institution that owns it.
        role: a notary cosigns as any member does, and attests nothing of its own.
        successor: of one that has left: id of the member in whose log its institution goes on.
        tls: SHA-256 of the public key of its TLS identity, 64 lower-case hexadecimal digits.
        chain: its account on a chain, such as `0x…`.
        emergency: vkey of the offline key that may suspend this member's keys, and nothing else.
    """

    id: str
    origin: str
    institution: str
    role: Role = "gateway"
    state: MemberState = "active"
    successor: str | None = None
    kinds: tuple[str, ...]
    tls: str | None = None
    chain: str | None = None
    emergency: str | None = None
    log_key: tuple[ListedKey, ...]
    cosigner_key: tuple[ListedKey, ...]

    def keys(self) -> Iterator[VerifierKey]:
        """Every key that it has or had."""
        for listed in (*self.log_key, *self.cosigner_key):
            yield listed.key
        if self.emergency is not None:
            yield parse_vkey(self.emergency)

    def active(self) -> list[VerifierKey]:
        """The log keys that sign now."""
        return [one.key for one in self.log_key if one.state == "active"]


class Institution(_Part, frozen=True, kw_only=True):
    """Who votes: an institution, however many gateways it has."""

    id: str
    name: str
    jurisdiction: str


class NotaryGroup(_Part, frozen=True, kw_only=True):
    """Institutions, by id, so many of which must have cosigned besides the quorum."""

    institutions: tuple[str, ...]
    threshold: int


class CatalogueKind(_Part, frozen=True, kw_only=True):
    """What holds for one kind of document.

    Attributes:
        max_age: seconds for which an answer is fresh; without it the reader's configuration says.
        validity: seconds for which an attestation may be valid at most, if there is a bound.
        blinded: whether attestations must be blinded.
        digests: algorithms, and names of canonical digests, that an attestation must name.
        notary: who else must have cosigned, if anybody.
    """

    name: str
    max_age: int | None = None
    validity: int | None = None
    blinded: bool = False
    digests: tuple[str, ...] = ("sha256",)
    notary: NotaryGroup | None = None


class Scenario(_Part, frozen=True, kw_only=True):
    """What documents may go from whom to whom, and for what.

    Attributes:
        title: for people, in whatever languages.
        kinds: of the documents.
        issuers: institutions, by id, or all of a jurisdiction, by its code.
        receivers: likewise.
        purposes: for which receivers may use them, `[a-z0-9.-]`.
        consent: whether a use needs the customer's consent.
        validity: seconds for which a consent may hold at most, if there is a bound.
    """

    name: str
    title: str | None = None
    kinds: tuple[str, ...]
    issuers: tuple[str, ...]
    receivers: tuple[str, ...]
    purposes: tuple[str, ...]
    consent: bool = True
    validity: int | None = None


class WitnessGroup(_Part, frozen=True, kw_only=True):
    """Institutions of these jurisdictions, of which so many must have cosigned."""

    jurisdictions: tuple[str, ...]
    threshold: Literal["majority"] | int


class Witness(_Part, frozen=True, kw_only=True):
    """Groups that must all be satisfied; without any, one of each jurisdiction by majority."""

    group: tuple[WitnessGroup, ...]


class Officer(_Part, frozen=True, kw_only=True):
    """A person who may release a frozen replica together with another one.

    Attributes:
        certificate: SHA-256 of the certificate, 64 lower-case hexadecimal digits.
    """

    name: str
    institution: str
    certificate: str


class Roster(_Part, frozen=True, kw_only=True):
    """One version.

    Attributes:
        previous: SHA-256 of the text of the version before, in hexadecimal; none of version 1.
        issued: when it was proposed; gateways adopt no version before that time by their clocks.
        expires: until when it should be followed by another; it holds after that too, and warns.
        threshold: institutions that must sign the next version, besides being more than half.
    """

    version: int
    previous: str | None = None
    issued: Time
    expires: Time
    threshold: int
    witness: Witness | None = None
    kind: tuple[CatalogueKind, ...] = ()
    scenario: tuple[Scenario, ...] = ()
    officer: tuple[Officer, ...] = ()
    institution: tuple[Institution, ...]
    member: tuple[ListedMember, ...]

    def find(self, member: str) -> ListedMember | None:
        """The member with this id."""
        return next((one for one in self.member if one.id == member), None)

    def voters(self) -> set[str]:
        """Ids of the institutions of which more than half must sign: those that have not left."""
        return {one.institution for one in self.member if one.state != "left"}

    def members(self) -> tuple[Member, ...]:
        """Every member, those that are suspended or have left too."""
        institutions = {one.id: one for one in self.institution}
        origins = {one.id: one.origin for one in self.member}
        return tuple(
            replace(
                make_member(one, institutions[one.institution]),
                successor=None if one.successor is None else origins[one.successor],
            )
            for one in self.member
        )

    def rule(self) -> WitnessRule:
        """The witness rule, with the notaries of each kind."""
        groups = () if self.witness is None else self.witness.group
        names = {one.id: one.name for one in self.institution}
        return WitnessRule(
            tuple(quorum.WitnessGroup(one.jurisdictions, one.threshold) for one in groups),
            tuple(
                quorum.Notaries(
                    kind.name, tuple(names[one] for one in notary.institutions), notary.threshold
                )
                for kind in self.kind
                if (notary := kind.notary) is not None
            ),
        )

    def max_age(self, kind: str) -> int | None:
        """Seconds for which an answer about a kind is fresh, if the catalogue says."""
        return next((one.max_age for one in self.kind if one.name == kind), None)

    def expires_in(self, now: datetime) -> float:
        """Days that are left; negative once it has expired."""
        return (self.expires - now).total_seconds() / 86400


class Fingerprint(fingerprint.Fingerprint):
    """What people compare: SHA-256 of a roster's text in hexadecimal, and in words."""

    def __init__(self, text: str) -> None:
        super().__init__(text.encode())


def make_member(listed: ListedMember, institution: Institution) -> Member:
    """What the rest of the software calls a member, of a roster whose rules hold.

    The first active key of each sort is the one that signs; without an active one the last
    listed stands in, and the member is not active.
    """
    logs = [one.key for one in listed.log_key if one.state == "active"]
    cosigners = [one.key for one in listed.cosigner_key if one.state == "active"]
    return Member(
        id=listed.id,
        origin=listed.origin,
        log_key=(logs or [listed.log_key[-1].key])[0],
        cosigner_key=(cosigners or [listed.cosigner_key[-1].key])[0],
        institution=institution.name,
        jurisdiction=institution.jurisdiction,
        kinds=frozenset(listed.kinds),
        role=listed.role,
        state=listed.state,
        chain=None if listed.chain is None else listed.chain.lower(),
        more_log_keys=tuple(logs[1:]),
        more_cosigner_keys=tuple(cosigners[1:]),
        past_log_keys=tuple(_past(one) for one in listed.log_key if one.state != "active"),
        past_cosigner_keys=tuple(
            (one.key, int(one.since.timestamp()))
            for one in listed.cosigner_key
            if one.state == "retired" and one.since is not None
        ),
        stolen_cosigner_keys=tuple(
            one.key for one in listed.cosigner_key if one.state == "compromised"
        ),
    )


def _past(listed: ListedKey) -> PastKey:
    return PastKey(listed.key, listed.last_size or 0, parse_hash(listed.last_root or "", "a root"))
