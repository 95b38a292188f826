"""`chopmark attest`: hash documents, have them attested, keep the proofs beside them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import Parameter
from msgspec.structs import replace

from chopmark.cli.arguments import check_kind_argument, parse_duration, parse_time
from chopmark.cli.contents import name_contents
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt, report
from chopmark.cli.hashing import hash_files
from chopmark.cli.terminal import PROVISIONAL, say, say_json, styled
from chopmark.client.files import check_creatable, proof_path, write_new
from chopmark.client.messages import Attested, Outcome
from chopmark.client.proofs import check_answer, proof_mode
from chopmark.core.digest import Digests
from chopmark.core.draft import Draft
from chopmark.core.errors import ChopmarkError, UsageError
from chopmark.core.inert import clean
from chopmark.core.verdict import EXIT, Word

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient


class Waiting(NamedTuple):
    """For how many seconds an attestation is waited for, for what, and whether a new one is due."""

    seconds: int
    until: Literal["witnessed", "signed"]
    again: bool = False


_Flag = Annotated[bool, Parameter(negative="")]


def attest(
    *files: Path,
    kind: str = "document",
    valid_until: str | None = None,
    supersedes: int | None = None,
    blinded: _Flag = False,
    canonical: _Flag = False,
    wait: str = "10s",
    until: Literal["witnessed", "signed"] | None = None,
    manifest: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    proofs: str | None = None,
    no_proofs: _Flag = False,
    resume: _Flag = False,
    again: _Flag = False,
    sm3: Path | None = None,
    options: Given,
) -> int:
    """Attest documents by their digests, and write FILE.tlog-proof beside each.

    Nothing is attested if a file is missing, or if a proof exists already. Each line of the output
    is ORIGIN#INDEX and the file. Without `--until signed` it waits until the institutions that the
    policy demands have countersigned. What does not come so far in time goes on by itself, and
    `chopmark proof FILE` then fetches or completes its proof; the exit code is 6.

    Very many documents go by a manifest of their SHA-256 digests: `sha256sum FILE… > MANIFEST`,
    then `chopmark attest --manifest MANIFEST`. Nothing is sent before all of it was read. Files
    are always attested by SHA-256 and SM3; a manifest by SHA-256, and by SM3 too with `--sm3`.

    Args:
        files: The documents; only their digests leave this program.
        kind: Kind of the documents, such as bank-statement.
        valid_until: When they end: 2027-12-31 (that day's end, UTC) or an RFC 3339 time.
        supersedes: Index of the attestation of this gateway that this one replaces.
        blinded: Hide the digests from the other members: documents that could be guessed. Only
            with its proof can such a document be verified. What the roster's catalogue demands
            to be blinded always is.
        canonical: Name a digest of what a PDF or JSON document says, too, so that a copy which was
            saved again can be told from another document. What the roster's catalogue demands is
            always named.
        wait: How long to wait, at most 60s.
        until: Wait until it is witnessed (the default for files) or signed (for a manifest).
        manifest: Digests and names, as sha256sum writes them, in place of files; - reads standard
            input.
        proofs: Folder for the proofs of a manifest's documents, or "beside" each document, as
            without it.
        no_proofs: Keep no proofs of a manifest's documents.
        resume: Go on with the run of this manifest that broke off.
        again: Attest documents anew that you have had attested already.
        sm3: SM3 digests of a manifest's documents, in the same order, as `openssl dgst -sm3 -r`
            writes them.
    """
    check_kind_argument(kind)
    ends = None if valid_until is None else parse_time(valid_until)
    seconds = min(parse_duration(wait), 60)
    if manifest is None:
        if proofs is not None or no_proofs or resume or sm3 is not None:
            message = "--proofs, --no-proofs, --resume and --sm3 go with --manifest"
            raise UsageError("usage", message)
        terms = Draft(b"", kind, None, ends, supersedes, blinded)
        waiting = Waiting(seconds, until or "witnessed", again)
        return _attest_files(files, terms, waiting, options, canonical=canonical)
    if files or supersedes is not None or again or canonical:
        raise _standing_alone()
    from chopmark.cli.bulk import Bulk, attest_manifest

    where = _choose_place(proofs, no_proofs=no_proofs, blinded=blinded)
    bulk = Bulk(manifest, kind, ends, seconds, where, resume, until or "signed", blinded, sm3)
    return attest_manifest(bulk, options)


def _standing_alone() -> UsageError:
    hint = "no files, --supersedes, --again, --canonical; one of --proofs and --no-proofs"
    return UsageError("usage", "--manifest stands by itself", hint=hint)


def _choose_place(proofs: str | None, *, no_proofs: bool, blinded: bool) -> str | None:
    """Where a manifest's proofs go; None for nowhere."""
    from chopmark.cli.bulk import BESIDE

    if not no_proofs:
        return proofs or BESIDE
    if proofs is not None:
        raise _standing_alone()
    if blinded:
        message = "blinded attestations are worth nothing without proofs"
        raise UsageError("usage", message, hint="leave out --no-proofs")
    return None


def _attest_files(
    files: Sequence[Path], terms: Draft, waiting: Waiting, options: Options, *, canonical: bool
) -> int:
    """Attest documents that are hashed here.

    Args:
        files: the documents.
        terms: what each draft has in common with it.
        waiting: how long, and for what.
        options: of the command line.
        canonical: whether to name canonical digests where documents have some.
    """
    if not files:
        raise UsageError("usage", "no document is named", hint="name files, or a --manifest")
    _check_files(files, terms.supersedes)
    digests = hash_files(files, options)
    with options.connect() as gateway, options.meter("attesting", len(files), unit="files") as bar:
        demanded = gateway.demanded_digests(terms.kind)
        drafts = [
            replace(terms, sha256=one.sha256, sm3=one.sm3, canonical=named)
            for one, named in zip(
                digests, name_contents(files, demanded, all_there_are=canonical), strict=True
            )
        ]
        codes = []
        for file, draft, outcome in zip(
            files, drafts, _submit(gateway, drafts, waiting), strict=True
        ):
            code = _finish(file, draft, outcome, options)
            codes.append(code or _shortfall(outcome, waiting))
            bar.advance(1)
    return next((code for code in codes if code), 0)


def _check_files(files: Sequence[Path], supersedes: int | None) -> None:
    """All that can be known to go wrong, before anything is attested."""
    if supersedes is not None and len(files) > 1:
        raise UsageError("usage", "--supersedes is for one document", hint="name one file with it")
    twice = [file for file, count in Counter(files).items() if count > 1]
    if twice:
        raise UsageError("usage", f"{twice[0]} is named twice")
    for file in files:
        check_creatable(proof_path(file))


def _submit(gateway: "GatewayClient", drafts: list[Draft], waiting: Waiting) -> Iterator[Outcome]:
    wait, until, again = waiting
    if len(drafts) == 1:
        yield Outcome(attested=gateway.attest(drafts[0], wait, until, again=again))
    else:
        yield from gateway.attest_many(drafts, proofs=True, wait=wait, until=until, again=again)


def _finish(file: Path, draft: Draft, outcome: Outcome, options: Options) -> int:
    """Keep one proof and tell of it; one file's failure leaves the others alone."""
    error = outcome.error
    attested = outcome.attested
    if attested is not None:
        kept = attempt(partial(_keep_proof, file, draft, attested))
        error = kept if isinstance(kept, ChopmarkError) else None
        _show(file, attested, None if error else kept, options)
    if error is None:
        return 0
    if attested is not None:
        error.hint = "it is attested all the same: `chopmark proof FILE` fetches its proof"
    report(error, as_json=options.json, about=str(file))
    return error.exit_code


def _shortfall(outcome: Outcome, waiting: Waiting) -> int:
    """The exit code for what is attested, and has not come as far as was waited for."""
    attested = outcome.attested
    if attested is None or (attested.signed and not attested.provisional):
        return 0
    enough = attested.signed and waiting.until == "signed"
    return 0 if enough else EXIT[Word.UNWITNESSED]


def _keep_proof(file: Path, draft: Draft, attested: Attested) -> Path | None:
    if attested.proof is None:
        return None
    digests = Digests(draft.sha256, draft.sm3, draft.canonical)
    proof = check_answer(attested.proof, attested.origin, attested.index, digests)
    path = proof_path(file)
    write_new(path, attested.proof, proof_mode(proof))
    return path


def _show(file: Path, attested: Attested, kept: object, options: Options) -> None:
    reference = f"{attested.origin}#{attested.index}"
    if options.json:
        say_json(
            {
                "file": str(file),
                "origin": attested.origin,
                "index": attested.index,
                "made_at": attested.made_at,
                "state": attested.state,
                "provisional": attested.provisional,
                "duplicate": attested.duplicate,
                "proof_file": str(kept) if isinstance(kept, Path) else None,
            }
        )
        return
    say(styled(reference, "bold"), "  ", clean(file))
    if not attested.signed:
        say("  ", "recorded, not signed yet: `chopmark proof FILE` fetches the proof later")
    elif attested.provisional:
        say("  ", PROVISIONAL)
