"""The vectors of docs/verdicts.md: what proofs are worth without a replica, as Python judges them.

By a policy alone it is `client.offline`; by what the offline verifier has sealed in, it is what a
gateway says that knows this roster and holds no entry of the log.
"""

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

import trees
from chopmark.client.offline import verify_offline
from chopmark.core.blinding import blind
from chopmark.core.check import facts_from_proof, not_entitled
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.digest import Digests, digest_stream
from chopmark.core.entitlement import entitle
from chopmark.core.entry import SHA256, SM3, Attestation, Revocation, encode_entry
from chopmark.core.errors import RefusedError
from chopmark.core.judge import judge
from chopmark.core.member import Member
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.proof import Extra, Proof, parse_proof
from chopmark.core.quorum import generate
from chopmark.core.roster import CatalogueKind, ListedKey, NotaryGroup, Roster
from chopmark.core.roster_rules import check_roster
from chopmark.core.text import encode_base64
from chopmark.core.verdict import Facts, Issuer, Match, Question, Source
from mutations import flipped
from rosters import GZ, HK, ISSUED, MO, SZ, Keys, founding, signed, with_member
from softkeys import SoftKey, log_key, p256_cosigner, sign_head

Json = dict[str, Any]
NOW = 1_795_352_400_000
SECONDS = NOW // 1000 - 3600
MADE_AT = NOW - 3_601_000 - (NOW - 3_601_000) % 60_000
SALT = bytes(range(32))
INDEX, SIZE = 3, 7
DOCUMENT = digest_stream([b"a bank statement\n"])[0]
BARE = Digests(DOCUMENT.sha256)
OTHER = digest_stream([b"another document\n"])[0]
PLAIN = Attestation(MADE_AT, DOCUMENT.sha256, "bank-statement")
BOTH = {SZ.cosigner: SECONDS, MO.cosigner: SECONDS + 5}
OURS = p256_cosigner(f"{SZ.origin}/cosigner", 99)


@dataclass(frozen=True)
class Made:
    """A proof that is made from its parts, so that each can be changed."""

    entry: bytes = field(default_factory=lambda: encode_entry(PLAIN))
    salt: bytes | None = None
    log: SoftKey = field(default_factory=lambda: HK.log)
    cosigned: dict[SoftKey, int] = field(default_factory=lambda: dict(BOTH))

    def leaves(self) -> list[bytes]:
        return [trees.leaf(self.entry if i == INDEX else b"entry %d" % i) for i in range(SIZE)]

    def proof(self) -> Proof:
        leaves = self.leaves()
        head = Checkpoint(self.log.name, SIZE, trees.root(leaves))
        note = sign_head(head, self.log, self.cosigned)
        return Proof(INDEX, tuple(trees.path(INDEX, leaves)), note, self.extra())

    def extra(self) -> bytes:
        return Extra(self.entry, self.salt).encode()


def attested(**changes: Any) -> Made:
    return Made(encode_entry(replace(PLAIN, **changes)))


def hidden(salt: bytes | None = SALT, **changes: Any) -> Made:
    digest = blind(SALT, HK.origin, SHA256, DOCUMENT.sha256)
    sm3 = blind(SALT, HK.origin, SM3, DOCUMENT.sm3 or b"")
    entry = replace(PLAIN, sha256=digest, sm3=sm3, blinded=True, **changes)
    return Made(encode_entry(entry), salt)


def verdict() -> Json:
    policies = {name: made.encode() for name, made in POLICIES.items()}
    seals = {name: sealed(roster, stopped) for name, (roster, stopped) in SEALS.items()}
    return {
        "policies": policies,
        "seals": seals,
        "cases": [
            *(by_policy(*case) for case in policy_cases()),
            *(by_seal(*case) for case in seal_cases()),
        ],
    }


# --- by a policy alone

_LOG = (HK.log.vkey,)
_WITNESSES = {"sz": SZ.cosigner.vkey, "mo": MO.cosigner.vkey}
_TWO = Policy(_LOG, _WITNESSES, {"peers": (2, ("sz", "mo"))}, "peers")
POLICIES = {
    "two": _TWO,
    "nobody": Policy(_LOG),
    "ours": Policy(_LOG, {"sz": OURS.vkey}, quorum="sz"),
    "notaries": replace(
        _TWO,
        groups={},
        quorum="sz",
        notaries={"bank-statement": (1, ("mo",)), "deed": (3, ("mo",))},
    ),
    "ed25519": Policy((log_key(HK.origin, 9, 1).vkey,), _WITNESSES, quorum="sz"),
}

Asked = tuple[str, str, Proof, Digests | None, Json]
"""Name, policy or seal, proof, digests, and what is asked besides."""


def policy_cases() -> list[Asked]:
    made = Made().proof()
    content = (("json-jcs/1", SALT),)
    resaved = replace(OTHER, canonical=content)
    both = attested(sm3=DOCUMENT.sm3).proof()
    half = replace(OTHER, sha256=DOCUMENT.sha256)
    cases: dict[str, tuple[str, Proof, Digests | None, Json]] = {
        "witnessed": ("two", made, BARE, {}),
        "witnessed, all digests given": ("two", made, DOCUMENT, {}),
        "no quorum demanded": ("nobody", made, BARE, {}),
        "one cosignature of two": (
            "two",
            Made(cosigned={SZ.cosigner: SECONDS}).proof(),
            BARE,
            {},
        ),
        "cosigned by a P-256 key": ("ours", Made(cosigned={OURS: SECONDS}).proof(), BARE, {}),
        "log key of type Ed25519": (
            "ed25519",
            Made(log=log_key(HK.origin, 9, 1)).proof(),
            BARE,
            {},
        ),
        "with its notary": ("notaries", made, BARE, {}),
        "without its notary": (
            "notaries",
            Made(cosigned={SZ.cosigner: SECONDS}).proof(),
            BARE,
            {},
        ),
        "more notaries than there are": ("notaries", attested(kind="deed").proof(), BARE, {}),
        "kind without notaries": ("notaries", attested(kind="letter").proof(), BARE, {}),
        "no document": ("two", made, None, {}),
        "no document, blinded": ("two", hidden().proof(), None, {}),
        "another document": ("two", made, OTHER, {}),
        "SM3 is the same": ("two", both, DOCUMENT, {}),
        "SM3 was not given": ("two", both, BARE, {}),
        "SM3 differs": ("two", both, half, {}),
        "saved again": ("two", attested(canonical=content).proof(), resaved, {}),
        "saved again, other content": (
            "two",
            attested(canonical=(("json-jcs/1", flipped(SALT)),)).proof(),
            resaved,
            {},
        ),
        "blinded": ("two", hidden().proof(), DOCUMENT, {}),
        "blinded, without its salt": ("two", hidden(salt=None).proof(), DOCUMENT, {}),
        "blinded, salt with one bit flipped": (
            "two",
            hidden(salt=flipped(SALT)).proof(),
            DOCUMENT,
            {},
        ),
        "expired": ("two", attested(valid_until=NOW - 1).proof(), BARE, {}),
        "valid until this millisecond": ("two", attested(valid_until=NOW).proof(), BARE, {}),
        "expired and unwitnessed": (
            "two",
            replace(attested(valid_until=NOW - 1), cosigned={}).proof(),
            BARE,
            {},
        ),
        "expected issuer and kind": (
            "two",
            made,
            BARE,
            {"expect_issuer": HK.origin, "expect_kind": "bank-statement"},
        ),
        "another kind than expected": ("two", made, BARE, {"expect_kind": "diploma"}),
        "log that the policy does not name": ("ed25519", foreign(), BARE, {}),
        "signed by another log key": ("two", Made(log=log_key(HK.origin, 77)).proof(), BARE, {}),
        "a revocation": ("two", Made(encode_entry(Revocation(MADE_AT, 1, 4))).proof(), BARE, {}),
        "unknown format": ("two", Made(unknown()).proof(), BARE, {}),
        "an entry that is none": ("two", Made(b"nothing").proof(), BARE, {}),
        **{name: ("two", one, BARE, {}) for name, one in damaged(made).items()},
    }
    return [(name, *case) for name, case in cases.items()]


def foreign() -> Proof:
    return Made(log=log_key(MO.origin, 3)).proof()


def unknown() -> bytes:
    entry = encode_entry(PLAIN)
    return b"\xa6" + entry[1:] + b"\x09\x01"


def damaged(made: Proof) -> dict[str, Proof]:
    """One bit of each part flipped; the whole was good."""
    text, lines = made.note.split(b"\n\n")
    head = made.checkpoint()
    other = Checkpoint(head.origin, head.size, flipped(head.root)).encode().encode()
    signatures = lines.rstrip(b"\n").split(b"\n")

    def note(*changed: bytes) -> Proof:
        return replace(made, note=text + b"\n\n" + b"\n".join(changed) + b"\n")

    first, second, third = signatures
    entry = flipped(encode_entry(PLAIN), 8 * 40)
    return {
        "one bit of the entry": replace(made, extra=Extra(entry).encode()),
        "one bit of the path": replace(
            made, hashes=(made.hashes[0], flipped(made.hashes[1], 77), made.hashes[2])
        ),
        "one bit of the root": replace(made, note=other + b"\n" + lines),
        "one bit of the log's signature": note(damage(first), second, third),
        "one bit of a cosignature": note(first, damage(second), third),
        "one bit of a cosignature's time": note(first, damage(second, 4 + 7), third),
        "the path's hashes in another order": replace(made, hashes=made.hashes[::-1]),
        "the index of a neighbour": replace(made, index=INDEX - 1),
    }


def damage(line: bytes, at: int = -3) -> bytes:
    """A signature line with one bit of its payload flipped."""
    name, _, body = line.rpartition(b" ")
    blob = bytearray(b64decode(body))
    blob[at] ^= 1
    return name + b" " + b64encode(bytes(blob))


def by_policy(name: str, policy: str, proof: Proof, digests: Digests | None, more: Json) -> Json:
    data, question = proof.encode(), Question(NOW, **more)
    verdict = verify_offline(digests, data, POLICIES[policy].encode().encode(), question)
    asked = {"name": name, "policy": policy, "proof": data.decode()}
    facts = verdict.judgements[0].facts
    return asked | question_of(digests, question) | told(str(verdict.word), facts)


# --- by what was sealed in


def ended(key: SoftKey, state: str, size: int | None = None, root: bytes = b"") -> ListedKey:
    last = {} if size is None else {"last_size": size, "last_root": encode_base64(root)}
    since = None if size is not None and state == "retired" else ISSUED
    return ListedKey(vkey=key.vkey.encode(), state=state, since=since, **last)  # type: ignore[arg-type]


ROOT = Made().proof().checkpoint().root
NEW_LOG = log_key(HK.origin, 200)
LATER = int((ISSUED + timedelta(seconds=1)).timestamp())
EARLIER = int((ISSUED - timedelta(seconds=1)).timestamp())


def changed(member: str, **changes: Any) -> Roster:
    made = founding()
    made = msgspec.structs.replace(made, kind=(), member=with_member(made, member, **changes))
    check_roster(made)
    return made


def log_ended(state: str, size: int, root: bytes) -> Roster:
    keys = (ended(HK.log, state, size, root), ListedKey(vkey=NEW_LOG.vkey.encode()))
    return changed("hk-1", log_key=keys)


def cosigner_ended(state: str) -> Roster:
    kept = ListedKey(vkey=p256_cosigner(f"{SZ.origin}/cosigner-2", 98).vkey.encode())
    return changed("sz-1", cosigner_key=(ended(SZ.cosigner, state), kept))


def catalogued() -> Roster:
    made = founding((SZ, HK, MO, GZ))
    kinds = (
        CatalogueKind(name="bank-statement", validity=86_400),
        CatalogueKind(
            name="kyc-report",
            blinded=True,
            digests=("sha256", "sm3"),
            notary=NotaryGroup(institutions=("bank-gz", "bank-mo"), threshold=1),
        ),
    )
    made = msgspec.structs.replace(made, kind=kinds)
    check_roster(made)
    return made


def left() -> Roster:
    made = founding()
    keys = (ended(HK.log, "retired", SIZE, ROOT),)
    members = with_member(made, "hk-1", state="left", successor="hk-2", log_key=keys)
    after = Keys("hk-2", "HK", 5)
    made = msgspec.structs.replace(made, kind=(), member=(*members, after.listed()))
    check_roster(made)
    return made


def left_without_keys() -> Roster:
    made = left()
    cosigners = (ended(HK.cosigner, "retired"),)
    made = msgspec.structs.replace(made, member=with_member(made, "hk-1", cosigner_key=cosigners))
    check_roster(made)
    return made


SEALS: dict[str, tuple[Roster, tuple[str, ...]]] = {
    "three": (founding(), ()),
    "catalogue": (catalogued(), ()),
    "other kinds": (changed("hk-1", kinds=("deed",)), ()),
    "suspended by its emergency key": (founding(), ("hk-1",)),
    "suspended by the roster": (changed("hk-1", state="suspended"), ()),
    "left": (left(), ()),
    "left, cosigner retired": (left_without_keys(), ()),
    "key retired after this head": (log_ended("retired", SIZE + 1, bytes(32)), ()),
    "key retired at this head": (log_ended("retired", SIZE, ROOT), ()),
    "key retired at another head of this size": (log_ended("retired", SIZE, bytes(32)), ()),
    "key retired before this head": (log_ended("retired", SIZE - 1, bytes(32)), ()),
    "key compromised before this head": (log_ended("compromised", SIZE - 1, bytes(32)), ()),
    "key compromised after this head": (log_ended("compromised", SIZE + 1, bytes(32)), ()),
    "cosigner retired": (cosigner_ended("retired"), ()),
    "cosigner compromised": (cosigner_ended("compromised"), ()),
}


def seal_cases() -> list[Asked]:
    made = Made().proof()
    gz = {SZ.cosigner: SECONDS, GZ.cosigner: SECONDS, MO.cosigner: SECONDS}
    notarised = replace(hidden(kind="kyc-report"), cosigned=gz).proof()
    bad_heart = Made(cosigned={**BOTH, HK.cosigner: SECONDS}).proof()
    lines = bad_heart.note.rstrip(b"\n").split(b"\n")
    broken = b"\n".join([*lines[:-1], damage(lines[-1])]) + b"\n"
    plain = ("catalogue", attested(valid_until=MADE_AT + 86_400_000))
    cases: dict[str, tuple[str, Proof, Digests | None, Json]] = {
        **{name: (name, made, BARE, {}) for name in SEALS},
        "by institution": ("three", made, BARE, {"expect_issuer": "Bank of HK (example)"}),
        "by member id": ("three", made, BARE, {"expect_issuer": "hk-1"}),
        "another institution": ("three", made, BARE, {"expect_issuer": "Bank of SZ (example)"}),
        "without a document": ("three", made, None, {}),
        "log of nobody": ("three", Made(log=log_key("x.example/y", 9)).proof(), BARE, {}),
        "heartbeat of the issuer": ("three", bad_heart, BARE, {}),
        "one bit of the heartbeat": ("three", replace(bad_heart, note=broken), BARE, {}),
        "one bit of the heartbeat of one that has left": (
            "left, cosigner retired",
            replace(bad_heart, note=broken),
            BARE,
            {},
        ),
        "new key": ("key retired before this head", Made(log=NEW_LOG).proof(), BARE, {}),
        "retired cosigner, signed in time": (
            "cosigner retired",
            Made(cosigned={SZ.cosigner: EARLIER, MO.cosigner: SECONDS}).proof(),
            BARE,
            {},
        ),
        "retired cosigner, signed later": (
            "cosigner retired",
            Made(cosigned={SZ.cosigner: LATER, MO.cosigner: SECONDS}).proof(),
            BARE,
            {},
        ),
        "keeps the catalogue": (plain[0], replace(plain[1], cosigned=gz).proof(), BARE, {}),
        "too long for the catalogue": ("catalogue", Made(cosigned=gz).proof(), BARE, {}),
        "kind that the catalogue has not": (
            "catalogue",
            replace(attested(kind="deed"), cosigned=gz).proof(),
            BARE,
            {},
        ),
        "not blinded": (
            "catalogue",
            replace(attested(kind="kyc-report"), cosigned=gz).proof(),
            BARE,
            {},
        ),
        "blinded, with its notary": ("catalogue", notarised, DOCUMENT, {}),
        "blinded, without an SM3 digest": ("catalogue", no_sm3(gz), DOCUMENT, {}),
    }
    return [(name, *case) for name, case in cases.items()]


def no_sm3(cosigned: dict[SoftKey, int]) -> Proof:
    digest = blind(SALT, HK.origin, SHA256, DOCUMENT.sha256)
    made = attested(sha256=digest, kind="kyc-report", blinded=True)
    return replace(made, salt=SALT, cosigned=cosigned).proof()


def members_of(roster: Roster, stopped: tuple[str, ...]) -> list[Member]:
    return [
        replace(one, state="suspended") if one.is_active and one.id in stopped else one
        for one in roster.members()
    ]


def sealed(roster: Roster, stopped: tuple[str, ...]) -> Json:
    members = members_of(roster, stopped)
    voters = [one for one in members if one.is_active]
    issuer = next(one for one in members if one.origin == HK.origin)
    made = {HK.origin: generate(issuer, voters, roster.rule()).policy.encode()}
    return {"roster": signed(roster).decode(), "policies": made, "suspended": list(stopped)}


def by_seal(name: str, seal: str, proof: Proof, digests: Digests | None, more: Json) -> Json:
    question = Question(NOW, **more)
    facts = sealed_facts(proof, digests, *SEALS[seal])
    asked = {"name": f"sealed: {name}", "seal": seal, "proof": proof.encode().decode()}
    word = str(judge(facts, question).word)
    return asked | question_of(digests, question) | told(word, facts)


def sealed_facts(
    proof: Proof, digests: Digests | None, roster: Roster, stopped: tuple[str, ...]
) -> Facts:
    """As `service.verifier`, which holds no entry of the log."""
    members = members_of(roster, stopped)
    origin = parse_proof(proof.encode()).checkpoint().origin
    member = next((one for one in members if one.origin == origin), None)
    if member is None:
        nobody = Issuer(origin, origin, origin, "")
        nothing = Facts(nobody, proof.index, None, Source.PROOF, Match.NO_DOCUMENT, referred=True)
        return replace(nothing, problem="no member")
    generated = generate(member, [one for one in members if one.is_active], roster.rule())
    text = parse_policy(generated.policy.encode().encode())
    policy = replace(text, ended=generated.policy.ended)
    issuer = Issuer(
        member.id, origin, member.institution, member.jurisdiction, successor=member.successor
    )
    facts = facts_from_proof(proof, policy, digests, issuer, lambda _: True)
    if facts.entry is None:
        return facts
    facts = replace(facts, dropped=generated.dropped)
    try:
        member.open_head(proof.note)
    except RefusedError as error:
        facts = replace(facts, problem=facts.problem or error.message)
    entitled = entitle(member.id, [(roster, 0)])
    if facts.problem is not None:
        return facts
    if not entitled.covers(facts.entry.kind, NOW, lambda: 0):
        return replace(facts, problem=not_entitled(issuer, facts.entry.kind))
    return replace(facts, warning=entitled.breach(facts.entry, NOW, lambda: 0))


# --- what is said


def question_of(digests: Digests | None, question: Question) -> Json:
    asked = {key: value for key, value in asdict(question).items() if value is not None}
    given = digests and {
        "sha256": digests.sha256.hex(),
        "sm3": digests.sm3 and digests.sm3.hex(),
        "canonical": [[name, value.hex()] for name, value in digests.canonical],
    }
    return {"digests": given, "question": asked}


def told(word: str, facts: Facts) -> Json:
    return {
        "verdict": word,
        "match": str(facts.match),
        "quorum": facts.quorum,
        "existed_by": facts.existed_by,
        "witnesses": [list(one) for one in facts.witnesses],
        "dropped": list(facts.dropped),
        "kind": facts.entry and facts.entry.kind,
        "institution": facts.issuer.institution,
        "successor": facts.issuer.successor,
        "problem": facts.problem is not None,
        "warning": facts.warning is not None,
        "notaries": facts.notaries is not None,
    }
