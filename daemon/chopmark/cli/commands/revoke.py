"""`chopmark revoke`: take back an attestation of the gateway's own log."""

from pathlib import Path
from typing import TYPE_CHECKING

from chopmark.cli.arguments import name_reason, parse_duration, parse_reason, parse_reference
from chopmark.cli.context import Given, Options
from chopmark.cli.hashing import hash_files
from chopmark.cli.lookup import find_blinded, find_own
from chopmark.cli.terminal import say, say_json
from chopmark.client.files import proof_path
from chopmark.core.errors import ExistsError, ForbiddenError, UsageError
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient


def revoke(
    target: str, /, *, reason: str = "unspecified", wait: str = "10s", options: Given
) -> int:
    """Take back an attestation of this gateway. This cannot be undone: attest again instead.

    The attestation is named by ORIGIN#INDEX, or by its document if there is just one of it; a
    blinded one is found by the proof beside its document.

    Args:
        target: ORIGIN#INDEX, or the document.
        reason: Why: unspecified, error, replaced, customer, fraud, key-compromise, or 0 to 5.
        wait: How long to wait for the signature, at most 60s.
    """
    number = parse_reason(reason)
    seconds = min(parse_duration(wait), 60)
    with options.connect() as gateway:
        index = _find(gateway, target, options)
        made = gateway.revoke(index, number, seconds)
    if options.json:
        say_json(made)
        return 0
    known = " already" if made.get("duplicate") else ""
    say(clean(f"{made['origin']}#{index}"), f" is revoked{known} ({name_reason(number)})")
    say(clean(f"  by entry {made.get('index')}, made at {made['made_at']}"))
    if made["state"] != "signed":
        say("  recorded, not signed yet: it takes effect with the next signed head")
    return 0


def _find(gateway: "GatewayClient", target: str, options: Options) -> int:
    if Path(target).exists():
        return _find_by_document(gateway, Path(target), options)
    if "#" not in target:
        message = f"no such file, and no reference: {target}"
        raise UsageError("bad-reference", message, hint="name the document, or ORIGIN#INDEX")
    origin, index = parse_reference(target)
    own = gateway.export()["origin"]
    if origin != own:
        message = f"{target} is not in the log of this gateway, {own}"
        hint = "only the gateway that attested a document can revoke that"
        raise ForbiddenError("not-own-log", message, hint=hint)
    return index


def _find_by_document(gateway: "GatewayClient", file: Path, options: Options) -> int:
    digests = hash_files([file], options)[0]
    blinded = find_blinded(proof_path(file), digests)
    if blinded is not None and blinded.checkpoint().origin == gateway.export()["origin"]:
        return blinded.index
    found = find_own(gateway, digests)
    standing = [attestation for attestation in found if attestation["revoked"] is None]
    if not standing:
        message = f"the attestation of {file} is revoked already"
        hint = "to give another reason too, name the attestation by ORIGIN#INDEX"
        raise ExistsError("already-revoked", message, hint=hint)
    if len(standing) > 1:
        places = ", ".join(f"{one['origin']}#{one['index']}" for one in standing)
        message = f"{file} has several attestations: {places}"
        raise UsageError("ambiguous", message, hint="name the one to revoke by ORIGIN#INDEX")
    return standing[0]["index"]
