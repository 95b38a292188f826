"""`chopmark trace`: the life of a document over all ledgers, as a timeline with proofs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from msgspec import structs, to_builtins

from chopmark.cli.context import Given, Options
from chopmark.cli.hashing import hash_files
from chopmark.cli.judging import read_policy
from chopmark.cli.terminal import say, say_json, say_prose, styled, warn
from chopmark.client.files import (
    PRIVATE_MODE,
    PROOF_SUFFIX,
    check_creatable,
    proof_path,
    read_bounded,
    read_proof,
    write_new,
)
from chopmark.client.messages import encode_digests
from chopmark.client.problem import bad_answer
from chopmark.client.told.steps import describe_step
from chopmark.core.digest import Digests
from chopmark.core.errors import ConfigurationError, MalformedError, RefusedError, UsageError
from chopmark.core.inert import clean
from chopmark.core.timeline import tell_time
from chopmark.core.trace import (
    MAX_REPORT,
    Checked,
    Report,
    check_report,
    read_digests,
    read_report,
)
from chopmark.core.verdict import EXIT, Word

_HEX: Final = frozenset("0123456789abcdef")
_LOOKS: Final = {"revoked": "red", "withdrawn": "yellow", "superseded": "yellow"}


def trace(
    target: str | None = None,
    /,
    *,
    records: Annotated[tuple[Path, ...], Parameter(name="--with", negative="")] = (),
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    pdf: Path | None = None,
    check: Path | None = None,
    policy: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    options: Given,
) -> int:
    """Show the life of a document: attested, witnessed, superseded, revoked, consented to, used.

    The gateway looks through its own log and all replicas. Consents and uses are shown of which
    you hold what opens them: in FILE.tlog-proof, or in the files given by --with. Nothing else of
    them can be seen by anybody. The exit code is 2 where nothing is known of the document.

    With --check a report that was written by -o is checked offline, by nothing but policies that
    you trust: each step must follow from its proof. That there are no other steps it cannot prove.

    Args:
        target: The document; its SHA-256; or the proof of an attestation, a consent or a use.
        records: Proofs of consents and uses besides; may be given several times.
        output: Write the report with all proofs here, as JSON. It is for you alone.
        pdf: Write the timeline here, as a PDF.
        check: Check this report, asking no gateway; with the document, also that it is that one's.
            It writes nothing.
        policy: With --check: the policy of a log (`chopmark peers policy ID` prints it); may be
            given several times.
    """
    if check is not None:
        if output or pdf or records:
            hint = "make another report without --check"
            raise UsageError("usage", "--check writes nothing and takes no --with", hint=hint)
        return _check(check, target, policy, options)
    for path in (output, pdf):
        if path is not None:
            check_creatable(path)
    if target is None:
        hint = "name the document, its SHA-256, or a proof"
        raise UsageError("usage", "nothing to trace", hint=hint)
    with options.connect() as gateway:
        data = gateway.trace(_ask(target, records, options))
    try:
        report = read_report(data)
    except MalformedError as error:
        raise bad_answer() from error
    files = [path for path in (output, pdf) if path is not None]
    if output is not None:
        write_new(output, data, PRIVATE_MODE)
    if pdf is not None:
        write_new(pdf, _draw(report), PRIVATE_MODE)
    _show(report, files, options)
    return 0 if report.steps else EXIT[Word.UNKNOWN]


def _ask(target: str, records: Sequence[Path], options: Options) -> dict[str, object]:
    body: dict[str, object] = {"records": [_text(one) for one in records]}
    path = Path(target)
    if path.exists() and path.name.endswith(PROOF_SUFFIX):
        return body | {"proof": _text(path)}
    if not path.exists() and len(target) == 64 and _HEX.issuperset(target):
        return body | {"digests": {"sha256": target}}
    body["digests"] = encode_digests(hash_files([path], options)[0])
    beside = proof_path(path)
    return body | ({"proof": _text(beside)} if beside.exists() else {})


def _text(path: Path) -> str:
    return read_proof(path).decode("utf-8", "replace")


def _check(check: Path, target: str | None, paths: Sequence[Path], options: Options) -> int:
    if not paths:
        hint = "give --policy FILE for each log; `chopmark peers policy ID` prints them"
        raise UsageError("usage", "a report is checked by policies that you trust", hint=hint)
    report = read_report(read_bounded(check, MAX_REPORT))
    policies = {key.name: one for _, one in map(read_policy, paths) for key in one.logs}
    digests = None if target is None else hash_files([Path(target)], options)[0]
    if digests is not None:
        _compare(report, digests)
    checked = check_report(report, policies, digests)
    if options.json:
        values = {"report": str(check), "steps": len(checked.steps), "good": bool(checked.steps)}
        say_json(values | {"remarks": checked.remarks})
    else:
        _tell(report, checked, compared=digests is not None)
    return 0 if checked.steps else EXIT[Word.UNKNOWN]


def _tell(report: Report, checked: Checked, *, compared: bool) -> None:
    """What the report says beside its steps nobody has proven: names are those in the proofs."""
    proven = structs.replace(report, steps=checked.steps, parties={}, warnings=checked.remarks)
    _show_steps(proven)
    if not checked.steps:
        say("? the report shows nothing")
        return
    say(f"✔ all {len(checked.steps)} steps follow from their proofs")
    say_prose(
        "They do not prove that nothing else happened: something may have been left out, or have "
        "come later."
    )
    if not compared:
        warn("no document was compared: name it to see that the report is of it")


def _compare(report: Report, digests: Digests) -> None:
    if report.digests is None:
        return  # its steps tell
    named = read_digests(report.digests)
    if (named.sha256, named.sm3 or digests.sm3) != (digests.sha256, digests.sm3):
        message = "the report is not of this document"
        raise RefusedError("document-differs", message, hint="make another one of it")


def _show(report: Report, files: Sequence[Path], options: Options) -> None:
    if options.json:
        say_json({**_as_values(report), "files": [str(path) for path in files]})
        return
    _show_steps(report)
    if not report.steps:
        say("? nothing is known of it here")
    say(clean(f"  as of {report.as_of or 'a time that is not known'}"))
    for path in files:
        say(clean(f"  written to {path}"))


def _as_values(report: Report) -> dict[str, object]:
    values: dict[str, object] = to_builtins(report)
    return values


def _show_steps(report: Report) -> None:
    for step in report.steps:
        look = _LOOKS.get(step.step, "green")
        say(styled(tell_time(step, report.steps), "dim"), "  ", styled(step.step, look))
        for line in describe_step(report, step):
            say_prose(line, indent=4)
    for warning in report.warnings:
        say_prose(f"! {warning}")


def _draw(report: Report) -> bytes:
    """The timeline as a PDF: an extra, for most who run this command never make one."""
    try:
        from chopmark.client.slip.timeline import make_timeline
    except ModuleNotFoundError as error:
        message = f"PDF files need a package that is not installed: {error.name}"
        raise ConfigurationError("no-slips", message, hint="pip install chopmark[slip]") from error
    return make_timeline(report)
