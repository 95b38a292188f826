"""`chopmark proof`: the newest proof of an attestation, beside its document or anywhere."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chopmark.cli.context import Given, Options
from chopmark.cli.hashing import hash_files
from chopmark.cli.lookup import find_blinded, find_own, member_of
from chopmark.cli.terminal import PROVISIONAL, say, say_json
from chopmark.client.files import check_creatable, proof_path, read_proof, replace_file, write_new
from chopmark.client.proofs import (
    check_answer,
    keep_records,
    lacks_quorum,
    proof_mode,
    read_origin,
    renew,
)
from chopmark.core.errors import ExistsError, MalformedError, UsageError
from chopmark.core.inert import clean
from chopmark.core.proof import Proof, parse_proof
from chopmark.core.verdict import EXIT, Word

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient


def proof(
    target: str,
    index: int | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    bare: Annotated[bool, Parameter(negative="")] = False,
    options: Given,
) -> int:
    """Fetch the newest proof of an attestation.

    `chopmark proof FILE` looks the document up in this gateway's own log, and writes
    FILE.tlog-proof, or completes it if it proves the same attestation already. That of a blinded
    attestation is completed by itself, and fetched anew by its index only. `chopmark proof ID
    INDEX` fetches the proof of an entry of this gateway's log or of a peer's, and prints it. The
    exit code is 6 while the proof is provisional: the quorum has not countersigned yet.

    Args:
        target: The document; or, with an index, the member id of a gateway.
        index: Index of the entry in that gateway's log.
        output: Where to write the proof.
        bare: With an index: the proof without its salt, of a blinded attestation whose salt is gone
            or not for you. It says nothing about any document.
    """
    if bare and index is None:
        raise UsageError("usage", "--bare goes with ID and INDEX")
    with options.connect() as gateway:
        if index is None:
            return _complete(gateway, Path(target), output, options)
        return _fetch(gateway, target, index, output, options, bare=bare)


def _complete(gateway: "GatewayClient", file: Path, output: Path | None, options: Options) -> int:
    digests = hash_files([file], options)[0]
    path = output or proof_path(file)
    blinded = find_blinded(path, digests) or find_blinded(proof_path(file), digests)
    if blinded is not None:
        return _renew(gateway, blinded, path, options)
    old = _read_old(path)
    own = find_own(gateway, digests)
    current = next((found for found in own if found["revoked"] is None), own[0])
    origin, index = current["origin"], current["index"]
    if old not in (None, (origin, index)):
        message = f"{path} exists already, and is not the proof of {origin}#{index}"
        raise ExistsError("file-exists", message, hint="name another file with -o")
    data = gateway.proof(current["id"], index)
    proof = check_answer(data, origin, index, digests)
    provisional = lacks_quorum(proof, gateway.policy(current["id"]))
    if old is not None:  # what the customer has consented to goes on with the document
        proof = keep_records(read_proof(path), proof)
    replace_file(path, proof.encode(), proof_mode(proof))
    _show(origin, index, path, options, provisional=provisional)
    return EXIT[Word.UNWITNESSED] if provisional else 0


def _renew(gateway: "GatewayClient", old: Proof, path: Path, options: Options) -> int:
    """Complete the proof of a blinded attestation: its salt is in the old one, and stays."""
    origin = old.checkpoint().origin
    member = member_of(gateway, origin)
    proof = renew(old, gateway.proof(member, old.index, bare=True))
    provisional = lacks_quorum(proof, gateway.policy(member))
    if _read_old(path) not in (None, (origin, old.index)):
        message = f"{path} exists already, and is not the proof of {origin}#{old.index}"
        raise ExistsError("file-exists", message, hint="name another file with -o")
    replace_file(path, proof.encode(), proof_mode(proof))
    _show(origin, old.index, path, options, provisional=provisional)
    return EXIT[Word.UNWITNESSED] if provisional else 0


def _fetch(
    gateway: "GatewayClient",
    member: str,
    index: int,
    output: Path | None,
    options: Options,
    *,
    bare: bool,
) -> int:
    if output is not None:
        check_creatable(output)
    data = gateway.proof(member, index, bare=bare)
    origin = read_origin(data)
    proof = check_answer(data, origin, index)
    provisional = lacks_quorum(proof, gateway.policy(member))
    if output is not None:
        write_new(output, data, proof_mode(proof))
        _show(origin, index, output, options, provisional=provisional)
    elif options.json:
        found = {"origin": origin, "index": index, "proof": data.decode()}
        say_json(found | {"provisional": provisional})
    else:
        sys.stdout.write(data.decode())
    return EXIT[Word.UNWITNESSED] if provisional else 0


def _read_old(path: Path) -> tuple[str, int] | None:
    """Origin and index of the proof that lies there; None if there is none.

    What is no proof has neither, and is kept.
    """
    if not path.exists():
        check_creatable(path)
        return None
    try:
        old = parse_proof(read_proof(path))
    except MalformedError:
        return "", -1
    return old.checkpoint().origin, old.index


def _show(origin: str, index: int, path: Path, options: Options, *, provisional: bool) -> None:
    if options.json:
        found = {"origin": origin, "index": index, "proof_file": str(path)}
        say_json(found | {"provisional": provisional})
        return
    say(clean(f"{origin}#{index}"), "  ", clean(path))
    if provisional:
        say("  ", PROVISIONAL)
