"""A key ceremony by keys in software, always the same."""

from collections.abc import Sequence
from dataclasses import replace

from chopmark.core.ceremony import Approval, Ceremony, End, PresentOfficer, Step
from chopmark.core.ceremony_rules import GATES, PLAN, SELF_TEST_TIME, self_test_head
from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import parse_vkey
from chopmark.core.note import Note
from chopmark.core.text import encode_base64
from officers import CHAN, HO, LEE, Person
from softkeys import cosigner, log_key

ORIGIN = "bank-hk.example/hk-1"
TIME = 1_795_305_600
LOG = log_key(ORIGIN, 1)
COSIGNER = cosigner(f"{ORIGIN}/cosigner", 2)
PEOPLE = (CHAN, LEE, HO)
BANK = "Bank of Hong Kong (example)"
HEAD = self_test_head(ORIGIN).encode()
ATTRIBUTES = "SENSITIVE yes, ALWAYS_SENSITIVE yes, EXTRACTABLE no, NEVER_EXTRACTABLE yes, LOCAL yes"
SIGNED = (
    ("log-signature", encode_base64(LOG.sign(HEAD).payload)),
    ("cosigner-signature", encode_base64(COSIGNER.sign(HEAD, SELF_TEST_TIME).payload)),
)


def _describe(role: str, vkey: str) -> list[tuple[str, str]]:
    said = Fingerprint(encode_public(parse_vkey(vkey)))
    return [
        (f"{role}-label", f"chopmark-{role}"),
        (f"{role}-key", vkey),
        (f"{role}-fingerprint", said.hex),
        (f"{role}-words", said.words),
        (f"{role}-attributes", ATTRIBUTES),
    ]


FACTS: dict[str, tuple[tuple[str, str], ...]] = {
    "presence": (
        ("officer-1", "present"),
        ("officer-2", "present"),
        ("officer-3", "absent"),
        ("person-1", "Au Wing, auditor"),
    ),
    "token": (
        ("module", "/usr/lib/vendor/libpkcs11.so"),
        ("manufacturer", "Vendor"),
        ("label", "hk-1"),
        ("serial", "0123456789abcdef"),
        ("firmware", "7.4"),
    ),
    "mechanisms": (
        ("offered", "EC_KEY_PAIR_GEN, ECDSA, EC_EDWARDS_KEY_PAIR_GEN, EDDSA"),
        ("random", "two draws of 32 bytes differ, and neither is a constant"),
    ),
    "go-ahead": (("to-be-made", "chopmark-log (ECDSA P-256), chopmark-cosigner (Ed25519)"),),
    "keys": (*_describe("log", LOG.vkey.encode()), *_describe("cosigner", COSIGNER.vkey.encode())),
    "read-aloud": (("officer-1", "confirmed"), ("officer-2", "confirmed")),
    "self-test": SIGNED,
    "backup": (("means", "cloned onto 0123456789abcde0"), ("kept", "in the safe of the branch")),
    "restore-drill": (
        ("reopened", "the same two keys were found after C_Finalize and C_Initialize"),
        *SIGNED,
        ("backup-token", "label hk-1, serial 0123456789abcde0: the same keys, good signatures"),
    ),
    "close": (("remarks", "none"),),
}


def present(person: Person) -> PresentOfficer:
    return PresentOfficer(person.name, BANK, person.certificate)


def begun(people: Sequence[Person] = PEOPLE, need: int = 2) -> Ceremony:
    """One with its head alone."""
    return Ceremony(
        origin=ORIGIN,
        kind="init",
        gateway="hk-1",
        institution=BANK,
        place="Data centre 2, cage 14, Hong Kong",
        software="chopmark 0.1.0",
        need=need,
        officers=tuple(map(present, people)),
    )


def approved(ceremony: Ceremony, *numbers: int) -> Ceremony:
    """With approvals of the last step by these officers."""
    text = ceremony.approval_text(len(ceremony.steps))
    for number in numbers:
        by = next(p for p in PEOPLE if p.certificate == ceremony.officers[number - 1].certificate)
        ceremony = ceremony.with_approval(Approval(number, by.sign(text).signature))
    return ceremony


def held(
    upto: str = "close",
    changes: dict[str, Step] | None = None,
    *,
    by: Sequence[int] = (1, 2),
    need: int = 2,
) -> Ceremony:
    """A ceremony up to and with a step; `changes` are steps that stand in place of good ones."""
    made = begun(need=need)
    for number, name in enumerate(PLAN):
        time = TIME + 60 * number
        step = Step(name, time, time + 60, FACTS[name])
        made = made.with_step((changes or {}).get(name, step))
        if name in GATES:
            made = approved(made, *by)
        if name == upto:
            break
    return made


def ended(ceremony: Ceremony | None = None) -> Ceremony:
    """One that is completed."""
    return replace(ceremony or held(), end=End("completed", TIME + 900))


def signed(ceremony: Ceremony) -> bytes:
    """Its file, signed by the log key."""
    text = ceremony.encode()
    return Note(text, (LOG.sign(text),)).encode()
