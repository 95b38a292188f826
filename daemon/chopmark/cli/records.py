"""Consents and uses in files: finding them, and keeping them beside the document."""

from collections.abc import Iterable
from pathlib import Path

from chopmark.client.files import (
    PRIVATE_MODE,
    PROOF_SUFFIX,
    check_creatable,
    proof_path,
    read_proof,
    replace_file,
    write_new,
)
from chopmark.client.problem import bad_answer
from chopmark.core.check import read_attestation
from chopmark.core.consent import Shown, add_records, read_records, show
from chopmark.core.errors import MalformedError
from chopmark.core.proof import Proof, parse_extra, parse_proof


def read_shown(path: Path) -> tuple[Shown, ...]:
    """What a file shows: a proof of a consent or use, or a document's proof that carries some.

    Raises:
        MalformedError: it shows none, or cannot be read.
        MissingError: what `read_proof` raises.
    """
    proof = parse_proof(read_proof(path))
    extra = parse_extra(proof.extra)
    if read_attestation(extra.entry)[0] is None:
        return (show(proof),)
    return read_records(extra.bodies)


def carried(document: Path) -> tuple[Shown, ...]:
    """What the proof beside a document carries; nothing if there is none."""
    path = proof_path(document)
    return read_shown(path) if path.exists() else ()


def open_answer(text: object) -> Shown | None:
    """The consent or use that a gateway has recorded; None while it is not signed.

    Raises:
        UnreachableError: `bad-answer`.
    """
    if text is None:
        return None
    try:
        return show(parse_proof(str(text).encode()))
    except MalformedError as error:
        raise bad_answer() from error


def carry(path: Path, proof: Proof, shown: Iterable[Shown]) -> None:
    """Write a document's proof with more consents and uses, for its owner alone."""
    replace_file(path, add_records(proof, shown).encode(), PRIVATE_MODE)


def own_file(document: Path, name: str, shown: Shown, given: Path | None) -> Path:
    """Where a consent or use goes by itself: a file that is not there yet.

    Raises:
        ExistsError: `file-exists`; and what `check_creatable` raises.
    """
    path = given or document.with_name(f"{document.name}.{name}-{shown.proof.index}{PROOF_SUFFIX}")
    check_creatable(path)
    return path


def write_shown(path: Path, shown: Shown) -> None:
    """Write the proof of a consent or use, for its parties alone."""
    write_new(path, shown.proof.encode(), PRIVATE_MODE)
