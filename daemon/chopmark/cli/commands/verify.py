"""`chopmark verify`: what documents and proofs are worth, by the gateway or offline."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chopmark.cli.arguments import check_kind_argument, parse_duration, parse_reference
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt, report
from chopmark.cli.hashing import hash_files
from chopmark.cli.judging import NO_PROOF, Judge, Terms, judge_by_gateway, judge_offline
from chopmark.cli.terminal import say, say_json
from chopmark.cli.verdicts import show_verdict
from chopmark.client.files import proof_path, read_proof
from chopmark.client.slip.reading import read_proof_or_slip
from chopmark.client.verdicts import VerdictReport, wanted_canonical
from chopmark.core.digest import Digests
from chopmark.core.errors import ChopmarkError, MalformedError, RefusedError, UsageError
from chopmark.core.verdict import EXIT, Word, worst


def verify(
    *files: Path,
    proof: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    no_proof: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    policy: Path | None = None,
    expect_issuer: str | None = None,
    expect_kind: str | None = None,
    max_age: str | None = None,
    reference: str | None = None,
    options: Given,
) -> int:
    """Tell what documents are worth: who attested them, and whether that still holds.

    The exit code is that of the verdict: 0 valid, 1 revoked, expired or superseded, 2 unknown,
    3 mismatch, 4 untrusted, 5 valid-as-of, 6 unwitnessed, 7 attestation-only, 8 ambiguous; of
    several files that of the worst. With a policy no gateway is asked, and 5 is the best answer,
    since revocations are not known then. A file whose proof cannot be read leaves the others
    alone; the exit code then is that of this failure.

    Args:
        files: The documents. FILE.tlog-proof beside a document is its proof, and is used.
        proof: The proof, or the slip that stands for it (its PDF, or the scanned text; - reads
            standard input), if it lies elsewhere. Without a document it is checked by itself:
            at best attestation-only.
        no_proof: Do not use the proof beside the document: ask by its digests only.
        policy: Verify offline, by the proof and this policy (`chopmark peers policy` prints it).
        expect_issuer: The only issuer to accept: institution, member id or origin.
        expect_kind: The only kind of document to accept.
        max_age: How old an answer may be, such as 90, 15m, 24h or 7d; it can only shorten.
        reference: The attestation to compare with, as ORIGIN#INDEX.
    """
    check_kind_argument(expect_kind)
    _check_usage(files, proof, policy, reference, no_proof=no_proof)
    age = None if max_age is None else parse_duration(max_age)
    terms = Terms(expect_issuer, expect_kind, age, reference)
    proofs = _read_proofs(files, proof, use_beside=not no_proof)
    with ExitStack() as stack:
        if policy is not None:
            judge = judge_offline(policy, terms)
        else:
            judge = judge_by_gateway(stack.enter_context(options.connect()), terms)
        subjects = _subjects(files, proofs, options)
        bar = stack.enter_context(options.meter("verifying", len(subjects), unit="files"))
        ends = []
        for file, digests, data in subjects:
            name = str(file or proof or reference)
            ends.append(_finish(partial(_judge, judge, file, digests, data), name, options))
            bar.advance(1)
    failures = [end for end in ends if isinstance(end, int)]
    return failures[0] if failures else EXIT[worst([end for end in ends if isinstance(end, Word)])]


def _check_usage(
    files: Sequence[Path],
    proof: Path | None,
    policy: Path | None,
    reference: str | None,
    *,
    no_proof: bool,
) -> None:
    if not files and proof is None and reference is None:
        raise UsageError("usage", "nothing to verify", hint="name a file, --proof or --reference")
    if proof is not None and (len(files) > 1 or no_proof):
        message = "--proof is the proof of one document"
        raise UsageError("usage", message, hint="name one file with it")
    if reference is not None:
        parse_reference(reference)
    if policy is not None and (reference is not None or no_proof):
        message = "offline, with --policy, the proof says which attestation it is"
        raise UsageError("usage", message, hint="leave out --reference and --no-proof")


def _read_proofs(
    files: Sequence[Path], proof: Path | None, *, use_beside: bool
) -> list[bytes | None]:
    """Per document its proof, if there is one; read before anything is hashed or asked."""
    if proof is not None or not files:
        return [None if proof is None else read_proof_or_slip(proof)]
    beside = [proof_path(file) for file in files]
    return [read_proof(path) if use_beside and path.exists() else None for path in beside]


def _subjects(
    files: Sequence[Path], proofs: list[bytes | None], options: Options
) -> list[tuple[Path | None, Digests | None, bytes | None]]:
    """What to verify: the document and its digests, its proof, or both."""
    if not files:
        return [(None, None, proofs[0])]
    return list(zip(files, hash_files(files, options), proofs, strict=True))


def _judge(
    judge: Judge, file: Path | None, digests: Digests | None, proof: bytes | None
) -> VerdictReport:
    """The verdict; where the document is another one, whether it says the same all the same."""
    found = judge(digests, proof)
    if file is None or digests is None or not wanted_canonical(found):
        return found
    from chopmark.client.content import explain_mismatch

    return explain_mismatch(found, file, digests, lambda more: judge(more, proof))


def _finish(judge: Callable[[], VerdictReport], subject: str, options: Options) -> Word | int:
    """The word about one file, or the exit code if its proof is not there or cannot be read."""
    found = attempt(judge)
    if not isinstance(found, ChopmarkError):
        return _show(found, subject, options)
    if not _is_about_proof(found):
        raise found
    if isinstance(found, MalformedError):
        found.hint = "its proof cannot be read: ask the issuer for it anew (`chopmark proof`)"
    report(found, as_json=options.json, about=subject)
    return found.exit_code


def _is_about_proof(error: ChopmarkError) -> bool:
    """Whether other files can fare better."""
    if isinstance(error, MalformedError):
        asked = ("malformed-request", "malformed-reference")
        return error.code not in asked and not isinstance(error, RefusedError)
    return error.code == NO_PROOF


def _show(verdict: VerdictReport, subject: str, options: Options) -> Word:
    if options.json:
        say_json({"subject": subject, **verdict})
    else:
        show_verdict(verdict, subject)
        say()
    return Word(verdict["verdict"])
