"""Which protocol of a key ceremony is good (docs/formats/ceremony.md).

1. Officers are different people, each certificate of a sort that may sign.
2. Steps follow the plan of their kind, and the clock: a step that failed is followed by another try
   of it; `resumed` may stand anywhere. Each that is done has the facts that are due.
3. Approvals are by officers who were present, with certificates in force; the steps that open or
   close something (`GATES`) have as many as are needed, by different people.
4. The keys are what their fingerprints say, and the self-test's signatures are theirs.
5. One that is completed has every step of the plan. Its note is signed by the log key in it.
"""

from collections.abc import Iterable
from typing import Final

from chopmark.core.ceremony import Approval, Ceremony, Step
from chopmark.core.ceremony_text import CeremonyFile
from chopmark.core.checkpoint import Checkpoint
from chopmark.core.errors import RefusedError
from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import VerifierKey, parse_vkey
from chopmark.core.merkle import EMPTY_ROOT
from chopmark.core.note import verify_note
from chopmark.core.officers import (
    Signatory,
    are_enough,
    check_in_force,
    check_signature,
    fingerprint,
    identify,
    open_certificate,
)
from chopmark.core.release import OfficerSignature
from chopmark.core.text import parse_base64

PLAN: Final = (
    "presence",
    "token",
    "mechanisms",
    "go-ahead",
    "keys",
    "read-aloud",
    "self-test",
    "backup",
    "restore-drill",
    "close",
)
"""The steps of every kind: what is made differs, and what is said of it."""
GATES: Final = frozenset({"go-ahead", "read-aloud", "close"})
RESUMED: Final = "resumed"
MAY_DECLINE: Final = frozenset({"backup"})
KEYS: Final = ("log", "cosigner")
FACTS: Final[dict[str, tuple[str, ...]]] = {
    "token": ("module", "manufacturer", "label", "serial", "firmware"),
    "mechanisms": ("random",),
    "keys": tuple(
        f"{key}-{what}" for key in KEYS for what in ("key", "fingerprint", "words", "attributes")
    ),
    "self-test": tuple(f"{key}-signature" for key in KEYS),
    "backup": ("means",),
    "restore-drill": ("reopened", *(f"{key}-signature" for key in KEYS), "backup-token"),
}
"""What the record of a step that is done says, besides what else was worth saying."""


def check_ceremony(ceremony: Ceremony) -> tuple[VerifierKey, ...]:
    """Check everything but the note; gives the keys that it made, the log key first.

    Raises:
        MalformedError: `malformed-certificate`, `malformed-vkey`.
        RefusedError: `ceremony-order`, `ceremony-facts`, `officers-missing`, `bad-signature`,
            `certificate-expired`, `officer-absent`.
    """
    people = _check_people(ceremony)
    _check_order(ceremony)
    for number, step in enumerate(ceremony.steps, 1):
        _check_facts(ceremony, step)
        _check_approvals(ceremony, number, step, people)
    keys = ceremony.find("keys")
    found = () if keys is None else tuple(_read_key(keys, ceremony, role) for role in KEYS)
    for tested in (ceremony.find("self-test"), ceremony.find("restore-drill")):
        if tested is not None:
            _check_self_test(ceremony, tested, found)
    return found


def check_file(file: CeremonyFile) -> tuple[VerifierKey, ...]:
    """Check a protocol that has ended; one that is completed is signed by its log key.

    Raises:
        MalformedError, RefusedError: as `check_ceremony`; `ceremony-unfinished`,
            `no-known-signature`, `bad-signature`.
    """
    ceremony, note = file.ceremony, file.note
    keys = check_ceremony(ceremony)
    if ceremony.end is None:
        hint = "`--resume FILE` goes on with it"
        raise RefusedError("ceremony-unfinished", "this ceremony has not ended", hint=hint)
    if ceremony.end.outcome == "completed" and note is None:
        raise RefusedError("no-known-signature", "the key that was made has not signed the record")
    if note is not None:
        verify_note(note, keys[:1])
    return keys


def check_trusted(ceremony: Ceremony, certificates: Iterable[bytes]) -> None:
    """Refuse a protocol that names other officers than those whom the reader knows.

    Args:
        ceremony: one whose rules hold.
        certificates: of the officers, DER.

    Raises:
        RefusedError: `unknown-officer`.
    """
    known = {fingerprint(one) for one in certificates}
    for officer in ceremony.officers:
        if fingerprint(officer.certificate) not in known:
            message = f"{officer.name} is no officer whom you name by certificate"
            hint = f"its fingerprint is {fingerprint(officer.certificate)}"
            raise RefusedError("unknown-officer", message, hint=hint)


def next_step(ceremony: Ceremony) -> str | None:
    """The step of the plan that is due; None after the last one."""
    passed = {one.name for one in ceremony.steps if one.result != "failed"}
    return next((name for name in PLAN if name not in passed), None)


def is_approved(ceremony: Ceremony, number: int) -> bool:
    """Whether a step, counted from 1, has as many approvals as are needed; they were checked."""
    people = _check_people(ceremony)
    approvals = ceremony.steps[number - 1].approvals
    return are_enough([people[one.officer - 1] for one in approvals], ceremony.need)


def check_approval(ceremony: Ceremony, number: int, approval: Approval) -> None:
    """Check one officer's signature over a step's hash, counted from 1.

    Raises:
        MalformedError: `malformed-certificate`.
        RefusedError: `bad-signature`, `certificate-expired`, `officer-absent`.
    """
    officer = ceremony.officers[approval.officer - 1]
    if not _is_present(ceremony, approval.officer):
        raise RefusedError("officer-absent", f"{officer.name} approves, and was not present")
    signed = OfficerSignature(officer.certificate, approval.signature)
    certificate = check_signature(ceremony.approval_text(number), signed)
    check_in_force(certificate, ceremony.steps[number - 1].ended, officer.name, "ceremony")


SELF_TEST_TIME: Final = 1
"""The cosigner key signs it as of 1970, when the log was empty: a later time would vouch for an old
copy of the log's replica."""


def self_test_head(origin: str) -> Checkpoint:
    """What the self-test signs: the head of the empty log, true of every log."""
    return Checkpoint(origin, 0, EMPTY_ROOT)


def _check_people(ceremony: Ceremony) -> list[Signatory]:
    people = [
        identify(open_certificate(one.certificate), one.name, one.institution)
        for one in ceremony.officers
    ]
    if not are_enough(people, len(people)):
        hint = "each has a name, a certificate and a key of their own"
        raise RefusedError("officers-missing", "two of the officers are one person", hint=hint)
    return people


def _check_order(ceremony: Ceremony) -> None:
    due = iter(PLAN)
    name: str | None = next(due)
    time = 0
    for step in ceremony.steps:
        if not time <= step.begun <= step.ended:
            raise _disorder(f"step {step.name} is before the one above it")
        time = step.ended
        if step.name == RESUMED and step.result == "done":
            continue
        if step.name != name or (step.result == "declined" and name not in MAY_DECLINE):
            raise _disorder(f"step {step.name} ({step.result}) is not what was due: {name}")
        if step.result != "failed":
            name = next(due, None)
    if ceremony.end is None:
        return
    if ceremony.end.time < time or (ceremony.end.outcome == "completed" and name is not None):
        raise _disorder(f"it ended before the step {name}")


def _check_facts(ceremony: Ceremony, step: Step) -> None:
    if step.result != "done":
        return
    due = list(FACTS.get(step.name, ()))
    numbers = range(1, len(ceremony.officers) + 1)
    if step.name == "presence":
        due += [f"officer-{number}" for number in numbers]
    if step.name == "read-aloud":
        due += [f"officer-{number}" for number in numbers if _is_present(ceremony, number)]
    missing = [word for word in due if not step.fact(word)]
    if missing:
        raise _unclear(f"step {step.name} does not say: {', '.join(missing)}")
    if step.name in {"presence", "read-aloud"}:
        said = {step.fact(f"officer-{number}") for number in numbers} - {""}
        if not said <= {"presence": {"present", "absent"}}.get(step.name, {"confirmed"}):
            raise _unclear(f"step {step.name} says of an officer: {', '.join(sorted(said))}")


def _check_approvals(ceremony: Ceremony, number: int, step: Step, people: list[Signatory]) -> None:
    for approval in step.approvals:
        check_approval(ceremony, number, approval)
    last = number == len(ceremony.steps) and (
        ceremony.end is None or ceremony.end.outcome == "aborted"
    )
    if step.name not in GATES or step.result != "done" or last:
        return
    found = [people[one.officer - 1] for one in step.approvals]
    if not are_enough(found, ceremony.need):
        names = ", ".join(one.name for one in found) or "nobody"
        message = f"step {step.name} needs {ceremony.need} officers: approved by {names}"
        raise RefusedError("officers-missing", message)


def _read_key(step: Step, ceremony: Ceremony, role: str) -> VerifierKey:
    text = step.fact(f"{role}-key")
    key = parse_vkey(text)
    said = Fingerprint(encode_public(key))
    if (step.fact(f"{role}-fingerprint"), step.fact(f"{role}-words")) != (said.hex, said.words):
        raise _unclear(f"the fingerprint of the {role} key is not its own")
    if key.is_cosigner != (role == "cosigner") or (role == "log" and key.name != ceremony.origin):
        raise _unclear(f"the {role} key is none: {text}")
    return key


def _check_self_test(ceremony: Ceremony, step: Step, keys: tuple[VerifierKey, ...]) -> None:
    text = self_test_head(ceremony.origin).encode().encode()
    for role, key in zip(KEYS, keys, strict=True):
        payload = parse_base64(step.fact(f"{role}-signature"), f"the signature of the {role} key")
        if key.verify(text, payload) != (SELF_TEST_TIME if key.is_cosigner else 0):
            message = f"in step {step.name} the signature of the {role} key is not good"
            raise RefusedError("bad-signature", message)


def _is_present(ceremony: Ceremony, officer: int) -> bool:
    step = ceremony.find("presence")
    return step is not None and step.fact(f"officer-{officer}") == "present"


def _disorder(message: str) -> RefusedError:
    return RefusedError("ceremony-order", message)


def _unclear(message: str) -> RefusedError:
    return RefusedError("ceremony-facts", message)
