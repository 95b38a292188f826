"""`chopmark consent` and `withdraw`: at the issuer's gateway, what a customer lets others do."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from chopmark.cli.arguments import parse_duration, parse_reference, parse_time
from chopmark.cli.context import Given, Options
from chopmark.cli.hashing import hash_files
from chopmark.cli.keptkey import NOT_YET, KeptKey
from chopmark.cli.lookup import find_blinded, find_own, member_of, origin_of
from chopmark.cli.records import carried, carry, open_answer, read_shown, write_shown
from chopmark.cli.terminal import say, say_json, warn
from chopmark.client.files import PROOF_SUFFIX, check_creatable, proof_path, read_proof
from chopmark.client.proofs import check_answer
from chopmark.core.consent import CONSENT, Consent, Shown, check_purpose
from chopmark.core.entry import Commitment, parse_entry
from chopmark.core.errors import ForbiddenError, MissingError, UsageError
from chopmark.core.inert import clean
from chopmark.core.proof import Proof, parse_extra, parse_proof
from chopmark.core.verdict import EXIT, Word
from chopmark.core.wording import format_time

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient

CUSTOMER: Final = 3
"""The reason of a revocation at the customer's request."""
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Found:
    """The attestation that is meant, and where its document lies, if it does."""

    origin: str
    index: int
    document: Path | None


def consent(
    target: str,
    /,
    *,
    receiver: str,
    purpose: str,
    until: str,
    scenario: str | None = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    wait: str = "10s",
    options: Given,
) -> int:
    """Record that a customer lets one receiver use a document for one purpose.

    It is done at the gateway that attested the document, at the customer's request. The other
    members see that a consent was recorded, and neither to whom nor for what. What shows it goes
    into FILE.tlog-proof beside the document, for the customer to take along; `chopmark withdraw`
    takes it back.

    Args:
        target: The document, its SHA-256, or ORIGIN#INDEX of its attestation.
        receiver: Who may use it: member id, origin or institution.
        purpose: For what, such as sme-loan; `chopmark scenarios` shows what the roster allows.
        until: How long it holds: 2027-12-31 (that day's end, UTC) or an RFC 3339 time.
        scenario: Scenario of the roster, where several fit.
        output: Where to write the proof of the consent by itself. Without the document it is
            written to consent-INDEX.tlog-proof.
        wait: How long to wait for countersignatures, at most 60s.
    """
    check_purpose(purpose)
    ends, seconds = parse_time(until), min(parse_duration(wait), 60)
    if output is not None:
        check_creatable(output)
    with options.connect() as gateway:
        found = _find(gateway, target, options)
        proof = None if found.document is None else _proof_of(gateway, found)
        body: dict[str, object] = {
            "index": found.index,
            "receiver": receiver,
            "purpose": purpose,
            "valid_until": format_time(ends),
        }
        body |= {"scenario": scenario} if scenario else {}
        kept = KeptKey(found.document or Path("chopmark"), "consent", body)
        made = kept.send(lambda key: gateway.consent(body, seconds, key=key))
    shown = open_answer(made.get("proof"))
    files = _keep(found, proof, shown, output)
    if files:
        kept.drop()
    _tell(made, files, options)
    return EXIT[Word.UNWITNESSED] if shown is None or made.get("provisional") else 0


def withdraw(
    target: str,
    /,
    *,
    receiver: str | None = None,
    purpose: str | None = None,
    wait: str = "10s",
    options: Given,
) -> int:
    """Withdraw a consent, at the gateway that recorded it: from then on no use may rest on it.

    It is a revocation of the consent's entry, at the customer's request. What was used before
    stays recorded.

    Args:
        target: The document, whose proof carries its consents; a proof of the consent; or
            ORIGIN#INDEX of the consent's entry.
        receiver: Of several consents, the one for this receiver, named as the consent named it:
            member id, origin or institution.
        purpose: Of several consents, the one for this purpose.
        wait: How long to wait for the signature, at most 60s.
    """
    seconds = min(parse_duration(wait), 60)
    with options.connect() as gateway:
        named = None if receiver is None else origin_of(gateway, receiver)
        origin, index = _find_consent(target, named, purpose)
        _check_own(gateway, origin)
        _check_consent(gateway, origin, index)
        made = gateway.revoke(index, CUSTOMER, seconds)
    if options.json:
        say_json(made)
        return 0
    known = " already" if made.get("duplicate") else ""
    say(clean(f"{origin}#{index}"), f": the consent is withdrawn{known}")
    say(clean(f"  by entry {made.get('index')}, made at {made['made_at']}"))
    if made["state"] != "signed":
        say("  recorded, not signed yet: it takes effect with the next signed head")
    return 0


def _find(gateway: "GatewayClient", target: str, options: Options) -> Found:
    if Path(target).exists():
        return _find_by_document(gateway, Path(target), options)
    if len(target) == 64 and _HEX.issuperset(target):
        return _find_by_digest(gateway, bytes.fromhex(target))
    if "#" not in target:
        hint = "name the document, its SHA-256, or ORIGIN#INDEX"
        raise UsageError("bad-reference", f"no such file, and no reference: {target}", hint=hint)
    origin, index = parse_reference(target)
    _check_own(gateway, origin)
    return Found(origin, index, None)


def _find_by_digest(gateway: "GatewayClient", sha256: bytes) -> Found:
    """The newest that stands; the whole verdict would take the SM3 digest as well."""
    own = gateway.export()["origin"]
    found = [one for one in gateway.documents(sha256) if one["origin"] == own]
    standing = [one for one in found if one["state"] == "live"]
    if not standing:
        message = f"{own} has no attestation of this digest that stands"
        hint = (
            "a blinded one is named by its document, with the proof beside it, or by ORIGIN#INDEX"
        )
        raise MissingError("no-such-attestation", message, hint=hint)
    return Found(own, max(int(one["index"]) for one in standing), None)


def _find_by_document(gateway: "GatewayClient", file: Path, options: Options) -> Found:
    digests = hash_files([file], options)[0]
    blinded = find_blinded(proof_path(file), digests)
    if blinded is not None:
        origin = blinded.checkpoint().origin
        _check_own(gateway, origin)
        return Found(origin, blinded.index, file)
    own = find_own(gateway, digests)
    standing = next((one for one in own if one["verdict"] == "valid"), own[0])
    return Found(standing["origin"], standing["index"], file)


def _check_own(gateway: "GatewayClient", origin: str) -> None:
    own = gateway.export()["origin"]
    if origin != own:
        message = f"{origin} is not the log of this gateway, {own}"
        hint = "a consent is recorded and withdrawn at the gateway that attested the document"
        raise ForbiddenError("not-own-log", message, hint=hint)


def _check_consent(gateway: "GatewayClient", origin: str, index: int) -> None:
    """Refuse to withdraw anything else: what revokes a consent would revoke a document as well."""
    data = gateway.proof(member_of(gateway, origin), index, bare=True)
    entry = parse_entry(parse_extra(check_answer(data, origin, index).extra).entry)
    if not isinstance(entry, Commitment) or entry.type != CONSENT:
        message = f"{origin}#{index} is no consent"
        hint = "`chopmark trace FILE` shows the consents to a document, each with its place"
        raise MissingError("no-such-consent", message, hint=hint)


def _proof_of(gateway: "GatewayClient", found: Found) -> Proof:
    """The proof that lies beside the document, if it is of this attestation; or a new one."""
    path = proof_path(found.document or Path())
    if path.exists():
        held = parse_proof(read_proof(path))
        if (held.checkpoint().origin, held.index) == (found.origin, found.index):
            return held
        message = f"{path} is the proof of another attestation than {found.origin}#{found.index}"
        raise UsageError("usage", message, hint="move it away, or name ORIGIN#INDEX")
    data = gateway.proof(member_of(gateway, found.origin), found.index)
    return check_answer(data, found.origin, found.index)


def _keep(
    found: Found, proof: Proof | None, shown: Shown | None, output: Path | None
) -> list[Path]:
    """Write what shows the consent; gives the files."""
    if shown is None:
        return []
    files: list[Path] = []
    if proof is not None and found.document is not None:
        path = proof_path(found.document)
        carry(path, proof, [shown])
        files.append(path)
    if output is not None or found.document is None:
        path = output or Path(f"consent-{shown.proof.index}{PROOF_SUFFIX}")
        write_shown(path, shown)
        files.append(path)
    return files


def _tell(made: dict[str, object], files: list[Path], options: Options) -> None:
    if options.json:
        hidden = {"salt", "body", "proof"}
        told = {name: value for name, value in made.items() if name not in hidden}
        say_json(told | {"proof_files": [str(path) for path in files]})
        return
    say(clean(f"{made['origin']}#{made['index']}"), clean(f"  consent to {made['attestation']}"))
    say(clean(f"  {made['receiver']} may use it for {made['purpose']}"))
    say(clean(f"  until {made['valid_until']}"))
    for path in files:
        say(clean(f"  shown by {path}: for the customer and the receiver alone"))
    if not files:
        warn(NOT_YET)


def _find_consent(target: str, receiver: str | None, purpose: str | None) -> tuple[str, int]:
    path = Path(target)
    if not path.exists():
        return parse_reference(target)
    shown = read_shown(path) if path.name.endswith(PROOF_SUFFIX) else carried(path)
    consents = [one for one in shown if isinstance(one.body, Consent)]
    fitting = [
        one
        for one in consents
        if receiver in (None, one.body.receiver) and purpose in (None, one.body.purpose)
    ]
    if not fitting:
        message = f"no such consent is shown by {path} or the proof beside it"
        raise MissingError("no-such-consent", message, hint="name ORIGIN#INDEX of its entry")
    if len(fitting) > 1:
        places = ", ".join(
            f"{one.origin}#{one.proof.index} ({one.body.receiver}, {one.body.purpose})"
            for one in fitting
        )
        raise UsageError(
            "ambiguous", f"several consents: {places}", hint="name one by ORIGIN#INDEX"
        )
    return fitting[0].place
