"""Rosters of members whose keys are in software."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from chopmark.core.note import Note
from chopmark.core.roster import (
    CatalogueKind,
    Institution,
    ListedKey,
    ListedMember,
    NotaryGroup,
    Officer,
    Roster,
    Scenario,
    Witness,
    WitnessGroup,
)
from chopmark.core.roster_follow import SignedRoster, open_roster
from chopmark.core.roster_text import encode_roster
from chopmark.core.suspension import Suspension
from softkeys import SoftKey, cosigner, ed25519_key, log_key

ISSUED = datetime(2026, 11, 22, 13, tzinfo=UTC)


SME_LOAN = Scenario(
    name="sme-loan-sz-hk",
    title="Corporate credit report, Shenzhen → Hong Kong, SME loan",
    kinds=("kyc-report",),
    issuers=("bank-sz",),
    receivers=("HK",),
    purposes=("sme-loan",),
    validity=7_776_000,
)


@dataclass(frozen=True)
class Keys:
    """The keys of one member; `seed` 1 to 60."""

    id: str
    place: str
    seed: int

    @property
    def origin(self) -> str:
        return f"bank-{self.id[:2]}.example/{self.id}"

    @property
    def log(self) -> SoftKey:
        return log_key(self.origin, self.seed)

    @property
    def cosigner(self) -> SoftKey:
        return cosigner(f"{self.origin}/cosigner", 60 + self.seed)

    @property
    def emergency(self) -> SoftKey:
        return ed25519_key(f"{self.origin}/emergency", 120 + self.seed)

    @property
    def bank(self) -> str:
        return f"bank-{self.id[:2]}"

    def listed(self) -> ListedMember:
        return ListedMember(
            id=self.id,
            origin=self.origin,
            institution=self.bank,
            kinds=("*",),
            emergency=self.emergency.vkey.encode(),
            log_key=(ListedKey(vkey=self.log.vkey.encode()),),
            cosigner_key=(ListedKey(vkey=self.cosigner.vkey.encode()),),
        )

    def institution(self) -> Institution:
        name = f"Bank of {self.id[:2].upper()} (example)"
        return Institution(id=self.bank, name=name, jurisdiction=self.place)

    def suspend(self, since: int = 1795305600) -> bytes:
        """The note by which its emergency key suspends it."""
        text = Suspension(self.id, self.origin, since).encode()
        return Note(text, (self.emergency.sign(text),)).encode()


SZ = Keys("sz-1", "CN", 1)
HK = Keys("hk-1", "HK", 2)
MO = Keys("mo-1", "MO", 3)
GZ = Keys("gz-1", "CN", 4)
THREE = (SZ, HK, MO)


def founding(keys: Sequence[Keys] = THREE) -> Roster:
    """Version 1 with these members, each of an institution of its own."""
    return Roster(
        version=1,
        issued=ISSUED,
        expires=ISSUED + timedelta(days=365),
        threshold=2 if len(keys) > 1 else 1,
        kind=(CatalogueKind(name="bank-statement", max_age=3600),),
        institution=tuple(one.institution() for one in keys),
        member=tuple(one.listed() for one in keys),
    )


def rich() -> Roster:
    """Version 1 with something in every place."""
    return msgspec.structs.replace(
        founding((*THREE, GZ)),
        witness=Witness(
            group=(
                WitnessGroup(jurisdictions=("CN",), threshold="majority"),
                WitnessGroup(jurisdictions=("HK", "MO"), threshold=1),
            )
        ),
        kind=(
            CatalogueKind(name="bank-statement", max_age=3600),
            CatalogueKind(
                name="kyc-report", validity=31_536_000, blinded=True, digests=("sha256", "sm3")
            ),
            CatalogueKind(
                name="diploma",
                notary=NotaryGroup(institutions=("bank-sz", "bank-hk"), threshold=1),
            ),
        ),
        scenario=(
            SME_LOAN,
            Scenario(
                name="job",
                kinds=("diploma",),
                issuers=("CN", "bank-hk"),
                receivers=("HK",),
                purposes=("employment", "study"),
                consent=False,
            ),
        ),
        officer=(Officer(name="Chan Tai Man", institution="bank-hk", certificate="ab" * 32),),
    )


def signed(roster: Roster, keys: Iterable[Keys] = THREE) -> bytes:
    """Its note, signed by these members."""
    text = encode_roster(roster)
    return Note(text, tuple(one.log.sign(text) for one in keys)).encode()


def opened(roster: Roster, keys: Iterable[Keys] = THREE) -> SignedRoster:
    return open_roster(signed(roster, keys))


def following(before: Roster, keys: Iterable[Keys] = THREE, **changes: object) -> Roster:
    """The version after one, with changes."""
    return msgspec.structs.replace(
        before,
        version=before.version + 1,
        previous=opened(before, keys).digest.hex(),
        **changes,
    )


def with_member(roster: Roster, member: str, **changes: object) -> tuple[ListedMember, ...]:
    """The members of a roster, one of them changed."""
    return tuple(
        msgspec.structs.replace(one, **changes) if one.id == member else one
        for one in roster.member
    )


def with_notary(roster: Roster, member: str) -> Roster:
    """A roster, of which one member is a notary's."""
    return msgspec.structs.replace(
        roster, member=with_member(roster, member, role="notary", kinds=())
    )
